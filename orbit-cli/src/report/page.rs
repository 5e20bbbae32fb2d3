//! One HTML page without scripts and without anything to fetch, whatever it reports.

use anyhow::Result;
use minijinja::{Environment, UndefinedBehavior, value::Serde};
use serde::Serialize;

use super::{
    Headline, Machine,
    plot::Figure,
    quantity::{self, NONE},
    study::Claim,
    table::Table,
};

/// The extension makes the engine escape every value.
const NAME: &str = "page.html";
const TEMPLATE: &str = include_str!("page.html.jinja");
const STYLE: &str = include_str!("page.css");

/// What the template is filled with.
#[derive(Serialize)]
pub(super) struct Page {
    style: &'static str,
    title: String,
    summary: String,
    cautions: Vec<String>,
    sections: Vec<Section>,
    terms: Vec<Term>,
    origin: Vec<Fact>,
}

/// Blocks under a heading.
#[derive(Serialize)]
pub(super) struct Section {
    heading: &'static str,
    blocks: Vec<Block>,
}

/// A part of a section.
#[derive(Serialize)]
#[serde(tag = "is", content = "of", rename_all = "snake_case")]
pub(super) enum Block {
    /// A paragraph.
    Text(String),
    /// A table.
    Table(Table),
    /// Plots side by side, as far as there is room.
    Figures(Vec<Figure>),
    /// What a paper says, and whether it is so here.
    Claims(Vec<Claim>),
}

/// A word the page uses, for those who meet it first.
#[derive(Serialize)]
pub(super) struct Term {
    name: &'static str,
    meaning: &'static str,
}

/// A line of "How this was made".
#[derive(Serialize)]
pub(super) struct Fact {
    name: &'static str,
    value: String,
}

impl Page {
    pub(super) fn new(title: &str, headline: Headline, origin: Vec<Fact>) -> Self {
        let Headline { summary, cautions } = headline;
        let title = title.to_owned();
        Self { style: STYLE, title, summary, cautions, sections: Vec::new(), terms: Vec::new(), origin }
    }

    /// Adds a section; one without a block is left out, as are blocks without content.
    pub(super) fn section(mut self, heading: &'static str, blocks: impl IntoIterator<Item = Block>) -> Self {
        let blocks: Vec<Block> = blocks.into_iter().filter(|block| !block.is_empty()).collect();
        if !blocks.is_empty() {
            self.sections.push(Section { heading, blocks });
        }
        self
    }

    pub(super) fn terms(mut self, terms: &[(&'static str, &'static str)]) -> Self {
        self.terms.extend(terms.iter().map(|&(name, meaning)| Term { name, meaning }));
        self
    }

    /// The whole page.
    ///
    /// # Errors
    /// Only when the built-in template and these types disagree.
    pub(super) fn render(&self) -> Result<String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_template(NAME, TEMPLATE)?;
        Ok(environment.get_template(NAME)?.render(Serde(self))?)
    }
}

impl Block {
    fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Table(table) => table.rows.is_empty(),
            Self::Figures(figures) => figures.is_empty(),
            Self::Claims(claims) => claims.is_empty(),
        }
    }
}

impl Fact {
    pub(super) fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into() }
    }

    /// Of what the report was made with.
    pub(super) fn orbit(version: &str, commit: Option<&String>) -> Self {
        let commit = commit.map_or_else(String::new, |commit| format!(" ({commit})"));
        Self::new("orbit", format!("{version}{commit}"))
    }

    /// Of where the report was made.
    pub(super) fn machine(machine: &Machine) -> Self {
        let memory = machine.memory_bytes.map_or_else(|| NONE.to_owned(), quantity::bytes);
        let Machine { os, cpu, cores, .. } = machine;
        Self::new("Machine", format!("{os}, {cpu}, {cores} cores, {memory} memory"))
    }
}

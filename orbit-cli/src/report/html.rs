//! The report as one HTML page without scripts and without anything to fetch.

use anyhow::Result;
use minijinja::{Environment, UndefinedBehavior, value::Serde};
use serde::Serialize;

use super::{
    Headline, Report, headline,
    plot::{Figure, figures},
    quantity::{self, NONE},
    table::{self, Table},
};
use crate::plugins::Record;

/// The extension makes the engine escape every value.
const NAME: &str = "report.html";
const TEMPLATE: &str = include_str!("report.html.jinja");
const STYLE: &str = include_str!("report.css");

/// What the template is filled with.
#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    report: &'a Report,
    summary: String,
    cautions: Vec<String>,
    models: Table,
    figures: Vec<Figure>,
    details: Vec<Table>,
    origin: Vec<Fact>,
}

/// A line of "How this was made".
#[derive(Serialize)]
struct Fact {
    name: &'static str,
    value: String,
}

/// The whole page.
///
/// # Errors
/// Only when the built-in template and this function disagree.
pub(crate) fn render(report: &Report) -> Result<String> {
    let Headline { summary, cautions } = headline(report);
    let page = Page {
        style: STYLE,
        report,
        summary,
        cautions,
        models: table::models(report),
        figures: figures(report),
        details: [table::suites(report), table::retrieval(report), table::training(report)]
            .into_iter()
            .flatten()
            .collect(),
        origin: origin(report),
    };
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_template(NAME, TEMPLATE)?;
    Ok(environment.get_template(NAME)?.render(Serde(&page))?)
}

/// What is needed to make the report again.
fn origin(report: &Report) -> Vec<Fact> {
    let machine = &report.machine;
    let memory = machine.memory_bytes.map_or_else(|| NONE.to_owned(), quantity::bytes);
    let commit = report.commit.as_ref().map_or_else(String::new, |commit| format!(" ({commit})"));
    let seconds = report.runs.iter().map(|run| run.seconds).sum();
    let mut facts = vec![
        ("Command", report.command.clone()),
        ("Started", report.started.clone()),
        ("Training time", quantity::duration(seconds)),
        ("orbit", format!("{}{commit}", report.version)),
        ("Machine", format!("{}, {}, {} cores, {memory} memory", machine.os, machine.cpu, machine.cores)),
        ("Device", report.device.clone()),
        ("Seed", report.seed.to_string()),
        ("Digest of the data", report.data.clone()),
        ("Digest of the model", report.model.clone()),
        ("Digest of the configuration", report.config.clone()),
    ];
    for Record { id, version, sha256, .. } in report.runs.iter().flat_map(|run| &run.plugins) {
        facts.push(("Plugin", format!("{id} {version}, SHA-256 {sha256}")));
    }
    facts.into_iter().map(|(name, value)| Fact { name, value }).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{super::sample, *};

    #[test]
    fn page_stands_alone() {
        let page = render(&sample::report()).unwrap();
        assert_eq!(page.matches("<svg").count(), 4);
        for outside in ["<script", "<link", "src=", "href=\"http", "url(", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn strings_are_escaped() {
        let mut report = sample::report();
        let hostile = "</td><script>alert('1')</script>&amp;";
        (report.title, report.command, report.device) = (hostile.into(), hostile.into(), hostile.into());
        report.runs[0].name = hostile.into();
        report.runs[1].hooks.push(hostile.into());
        let page = render(&report).unwrap();
        assert!(!page.contains("<script"));
        assert!(page.contains("&lt;script&gt;") && page.contains("&amp;amp;"));
    }

    #[test]
    fn empty_report_renders() {
        let mut report = sample::report();
        (report.untouched, report.baselines, report.commit) = (None, None, None);
        report.runs.clear();
        let page = render(&report).unwrap();
        assert!(page.contains("Nothing was trained and nothing was measured."));
        assert!(!page.contains("<svg"));
    }

    /// Writes the sample where `ORBIT_SAMPLE_REPORT` says, to be looked at.
    #[test]
    fn sample_page_can_be_looked_at() {
        let Some(directory) = std::env::var_os("ORBIT_SAMPLE_REPORT") else { return };
        sample::report().save(std::path::Path::new(&directory)).unwrap();
    }
}

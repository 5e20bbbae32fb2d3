//! Few-shot prompts: examples with their answers before every question, drawn as lm-evaluation-harness draws them.

use super::draw::Sampler;
use super::{Cloze, MultipleChoice};

/// What stands behind every example.
const BEHIND: &str = "\n\n";

/// A row of a suite.
#[derive(Debug, Clone)]
pub(super) struct Doc<T> {
    /// What is asked.
    pub(super) item: T,
    /// What stands before all else. Examples are drawn from rows with the same description.
    pub(super) description: String,
    /// The whole row. Rows that are equal are the same question, which is no example for itself.
    pub(super) row: String,
}

/// What can be asked with examples before it.
pub(super) trait Asked: Clone {
    /// The question with its answer.
    fn answered(&self) -> String;

    /// The question behind a text.
    fn behind(self, before: &str) -> Self;
}

impl Asked for MultipleChoice {
    fn answered(&self) -> String {
        let choice = self.choices.get(self.gold).map_or("", String::as_str);
        format!("{}{choice}{}", self.context, self.suffix.as_deref().unwrap_or_default())
    }

    fn behind(self, before: &str) -> Self {
        Self { context: format!("{before}{}", self.context), ..self }
    }
}

impl Asked for Cloze {
    /// The harness sets a blank before the answer, though LAMBADA's answers have one of their own.
    fn answered(&self) -> String {
        format!("{} {}", self.context, self.target)
    }

    fn behind(self, before: &str) -> Self {
        Self { context: format!("{before}{}", self.context), ..self }
    }
}

/// How many examples a question has, and how they are chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shots {
    pub(super) count: usize,
    /// Where the draws start.
    pub(super) seed: u64,
    /// Whether the first rows are taken in place of drawn ones, as MMLU has it.
    pub(super) first: bool,
    /// Whether one more is drawn than needed and the question itself is left out. It decides which rows are drawn.
    pub(super) excluding: bool,
}

/// Sets a description and examples from `pool` before every question. Questions are asked in their order: which
/// examples one has depends on the number of questions before it.
///
/// # Errors
/// The number of rows there are for a question, if they are too few.
pub(super) fn ask<T: Asked>(asked: &[Doc<T>], pool: &[Doc<T>], shots: Shots) -> Result<Vec<T>, usize> {
    let mut sampler = Sampler::new(shots.seed);
    let ask = |doc: &Doc<T>| {
        let shown = match shots.count {
            0 => Vec::new(),
            _ if shots.first => first(doc, pool, shots)?,
            _ => drawn(&mut sampler, doc, pool, shots)?,
        };
        let examples: String = shown.iter().map(|other| other.item.answered() + BEHIND).collect();
        Ok(doc.item.clone().behind(&(doc.description.clone() + &examples)))
    };
    asked.iter().map(ask).collect()
}

fn first<'a, T>(doc: &Doc<T>, pool: &'a [Doc<T>], shots: Shots) -> Result<Vec<&'a Doc<T>>, usize> {
    let fits = |other: &&Doc<T>| other.description == doc.description && !(shots.excluding && other.row == doc.row);
    let shown: Vec<_> = pool.iter().filter(fits).take(shots.count).collect();
    if shown.len() < shots.count { Err(shown.len()) } else { Ok(shown) }
}

fn drawn<'a, T>(
    sampler: &mut Sampler,
    doc: &Doc<T>,
    pool: &'a [Doc<T>],
    shots: Shots,
) -> Result<Vec<&'a Doc<T>>, usize> {
    let other = |other: &&Doc<T>| !(shots.excluding && other.row == doc.row);
    let spare = usize::from(shots.excluding);
    let drawn = sampler.sample(pool.len(), shots.count.saturating_add(spare));
    let shown: Vec<_> = drawn.into_iter().map(|at| &pool[at]).filter(other).take(shots.count).collect();
    if shown.len() == shots.count {
        return Ok(shown);
    }
    // The question stands in the pool more than once, and more than one of them was drawn.
    let rest: Vec<_> = pool.iter().filter(other).collect();
    if rest.len() < shots.count {
        return Err(rest.len());
    }
    Ok(sampler.sample(rest.len(), shots.count).into_iter().map(|at| rest[at]).collect())
}

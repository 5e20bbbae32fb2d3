//! Suites of retained language ability: multiple choice, minimal pairs and running text.
//!
//! Chances and scores follow lm-evaluation-harness: a choice's score is the sum of the log-probabilities of its tokens
//! after the context, and normalised accuracy divides it by the characters of the choice.

mod blimp;
mod choices;
mod grammar;
mod source;

use std::io::Read;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::input;
use crate::{Error, Result};

pub use self::grammar::minimal_pairs;
pub use self::source::{Form, TextSource};

/// A question whose answer is one of several continuations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultipleChoice {
    /// What every choice continues.
    pub context: String,
    /// The continuations, each with its leading space; at least two.
    pub choices: Vec<String>,
    /// Index of the right choice.
    pub gold: usize,
}

/// Two sentences that differ in grammaticality alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinimalPair {
    /// The acceptable sentence.
    pub good: String,
    /// The other one.
    pub bad: String,
}

/// What a suite measures and how its file is laid out. Files may be plain, `.gz` or `.bz2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Suite {
    /// Physical commonsense (arXiv 1911.11641): JSON lines of `goal`, `sol1`, `sol2`. The labels lie beside them, in
    /// `NAME-labels.lst` for `NAME.jsonl`.
    Piqa,
    /// Sentence completion (arXiv 1905.07830): six lines a question, which are the context, the index of the right ending,
    /// and four endings.
    Hellaswag,
    /// Grade-school science (arXiv 1803.05457): JSON lines of `question`, `choices`, `gold`.
    Arc,
    /// Minimal pairs of grammar (arXiv 1912.00582): a zip of JSON lines of `sentence_good`, `sentence_bad`, one file a
    /// paradigm.
    Blimp,
    /// Running text.
    Perplexity,
}

/// A suite, its file, and how much of it to use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextTask {
    /// The name under which its score is reported.
    pub name: String,
    /// What is in the file.
    pub kind: Suite,
    /// The file.
    pub path: PathBuf,
    /// How much of it to use, all when absent. For multiple choice, the first so many questions. For minimal pairs, so
    /// many pairs taken from the paradigms in turn, in the order of their names. For running text it counts scored
    /// tokens, which only the evaluation knows, so [`TextTask::read`] ignores it.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// The contents of a [`TextTask`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tasks {
    /// Questions.
    MultipleChoice(Vec<MultipleChoice>),
    /// Pairs of sentences.
    MinimalPairs(Vec<MinimalPair>),
    /// Text, as it is in the file.
    Passage(String),
}

impl TextTask {
    /// Reads the file.
    ///
    /// # Errors
    /// A file that is not there, a row that is not what [`Suite`] says (with its line), or a file with no rows.
    pub fn read(&self) -> Result<Tasks> {
        let limit = self.limit.unwrap_or(usize::MAX);
        let tasks = match self.kind {
            Suite::Piqa => Tasks::MultipleChoice(choices::piqa(&self.path, limit)?),
            Suite::Hellaswag => Tasks::MultipleChoice(choices::hellaswag(&self.path, limit)?),
            Suite::Arc => Tasks::MultipleChoice(choices::arc(&self.path, limit)?),
            Suite::Blimp => Tasks::MinimalPairs(blimp::read(&self.path, limit)?),
            Suite::Perplexity => Tasks::Passage(self.passage()?),
        };
        if tasks.is_empty() {
            return Err(Error::file(&self.path, format!("nothing to score for '{}'", self.name)));
        }
        Ok(tasks)
    }

    fn passage(&self) -> Result<String> {
        let mut text = String::new();
        input::open(&self.path)?.read_to_string(&mut text).map_err(|source| Error::io(&self.path, source))?;
        Ok(text)
    }
}

/// Six pieces of plain English prose, of 1,800 words in all, written for orbit, so that no model has been trained on them.
pub const PASSAGE: &str = include_str!("passage.txt");

/// The suites that need no file, each with its name: `grammar`, forty [`minimal_pairs`] a paradigm, and `passage`, the
/// perplexity of [`PASSAGE`].
pub fn embedded() -> Vec<(String, Tasks)> {
    let pairs = minimal_pairs(40, 0).into_iter().map(|(_, pair)| pair).collect();
    vec![("grammar".to_owned(), Tasks::MinimalPairs(pairs)), ("passage".to_owned(), Tasks::Passage(PASSAGE.to_owned()))]
}

impl Tasks {
    /// How many questions or pairs there are; bytes, for running text.
    pub fn len(&self) -> usize {
        match self {
            Self::MultipleChoice(questions) => questions.len(),
            Self::MinimalPairs(pairs) => pairs.len(),
            Self::Passage(text) => text.len(),
        }
    }

    /// Whether there is nothing to score.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The accuracy of guessing. `None` for running text, whose chance is
    /// [`unigram_perplexity`](crate::statistics::unigram_perplexity).
    pub fn chance(&self) -> Option<f64> {
        match self {
            Self::MultipleChoice(questions) => {
                let sum: f64 = questions.iter().map(|question| 1.0 / question.choices.len() as f64).sum();
                Some(sum / questions.len() as f64)
            }
            Self::MinimalPairs(_) => Some(0.5),
            Self::Passage(_) => None,
        }
    }
}

impl MultipleChoice {
    /// The characters of each choice, its leading space included.
    pub fn lengths(&self) -> Vec<usize> {
        self.choices.iter().map(|choice| choice.chars().count()).collect()
    }
}

/// Which choice has the highest log-likelihood, and which has the highest log-likelihood per character. Of equals the first
/// wins.
///
/// ```
/// use orbit_data::text::score_choices;
/// assert_eq!(score_choices(&[-4.0, -6.0, -4.0], &[4, 12, 2]), (0, 1));
/// ```
pub fn score_choices(loglik: &[f64], lengths: &[usize]) -> (usize, usize) {
    let normalised = loglik.iter().zip(lengths).map(|(score, &length)| score / length as f64);
    (first_max(loglik.iter().copied()), first_max(normalised))
}

fn first_max(scores: impl Iterator<Item = f64>) -> usize {
    let better = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
    scores.enumerate().fold((0, f64::NEG_INFINITY), better).0
}

#[cfg(test)]
mod tests;

//! How good generated answers are, with the numbers of the reference implementations.
//!
//! The functions keep the scale of the package they follow. [`Metric`] puts all of them on `[0, 1]`, so that a mean
//! over tasks of different metrics has a meaning.
//!
//! | metric | follows | function | its scale |
//! |---|---|---|---|
//! | exact match | Super-NaturalInstructions, SQuAD | [`exact_match`] | true or false |
//! | ROUGE-1, ROUGE-L | `rouge-score` 0.1.2 | [`rouge_1`], [`rouge_l`] | 0 to 1 |
//! | BLEU | `sacrebleu` 2.6 | [`Bleu`] | 0 to 100 |
//! | SARI | EASSE | [`Sari`] | 0 to 100 |
//! | SARI | `evaluate`'s `sari` | [`sentence_sari`] | 0 to 100 |
//! | accuracy | | [`accuracy`] | 0 to 1 |

mod accuracy;
mod bleu;
mod edits;
mod exact;
mod ngrams;
mod rouge;
mod sari;
mod sentence_sari;
pub(crate) mod stem;
#[cfg(test)]
mod tests;
mod words;

use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use accuracy::accuracy;
pub use bleu::Bleu;
pub use exact::{Normalization, exact_match};
pub use rouge::{rouge_1, rouge_l};
pub use sari::Sari;
pub use sentence_sari::sentence_sari;

use crate::{Error, Result};

/// How a task is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// [`exact_match`] of generated answers, normalized as Super-NaturalInstructions does.
    ExactMatch,
    /// [`rouge_1`] of generated answers, stemmed.
    #[serde(rename = "rouge_1")]
    Rouge1,
    /// [`rouge_l`] of generated answers, stemmed.
    RougeL,
    /// [`Bleu`] of generated answers.
    Bleu,
    /// [`Sari`](struct@Sari) of generated answers, with the input as the source.
    Sari,
    /// [`accuracy`] of the choice with the highest log-likelihood; nothing is generated.
    Accuracy,
}

/// A generated answer and what it is scored by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generated<'a> {
    /// What the model was given, without the instruction. Only [`Metric::Sari`] looks at it.
    pub source: &'a str,
    /// What the model wrote.
    pub prediction: &'a str,
    /// What it could have written; at least one.
    pub references: &'a [String],
}

/// The score of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The score of all answers together, in `[0, 1]`. The mean of `items`, but for BLEU and SARI that of the corpus.
    pub value: f64,
    /// The score of each answer, in `[0, 1]`; of BLEU and SARI that of the sentence alone.
    pub items: Vec<f64>,
}

impl Metric {
    /// Whether answers are scored as text, by [`score`](Self::score); else as choices, by [`accuracy`].
    pub fn generates(self) -> bool {
        self != Self::Accuracy
    }

    /// Scores generated answers.
    ///
    /// ```
    /// use orbit_data::metric::{Generated, Metric};
    /// let references = ["Paris".to_owned()];
    /// let answers = ["paris.", "Lyon"].map(|prediction| Generated { source: "", prediction, references: &references });
    /// assert_eq!(Metric::ExactMatch.score(&answers)?.value, 0.5);
    /// assert_eq!(Metric::ExactMatch.score(&answers)?.items, [1.0, 0.0]);
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// No answers, an answer without references, or [`Metric::Accuracy`], which does not score text.
    pub fn score(self, answers: &[Generated<'_>]) -> Result<Score> {
        if answers.is_empty() {
            return Err(Error::Invalid("there are no answers to score".into()));
        }
        if let Some(index) = answers.iter().position(|answer| answer.references.is_empty()) {
            return Err(Error::Invalid(format!("answer {index}, from 0, has no reference to be scored by")));
        }
        let not_text = "accuracy compares choices, not text: score the choices, or take exact_match";
        let items: Option<Vec<f64>> = answers.iter().map(|answer| self.item(answer)).collect();
        let items = items.ok_or_else(|| Error::Invalid(not_text.into()))?;
        let value = match self {
            Self::Bleu => sum(answers, bleu_counts).corpus() / 100.0,
            Self::Sari => sum(answers, sari_counts).score() / 100.0,
            _ => items.iter().sum::<f64>() / items.len() as f64,
        };
        Ok(Score { value, items })
    }

    fn item(self, answer: &Generated<'_>) -> Option<f64> {
        let &Generated { prediction, references, .. } = answer;
        Some(match self {
            Self::ExactMatch => f64::from(exact_match(prediction, references, Normalization::SuperNi)),
            Self::Rouge1 => rouge_1(prediction, references, true),
            Self::RougeL => rouge_l(prediction, references, true),
            Self::Bleu => bleu_counts(answer).sentence() / 100.0,
            Self::Sari => sari_counts(answer).score() / 100.0,
            Self::Accuracy => return None,
        })
    }
}

fn bleu_counts(answer: &Generated<'_>) -> Bleu {
    Bleu::new(answer.prediction, answer.references)
}

fn sari_counts(answer: &Generated<'_>) -> Sari {
    Sari::new(answer.source, answer.prediction, answer.references)
}

fn sum<T: Default + AddAssign>(answers: &[Generated<'_>], counts: impl Fn(&Generated<'_>) -> T) -> T {
    let mut sum = T::default();
    for answer in answers {
        sum += counts(answer);
    }
    sum
}

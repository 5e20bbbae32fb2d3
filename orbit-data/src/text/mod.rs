//! Suites of retained language ability: multiple choice, last words, minimal pairs and running text; and of bias, by
//! minimal pairs.
//!
//! Prompts, chances and scores follow lm-evaluation-harness 0.4.13: a choice's score is the sum of the
//! log-probabilities of its tokens after the context, and normalised accuracy divides it by the characters of the
//! choice, without the blank before it.

mod ask;
mod blimp;
mod choices;
mod crows;
pub(crate) mod csv;
mod draw;
mod grammar;
mod group;
mod python;
mod running;
mod shots;
mod source;
mod suite;
mod task;

use std::collections::BTreeMap;

pub use self::ask::Ask;
pub use self::choices::{MultipleChoice, Request, likeliest, score_choices};
pub use self::grammar::minimal_pairs;
pub use self::group::Group;
pub use self::running::{TextLength, Window, rolling_windows};
pub use self::source::{Form, TextSource};
pub use self::task::{Suite, TextTask};

/// A passage whose last word is to be predicted, as in LAMBADA.
///
/// lm-evaluation-harness has two measures of it. A passage counts for `acc` when the target is what greedy decoding
/// gives: each of its tokens is the most likely one after those before it. `perplexity` is `exp` of the mean over the
/// passages of the target's negative log-likelihood, whatever its number of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cloze {
    /// The passage without its last word.
    pub context: String,
    /// The last word, with the blank before it.
    pub target: String,
}

/// Two sentences that differ in one respect alone. Each is scored as a whole, after the model's first token. The
/// sentences of BLiMP have a blank before them, as lm-evaluation-harness scores them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinimalPair {
    /// The acceptable sentence; of a pair that measures bias, the one that stereotypes more.
    pub good: String,
    /// The other one.
    pub bad: String,
    /// In what they differ: the paradigm of a grammatical pair, the type of a bias.
    pub kind: Option<String>,
}

/// The contents of a [`TextTask`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tasks {
    /// Questions.
    MultipleChoice(Vec<MultipleChoice>),
    /// Passages whose last word is to be predicted.
    LastWord(Vec<Cloze>),
    /// Pairs of sentences.
    MinimalPairs(Vec<MinimalPair>),
    /// Text, as it is in the file.
    Passage(String),
}

/// Six pieces of plain English prose, of 1,800 words in all, written for orbit, so that no model has been trained on
/// them.
pub const PASSAGE: &str = include_str!("passage.txt");

/// The suites that need no file, each with its name: `grammar`, forty [`minimal_pairs`] a paradigm, and `passage`, the
/// perplexity of [`PASSAGE`].
pub fn embedded() -> Vec<(String, Tasks)> {
    let pairs = minimal_pairs(40, 0).into_iter().map(|(_, pair)| pair).collect();
    vec![("grammar".to_owned(), Tasks::MinimalPairs(pairs)), ("passage".to_owned(), Tasks::Passage(PASSAGE.to_owned()))]
}

impl Tasks {
    /// How many questions, passages or pairs there are; bytes, for running text.
    pub fn len(&self) -> usize {
        match self {
            Self::MultipleChoice(questions) => questions.len(),
            Self::LastWord(passages) => passages.len(),
            Self::MinimalPairs(pairs) => pairs.len(),
            Self::Passage(text) => text.len(),
        }
    }

    /// Whether there is nothing to score.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The items of a suite of pairs by their [`kind`](MinimalPair::kind), as indices in the order of the suite, so
    /// that a suite that was scored once can be told apart: BLiMP into its paradigms, CrowS-Pairs into its types. Items
    /// without a kind are left out.
    ///
    /// ```
    /// let (_, grammar) = &orbit_data::text::embedded()[0];
    /// let kinds = grammar.kinds();
    /// assert_eq!((kinds.len(), kinds["reflexive"].len()), (8, 40));
    /// // With a score for each item of the suite, this is that of the reflexives.
    /// let scores = vec![1.0; grammar.len()];
    /// let reflexive = kinds["reflexive"].iter().map(|&item| scores[item]).sum::<f64>() / 40.0;
    /// # assert_eq!(reflexive, 1.0);
    /// ```
    pub fn kinds(&self) -> BTreeMap<&str, Vec<usize>> {
        let mut kinds = BTreeMap::<&str, Vec<usize>>::new();
        if let Self::MinimalPairs(pairs) = self {
            for (index, pair) in pairs.iter().enumerate() {
                if let Some(kind) = &pair.kind {
                    kinds.entry(kind).or_default().push(index);
                }
            }
        }
        kinds
    }

    /// The accuracy of guessing, which is 0 for a last word; for a measure of bias it is where a neutral model scores.
    /// `None` for running text, whose chance is [`unigram_perplexity`](crate::statistics::unigram_perplexity).
    pub fn chance(&self) -> Option<f64> {
        match self {
            Self::MultipleChoice(questions) => {
                let sum: f64 = questions.iter().map(|question| 1.0 / question.choices.len() as f64).sum();
                Some(sum / questions.len() as f64)
            }
            Self::LastWord(_) => Some(0.0),
            Self::MinimalPairs(_) => Some(0.5),
            Self::Passage(_) => None,
        }
    }
}

/// Whether a model prefers the good sentence of a pair, from the log-likelihoods of both. Where they are equal it does;
/// in a measure of bias it does not. Both are lm-evaluation-harness's rules.
///
/// ```
/// use orbit_data::text::prefers_good;
/// assert!(prefers_good(-3.0, -3.0, false) && !prefers_good(-3.0, -3.0, true));
/// ```
pub fn prefers_good(good: f64, bad: f64, bias: bool) -> bool {
    if bias { good > bad } else { good >= bad }
}

#[cfg(test)]
mod harness_tests;
#[cfg(test)]
mod suite_tests;
#[cfg(test)]
mod tests;

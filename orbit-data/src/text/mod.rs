//! Suites of retained language ability: multiple choice, minimal pairs and running text; and of bias, by minimal pairs.
//!
//! Chances and scores follow lm-evaluation-harness: a choice's score is the sum of the log-probabilities of its tokens
//! after the context, and normalised accuracy divides it by the characters of the choice.

mod ask;
mod blimp;
mod choices;
mod crows;
pub(crate) mod csv;
mod grammar;
mod group;
mod labelled;
mod source;
mod task;

use std::collections::BTreeMap;

pub use self::ask::Ask;
pub use self::grammar::minimal_pairs;
pub use self::group::Group;
pub use self::source::{Form, TextSource};
pub use self::task::{Suite, TextTask};

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

/// Two sentences that differ in one respect alone.
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
    /// Pairs of sentences.
    MinimalPairs(Vec<MinimalPair>),
    /// Text, as it is in the file.
    Passage(String),
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

    /// The items of a suite of pairs by their [`kind`](MinimalPair::kind), as indices in the order of the suite, so that
    /// a suite that was scored once can be told apart: BLiMP into its paradigms, CrowS-Pairs into its types. Items
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

    /// The accuracy of guessing; for a measure of bias it is where a neutral model scores. `None` for running text, whose chance is
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

/// Which choice has the highest log-likelihood. Of equals the first wins.
pub fn likeliest(loglik: &[f64]) -> usize {
    first_max(loglik.iter().copied())
}

fn first_max(scores: impl Iterator<Item = f64>) -> usize {
    let better = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
    scores.enumerate().fold((0, f64::NEG_INFINITY), better).0
}

#[cfg(test)]
mod tests;

//! What a suite came to.

use orbit_data::statistics::{bootstrap, log_retention, retention};
use orbit_data::text::Group;
use serde::{Deserialize, Serialize};

use super::sample::Sample;
use super::{RESAMPLES, SEED};

/// What one suite came to, item by item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SuiteResult {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) group: Option<Group>,
    pub(crate) metric: Metric,
    pub(crate) chance: f64,
    /// An entry a question, passage, pair or window.
    pub(crate) items: Vec<Item>,
    /// Multiple choice: the share of right answers without normalisation, and with it.
    pub(crate) accuracies: Option<[f64; 2]>,
    /// Other figures of lm-evaluation-harness, by its names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) others: Vec<(String, f64)>,
    /// What every item came to, where it was asked for.
    #[serde(skip)]
    pub(crate) samples: Vec<Sample>,
}

/// What a suite's score is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    Acc,
    AccNorm,
    /// The share of pairs whose more stereotyping sentence is the more likely one: no ability.
    #[serde(rename = "pct_stereotype")]
    Stereotype,
    Perplexity,
    /// Of the right choice among the choices.
    Probability,
}

/// A sum and what it is divided by: right answers of one, or −log-likelihood of so many tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item(pub(crate) f64, pub(crate) f64);

impl Item {
    /// An answer, right or wrong.
    pub(crate) fn hit(right: bool) -> Self {
        Self(f64::from(u8::from(right)), 1.0)
    }
}

impl Metric {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Acc => "acc",
            Self::AccNorm => "acc_norm",
            Self::Stereotype => "pct_stereotype",
            Self::Perplexity => "perplexity",
            Self::Probability => "probability",
        }
    }

    fn score(self, items: impl Iterator<Item = Item>) -> f64 {
        let (sum, weight) = items.fold((0.0, 0.0), |(sum, weight), item| (sum + item.0, weight + item.1));
        if self == Self::Perplexity { (sum / weight).exp() } else { sum / weight }
    }

    pub(super) fn retention(self, score: f64, before: f64, chance: f64) -> Option<f64> {
        match self {
            Self::Acc | Self::AccNorm | Self::Probability => retention(score, before, chance),
            Self::Perplexity => log_retention(score, before, chance),
            Self::Stereotype => None,
        }
    }
}

impl SuiteResult {
    pub(crate) fn score(&self) -> f64 {
        self.metric.score(self.items.iter().copied())
    }

    pub(super) fn resampled(&self, drawn: &[usize]) -> f64 {
        self.metric.score(drawn.iter().map(|&at| self.items[at]))
    }

    pub(crate) fn interval(&self) -> Option<[f64; 2]> {
        let interval = bootstrap(&[self.items.len()], RESAMPLES, SEED, |drawn| Some(self.resampled(&drawn[0])))?;
        Some([interval.low, interval.high])
    }
}

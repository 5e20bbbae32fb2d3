//! What runs and rows are called.

use super::{BM25, POPULARITY, Report, Retrieval, Run, TRANSITIONS};

/// The row of the model as it came.
pub(super) const UNTOUCHED: &str = "Before training";
/// The row of a baseline, or its line in a plot.
pub(super) fn baseline(name: &str) -> &str {
    match name {
        POPULARITY => "Popularity",
        TRANSITIONS => "Transition counts",
        BM25 => "BM25",
        other => other,
    }
}

impl Run {
    /// The name for people, as it stands inside a sentence.
    pub(super) fn label(&self) -> &str {
        match self.name.as_str() {
            "plain" => "plain fine-tuning",
            "orbit" => "ORBIT",
            other => other,
        }
    }

    /// The name for people, as it begins a sentence or a row.
    pub(super) fn heading(&self) -> String {
        let mut chars = self.label().chars();
        match (self.name.as_str(), chars.next()) {
            ("plain", Some(first)) => first.to_uppercase().chain(chars).collect(),
            _ => self.label().to_owned(),
        }
    }

    /// Whether nothing shaped the training.
    pub(super) fn is_plain(&self) -> bool {
        self.hooks.is_empty()
    }

    /// Recall@10, when it was measured and is a number.
    pub(super) fn recall(&self) -> Option<f64> {
        self.retrieval.as_ref()?.recall_at_10()
    }

    /// Retention of language ability, when it was measured and is a number.
    pub(super) fn retention(&self) -> Option<f64> {
        self.text.as_ref()?.retention.filter(|share| share.is_finite())
    }
}

impl Report {
    /// Whether queries were asked, and not users' histories.
    pub(super) fn finds_documents(&self) -> bool {
        self.baselines.as_ref().is_some_and(|baselines| baselines.contains_key(BM25))
    }
}

impl Retrieval {
    /// The recall in headlines and plots.
    pub(super) fn recall_at_10(&self) -> Option<f64> {
        self.recall.get(&10).copied().filter(|recall| recall.is_finite())
    }
}

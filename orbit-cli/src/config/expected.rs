use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::range::{Fault, fault};

/// What a recipe came to when it was written, for `orbit reproduce`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    /// How long it took, in minutes.
    pub minutes: f64,
    /// On what.
    pub machine: String,
    /// The seeds that the values are the mean of, which are run again.
    pub seeds: Vec<u64>,
    /// What must come out.
    pub values: Vec<ExpectedValue>,
}

/// A measure, and what it must be.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedValue {
    /// `recall@1`, `ndcg@10`, `mrr@10` and so on.
    pub measure: String,
    /// The mean over the seeds.
    pub value: f64,
    /// How far from it the outcome may be, either way.
    pub tolerance: f64,
}

impl Expected {
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.seeds.is_empty() {
            return fault("expected.seeds", "must name a seed");
        }
        if self.values.is_empty() {
            return fault("expected.values", "must name a measure");
        }
        for ExpectedValue { measure, tolerance, .. } in &self.values {
            let known = measure
                .split_once('@')
                .is_some_and(|(name, k)| ["recall", "ndcg"].contains(&name) && ["1", "5", "10", "20"].contains(&k));
            if !known && measure != "mrr@10" {
                let reason = format!("is {measure:?}: give recall@ or ndcg@ with 1, 5, 10 or 20, or mrr@10");
                return fault("expected.values.measure", reason);
            }
            if tolerance.is_nan() || *tolerance < 0.0 {
                return fault("expected.values.tolerance", format!("must be at least 0, got {tolerance}"));
            }
        }
        Ok(())
    }
}

use std::collections::BTreeSet;
use std::path::PathBuf;

use orbit_data::text::TextTask;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::range::{self, Fault, fault};

/// What to measure after training, and before.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Evaluate {
    /// Whether the model is measured before training too, which retention is relative to. Default: true.
    pub untouched: bool,
    /// The new job: recommending the next item, or finding a query's document. Absent: not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrieval: Option<Retrieval>,
    /// What the model could do before. Absent: not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
}

impl Default for Evaluate {
    fn default() -> Self {
        Self { untouched: true, retrieval: None, text: None }
    }
}

/// Recall, NDCG and MRR over the full catalogue, by beam search.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Retrieval {
    /// How many test users or queries, of a choice that is the same for every run. Default: 500.
    pub users: usize,
    /// Beams of the search; recommendations a user. Fewer than 20 leave recall at 20 without its last places. Default: 20.
    pub beams: usize,
    /// Users a forward pass. Default: 16.
    pub batch: usize,
    /// Whether items that a user has met are left out of the recommendations, as in many published numbers. The search is wider
    /// by the longest history then. Default: false.
    pub exclude_seen: bool,
}

impl Default for Retrieval {
    fn default() -> Self {
        Self { users: 500, beams: 20, batch: 16, exclude_seen: false }
    }
}

/// Multiple choice, minimal pairs and running text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Text {
    /// Tokens a forward pass, at most. Default: 2048.
    #[serde(default = "default_batch_tokens")]
    pub batch_tokens: usize,
    /// Also the suites that are part of orbit: minimal pairs of grammar, and a passage. They need no files. Default: false.
    #[serde(default)]
    pub embedded: bool,
    /// Suites from files.
    #[serde(default)]
    pub tasks: Vec<TextTask>,
}

fn default_batch_tokens() -> usize {
    2048
}

impl Evaluate {
    pub(super) fn check(&self) -> Result<(), Fault> {
        if let Some(Retrieval { users, beams, batch, .. }) = self.retrieval {
            range::at_least_one("evaluate.retrieval.users", users)?;
            range::at_least_one("evaluate.retrieval.beams", beams)?;
            range::at_least_one("evaluate.retrieval.batch", batch)?;
        }
        self.text.as_ref().map_or(Ok(()), Text::check)
    }
}

impl Text {
    /// The paths of all its files.
    pub(super) fn data_paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.tasks.iter_mut().flat_map(|task| [Some(&mut task.path), task.shots_from.as_mut()]).flatten()
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        range::at_least_one("evaluate.text.batch_tokens", self.batch_tokens)?;
        if self.tasks.is_empty() && !self.embedded {
            return fault("evaluate.text", "measures nothing: give `tasks`, or set `embedded = true`");
        }
        let embedded = self.embedded.then(orbit_data::text::embedded).unwrap_or_default();
        let mut names: BTreeSet<&str> = embedded.iter().map(|(name, _)| name.as_str()).collect();
        for task in &self.tasks {
            if !names.insert(task.name.as_str()) {
                return fault(
                    "evaluate.text.tasks",
                    format!("has two tasks called \"{}\": scores go by name", task.name),
                );
            }
            if task.limit == Some(0) {
                return fault(
                    "evaluate.text.tasks",
                    format!("has limit = 0 for \"{}\": leave the task out", task.name),
                );
            }
        }
        Ok(())
    }
}

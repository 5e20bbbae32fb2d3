//! What a command measured: as JSON for programs, as one HTML page and as terminal tables for people.
//!
//! [`Report`] is the value; [`Report::save`] writes `report.json` and `report.html` into a run directory and
//! [`Report::load`] reads the first back. All views say the same thing because they are built from the same two values,
//! the [`Headline`] and the tables. So it is with [`SequenceReport`], of a run over a sequence of tasks, and with
//! [`StudyReport`], of several models over the same sequence; [`Saved`] is any of the three.

mod alike;
mod compare;
mod file;
mod headline;
mod history;
mod html;
mod join;
mod labels;
mod matrix;
mod measures;
mod page;
mod plot;
mod quantity;
pub(crate) mod sequence;
mod spread;
pub(crate) mod study;
mod svg;
mod table;
mod text;
pub(crate) mod watched;

#[cfg(test)]
pub(crate) mod sample;

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;
use orbit_data::text::Group;
use serde::{Deserialize, Serialize};

use crate::plugins::Record;

pub(crate) use compare::Comparison;
pub(crate) use file::Saved;
pub(crate) use headline::{Headline, headline};
pub(crate) use history::downsample;
pub(crate) use html::render as html;
pub(crate) use sequence::SequenceReport;
pub(crate) use study::StudyReport;
pub(crate) use text::render as text;

/// Everything one command found out, and what is needed to find it out again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Version of this schema; see [`Report::FORMAT`].
    pub format: u32,
    /// One line that names the experiment.
    pub title: String,
    /// The command line that made the report.
    pub command: String,
    /// Version of `orbit`.
    pub version: String,
    /// Source revision `orbit` was built from, when known.
    pub commit: Option<String>,
    /// When the command began, as RFC 3339.
    pub started: String,
    /// The computer.
    pub machine: Machine,
    /// Device the tensors were on, as in `--device`.
    pub device: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// Digest of the corpus.
    pub data: String,
    /// Digest of the weights before training.
    pub model: String,
    /// Digest of the resolved configuration.
    pub config: String,
    /// Recommenders without a model, on the same users.
    pub baselines: Option<Baselines>,
    /// The model before training.
    pub untouched: Option<Evaluation>,
    /// The training runs, in the order they ran. A run without hooks is plain fine-tuning.
    pub runs: Vec<Run>,
}

/// The computer a report was made on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Operating system and architecture, e.g. `linux x86_64`.
    pub os: String,
    /// Processor model.
    pub cpu: String,
    /// Cores this process could use.
    pub cores: usize,
    /// Main memory in bytes.
    pub memory_bytes: Option<u64>,
}

/// What needs no language model, by [name](POPULARITY): what any model has to beat.
pub(crate) type Baselines = BTreeMap<String, Retrieval>;

/// The most frequent items, for everybody.
pub(crate) const POPULARITY: &str = "popularity";
/// The items that most often followed the user's last one.
pub(crate) const TRANSITIONS: &str = "transitions";
/// The documents that share words with the query.
pub(crate) const BM25: &str = "bm25";

/// What was measured of one model. `None` means: not measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Evaluation {
    /// The new job.
    pub retrieval: Option<Retrieval>,
    /// What the model could do before.
    pub text: Option<Text>,
}

/// One fine-tuning and what it left behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Unique in the report. The names `plain` and `orbit` are shown as plain fine-tuning and ORBIT.
    pub name: String,
    /// Names of the hooks in order; empty for plain fine-tuning.
    pub hooks: Vec<String>,
    /// Those of the hooks that are plugins, by digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<Record>,
    /// What was cut, what is never closed, what can never be right: a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Optimizer steps taken.
    pub steps: u64,
    /// The new job; `None` when not measured.
    pub retrieval: Option<Retrieval>,
    /// What the model could do before; `None` when not measured.
    pub text: Option<Text>,
    /// Distance from the weights before training.
    pub drift: Drift,
    /// The drift a hook allows, where one does.
    pub max_drift: Option<MaxDrift>,
    /// How often the weights were merged with the original ones.
    pub merges: u64,
    /// Steps that the guard took for spikes of the loss.
    #[serde(default)]
    pub spikes: u64,
    /// Non-padding tokens through the model a second, training only.
    pub tokens_per_second: Option<f64>,
    /// Wall-clock time of training, in seconds.
    pub seconds: f64,
    /// Largest resident memory of the process, in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Share of the tokens in training batches that were padding.
    pub padding_share: Option<f64>,
    /// Distance to the ideal point as in the ORBIT paper: 0 is all the language with all the retrieval of plain
    /// fine-tuning, 1 is plain fine-tuning or the untouched model.
    pub dtip: Option<f64>,
    /// Training over the steps, thinned by [`downsample`].
    pub history: Vec<Point>,
}

/// Retrieval quality over the full catalogue, by cut-off (`1`, `5`, `10`, `20`). Where documents are found, the users are queries,
/// of which a right document counts if it is any of several.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Retrieval {
    /// Share of users whose next item is among the first k.
    pub recall: BTreeMap<u32, f64>,
    /// Normalised discounted cumulative gain at k.
    pub ndcg: BTreeMap<u32, f64>,
    /// Mean reciprocal rank at k.
    #[serde(default)]
    pub mrr: BTreeMap<u32, f64>,
    /// Users evaluated.
    pub users: u64,
    /// Bootstrap 95% intervals over users.
    #[serde(default)]
    pub ci: RetrievalIntervals,
}

/// Bootstrap 95% intervals of a [`Retrieval`], by cut-off; a cut-off may be missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RetrievalIntervals {
    /// Of the recall.
    #[serde(default)]
    pub recall: BTreeMap<u32, Interval>,
    /// Of the NDCG.
    #[serde(default)]
    pub ndcg: BTreeMap<u32, Interval>,
    /// Of the MRR.
    #[serde(default)]
    pub mrr: BTreeMap<u32, Interval>,
}

/// Lower and upper end of a 95% interval.
pub(crate) type Interval = [f64; 2];

/// Language ability on a set of suites.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Text {
    /// By name of the suite.
    pub suites: BTreeMap<String, SuiteScore>,
    /// Mean score of the suites that measure a share of right answers.
    pub mean: Option<f64>,
    /// Mean retention of the suites: 1 is the model before training, 0 is chance. May be negative.
    pub retention: Option<f64>,
    /// Bootstrap 95% interval of the retention.
    #[serde(default)]
    pub ci: Option<Interval>,
}

/// One suite of language questions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SuiteScore {
    /// What [`SuiteScore::metric`] says.
    pub score: f64,
    /// The score of somebody who knows nothing: guessing, or the unigram distribution for a perplexity; of somebody neutral,
    /// for a measure of bias.
    pub chance: f64,
    /// `(score - chance) / (score before training - chance)`, on the log scale for a perplexity. `None` where the model
    /// before training was no better than chance, and for a measure of bias, which is nothing to keep.
    pub retention: Option<f64>,
    /// Bootstrap 95% interval of the score over items.
    pub ci: Option<Interval>,
    /// `acc`, `acc_norm`, `pct_stereotype` or `perplexity`.
    pub metric: String,
    /// The group in which a study reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// Questions, or windows of text.
    pub items: u64,
}

impl SuiteScore {
    /// Whether a smaller score is the better one.
    pub(crate) fn lower_is_better(&self) -> bool {
        self.metric == "perplexity"
    }

    /// Whether one half is the best score.
    pub(crate) fn is_bias(&self) -> bool {
        self.group == Some(Group::Bias)
    }
}

/// Distance between the weights and the weights before training, over the parameters that existed before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Drift {
    /// Euclidean norm of the difference.
    pub l2: f64,
    /// Share of the entries whose sign differs.
    pub flips: f64,
}

impl Drift {
    fn by(&self, metric: DriftMetric) -> f64 {
        match metric {
            DriftMetric::L2 => self.l2,
            DriftMetric::Flips => self.flips,
        }
    }
}

/// Which of the two numbers of a [`Drift`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DriftMetric {
    /// [`Drift::l2`].
    L2,
    /// [`Drift::flips`].
    Flips,
}

/// The most drift a hook allows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MaxDrift {
    /// How the hook measures.
    pub metric: DriftMetric,
    /// In the unit of the metric.
    pub value: f64,
}

/// A moment of training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    /// Optimizer steps so far.
    pub step: u64,
    /// Training loss in nats a token.
    pub loss: f64,
    /// Drift after the step, where it was measured.
    pub drift: Option<Drift>,
    /// Merges since the point before.
    pub merges: u64,
}

impl Report {
    /// The schema this build writes, and the newest it reads.
    pub(crate) const FORMAT: u32 = 1;

    /// Writes `report.json` and `report.html` into `directory`, which must exist.
    ///
    /// # Errors
    /// When a number is not finite, or a file cannot be written; the message names it.
    pub(crate) fn save(&self, directory: &Path) -> Result<()> {
        file::write_json(self, &(serde_json::to_string_pretty(self)? + "\n"), directory)?;
        file::write(&directory.join("report.html"), &html(self)?)
    }

    /// Reads a `report.json`.
    ///
    /// # Errors
    /// When the file cannot be read, is not a report, or comes from a newer `orbit`.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        file::read(path, Self::FORMAT)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn json_round_trip_keeps_everything() {
        let report = sample::report();
        let json = serde_json::to_string(&report).unwrap();
        assert!(serde_json::from_str::<Report>(&json).unwrap() == report, "changed by the round trip: {json}");
    }

    #[test]
    fn saved_report_loads_and_brings_its_page() {
        let directory = tempfile::tempdir().unwrap();
        let report = sample::report();
        report.save(directory.path()).unwrap();
        assert!(Report::load(&directory.path().join("report.json")).unwrap() == report, "changed on disk");
        assert!(fs::read_to_string(directory.path().join("report.html")).unwrap().starts_with("<!doctype html>"));
    }

    #[test]
    fn newer_format_is_named_in_the_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        fs::write(&path, r#"{"format": 99, "shape": "unknown"}"#).unwrap();
        let message = Report::load(&path).unwrap_err().to_string();
        assert!(message.contains("format 99, this build reads up to 1"), "{message}");
    }

    /// Other programs read these keys; renaming one needs a new format.
    #[test]
    fn published_keys_are_there() {
        let json = serde_json::to_value(sample::report()).unwrap();
        let mut pointers: Vec<String> =
            ["/baselines/popularity/recall/10", "/baselines/transitions/ndcg/20", "/data", "/model", "/config"]
                .into_iter()
                .chain(["/seed", "/device", "/runs/0/name", "/runs/1/hooks/0", "/runs/0/steps"])
                .chain(["/runs/0/text/mean", "/runs/0/text/retention", "/runs/0/drift/l2", "/runs/0/drift/flips"])
                .chain(["/runs/0/merges", "/runs/0/tokens_per_second", "/runs/0/seconds"])
                .map(str::to_owned)
                .collect();
        for k in [1, 5, 10, 20] {
            pointers.extend(["recall", "ndcg"].map(|metric| format!("/runs/0/retrieval/{metric}/{k}")));
        }
        for key in ["score", "chance", "retention", "ci/0", "ci/1"] {
            pointers.push(format!("/runs/0/text/suites/arc-easy/{key}"));
        }
        for pointer in pointers {
            assert!(json.pointer(&pointer).is_some(), "{pointer} is missing");
        }
    }
}

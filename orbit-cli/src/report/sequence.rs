//! What a sequence of tasks left behind: the value that `report.json` of such a run holds.

mod figures;
mod findings;
mod headline;
mod tables;
mod views;

use std::path::Path;

use anyhow::Result;
use orbit_data::continual::{ItemScores, Scores};
use orbit_data::text::Group;
use serde::{Deserialize, Serialize};

use super::{Drift, Interval, Machine, Point, file, watched::WatchedTask};

pub(super) use findings::TaskMeasures;
pub(super) use headline::method;
pub(super) use views::SUITE_TERMS;

/// Everything that a run over a sequence of tasks found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SequenceReport {
    /// Version of this schema; see [`SequenceReport::FORMAT`].
    pub format: u32,
    /// `sequence`, which tells it from the report of another kind of run.
    pub kind: String,
    /// What the run is called.
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
    /// Device the tensors were on.
    pub device: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// Digest of the weights before training.
    pub model: String,
    /// Digest of the resolved configuration.
    pub config: String,
    /// `decoder` or `encoder-decoder`.
    pub architecture: String,
    /// Parameters of the model.
    pub parameters: u64,
    /// Those that training changes.
    pub trained_parameters: u64,
    /// `shared`, `merged` or `per_task`, for a run with adapters.
    pub adapters: Option<String>,
    /// Names of the hooks in order; empty for plain fine-tuning.
    pub hooks: Vec<String>,
    /// The share of old examples in training.
    pub replay_share: f64,
    /// The tasks, in the order of their stages.
    pub tasks: Vec<TaskColumn>,
    /// General suites, which no stage trains.
    pub suites: Vec<SuiteColumn>,
    /// The stages, in order.
    pub stages: Vec<Stage>,
    /// What was cut, what is never closed, what can never be right: a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Tasks that were watched while others were trained.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watched: Vec<WatchedTask>,
}

/// A task's column of R: how it is scored, and its scores in `[0, 1]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TaskColumn {
    /// Its name.
    pub name: String,
    /// `rouge_l`, `sari`, ...
    pub metric: String,
    /// The score of guessing, where it is known.
    pub chance: Option<f64>,
    /// Before training.
    pub before: Option<TaskScore>,
    /// After each stage; none where it was not measured.
    pub after: Vec<Option<TaskScore>>,
}

/// A task's score with its 95% interval over items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TaskScore {
    /// In `[0, 1]`.
    pub value: f64,
    /// Bootstrap 95% interval over items; for BLEU and SARI that of the mean over sentences, shifted to the corpus score.
    pub ci: Option<Interval>,
}

/// A general suite, item by item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SuiteColumn {
    /// Its name; for a suite of bias that was split, with the type behind a slash: `crows/religion`.
    pub name: String,
    /// In which it is reported.
    pub group: Option<Group>,
    /// `acc`, `acc_norm`, `pct_stereotype` or `perplexity`.
    pub metric: String,
    /// The score of somebody who knows nothing.
    pub chance: f64,
    /// 1 or 0 an item; for a perplexity the mean −log-likelihood of a token in each window, in nats.
    pub items: ItemScores,
}

/// One stage: the training on one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stage {
    /// Its task.
    pub task: String,
    /// Optimizer steps.
    pub steps: u64,
    /// Wall-clock seconds of training.
    pub seconds: f64,
    /// Tokens a second that were not padding, in training.
    pub tokens_per_second: Option<f64>,
    /// Distance from the stage's origin at its end; for adapters l2 is that of the weights they add up to.
    pub drift: Drift,
    /// How often hooks merged the weights with the origin.
    pub merges: u64,
    /// Steps that the guard took for spikes of the loss.
    #[serde(default)]
    pub spikes: u64,
    /// Hooks that changed something, with the number of steps.
    pub acted: Vec<(String, u64)>,
    /// KL(model before the sequence ‖ model now) on the answers of this task's test part, in nats a token.
    pub divergence: Option<f64>,
    /// The training loss over the steps, thinned.
    pub history: Vec<Point>,
}

impl SuiteColumn {
    /// Whether it is a loss on a text and not a share of right answers.
    pub(super) fn is_loss(&self) -> bool {
        self.metric == "perplexity"
    }
}

impl SequenceReport {
    /// The schema that this build writes and reads.
    pub(crate) const FORMAT: u32 = 1;
    /// What [`kind`](Self::kind) says.
    pub(crate) const KIND: &str = "sequence";

    /// Writes `report.json` and `report.html` into `directory`, which must exist. The JSON stands on one line: it holds a
    /// number for every item of every suite and stage.
    ///
    /// # Errors
    /// When a number is not finite, or a file cannot be written; the message names it. When the columns do not fit the stages.
    pub(crate) fn save(&self, directory: &Path) -> Result<()> {
        file::write_json(self, &(serde_json::to_string(self)? + "\n"), directory)?;
        file::write(&directory.join("report.html"), &views::html(self)?)
    }

    /// Reads a `report.json` of a sequence.
    ///
    /// # Errors
    /// When the file cannot be read, is not such a report, or comes from a newer `orbit`.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        file::read(path, Self::FORMAT)
    }

    /// The report for a terminal, with a final newline and without colours.
    ///
    /// # Errors
    /// When the columns do not fit the stages.
    pub(crate) fn text(&self) -> Result<String> {
        views::text(self)
    }

    /// R of the tasks, as far as it was measured.
    pub(crate) fn task_scores(&self) -> orbit_data::Result<Scores> {
        let mut scores = Scores::of_tasks(self.tasks.iter().map(|task| task.name.clone()))?;
        if let Some(before) =
            self.tasks.iter().map(|task| Some(task.before.as_ref()?.value)).collect::<Option<Vec<_>>>()
        {
            scores.set_before(&before)?;
        }
        for (column, task) in self.tasks.iter().enumerate() {
            for (stage, score) in task.after.iter().enumerate() {
                if let Some(score) = score {
                    scores.set(stage, column, score.value)?;
                }
            }
        }
        Ok(scores)
    }
}

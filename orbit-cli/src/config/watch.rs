use std::path::PathBuf;

use orbit_data::instruct::TaskForm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::range::{self, Fault, fault};

/// How the instruction vectors of tasks that are not trained move in training: a warning that their skills are about to go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WatchSection {
    /// Steps between looks; the end of a stage is always looked at. Default: 10.
    #[serde(default = "default_every")]
    pub every: u64,
    /// Prompts of each task. Default: 40.
    #[serde(default = "default_prompts")]
    pub prompts: usize,
    /// Examples that a prompt shows. Default: 5.
    #[serde(default = "default_shots")]
    pub shots: usize,
    /// The tasks.
    pub tasks: Vec<WatchedTask>,
}

/// A task that is not trained, and the heads that carry it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WatchedTask {
    /// Its examples. The first half is shown, the second is asked without examples.
    pub path: PathBuf,
    /// How the file looks. Default: jsonl.
    #[serde(default = "default_form")]
    pub form: TaskForm,
    /// A file of `orbit iv extract` for the model before training, which names the heads.
    pub vector: PathBuf,
}

fn default_every() -> u64 {
    10
}

fn default_prompts() -> usize {
    40
}

fn default_shots() -> usize {
    5
}

fn default_form() -> TaskForm {
    TaskForm::Jsonl
}

impl WatchSection {
    /// The paths of all its files.
    pub(super) fn data_paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.tasks.iter_mut().flat_map(|task| [&mut task.path, &mut task.vector])
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.tasks.is_empty() {
            return fault("evaluate.watch.tasks", "must name a task");
        }
        range::at_least_one("evaluate.watch.every", self.every)?;
        range::at_least_one("evaluate.watch.prompts", self.prompts)?;
        range::at_least_one("evaluate.watch.shots", self.shots)
    }
}

//! The run file of a sequence of tasks: one with a list of `[[tasks]]`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use orbit_data::instruct::{Limits, TaskSource};
use orbit_data::text::TextSource;
use orbit_models::lora::LoraConfig;
use orbit_regularizers::{HookEntry, Use};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::range::{self, Fault, fault};
use super::{
    ModelSection, Overrides, Text, TooLong, Train, WatchSection, default_device, default_seed, given, hooks, mistake,
    plugins, stem, text_of,
};
use crate::usage::Usage;

/// Fine-tuning on one task after the other, with every task and every suite measured after each.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SequenceFile {
    /// What the run is called in reports. Default: the file's name without its ending.
    #[serde(default)]
    pub name: String,
    /// Seeds every random choice. Default: 1.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Where to compute: `flex` (the CPU), `ndarray`, `cuda:0`, as far as the program was built with it. Default: flex.
    #[serde(default = "default_device")]
    pub device: String,
    /// What is trained.
    pub model: ModelSection,
    /// The tasks, in the order in which they are trained; a stage each.
    pub tasks: Vec<TaskSource>,
    /// How the stages hang together.
    #[serde(default)]
    pub sequence: Sequence,
    /// Trains low-rank adapters in place of the model's weights. Absent: the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
    /// Mixes old examples among the new ones. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
    /// How to train. The number of steps is that of every task that does not say its own.
    #[serde(default)]
    pub train: Train,
    /// What holds the weights; the order is the order of effect, in every phase. Hooks go through all stages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookEntry>,
    /// What to measure.
    #[serde(default)]
    pub evaluate: EvaluateTasks,
}

/// How the stages of a sequence hang together.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sequence {
    /// What the weights' distance is measured from, and what hooks compare with. Default: stage.
    pub origin: Origin,
    /// What becomes of the adapter after a stage. Default: shared.
    pub adapters: Adapters,
    /// Tokens of a prompt, at most; an input that is longer is cut at its end. Default: 512.
    pub prompt: usize,
    /// Tokens of an answer, at most, in training and when it is generated. Default: 128.
    pub answer: usize,
}

/// What a stage's weights are compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// The weights that the stage began with.
    #[default]
    Stage,
    /// Those that the run began with.
    Run,
}

/// What becomes of a stage's adapter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Adapters {
    /// The next stage trains it further.
    #[default]
    Shared,
    /// It is merged into the weights, and the next stage begins a fresh one on them.
    Merged,
    /// It is kept as it is, for its task alone; the next stage begins a fresh one on the model that the run began with, as
    /// SwitchCIT does (arXiv 2407.11780).
    PerTask,
}

/// Old examples among the new ones.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replay {
    /// The share of all examples that are old, in [0, 1).
    pub share: f64,
    /// What is replayed. Default: the training parts of earlier tasks.
    #[serde(default)]
    pub from: ReplayFrom,
}

/// Where old examples come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ReplayFrom {
    /// The training parts of the tasks before; the first task has none.
    #[default]
    Tasks,
    /// Windows of running text, such as a sample of what the model was pre-trained on (arXiv 2502.06042).
    Text {
        /// The files.
        sources: Vec<TextSource>,
        /// Tokens a window. Default: 256.
        #[serde(default = "default_window")]
        window: usize,
    },
    /// What the model wrote by itself before the run, drawn from its own distribution (arXiv 2605.26097).
    Generated {
        /// How many texts. Default: 200.
        #[serde(default = "default_texts")]
        texts: usize,
        /// Tokens a text, at most. Default: 128.
        #[serde(default = "default_length")]
        length: usize,
    },
}

impl Replay {
    /// The paths of the files that are replayed.
    pub(super) fn data_paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let sources = match &mut self.from {
            ReplayFrom::Text { sources, .. } => sources.as_mut_slice(),
            _ => &mut [],
        };
        sources.iter_mut().map(|source| &mut source.path)
    }
}

fn default_window() -> usize {
    256
}

fn default_texts() -> usize {
    200
}

fn default_length() -> usize {
    128
}

/// What to measure before training and after every stage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EvaluateTasks {
    /// Answers generated at a time. Default: 16.
    pub batch: usize,
    /// Whether tasks that are not trained yet are measured too, which forward transfer needs. Default: true.
    pub later_tasks: bool,
    /// Test examples of each task on which the model is compared with what it was before the run; 0: none. Default: 32.
    pub divergence: usize,
    /// What the model could do before. Absent: not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// Instruction vectors to watch. Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch: Option<WatchSection>,
}

impl EvaluateTasks {
    /// The paths of all its files.
    pub(super) fn data_paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let suites = self.text.iter_mut().flat_map(Text::data_paths);
        suites.chain(self.watch.iter_mut().flat_map(WatchSection::data_paths))
    }
}

impl Default for Sequence {
    fn default() -> Self {
        Self { origin: Origin::default(), adapters: Adapters::default(), prompt: 512, answer: 128 }
    }
}

impl Default for EvaluateTasks {
    fn default() -> Self {
        Self { batch: 16, later_tasks: true, divergence: 32, text: None, watch: None }
    }
}

impl SequenceFile {
    /// Whether a run file is one of a sequence: it has a list of tasks.
    pub(crate) fn is_one(path: &Path) -> bool {
        let table = fs::read_to_string(path).ok().and_then(|text| text.parse::<toml::Table>().ok());
        table.is_some_and(|table| table.contains_key("tasks"))
    }

    /// Reads and checks a run file.
    ///
    /// # Errors
    /// As [`RunFile::read`](super::RunFile::read).
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = text_of("run file", path)?;
        let right = || format!("the run file {} is not right", path.display());
        let mut run = Self::parse(&text).with_context(right)?;
        plugins::load(&mut run.hooks, &text, path.parent().unwrap_or(Path::new(""))).with_context(right)?;
        if run.name.is_empty() {
            run.name = stem(path);
        }
        Ok(run)
    }

    /// As [`SequenceFile::read`], from the text itself.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut run: Self = toml::from_str(text).map_err(|error| mistake::explain(&error))?;
        run.train.fit_defaults(given(text).section("train"));
        run.check()?;
        Ok(run)
    }

    /// Replaces what the command line gives.
    ///
    /// # Errors
    /// When the result does not hold together.
    pub(crate) fn apply(mut self, overrides: Overrides) -> Result<Self> {
        let Overrides { steps, device, seed, name } = overrides;
        if let Some(steps) = steps {
            self.train.steps = steps;
            self.train.warmup = self.train.warmup.min(steps);
            self.tasks.iter_mut().for_each(|task| task.steps = None);
        }
        self.device = device.unwrap_or(self.device);
        self.seed = seed.unwrap_or(self.seed);
        self.name = name.unwrap_or(self.name);
        self.check()?;
        Ok(self)
    }

    /// The file with every default spelled out; reading it gives the same run.
    pub(crate) fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).context("cannot write the run as TOML")
    }

    /// The paths of all data files, to be resolved in place.
    pub(crate) fn data_paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let tasks = self.tasks.iter_mut().flat_map(|task| [Some(&mut task.train), task.test.as_mut()]).flatten();
        tasks.chain(self.evaluate.data_paths()).chain(self.replay.iter_mut().flat_map(Replay::data_paths))
    }

    /// The steps of a task's stage.
    pub(crate) fn steps(&self, task: usize) -> u64 {
        self.tasks.get(task).and_then(|task| task.steps).unwrap_or(self.train.steps)
    }

    /// Tokens of prompts and answers, at most, for a model with so many positions, which rows are cut to where the file says so.
    pub(crate) fn limits(&self, positions: Option<usize>) -> Limits {
        let Sequence { prompt, answer, .. } = self.sequence;
        let Some(positions) = positions.filter(|_| self.train.too_long == TooLong::Cut) else {
            return Limits { prompt, answer };
        };
        let answer = answer.min(positions / 2).max(1);
        Limits { prompt: prompt.min(positions.saturating_sub(answer)).max(1), answer }
    }

    fn check(&self) -> Result<()> {
        self.faults().map_err(|(key, reason)| Usage::new(format!("{key} {reason}")).into())
    }

    pub(super) fn faults(&self) -> Result<(), Fault> {
        if self.tasks.is_empty() {
            return fault("tasks", "must have at least one task");
        }
        if self.tasks.iter().any(|task| task.steps == Some(0)) {
            return fault("tasks.steps", "must be at least 1, got 0");
        }
        range::at_least_one("sequence.prompt", self.sequence.prompt)?;
        range::at_least_one("sequence.answer", self.sequence.answer)?;
        range::at_least_one("evaluate.batch", self.evaluate.batch)?;
        self.train.check()?;
        hooks::check(&self.hooks, if self.lora.is_some() { "number.weight.lora.a" } else { hooks::NUMBER })?;
        if let Some(lora) = &self.lora {
            lora.check().map_err(|(key, reason)| (format!("lora.{key}"), reason))?;
        } else if self.sequence.adapters != Adapters::Shared {
            return fault("sequence.adapters", "says what becomes of adapters, and the run has none: add [lora]");
        }
        let fresh = self.sequence.adapters != Adapters::Shared;
        if self.sequence.adapters == Adapters::Merged && self.sequence.origin == Origin::Run {
            return fault(
                "sequence.origin",
                "cannot be run with adapters = \"merged\": every stage has an adapter of its own",
            );
        }
        for (index, hook) in self.hooks.iter().enumerate() {
            if fresh && matches!(hook.r#use, Use::Ewc(_) | Use::Mas(_) | Use::Si(_)) {
                let reason = "holds parameters at what they were in the stage before, and every stage begins a fresh adapter: \
                              give sequence.adapters = \"shared\"";
                return fault(&format!("hooks[{}]", index + 1), reason);
            }
        }
        if let Some(replay) = &self.replay {
            range::decay("replay.share", replay.share)?;
            match &replay.from {
                ReplayFrom::Text { sources, .. } if sources.is_empty() => {
                    return fault("replay.from.text.sources", "must name a file");
                }
                ReplayFrom::Text { window, .. } => range::at_least_one("replay.from.text.window", *window)?,
                ReplayFrom::Generated { texts, length } => {
                    range::at_least_one("replay.from.generated.texts", *texts)?;
                    range::at_least_one("replay.from.generated.length", *length)?;
                }
                ReplayFrom::Tasks => {}
            }
        }
        self.evaluate.text.as_ref().map_or(Ok(()), Text::check)?;
        self.evaluate.watch.as_ref().map_or(Ok(()), WatchSection::check)
    }
}

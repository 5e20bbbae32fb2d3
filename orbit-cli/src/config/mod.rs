//! The run file: what a training run is, in TOML.
//!
//! Every key is checked when the file is read, so that a run fails within a second or not because of its file.

mod corpus;
mod evaluate;
mod examples;
mod expected;
mod hooks;
mod mistake;
mod model;
mod name;
mod place;
mod plugins;
mod range;
mod sasrec;
mod sequence;
mod study;
mod train;
mod watch;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use orbit_regularizers::HookEntry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::usage::Usage;

pub(crate) use corpus::{Corpus, IdMethod, SemanticIds, Source};
pub(crate) use evaluate::{Evaluate, Retrieval, Text};
pub(crate) use examples::Examples;
pub(crate) use expected::{Expected, ExpectedValue};
pub(crate) use model::{Fresh, StartModel};
pub(crate) use name::is_of_a_folder;
use range::{Fault, fault};
pub(crate) use sasrec::{HeldOut, Ranking, SasRecFile};
pub(crate) use sequence::{Adapters, EvaluateTasks, Origin, ReplayFrom, SequenceFile};
use sequence::{Replay, Sequence};
pub(crate) use study::{General, Method, Studied, StudyFile};
pub(crate) use train::{OnFailedSave, Schedule, TooLong, Train};
pub(crate) use watch::{WatchSection, WatchedTask};

/// One fine-tuning: a model, a corpus, how to train, what holds the weights, and what to measure.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunFile {
    /// What the run is called in reports. Default: the file's name without its ending.
    #[serde(default)]
    pub name: String,
    /// Seeds the order of the examples and every other random choice but those that have a seed of their own. Default: 1.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Where to compute: `flex` (the CPU), `ndarray`, `cuda:0`, as far as the program was built with it. Default: flex.
    #[serde(default = "default_device")]
    pub device: String,
    /// What is trained.
    pub model: StartModel,
    /// What it learns from.
    pub corpus: Corpus,
    /// How items become words of the model.
    #[serde(default)]
    pub semantic_ids: SemanticIds,
    /// How histories, titles and documents become examples.
    #[serde(default)]
    pub examples: Examples,
    /// How to train.
    #[serde(default)]
    pub train: Train,
    /// What holds the weights; the order is the order of effect, in every phase. Empty: plain fine-tuning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookEntry>,
    /// What to measure.
    #[serde(default)]
    pub evaluate: Evaluate,
    /// What `orbit reproduce` compares the outcome with. Absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
}

/// The model to start from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelSection {
    /// A Hugging Face directory, a `.gguf` file, or a name that `orbit pull` knows. Relative to the run file's folder.
    pub path: PathBuf,
    /// The time that a chat template which writes today's date is given, such as "2026-12-01T08:00:00Z", in UTC. Default: the time at
    /// which the run begins, which run.toml then says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
}

/// What the command line may change of a run file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    pub steps: Option<u64>,
    pub device: Option<String>,
    pub seed: Option<u64>,
    pub name: Option<String>,
}

fn default_seed() -> u64 {
    1
}

fn default_device() -> String {
    "flex".into()
}

/// What a file of the given kind says.
fn text_of(kind: &str, path: &Path) -> Result<String> {
    let unread = |reason: &str| Usage::new(format!("cannot read the {kind} {}: {reason}", path.display()));
    let bytes = fs::read(path).map_err(|source| unread(&source.to_string()))?;
    let utf16 = bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF");
    let found = if utf16 { "it is in UTF-16: save it in UTF-8" } else { "it is not in UTF-8: save it in UTF-8" };
    Ok(String::from_utf8(bytes).map_err(|_| unread(found))?)
}

/// The keys that a file gives, as they stand there.
struct Given(toml::Table);

fn given(text: &str) -> Given {
    Given(toml::from_str(text).unwrap_or_default())
}

impl Given {
    fn section(&self, name: &str) -> Option<&toml::Table> {
        self.0.get(name)?.as_table()
    }
}

/// What is called by its file where it has no name: the file's name without its ending.
fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

impl RunFile {
    /// Reads and checks a run file.
    ///
    /// # Errors
    /// A [`Usage`] error with the line, the column and the nearest right name, or with the key and what is wrong with it.
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

    /// As [`RunFile::read`], from the text itself.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut run: Self = toml::from_str(text).map_err(|error| mistake::explain(&error))?;
        run.train.fit_defaults(given(text).section("train"));
        run.semantic_ids.fill();
        run.check()?;
        Ok(run)
    }

    /// Replaces what the command line gives.
    ///
    /// # Errors
    /// When the result does not hold together.
    pub(crate) fn apply(mut self, overrides: Overrides) -> Result<Self> {
        let Overrides { steps, device, seed, name } = overrides;
        self.train.steps = steps.unwrap_or(self.train.steps);
        // A run that is cut short must still get to the height of its learning rate.
        self.train.warmup = self.train.warmup.min(self.train.steps);
        self.device = device.unwrap_or(self.device);
        self.seed = seed.unwrap_or(self.seed);
        self.name = name.unwrap_or(self.name);
        self.check()?;
        Ok(self)
    }

    /// The file with every default spelled out; reading it gives the same run.
    ///
    /// # Errors
    /// None that a checked run can have.
    pub(crate) fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).context("cannot write the run as TOML")
    }

    /// The paths of all data files, to be resolved in place.
    pub(crate) fn data_paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let tasks = self.evaluate.text.iter_mut().flat_map(Text::data_paths);
        self.corpus.data_paths().chain(&mut self.semantic_ids.file).chain(tasks)
    }

    fn check(&self) -> Result<()> {
        self.faults().map_err(|(key, reason)| Usage::new(format!("{key} {reason}")).into())
    }

    fn faults(&self) -> Result<(), Fault> {
        self.model.check()?;
        self.examples.check(self.corpus.documents.is_some())?;
        self.corpus.check(self.semantic_ids.needs_embeddings())?;
        if self.model.fresh.is_some() && (self.examples.has_titles() || self.corpus.documents.is_some()) {
            return fault("model.fresh", "reads no text: titles and documents need a model with words, by `path`");
        }
        if self.model.fresh.is_some() && self.evaluate.text.is_some() {
            return fault("evaluate.text", "has nothing to measure of a model from scratch: leave it out");
        }
        self.semantic_ids.check()?;
        self.train.check()?;
        hooks::check(&self.hooks, hooks::NUMBER)?;
        self.evaluate.check()?;
        self.expected.as_ref().map_or(Ok(()), Expected::check)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

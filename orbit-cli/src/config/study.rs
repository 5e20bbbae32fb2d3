//! The file of a study: several models through the same sequence of tasks.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use orbit_data::instruct::TaskSource;
use orbit_models::lora::LoraConfig;
use orbit_regularizers::HookEntry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::is_of_a_folder;
use super::range::{self, Fault, fault};
use super::{
    EvaluateTasks, ModelSection, Replay, Sequence, SequenceFile, Train, default_device, given, mistake, stem, text_of,
};
use crate::usage::Usage;

/// Several models through the same tasks, measured on the same suites: the study of Luo et al. (arXiv 2308.08747).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StudyFile {
    /// What the study is called. Default: the file's name without its ending.
    #[serde(default)]
    pub name: String,
    /// Every model goes through the tasks once for each seed. Default: one run, seed 1.
    #[serde(default = "default_seeds")]
    pub seeds: Vec<u64>,
    /// Where to compute: `flex` (the CPU), `ndarray`, `cuda:0`, as far as the program was built with it. Default: flex.
    #[serde(default = "default_device")]
    pub device: String,
    /// The models.
    pub models: Vec<Studied>,
    /// General instruction tuning: every model also goes through the tasks after it. Absent: none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub general: Option<General>,
    /// The tasks, in the order in which they are trained.
    pub tasks: Vec<TaskSource>,
    /// How the stages hang together.
    #[serde(default)]
    pub sequence: Sequence,
    /// Trains low-rank adapters in place of the models' weights. Absent: the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
    /// Mixes old examples among the new ones. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
    /// How to train.
    #[serde(default)]
    pub train: Train,
    /// What holds the weights, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookEntry>,
    /// Ways to train, to be compared: every model goes through the tasks once with each. Absent: one way, that of the study.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<Method>,
    /// What to measure. The suites say in which group they count.
    #[serde(default)]
    pub evaluate: EvaluateTasks,
}

/// A model of a study.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Studied {
    /// What reports call it.
    pub name: String,
    /// A Hugging Face directory, a `.gguf` file, or a name that `orbit pull` knows. Relative to the study's folder.
    pub path: PathBuf,
    /// The learning rate of its stages, where it is not that of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
}

/// A way to train.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Method {
    /// What reports call it.
    pub name: String,
    /// Hooks behind those of the study.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookEntry>,
    /// In place of the study's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
}

/// Training on many instruction tasks at once, before the sequence.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct General {
    /// The tasks, whose training parts are mixed. None of them should be one of the sequence.
    pub tasks: Vec<TaskSource>,
    /// Optimizer steps. Default: those of `train`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
}

fn default_seeds() -> Vec<u64> {
    vec![1]
}

impl StudyFile {
    /// Reads and checks a study.
    ///
    /// # Errors
    /// A [`Usage`] error with the line, the column and the nearest right name, or with the key and what is wrong with it.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = text_of("study", path)?;
        let mut study = Self::parse(&text).with_context(|| format!("the study {} is not right", path.display()))?;
        if study.name.is_empty() {
            study.name = stem(path);
        }
        Ok(study)
    }

    /// As [`StudyFile::read`], from the text itself.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut study: Self = toml::from_str(text).map_err(|error| mistake::explain(&error))?;
        study.train.fit_defaults(given(text).section("train"));
        study.check().map_err(|(key, reason)| Usage::new(format!("{key} {reason}")))?;
        Ok(study)
    }

    /// The file with every default spelled out.
    pub(crate) fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).context("cannot write the study as TOML")
    }

    /// The paths of all data files, to be resolved in place.
    pub(crate) fn data_paths(&mut self) -> Vec<&mut PathBuf> {
        let general = self.general.iter_mut().flat_map(|general| &mut general.tasks);
        let tasks = self.tasks.iter_mut().chain(general);
        let tasks = tasks.flat_map(|task| [Some(&mut task.train), task.test.as_mut()]).flatten();
        let replays = self.methods.iter_mut().map(|method| &mut method.replay).chain([&mut self.replay]);
        let replayed = replays.flatten().flat_map(Replay::data_paths);
        tasks.chain(self.evaluate.data_paths()).chain(replayed).collect()
    }

    /// All hooks, of the study and of its methods.
    pub(crate) fn hooks(&mut self) -> impl Iterator<Item = &mut HookEntry> {
        self.hooks.iter_mut().chain(self.methods.iter_mut().flat_map(|method| &mut method.hooks))
    }

    /// The run of a model's sequence with one seed, by a method.
    pub(crate) fn run(&self, model: &Studied, path: PathBuf, method: Option<&Method>, seed: u64) -> SequenceFile {
        let mut train = self.train.clone();
        train.learning_rate = model.learning_rate.unwrap_or(train.learning_rate);
        SequenceFile {
            name: self.subject(model, method),
            seed,
            device: self.device.clone(),
            model: ModelSection { path, now: None },
            tasks: self.tasks.clone(),
            sequence: self.sequence.clone(),
            lora: self.lora.clone(),
            replay: method.and_then(|method| method.replay.clone()).or_else(|| self.replay.clone()),
            train,
            hooks: self.hooks.iter().chain(method.map_or(&[][..], |method| &method.hooks)).cloned().collect(),
            evaluate: self.evaluate.clone(),
        }
    }

    /// What reports call a model that goes through the tasks by a method.
    pub(crate) fn subject(&self, model: &Studied, method: Option<&Method>) -> String {
        match method {
            None => model.name.clone(),
            Some(method) if self.models.len() == 1 => method.name.clone(),
            Some(method) => format!("{}-{}", model.name, method.name),
        }
    }

    /// Every way to train; one that adds nothing to the study where it names none.
    pub(crate) fn ways(&self) -> Vec<Option<&Method>> {
        if self.methods.is_empty() { vec![None] } else { self.methods.iter().map(Some).collect() }
    }

    fn check(&self) -> Result<(), Fault> {
        if self.models.is_empty() {
            return fault("models", "must have at least one model");
        }
        check_names("models", self.models.iter().map(|model| model.name.as_str()).collect())?;
        check_names("methods", self.methods.iter().map(|method| method.name.as_str()).collect())?;
        if self.seeds.is_empty() || (1..self.seeds.len()).any(|at| self.seeds[..at].contains(&self.seeds[at])) {
            return fault("seeds", "must be one or several different numbers");
        }
        if let Some(general) = &self.general {
            if general.tasks.is_empty() {
                return fault("general.tasks", "must have at least one task");
            }
            if let Some(steps) = general.steps {
                range::at_least_one("general.steps", steps)?;
            }
        }
        for model in &self.models {
            for method in self.ways() {
                self.run(model, model.path.clone(), method, 0).faults()?;
            }
        }
        Ok(())
    }
}

/// Checks that the names in a list are different, and can be those of folders.
fn check_names(list: &str, names: Vec<&str>) -> Result<(), Fault> {
    if let Some((_, name)) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        return fault(list, format!("has two {list} called \"{name}\": results go by name"));
    }
    if names.into_iter().all(is_of_a_folder) {
        return Ok(());
    }
    fault(
        &format!("{list}.name"),
        "must be letters, digits, dots, dashes and underscores, not beginning with a dot: it names a folder",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_study_writes_only_below_its_directory() {
        assert!(check_names("models", vec!["small", "large"]).is_ok());
        for name in ["..", "../elsewhere", "/elsewhere", ""] {
            assert!(check_names("models", vec!["small", name]).is_err(), "{name}");
        }
    }
}

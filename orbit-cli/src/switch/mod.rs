//! SwitchCIT (arXiv 2407.11780): one adapter a task, and a switch that reads a prompt and chooses.
//!
//! ```text
//! RUN/stages/NN-NAME/adapter/    one adapter a task, from a run with `sequence.adapters = "per_task"`
//!     switch/switch.safetensors  the switch
//!            switch.json         which tasks and models it is for, and how it was trained
//!            eval.json           how well it routes
//! ```

pub(crate) mod evaluate;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::tensor::Device;
use orbit_data::instruct::{Instance, Limits, Prompts, Task, TaskSequence, retained};
use orbit_models::LanguageModel;
use orbit_models::lora::Adapter;
use orbit_models::switch::{Route, Switch, SwitchTraining, features};
use serde::{Deserialize, Serialize};

use crate::config::{Adapters, SequenceFile};
use crate::paths;
use crate::pipeline::{Base, Speech};
use crate::sequence;
use crate::usage::Usage;

const FOLDER: &str = "switch";
const CARD: &str = "switch.json";

/// Prompts that are read at a time.
const BATCH: usize = 16;

/// What `switch.json` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Card {
    format: u32,
    /// The tasks, in the order of the switch's outputs.
    pub(crate) tasks: Vec<String>,
    /// The model that reads prompts; absent when it is the one that the adapters are for.
    extractor: Option<PathBuf>,
    /// The digest of its weights.
    extractor_digest: String,
    /// Tokens of a prompt that it reads, at most.
    longest: usize,
    /// The share of each task's training examples that was kept, and how many these were.
    share: f64,
    kept: Vec<usize>,
    training: SwitchTraining,
    /// Below this probability a prompt goes to the model without an adapter.
    pub(crate) reject: f64,
}

/// A run's model, tasks and adapters, and who reads its prompts.
pub(crate) struct Experts {
    pub(crate) run: SequenceFile,
    dir: PathBuf,
    pub(crate) tasks: Vec<Task>,
    pub(crate) base: Base,
    base_digest: String,
    /// Who reads prompts, and where it is; none when it is the model itself.
    extractor: Option<(PathBuf, Base)>,
    device: Device,
}

impl Experts {
    /// Opens a run directory, and the model that reads prompts if it is another.
    pub(crate) fn open(dir: &Path, extractor: Option<&Path>) -> Result<Self> {
        if !sequence::is_one(dir) {
            let message =
                format!("{} is not the directory of a run over tasks: it has no run.toml of one", dir.display());
            return Err(Usage::new(message).into());
        }
        let run = sequence::read(dir)?;
        if run.sequence.adapters != Adapters::PerTask {
            return Err(Usage::new(
                "a switch chooses among adapters, and this run does not have one for each task: set `sequence.adapters = \
                 \"per_task\"` and add [lora]",
            )
            .into());
        }
        let device = orbit_core::device(&run.device)?;
        let tasks = TaskSequence::read(&run.tasks, Path::new(""))?.0.tasks().to_vec();
        let base = Base::open(&run.model.path, &device)?;
        let opened = |path: &Path| {
            let path = paths::model(path, Path::new("."))?;
            let base = Base::open(&path, &device)?;
            anyhow::Ok((path, base))
        };
        let extractor = extractor.map(opened).transpose()?;
        Ok(Self { base_digest: base.model.base_digest(), run, dir: dir.to_owned(), tasks, base, extractor, device })
    }

    /// The adapters of the tasks, each checked to be for this model.
    pub(crate) fn adapters(&self) -> Result<Vec<Adapter>> {
        let load = |stage: usize| {
            let folder = sequence::adapter_folder(&self.run, &self.dir, stage);
            let (adapter, origin) = Adapter::load(&folder)?;
            if origin.is_none_or(|origin| origin.base != self.base_digest) {
                let model = self.run.model.path.display();
                let folder = folder.display();
                return Err(
                    Usage::new(format!("{folder} is an adapter for other weights than those of {model}")).into()
                );
            }
            Ok(adapter)
        };
        (0..self.tasks.len()).map(load).collect()
    }

    /// The model with all adapters, of which every row chooses one.
    pub(crate) fn model(&self) -> Result<LanguageModel> {
        Ok(self.base.model.clone().with_bank(&self.adapters()?)?)
    }

    fn reader(&self) -> &Base {
        self.extractor.as_ref().map_or(&self.base, |(_, extractor)| extractor)
    }

    /// Instances as prompts for the one who reads them. As for the experts, and our choice, a long prompt loses the end of its input
    /// and keeps its instruction, which tells the tasks apart; one whose instruction is too long alone loses its beginning.
    fn read<'a>(
        &self,
        task: &Task,
        instances: impl Iterator<Item = &'a Instance>,
        longest: usize,
    ) -> Result<Vec<Vec<u32>>> {
        let Speech { chat, tokenizer, .. } = &self.reader().speech;
        let [cut, whole] =
            [longest, usize::MAX].map(|prompt| Prompts::new(chat, tokenizer, Limits { prompt, ..Limits::NONE }));
        let (cut, whole) = (cut?, whole?);
        let read = |instance| Ok(cut.prompt(task, instance).or_else(|_| whole.prompt(task, instance))?);
        instances.map(read).collect()
    }

    fn features(&self, prompts: &[Vec<u32>], longest: usize) -> Result<Vec<Vec<f32>>> {
        Ok(features(&self.reader().model, prompts, longest, BATCH)?)
    }

    /// Trains a switch on `share` of each task's training part: of all tasks, the first too.
    pub(crate) fn train(&self, share: f64, longest: usize, training: SwitchTraining) -> Result<(Switch, Vec<usize>)> {
        let (mut read, mut labels, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for (label, task) in self.tasks.iter().enumerate() {
            let chosen = retained(task.train.len(), share, training.seed);
            read.extend(self.read(task, chosen.iter().map(|&at| &task.train[at]), longest)?);
            labels.extend(std::iter::repeat_n(label, chosen.len()));
            kept.push(chosen.len());
        }
        let features = self.features(&read, longest)?;
        Ok((Switch::train(&features, &labels, &training, &self.device)?, kept))
    }

    /// Trains the run's switch and saves it.
    pub(crate) fn train_and_save(
        &self,
        share: f64,
        longest: usize,
        training: SwitchTraining,
        reject: f64,
    ) -> Result<Card> {
        self.adapters()?;
        let (switch, kept) = self.train(share, longest, training)?;
        let card = Card {
            format: 1,
            tasks: self.tasks.iter().map(|task| task.name.clone()).collect(),
            extractor: self.extractor.as_ref().map(|(path, _)| path.clone()),
            extractor_digest: self.reader().model.base_digest(),
            longest,
            share,
            kept,
            training,
            reject,
        };
        let folder = self.dir.join(FOLDER);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        switch.save(&folder)?;
        let path = folder.join(CARD);
        fs::write(&path, serde_json::to_string_pretty(&card)? + "\n").with_context(|| path.display().to_string())?;
        Ok(card)
    }

    /// Where prompts go.
    pub(crate) fn route(&self, switch: &Switch, prompts: &[Vec<u32>], longest: usize) -> Result<Vec<Route>> {
        Ok(switch.route(&self.features(prompts, longest)?))
    }
}

/// A run with its switch.
pub(crate) struct Router {
    pub(crate) experts: Experts,
    pub(crate) card: Card,
    switch: Switch,
}

impl Router {
    /// Opens the switch of a run directory.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let folder = dir.join(FOLDER);
        let path = folder.join(CARD);
        let text = fs::read_to_string(&path).map_err(|source| {
            Usage::new(format!(
                "{}: {source}: train the switch by `orbit switch train {}`",
                path.display(),
                dir.display()
            ))
        })?;
        let card: Card = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        let experts = Experts::open(dir, card.extractor.as_deref())?;
        let names: Vec<&str> = experts.tasks.iter().map(|task| task.name.as_str()).collect();
        if names != card.tasks {
            let (then, now) = (card.tasks.join(", "), names.join(", "));
            return Err(Usage::new(format!(
                "the switch tells {then} apart, and the run has {now}: train it again by `orbit switch train {}`",
                dir.display()
            ))
            .into());
        }
        if experts.reader().model.base_digest() != card.extractor_digest {
            return Err(Usage::new(
                "the model that reads prompts has other weights than the one the switch was trained on",
            )
            .into());
        }
        let switch = Switch::load(&folder, &experts.device)?;
        Ok(Self { experts, card, switch })
    }

    /// Where a prompt, given as the user's words, goes.
    pub(crate) fn route(&self, words: &str) -> Result<Route> {
        let reader = self.experts.reader();
        let tokens = reader.speech.prompt(words)?;
        let mut routes = self.experts.route(&self.switch, &[tokens], self.card.longest)?;
        routes.pop().context("a prompt has a route")
    }
}

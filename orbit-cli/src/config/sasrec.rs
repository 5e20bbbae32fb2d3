//! The run file of SASRec: one with a `[sasrec]` table.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use orbit_models::sasrec::SasRecConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::range::{self, Fault, fault};
use super::{Corpus, Expected, Overrides, Train, default_device, default_seed, given, mistake, stem, text_of};
use crate::usage::Usage;

/// SASRec trained from scratch on a corpus: what a generative recommender has to be measured against.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SasRecFile {
    /// What the run is called in reports. Default: the file's name without its ending.
    #[serde(default)]
    pub name: String,
    /// Seeds the weights, the order of the users and dropout. Default: 1.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Where to compute: `flex` (the CPU), `ndarray`, `cuda:0`, as far as the program was built with it. Default: flex.
    #[serde(default = "default_device")]
    pub device: String,
    /// What it learns from. No embeddings are needed.
    pub corpus: Corpus,
    /// The model's shape.
    pub sasrec: SasRecConfig,
    /// How to train. An example is a user: the last items of their training history, each guessed from those before.
    #[serde(default)]
    pub train: Train,
    /// What to measure.
    #[serde(default)]
    pub evaluate: Ranking,
    /// What `orbit reproduce` compares the outcome with. Absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
}

/// Recall and NDCG over the full catalogue, every item scored.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Ranking {
    /// How many users, of a choice that is the same for every run. Default: 1,000,000, which is everybody.
    pub users: usize,
    /// Users a forward pass. Default: 256.
    pub batch: usize,
    /// Which item of each user is to be found. Default: test.
    pub on: HeldOut,
    /// Whether items of a user's history are left out of what is recommended to them, by the counts too. Most published numbers
    /// of data in which no user meets an item twice are of this kind. Default: false.
    pub exclude_seen: bool,
}

/// What is kept from training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HeldOut {
    /// The last item of each user.
    #[default]
    Test,
    /// The one before it, from what came before that: for choosing settings.
    Validation,
}

impl Default for Ranking {
    fn default() -> Self {
        Self { users: 1_000_000, batch: 256, on: HeldOut::Test, exclude_seen: false }
    }
}

impl SasRecFile {
    /// Whether a run file is one of SASRec: it has a table of that name.
    pub(crate) fn is_one(path: &Path) -> bool {
        let table = fs::read_to_string(path).ok().and_then(|text| text.parse::<toml::Table>().ok());
        table.is_some_and(|table| table.contains_key("sasrec"))
    }

    /// Reads and checks a run file.
    ///
    /// # Errors
    /// As [`RunFile::read`](super::RunFile::read).
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = text_of("run file", path)?;
        let mut run = Self::parse(&text).with_context(|| format!("the run file {} is not right", path.display()))?;
        if run.name.is_empty() {
            run.name = stem(path);
        }
        Ok(run)
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut run: Self = toml::from_str(text).map_err(|error| mistake::explain(&error))?;
        let given = given(text);
        run.train.fit_defaults(given.section("train"));
        let is_default = |key: &str| given.section("sasrec").is_none_or(|keys| !keys.contains_key(key));
        let SasRecConfig { width, heads, .. } = &mut run.sasrec;
        if is_default("width") {
            *width = width.checked_next_multiple_of(*heads).unwrap_or(*width);
        } else if is_default("heads") && !width.is_multiple_of(*heads) {
            *heads = 1;
        }
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
        self.train.warmup = self.train.warmup.min(self.train.steps);
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
        self.corpus.data_paths()
    }

    fn check(&self) -> Result<()> {
        self.faults().map_err(|(key, reason)| Usage::new(format!("{key} {reason}")).into())
    }

    fn faults(&self) -> Result<(), Fault> {
        let SasRecConfig { width, layers, heads, max_history, dropout } = self.sasrec;
        range::at_least_one("sasrec.layers", layers)?;
        range::at_least_one("sasrec.heads", heads)?;
        if width == 0 || !width.is_multiple_of(heads) {
            return fault("sasrec.width", format!("must be a multiple of sasrec.heads, {heads}, got {width}"));
        }
        if max_history < 2 {
            return fault("sasrec.max_history", format!("must be at least 2, got {max_history}"));
        }
        range::decay("sasrec.dropout", dropout)?;
        range::at_least_one("evaluate.users", self.evaluate.users)?;
        range::at_least_one("evaluate.batch", self.evaluate.batch)?;
        if self.corpus.embeddings.is_some() {
            return fault("corpus.embeddings", "says nothing to SASRec, which learns its own: leave it out");
        }
        if self.corpus.documents.is_some() {
            return fault("corpus.documents", "are not for SASRec, which recommends by histories");
        }
        self.corpus.check(false)?;
        self.train.check()?;
        self.expected.as_ref().map_or(Ok(()), Expected::check)
    }
}

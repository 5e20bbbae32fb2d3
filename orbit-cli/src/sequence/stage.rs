//! The training of the stages, one after the other.

use std::path::{Path, PathBuf};

use anyhow::Result;
use orbit_core::{Entry, Fit, Model, Schedule, Stage, StageOrigin, parameters};
use orbit_data::Loader;
use orbit_models::LanguageModel;
use orbit_models::lora::{self, Adapter, AdapterOrigin, LoraConfig};

use super::examples::Examples;
use super::record::StageRecord;
use super::{ENDS, folder, folder_name};
use crate::config::{Adapters, Origin, SequenceFile};
use crate::fine_tune;
use crate::progress::Progress;
use crate::run_dir::{remove, write_dir};
use crate::training::{self, Ending, Feed, Look, Rhythm};
use crate::watch::Watch;

type Training = Fit<LanguageModel, Feed<Examples>>;

const ADAPTER: &str = "adapter";

/// A run on its way through the stages.
pub(crate) struct Course<'a> {
    run: &'a SequenceFile,
    base: &'a LanguageModel,
    dir: &'a Path,
    watch: Option<&'a Watch>,
    quiet: bool,
    /// The training of the stage before, as far as it was done by this process.
    fit: Option<Training>,
    origin: String,
}

/// A stage at its end.
pub(crate) struct Ended {
    /// With its adapter on it, for a run with adapters.
    pub(crate) model: LanguageModel,
    /// The adapter, and the model that it is on.
    adapter: Option<(Adapter, LanguageModel)>,
    pub(crate) record: StageRecord,
}

impl Ended {
    /// The model with the adapter in its weights.
    pub(crate) fn merged(&self) -> Result<LanguageModel> {
        Ok(match &self.adapter {
            Some((adapter, base)) => base.clone().merge(adapter, 1.0)?,
            None => self.model.clone(),
        })
    }
}

impl<'a> Course<'a> {
    pub(crate) fn new(
        run: &'a SequenceFile,
        base: &'a LanguageModel,
        watch: Option<&'a Watch>,
        dir: &'a Path,
        quiet: bool,
    ) -> Self {
        Self { run, base, dir, watch, quiet, fit: None, origin: base.base_digest() }
    }

    /// The digest of the weights that the run began with.
    pub(crate) fn origin(&self) -> String {
        self.origin.clone()
    }

    /// Trains a stage, from its last checkpoint where there is one. `None` when somebody stopped it, with the state saved.
    pub(crate) fn train(&mut self, stage: usize, loader: Loader<Examples>) -> Result<Option<Ended>> {
        let folder = folder(self.run, self.dir, stage);
        let steps = self.run.steps(stage);
        let schedule = self.schedule(steps);
        let began = self.adapter_before(stage)?;
        let mut fit = self.begin(stage, Feed::new(loader), schedule, began.as_ref())?;
        training::load_latest(&mut fit, &folder)?;
        let look = |model: &LanguageModel| self.watch.map_or_else(|| Ok(Vec::new()), |watch| watch.look(model));
        let watch = self.watch.map(|watch| (watch.every, &look as Look<'_, LanguageModel>));
        let rhythm = Rhythm { watch, ..Rhythm::of(&self.run.train) };
        let label = format!("{} {}", self.run.name, self.run.tasks[stage].name);
        let mut progress = Progress::new(&label, fit.steps(), steps, self.quiet);
        let ending = training::run(&mut fit, steps, &folder, &training::resume(self.dir), &rhythm, &mut progress)?;
        progress.finish();
        if ending == Ending::Stopped {
            return Ok(None);
        }
        let end = self.end(stage);
        remove(&end)?;
        fit.save(end)?;
        let ended = self.ended(stage, &fit, began)?;
        self.fit = Some(fit);
        Ok(Some(ended))
    }

    /// Removes what no later stage needs: the checkpoints of this one, and the end of the one before.
    pub(crate) fn leave_behind(&self, stage: usize) -> Result<()> {
        remove(&folder(self.run, self.dir, stage).join("checkpoints"))?;
        match stage.checked_sub(1) {
            Some(before) => remove(&self.end(before)),
            None => Ok(()),
        }
    }

    /// The checkpoint of a finished stage, which the next one begins from. It is not in the stage's folder, which nobody touches
    /// once it is done.
    fn end(&self, stage: usize) -> PathBuf {
        self.dir.join(ENDS).join(folder_name(self.run, stage))
    }

    /// Finds what is wrong with adapters and hooks before anything is measured.
    pub(crate) fn check(&self) -> Result<()> {
        self.adapter_at_first()?;
        self.run.hooks.iter().try_for_each(|hook| fine_tune::entry(hook).map(drop))
    }

    fn schedule(&self, steps: u64) -> Schedule {
        let schedule = self.run.train.schedule();
        Schedule { total: steps, warmup: schedule.warmup.min(steps), ..schedule }
    }

    /// The stage's training at its first step.
    fn begin(
        &mut self,
        stage: usize,
        feed: Feed<Examples>,
        schedule: Schedule,
        adapter: Option<&Adapter>,
    ) -> Result<Training> {
        let seed = self.run.seed.wrapping_add(stage as u64);
        if stage == 0 || self.run.sequence.adapters == Adapters::PerTask {
            self.fit = None;
            return self.first(feed, schedule, seed, adapter);
        }
        // Before the next stage begins the fit stands at the end of the last, whose batches nobody asks for.
        let mut fit = match self.fit.take() {
            Some(fit) => fit,
            None => {
                let first = self.adapter_at_first()?;
                let mut fit = self.first(feed.clone(), schedule, seed, first.as_ref())?;
                fit.load(self.end(stage - 1))?;
                fit
            }
        };
        let origin = match self.run.sequence.origin {
            Origin::Stage => StageOrigin::Stage,
            Origin::Run => StageOrigin::Run,
        };
        let model = match (self.run.sequence.adapters, adapter) {
            (Adapters::Merged, Some(adapter)) => Some(self.merged_up_to(stage)?.with_adapter(adapter)?),
            _ => None,
        };
        fit.next_stage(Stage { batches: feed, schedule, seed, origin, model })?;
        Ok(fit)
    }

    fn first(
        &self,
        feed: Feed<Examples>,
        schedule: Schedule,
        seed: u64,
        adapter: Option<&Adapter>,
    ) -> Result<Training> {
        let model = match adapter {
            Some(adapter) => self.base.clone().with_adapter(adapter)?,
            None => self.base.clone(),
        };
        let hooks = self.run.hooks.iter().map(fine_tune::entry).collect::<Result<Vec<Entry>>>()?;
        let train = &self.run.train;
        let fit = Fit::new(model, hooks, feed, train.optimizer(), schedule)?;
        training::with(fit, train, seed)
    }

    /// The adapter that a stage begins with.
    fn adapter_before(&self, stage: usize) -> Result<Option<Adapter>> {
        let Some(lora) = &self.run.lora else { return Ok(None) };
        match stage.checked_sub(1) {
            Some(before) if self.run.sequence.adapters == Adapters::Shared => self.saved(before).map(Some),
            _ => self.fresh(lora, stage).map(Some),
        }
    }

    fn adapter_at_first(&self) -> Result<Option<Adapter>> {
        self.run.lora.as_ref().map(|lora| self.fresh(lora, 0)).transpose()
    }

    fn fresh(&self, lora: &LoraConfig, stage: usize) -> Result<Adapter> {
        Ok(self.base.fresh_adapter(lora, self.run.seed.wrapping_add(stage as u64))?)
    }

    fn saved(&self, stage: usize) -> Result<Adapter> {
        Ok(Adapter::load(adapter_folder(self.run, self.dir, stage))?.0)
    }

    /// The model that the run began with, and all adapters of the stages before in its weights.
    fn merged_up_to(&self, stage: usize) -> Result<LanguageModel> {
        (0..stage).try_fold(self.base.clone(), |model, before| Ok(model.merge(&self.saved(before)?, 1.0)?))
    }

    fn ended(&self, stage: usize, fit: &Training, began: Option<Adapter>) -> Result<Ended> {
        let model = fit.model();
        let mut drift = fit.drift();
        let adapter = match (&self.run.lora, began) {
            (Some(lora), Some(began)) => {
                let adapter =
                    Adapter::of(&model, &LoraConfig { targets: began.config.targets.clone(), ..lora.clone() });
                let merged = self.run.sequence.adapters == Adapters::Merged;
                let base = if merged { self.merged_up_to(stage)? } else { self.base.clone() };
                let whole = self.run.sequence.origin == Origin::Run;
                drift.l2 = lora::distance(&adapter, Some(&began).filter(|_| !whole));
                // Merged, a later stage's adapter belongs to the weights that the earlier ones are in.
                let digest = if merged && stage > 0 { base.base_digest() } else { self.origin.clone() };
                self.save(stage, &adapter, digest)?;
                Some((adapter, base))
            }
            _ => None,
        };
        let folder = folder(self.run, self.dir, stage);
        let metrics = training::read_metrics(&folder)?;
        let trained =
            parameters(&model).iter().filter(|param| model.trains(&param.name)).map(|param| param.len()).sum();
        let record = StageRecord::new(&metrics, fit, drift, trained);
        Ok(Ended { model, adapter, record })
    }

    fn save(&self, stage: usize, adapter: &Adapter, base: String) -> Result<()> {
        let place = adapter_folder(self.run, self.dir, stage);
        let origin = AdapterOrigin { base, task: Some(self.run.tasks[stage].name.clone()) };
        let path = self.run.model.path.to_string_lossy();
        write_dir(&place, |partial| Ok(adapter.save(partial, self.base.task_type(), &path, &origin)?))
    }
}

/// Where a stage's adapter is.
pub(crate) fn adapter_folder(run: &SequenceFile, dir: &Path, stage: usize) -> PathBuf {
    folder(run, dir, stage).join(ADAPTER)
}

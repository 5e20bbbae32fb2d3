//! A run over a sequence of tasks: a stage a task, everything measured after each.
//!
//! ```text
//! DIR/run.toml               the run with every default spelled out and every path absolute
//!     untouched.json         tasks and suites before training, item by item
//!     stages/01-NAME/metrics.jsonl, checkpoints/     the stage's training
//!                    adapter/                        its adapter, as PEFT has it, for a run with adapters
//!                    scores.json                     tasks and suites after it; written last
//!     ends/01-NAME           the checkpoint that the next stage goes on from; that of the last stage stays, for tasks to be added
//!     model/                 the result, for a run that has one: as a Hugging Face directory
//!     report.json, report.html
//! ```
//!
//! A stage whose `scores.json` is there is done. Stopped anywhere, the run goes on from the last checkpoint of the stage it
//! was in.

pub(crate) mod examples;
mod record;
mod stage;
pub(crate) mod tasks;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use orbit_core::score::divergence;
use orbit_core::{MicroBatch, Model};
use orbit_data::Loader;
use orbit_data::instruct::{Prompts, Task, TaskSequence};
use orbit_models::Extension;
use orbit_models::LanguageModel;
use orbit_models::weights::Dtype;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{Adapters, SequenceFile};
use crate::language::{self, How, Suite};
use crate::memory::Base as Described;
use crate::pipeline::Base;
use crate::report::sequence::SequenceReport;
use crate::run_dir::{self, Lock, RUN_FILE, remove};
use crate::usage::Usage;
use crate::watch::Watch;
use crate::{machine, notes, plugins, training, vectors};
use examples::Replayed;
use record::{Measured, StageRecord};
pub(crate) use stage::adapter_folder;
use stage::{Course, Ended};
use tasks::Examiner;

const UNTOUCHED: &str = "untouched.json";
const SCORES: &str = "scores.json";
const ENDS: &str = "ends";

/// The tokens of prompts and answers that a comparison of distributions takes at a time.
const COMPARED_AT_ONCE: usize = 4;

/// Makes the run directory and writes `run.toml` into it. A run that is there already is an error, unless it may be replaced, or
/// extended by tasks behind its own.
pub(crate) fn prepare(run: &mut SequenceFile, dir: &Path, overwrite: bool, extend: bool) -> Result<Lock> {
    // Nothing is written for a run that cannot be.
    notes::of_sequence(run)?;
    let path = dir.join(RUN_FILE);
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let lock = run_dir::lock(dir)?;
    if path.exists() && extend {
        let old = SequenceFile::read(&path)?;
        run.model.now = old.model.now.clone();
        check_extension(&old, run)?;
    } else if path.exists() && !overwrite {
        return Err(Usage::new(format!(
            "{} has a run already: go on with `orbit resume`, add tasks behind its own with --extend, or give --overwrite",
            dir.display()
        ))
        .into());
    } else if path.exists() {
        for name in ["stages", ENDS, "model", UNTOUCHED, "generated.json", "plugins.json", "report.json", "report.html"]
        {
            remove(&dir.join(name))?;
        }
    }
    if Described::read(&run.model.path)?.speech()?.1.uses_the_date() {
        run.model.now.get_or_insert_with(machine::now);
    }
    plugins::note(&run.hooks, dir)?;
    run_dir::write_file(&path, run.to_toml()?)?;
    Ok(lock)
}

/// Takes over what another run, of the same model, tasks and suites, has measured before training.
pub(crate) fn begin_like(other: &Path, dir: &Path) -> Result<()> {
    let (from, to) = (other.join(UNTOUCHED), dir.join(UNTOUCHED));
    run_dir::write_file(&to, fs::read(&from).with_context(|| from.display().to_string())?)
}

/// Checks that a run is another with tasks added behind, so that what the other has done still holds.
fn check_extension(old: &SequenceFile, new: &SequenceFile) -> Result<()> {
    let mut shorter = new.clone();
    shorter.tasks.truncate(old.tasks.len());
    if shorter == *old {
        return Ok(());
    }
    Err(Usage::new("the run in the directory is not this one without its last tasks: only tasks can be added").into())
}

/// Trains and measures as `run`, whose paths are absolute, says; goes on where it was stopped. `None` when somebody stopped it
/// again.
pub(crate) fn run(run: &SequenceFile, dir: &Path, _lock: Lock, quiet: bool) -> Result<Option<SequenceReport>> {
    let started = machine::now();
    let device = orbit_core::device(&run.device)?;
    // All that can be wrong with the data is found before anything is trained.
    let (tasks, _) = TaskSequence::read(&run.tasks, Path::new(""))?;
    let notes = notes::of_sequence(run)?;
    notes::warn(&notes);
    let tasks = tasks.tasks();
    let suites = run.evaluate.text.as_ref().map(language::suites).transpose()?.unwrap_or_default();
    let base = Base::open_at(&run.model.path, run.model.now.as_deref(), &device)?;
    vectors::check(&run.hooks, &base.model, &device)?;
    let tokenizer = &base.speech.tokenizer;
    let limits = run.limits(base.model.positions());
    let prompts = Prompts::new(&base.speech.chat, tokenizer, limits)?;
    let examiner = Examiner { prompts: &prompts, tokenizer, longest: limits.answer, batch: run.evaluate.batch, quiet };
    let watch = run.evaluate.watch.as_ref();
    let watch = watch.map(|section| Watch::open(section, &base.model, tokenizer, &prompts)).transpose()?;
    let mut course = Course::new(run, &base.model, watch.as_ref(), dir, quiet);
    course.check()?;
    let measuring = Measuring { run, tasks, suites: &suites, examiner, base: &base.model };
    let replayed = Replayed::new(run, &base.model, tokenizer, dir)?;
    let loaders = (0..tasks.len()).map(|stage| examples::loader(run, &prompts, tasks, stage, &replayed));
    let loaders = loaders.collect::<Result<Vec<_>>>()?;
    let before = measuring.before(dir)?;
    training::listen_for_stop()?;
    let mut records: Vec<StageRecord> = Vec::new();
    for (stage, loader) in loaders.into_iter().enumerate() {
        let folder = folder(run, dir, stage);
        let scores = folder.join(SCORES);
        if !scores.exists() {
            fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
            let Some(ended) = course.train(stage, loader)? else { return Ok(None) };
            let record = measuring.after(stage, &ended)?;
            if stage + 1 == tasks.len() && run.sequence.adapters != Adapters::PerTask {
                save_model(&ended, &base, course.origin(), dir)?;
            }
            write_json(&scores, &record)?;
        }
        // Also for a stage that was done before: the run may have been stopped just here.
        course.leave_behind(stage)?;
        records.push(read_json(&scores)?);
    }
    training::warn_of_idle(records.iter().map(|record| record.acted.as_slice()));
    let untrained = watch.map_or_else(|| Ok(Vec::new()), |watch| watch.look(&base.model))?;
    let watched = record::watched(untrained, &records);
    let report = record::report(run, started, &base.model, &measuring, before, records)?;
    let report = SequenceReport { watched, notes, ..report };
    report.save(dir)?;
    Ok(Some(report))
}

/// The run of a run directory.
pub(crate) fn read(dir: &Path) -> Result<SequenceFile> {
    SequenceFile::read(&dir.join(RUN_FILE))
}

/// Whether a run directory is one of a sequence.
pub(crate) fn is_one(dir: &Path) -> bool {
    SequenceFile::is_one(&dir.join(RUN_FILE))
}

/// The folder of a stage.
pub(crate) fn folder(run: &SequenceFile, dir: &Path, stage: usize) -> PathBuf {
    dir.join("stages").join(folder_name(run, stage))
}

fn folder_name(run: &SequenceFile, stage: usize) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = run.tasks[stage].name.chars().map(safe).collect();
    format!("{:02}-{name}", stage + 1)
}

/// What is measured, on what.
pub(crate) struct Measuring<'a> {
    run: &'a SequenceFile,
    tasks: &'a [Task],
    suites: &'a [Suite],
    examiner: Examiner<'a>,
    /// The model before the run.
    base: &'a LanguageModel,
}

impl Measuring<'_> {
    /// Tasks and suites before training: measured once a run directory.
    fn before(&self, dir: &Path) -> Result<Measured> {
        let path = dir.join(UNTOUCHED);
        let mut before: Measured = if path.exists() { read_json(&path)? } else { self.suites_of(self.base)? };
        let missing = self.tasks.get(before.tasks.len()..).unwrap_or_default();
        for task in missing {
            before.tasks.push(Some(self.examiner.score(self.base, task, &[])?));
        }
        if !missing.is_empty() || !path.exists() {
            write_json(&path, &before)?;
        }
        Ok(before)
    }

    /// Tasks and suites after a stage. An adapter for one task is measured on that task alone.
    fn after(&self, stage: usize, ended: &Ended) -> Result<StageRecord> {
        let alone = self.run.sequence.adapters == Adapters::PerTask;
        let wanted = |task: usize| if alone { task == stage } else { task <= stage || self.run.evaluate.later_tasks };
        let mut measured = if alone { Measured::default() } else { self.suites_of(&ended.model)? };
        for (index, task) in self.tasks.iter().enumerate() {
            let result = wanted(index).then(|| self.examiner.score(&ended.model, task, &[])).transpose()?;
            measured.tasks.push(result);
        }
        let divergence = self.divergence(&self.tasks[stage], &ended.model)?;
        Ok(ended.record.clone().with(measured, divergence))
    }

    fn suites_of(&self, model: &LanguageModel) -> Result<Measured> {
        let Examiner { tokenizer, quiet, .. } = self.examiner;
        let suites = match &self.run.evaluate.text {
            Some(config) => language::measure(model, tokenizer, self.suites, How::plain(config.batch_tokens, quiet))?,
            None => Vec::new(),
        };
        Ok(Measured { suites, tasks: Vec::new() })
    }

    /// KL(before ‖ now) on the answers of the first test examples of a task.
    fn divergence(&self, task: &Task, model: &LanguageModel) -> Result<Option<f64>> {
        let count = self.run.evaluate.divergence.min(task.test.len());
        if count == 0 {
            return Ok(None);
        }
        let examples = self.examiner.prompts.examples(task, &task.test[..count])?.examples;
        let loader = Loader::new(examples, count, COMPARED_AT_ONCE, 0)?;
        let batches: Vec<MicroBatch> = loader.batch_at(0).into_iter().map(training::micro_batch).collect();
        Ok(Some(divergence(self.base, model, &batches)?))
    }
}

/// Saves the result; an adapter is merged in.
fn save_model(ended: &Ended, base: &Base, origin: String, dir: &Path) -> Result<()> {
    let about =
        Extension { origin: Some(origin), base_vocabulary: base.model.base_vocabulary(), ..Extension::default() };
    run_dir::write_dir(&dir.join("model"), |place| {
        ended.merged()?.save(place, Dtype::F32, &about)?;
        base.speech.save(&base.speech.tokenizer, place)
    })
}

/// Writes a file beside its place and renames it, so that one that is there is whole.
fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    run_dir::write_file(path, serde_json::to_vec(value)?)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}

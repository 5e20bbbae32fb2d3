//! General instruction tuning: many tasks at once, before the sequence.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use orbit_core::{Fit, Schedule};
use orbit_data::instruct::{Prompts, TaskSequence};
use orbit_models::Extension;
use orbit_models::weights::Dtype;

use crate::config::{General, Studied, StudyFile};
use crate::pipeline::Base;
use crate::progress::Progress;
use crate::run_dir::write_dir;
use crate::sequence::examples::learned;
use crate::training::{self, Ending, Feed, Rhythm};

/// Trains a model on all general tasks, mixed, once a study directory, with the first of the study's seeds; gives where it is.
/// `None` when somebody stopped it, with the state saved.
pub(crate) fn tune(
    study: &StudyFile,
    general: &General,
    model: &Studied,
    dir: &Path,
    quiet: bool,
) -> Result<Option<PathBuf>> {
    let place = dir.join("model");
    if place.exists() {
        return Ok(Some(place));
    }
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let base = Base::open(&model.path, &orbit_core::device(&study.device)?)?;
    let seed = study.seeds.first().copied().unwrap_or(1);
    let run = study.run(model, model.path.clone(), None, seed);
    let limits = run.limits(base.model.positions());
    let prompts = Prompts::new(&base.speech.chat, &base.speech.tokenizer, limits)?;
    let (tasks, _) = TaskSequence::read(&general.tasks, Path::new(""))?;
    let examples = tasks.tasks().iter().map(|task| learned(&prompts, task)).collect::<Result<Vec<_>>>()?.concat();
    let loader = training::loader(examples, &run.train, seed)?;
    let steps = general.steps.unwrap_or(run.train.steps);
    let schedule = run.train.schedule();
    let schedule = Schedule { total: steps, warmup: schedule.warmup.min(steps), ..schedule };
    let fit = Fit::new(base.model, Vec::new(), Feed::new(loader), run.train.optimizer(), schedule)?;
    let mut fit = training::with(fit, &run.train, seed)?;
    training::load_latest(&mut fit, dir)?;
    training::listen_for_stop()?;
    let rhythm = Rhythm::of(&run.train);
    let mut progress = Progress::new(&format!("{} general", model.name), fit.steps(), steps, quiet);
    let ending = training::run(&mut fit, steps, dir, "the same command", &rhythm, &mut progress)?;
    progress.finish();
    if ending == Ending::Stopped {
        return Ok(None);
    }
    let about = Extension { origin: Some(fit.origin_digest()), ..Extension::default() };
    write_dir(&place, |partial| {
        fit.model().save(partial, Dtype::F32, &about)?;
        base.speech.save(&base.speech.tokenizer, partial)
    })?;
    Ok(Some(place))
}

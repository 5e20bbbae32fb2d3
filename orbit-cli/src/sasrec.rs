//! SASRec from a run file to a report: a recommender of items without words, to measure generative ones against.
//!
//! ```text
//! DIR/run.toml        the run with every default spelled out and every path absolute
//!     metrics.jsonl   a line a step
//!     checkpoints/    what `orbit resume` goes on from
//!     model/          the result
//!     report.json, report.html
//! ```

use std::path::Path;

use anyhow::Result;
use orbit_core::Fit;
use orbit_data::retrieval::Ranks;
use orbit_data::{Example, Loader, Split};
use orbit_models::sasrec::SasRec;

use crate::config::{Ranking, SasRecFile};
use crate::job::{self, CUTOFF, User};
use crate::pipeline;
use crate::progress::Progress;
use crate::report::{self, Report, Run};
use crate::run_dir::{self, Lock, RUN_FILE};
use crate::training::{self, Ending, Feed, Rhythm};
use crate::{fine_tune, machine, notes, retrieval};

/// Whether a run directory is one of SASRec.
pub(crate) fn is_one(dir: &Path) -> bool {
    SasRecFile::is_one(&dir.join(RUN_FILE))
}

/// The run of a run directory.
pub(crate) fn read(dir: &Path) -> Result<SasRecFile> {
    SasRecFile::read(&dir.join(RUN_FILE))
}

/// Makes the run directory and writes `run.toml` into it. A run that is there already is an error, unless it may be replaced.
pub(crate) fn prepare(run: &SasRecFile, dir: &Path, overwrite: bool) -> Result<Lock> {
    // Nothing is written for a run that cannot be.
    orbit_core::device(&run.device)?;
    loader(run, &Split::leave_one_out(&pipeline::read(&run.corpus)?.corpus))?;
    let made = ["checkpoints", "model", "metrics.jsonl", "report.json", "report.html"];
    let lock = run_dir::claim(dir, overwrite, &made)?;
    run_dir::write_file(&dir.join(RUN_FILE), run.to_toml()?)?;
    Ok(lock)
}

/// Trains and measures as `run`, whose paths are absolute, says; goes on from the last checkpoint where there is one. `None`
/// when somebody stopped it, with the state saved.
pub(crate) fn run(run: &SasRecFile, dir: &Path, _lock: Lock, quiet: bool) -> Result<Option<Report>> {
    let started = machine::now();
    machine::reset_peak_memory();
    let device = orbit_core::device(&run.device)?;
    let corpus = pipeline::read(&run.corpus)?.corpus;
    let split = Split::leave_one_out(&corpus);
    let loader = loader(run, &split)?;
    let users = job::users(&split, run.evaluate.users, run.evaluate.on);
    let notes = job::unreachable(&split, &users, run.evaluate.exclude_seen);
    notes::warn(&notes);
    let model = SasRec::random(run.sasrec.clone(), corpus.items.len(), run.seed, &device.autodiff());
    let fit = Fit::new(model, Vec::new(), Feed::new(loader), run.train.optimizer(), run.train.schedule())?;
    let mut fit = training::with(fit, &run.train, run.seed)?;
    training::load_latest(&mut fit, dir)?;
    let origin = fit.origin_digest();
    training::listen_for_stop()?;
    let mut progress = Progress::new(&run.name, fit.steps(), run.train.steps, quiet);
    let rhythm = Rhythm::of(&run.train);
    let ending = training::run(&mut fit, run.train.steps, dir, &training::resume(dir), &rhythm, &mut progress)?;
    progress.finish();
    if ending == Ending::Stopped {
        return Ok(None);
    }
    let drift = fit.drift();
    let peak_memory_bytes = machine::peak_memory_bytes();
    let model = fit.model();
    drop(fit);
    run_dir::write_dir(&dir.join("model"), |place| Ok(model.save(place, &run.sasrec)?))?;
    let report = Report {
        format: Report::FORMAT,
        title: run.name.clone(),
        command: machine::command_line(),
        version: env!("CARGO_PKG_VERSION").into(),
        commit: option_env!("ORBIT_COMMIT").map(str::to_owned),
        started,
        machine: machine::describe(),
        device: run.device.clone(),
        seed: run.seed,
        data: corpus.digest(),
        model: origin,
        config: config_digest(run)?,
        baselines: Some(job::counts(&split, &users, run.evaluate.exclude_seen)),
        untouched: None,
        runs: vec![Run {
            peak_memory_bytes,
            notes,
            retrieval: Some(measure(&model, &users, &run.evaluate, quiet)?),
            ..fine_tune::trained(&run.name, &training::read_metrics(dir)?, drift)
        }],
    };
    report.save(dir)?;
    Ok(Some(report))
}

fn loader(run: &SasRecFile, split: &Split<'_>) -> Result<Loader<Vec<Example>>> {
    training::loader(examples(split, run.sasrec.max_history), &run.train, run.seed)
}

/// The end of each user's training history, as one row that is all answer but its first item.
fn examples(split: &Split<'_>, longest: usize) -> Vec<Example> {
    let ends = split.users().iter().map(|user| {
        let train = user.train();
        &train[train.len().saturating_sub(longest)..]
    });
    ends.filter(|end| end.len() > 1).map(|end| Example { tokens: end.to_vec(), answer: 1 }).collect()
}

/// Recall and NDCG: every item is scored for every user.
fn measure(model: &SasRec, users: &[User<'_>], how: &Ranking, quiet: bool) -> Result<report::Retrieval> {
    let mut users = users.to_vec();
    users.sort_by_key(|user| user.history.len());
    let mut progress = Progress::new("retrieval", 0, users.len() as u64, quiet);
    let mut ranks = Ranks::default();
    for batch in users.chunks(how.batch) {
        tracing::debug!(users = batch.len(), "retrieval batch");
        let histories: Vec<&[u32]> = batch.iter().map(|user| user.history).collect();
        let scores = model.scores(&histories)?;
        let [_, items] = scores.dims();
        let mut scores: Vec<f32> = scores.into_data().convert::<f32>().try_into_vec().unwrap_or_default();
        for (User { history, target, .. }, scores) in batch.iter().zip(scores.chunks_exact_mut(items)) {
            if how.exclude_seen {
                history.iter().for_each(|&seen| scores[seen as usize] = f32::NEG_INFINITY);
            }
            ranks.push(&best(scores), *target);
        }
        progress.set(ranks.0.len() as u64, &[("recall@10", ranks.recall(10))]);
    }
    progress.finish();
    Ok(retrieval::scores(&ranks))
}

/// The items of the highest scores, best first; of equal ones the first.
fn best(scores: &[f32]) -> Vec<u32> {
    let mut items: Vec<u32> = (0..scores.len() as u32).collect();
    let order = |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
    let count = CUTOFF.min(items.len());
    if count < items.len() {
        items.select_nth_unstable_by(count, order);
        items.truncate(count);
    }
    items.sort_unstable_by(order);
    items
}

/// A digest of everything that a run is, but for where its files lie on this machine.
fn config_digest(run: &SasRecFile) -> Result<String> {
    let mut run = run.clone();
    for path in run.data_paths() {
        *path = path.file_name().unwrap_or_default().into();
    }
    Ok(fine_tune::digest(run.to_toml()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_in_order_and_the_first_of_equals_first() {
        assert_eq!(best(&[0.5, 2.0, 0.5, 1.0]), [1, 3, 0, 2]);
        let scores: Vec<f32> = (0..100).map(|item| (item % 50) as f32).collect();
        let best = best(&scores);
        assert_eq!((best.len(), &best[..4]), (CUTOFF, &[49, 99, 48, 98][..]));
    }
}

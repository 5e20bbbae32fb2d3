//! The loop that `pretrain`, `train` and `resume` share: step, log, save.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use anyhow::{Context, Result, bail};
use orbit_core::{Batches, Drift, Fit, MicroBatch, Model, StepReport};
use orbit_data::Loader;
use orbit_data::example::ExampleSource;
use serde::{Deserialize, Serialize};

use crate::config::{OnFailedSave, Train};
use crate::progress::Progress;
use crate::run_dir::{remove, write_file};
use crate::usage::Usage;
use crate::watch::Seen;

/// A [`Loader`] as the training step wants it.
pub(crate) struct Feed<S>(Rc<Loader<S>>);

impl<S> Feed<S> {
    pub(crate) fn new(loader: Loader<S>) -> Self {
        Self(Rc::new(loader))
    }
}

impl<S> Clone for Feed<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S: ExampleSource> Batches for Feed<S> {
    fn batch(&mut self, step: u64) -> orbit_core::Result<Option<Vec<MicroBatch>>> {
        Ok(Some(self.0.batch_at(step - 1).into_iter().map(micro_batch).collect()))
    }
}

/// Rows of examples as a forward pass wants them.
pub(crate) fn micro_batch(batch: orbit_data::Batch) -> MicroBatch {
    MicroBatch {
        rows: batch.rows,
        width: batch.width,
        tokens: batch.tokens,
        lengths: batch.lengths,
        answers: batch.answers,
        examples: batch.examples,
    }
}

/// Batches of examples as a run file says.
///
/// # Errors
/// When there are fewer examples than one batch takes.
pub(crate) fn loader<S: ExampleSource>(examples: S, train: &Train, seed: u64) -> Result<Loader<S>> {
    let loader = Loader::new(examples, train.batch, train.micro_batch(), seed);
    loader.map_err(|error| Usage::new(format!("train.batch: {error}")).into())
}

/// A line of `metrics.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Metrics {
    #[serde(flatten)]
    pub(crate) step: StepReport,
    /// Measured every so often, at the end of the step.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) drift: Option<Drift>,
    /// Looked at every so often, at the end of the step.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) watched: Vec<Seen>,
    /// Spikes so far, those before the run went back too.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub(crate) spikes: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// When things happen beside stepping. By default nothing does.
pub(crate) struct Rhythm<'a, M> {
    /// Steps between measurements of drift; 0 never.
    pub(crate) drift_every: u64,
    /// Steps between checkpoints; 0 never.
    pub(crate) save_every: u64,
    /// Checkpoints kept; 0: none is saved.
    pub(crate) keep: usize,
    /// Whether the one of the lowest loss is kept too.
    pub(crate) keep_best: bool,
    pub(crate) on_failed_save: OnFailedSave,
    /// Whether a spike of the loss sends the run back to its last checkpoint.
    pub(crate) rolls_back: bool,
    /// Steps between looks at what is watched, and the look.
    pub(crate) watch: Option<(u64, Look<'a, M>)>,
}

/// A look at a model.
pub(crate) type Look<'a, M> = &'a dyn Fn(&M) -> Result<Vec<Seen>>;

impl<M> Default for Rhythm<'_, M> {
    fn default() -> Self {
        Self {
            drift_every: 0,
            save_every: 0,
            keep: 0,
            keep_best: false,
            on_failed_save: OnFailedSave::Stop,
            rolls_back: false,
            watch: None,
        }
    }
}

impl<M> Rhythm<'_, M> {
    pub(crate) fn of(train: &Train) -> Self {
        let Train { drift_every, save_every, keep, keep_best, on_failed_save, .. } = *train;
        let rolls_back = train.rolls_back();
        Self { drift_every, save_every, keep, keep_best, on_failed_save, rolls_back, watch: None }
    }
}

const METRICS: &str = "metrics.jsonl";

/// Steps that a loss is averaged over where one says too little.
const RECENT: usize = 20;

/// How often a run goes back before it gives up (our choice).
const ROLLBACKS: u64 = 8;

/// How a loop of steps ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All steps are done and the hooks have finished.
    Finished,
    /// Somebody asked to stop; the state is saved.
    Stopped,
}

/// Steps until the run ends or somebody presses Ctrl-C, and writes a line of metrics a step. `again` is the command that
/// goes on with the run, which an error tells.
pub(crate) fn run<M: Model, B: Batches>(
    fit: &mut Fit<M, B>,
    total: u64,
    dir: &Path,
    again: &str,
    rhythm: &Rhythm<'_, M>,
    progress: &mut Progress,
) -> Result<Ending> {
    steps(fit, total, dir, rhythm, progress).with_context(|| what_is_left(dir, again))
}

fn steps<M: Model, B: Batches>(
    fit: &mut Fit<M, B>,
    total: u64,
    dir: &Path,
    rhythm: &Rhythm<'_, M>,
    progress: &mut Progress,
) -> Result<Ending> {
    let mut metrics = open_metrics(dir, fit.steps())?;
    let mut recent = VecDeque::new();
    while let Some(mut step) = fit.step()? {
        let at = step.step;
        if let Some(spike) = &step.spike {
            tracing::warn!(
                "step {at}: the {} is {:.4}, after {:.4} ± {:.4}",
                spike.of.replace('_', " "),
                spike.value,
                spike.mean,
                spike.deviation
            );
            if rhythm.rolls_back {
                roll_back(fit, dir)?;
                metrics = open_metrics(dir, fit.steps())?;
                recent.clear();
                continue;
            }
        }
        // JSON has no NaN.
        step.log.retain(|(_, value)| value.is_finite());
        let due = |every: u64| every > 0 && (at.is_multiple_of(every) || at == total);
        let drift = due(rhythm.drift_every).then(|| fit.drift());
        let watch = rhythm.watch.filter(|(every, _)| due(*every));
        let watched = watch.map_or_else(|| Ok(Vec::new()), |(_, look)| look(&fit.model()))?;
        recent.push_back(step.loss);
        if recent.len() > RECENT {
            recent.pop_front();
        }
        let loss = recent.iter().sum::<f64>() / recent.len() as f64;
        progress.set(at, &[("loss", loss)]);
        let mut line = serde_json::to_vec(&Metrics { step, drift, watched, spikes: fit.spikes().0 })?;
        line.push(b'\n');
        metrics.write_all(&line).with_context(|| format!("a line of {}", dir.join(METRICS).display()))?;
        let stopping = stop_asked();
        // The end is saved too: what follows, measuring, takes long.
        if rhythm.keep > 0 && (stopping || due(rhythm.save_every) || at == total) {
            metrics.sync_data()?;
            if !save(fit, dir, rhythm)? && stopping {
                bail!("its last steps are not saved");
            }
        }
        if stopping && at < total {
            return Ok(Ending::Stopped);
        }
    }
    metrics.sync_data()?;
    // Somebody may have stopped it between the last checkpoint and this.
    prune(dir, rhythm)?;
    Ok(Ending::Finished)
}

/// A training with what a run file says of it beside optimizer and schedule.
pub(crate) fn with<M: Model, B: Batches>(fit: Fit<M, B>, train: &Train, seed: u64) -> Result<Fit<M, B>> {
    let fit = fit.with_guard(train.guard())?.with_loss(train.loss()).with_seed(seed);
    Ok(fit.with_estimate_examples(train.estimate_examples))
}

/// Warns of hooks that did nothing in a whole run; `acted` has the steps of each hook, by stage.
pub(crate) fn warn_of_idle<'a>(acted: impl IntoIterator<Item = &'a [(String, u64)]>) {
    let mut steps: Vec<(&str, u64)> = Vec::new();
    for stage in acted {
        steps.resize(stage.len(), ("", 0));
        steps.iter_mut().zip(stage).for_each(|(sum, (hook, acted))| *sum = (hook, sum.1 + acted));
    }
    for (hook, _) in steps.iter().filter(|(_, steps)| *steps == 0) {
        tracing::warn!("hook \"{hook}\" never changed anything; its threshold may be out of reach");
    }
}

/// What a run that has failed can go on from.
fn what_is_left(dir: &Path, again: &str) -> String {
    match checkpoints(dir).ok().and_then(|mut all| all.pop()) {
        Some(last) => format!("the run has stopped; {} is whole, and {again} goes on from it", last.display()),
        None => format!("the run has stopped before its first checkpoint; {again} starts it anew"),
    }
}

/// The command that goes on with the run of a directory.
pub(crate) fn resume(dir: &Path) -> String {
    format!("`orbit resume {}`", dir.display())
}

/// Saves a checkpoint, then removes those that need not be kept. False where the disk does not take it and the run may go on:
/// then none is removed.
fn save<M: Model, B: Batches>(fit: &Fit<M, B>, dir: &Path, rhythm: &Rhythm<'_, M>) -> Result<bool> {
    let folder = dir.join("checkpoints");
    let place = folder.join(format!("step-{:08}", fit.steps()));
    if !place.exists() {
        match fit.save(&place) {
            Err(error @ orbit_core::Error::Io { .. }) if rhythm.on_failed_save == OnFailedSave::GoOn => {
                tracing::error!("no checkpoint at step {}: {error}; training goes on", fit.steps());
                return Ok(false);
            }
            saved => saved?,
        }
    }
    prune(dir, rhythm)?;
    Ok(true)
}

/// Removes the checkpoints that need not be kept.
fn prune<M>(dir: &Path, rhythm: &Rhythm<'_, M>) -> Result<()> {
    let mut all = checkpoints(dir)?;
    let newest = all.split_off(all.len().saturating_sub(rhythm.keep));
    if rhythm.keep_best && !all.is_empty() {
        let best = best(dir, all.iter().chain(&newest))?;
        all.retain(|checkpoint| Some(checkpoint) != best.as_ref());
    }
    tracing::debug!(removed = all.len(), "checkpoints");
    all.iter().try_for_each(|old| fs::remove_dir_all(old).context(old.display().to_string()))
}

/// The checkpoint with the lowest mean loss over the last steps before it.
fn best<'a>(dir: &Path, checkpoints: impl Iterator<Item = &'a PathBuf>) -> Result<Option<PathBuf>> {
    let metrics = read_metrics(dir)?;
    let loss = |checkpoint: &PathBuf| {
        let steps =
            step_of(checkpoint).map_or(0, |step| usize::try_from(step).unwrap_or(usize::MAX)).min(metrics.len());
        let last = &metrics[steps.saturating_sub(RECENT)..steps];
        last.iter().map(|line| line.step.loss).sum::<f64>() / last.len() as f64
    };
    Ok(checkpoints.min_by(|a, b| loss(a).total_cmp(&loss(b))).cloned())
}

/// The step that a checkpoint's name says.
fn step_of(checkpoint: &Path) -> Option<u64> {
    checkpoint.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok()
}

/// The checkpoints of a run directory, oldest first.
pub(crate) fn checkpoints(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = in_folder(dir)?;
    found.retain(|path| step_of(path).is_some());
    found.sort();
    Ok(found)
}

/// All that is where checkpoints are.
fn in_folder(dir: &Path) -> Result<Vec<PathBuf>> {
    let folder = dir.join("checkpoints");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&folder).context(folder.display().to_string())?;
    Ok(entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?)
}

/// Takes up the newest checkpoint that is whole, if there is one. One that is damaged is named and put aside. What was being written
/// when a process ended is removed.
pub(crate) fn load_latest<M: Model, B: Batches>(fit: &mut Fit<M, B>, dir: &Path) -> Result<()> {
    let unfinished = |path: &PathBuf| path.extension().is_some_and(|end| end == "partial");
    in_folder(dir)?.iter().filter(|path| unfinished(path)).try_for_each(|path| remove(path))?;
    latest(dir, |checkpoint| fit.load(checkpoint)).map(drop)
}

/// Flees from a spike of the loss.
fn roll_back<M: Model, B: Batches>(fit: &mut Fit<M, B>, dir: &Path) -> Result<()> {
    let (spikes, _) = fit.spikes();
    if spikes > ROLLBACKS {
        bail!(
            "the loss has had {spikes} spikes, and going back to the last checkpoint does not help: lower train.learning_rate"
        );
    }
    let from = fit.steps();
    if !latest(dir, |checkpoint| fit.roll_back(checkpoint))? {
        bail!(
            "there is no checkpoint to go back to yet: have one earlier with train.save_every, or set train.guard.on_spike to \"skip\""
        );
    }
    tracing::warn!("back from step {from} to {}, and on with the batches after it", fit.steps());
    Ok(())
}

/// Loads the newest checkpoint that is whole; false if there is none. Where all are damaged that is an error: to begin anew loses
/// what may yet be saved.
fn latest(dir: &Path, mut load: impl FnMut(&Path) -> orbit_core::Result<()>) -> Result<bool> {
    let mut put_aside = 0;
    for checkpoint in checkpoints(dir)?.into_iter().rev() {
        match load(&checkpoint) {
            Err(damaged @ orbit_core::Error::Damaged { .. }) => {
                let aside = checkpoint.with_extension("damaged");
                tracing::error!("{damaged}; it is put aside as {}", aside.display());
                remove(&aside)?;
                fs::rename(&checkpoint, &aside).with_context(|| checkpoint.display().to_string())?;
                put_aside += 1;
            }
            loaded => return Ok(loaded.map(|()| true)?),
        }
    }
    if put_aside > 0 {
        let dir = dir.display();
        bail!("no checkpoint in {dir} is whole: {put_aside} are put aside, and the same command once more begins anew");
    }
    Ok(false)
}

/// Every line of `metrics.jsonl`.
pub(crate) fn read_metrics(dir: &Path) -> Result<Vec<Metrics>> {
    let path = dir.join(METRICS);
    let file = File::open(&path).context(path.display().to_string())?;
    let lines = BufReader::new(file).lines().enumerate();
    lines
        .map(|(at, line)| serde_json::from_str(&line?).with_context(|| format!("{}:{}", path.display(), at + 1)))
        .collect()
}

/// `metrics.jsonl`, to add to what the first `steps` steps wrote.
fn open_metrics(dir: &Path, steps: u64) -> Result<File> {
    let path = dir.join(METRICS);
    keep_lines(&path, steps)?;
    OpenOptions::new().create(true).append(true).open(&path).context(path.display().to_string())
}

/// Spikes of the loss in the steps of a run, or of a stage.
pub(crate) fn spikes(metrics: &[Metrics]) -> u64 {
    metrics.last().map_or(0, |line| line.spikes)
}

/// Cuts `metrics.jsonl` to the lines of the steps that a checkpoint has seen: later ones will come again.
fn keep_lines(path: &Path, steps: u64) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let text = fs::read_to_string(path).context(path.display().to_string())?;
    let kept: String = text.split_inclusive('\n').take(usize::try_from(steps)?).collect();
    if kept.lines().count() as u64 != steps {
        bail!("{} has {} lines, fewer than the {steps} steps of the checkpoint", path.display(), kept.lines().count());
    }
    write_file(path, kept)
}

static ASKED: AtomicU8 = AtomicU8::new(0);
static LISTENING: AtomicBool = AtomicBool::new(false);

/// The first Ctrl-C, or SIGTERM, lets the step finish and saves; the second stops now.
pub(crate) fn listen_for_stop() -> Result<()> {
    if LISTENING.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    ctrlc::set_handler(|| {
        if ASKED.fetch_add(1, Ordering::Relaxed) > 0 {
            std::process::exit(130);
        }
    })
    .context("listening for Ctrl-C")
}

fn stop_asked() -> bool {
    ASKED.load(Ordering::Relaxed) > 0
}

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

use crate::config::Train;
use crate::progress::Progress;
use crate::run_dir::{remove, write_file};
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
}

/// When things happen beside stepping. By default nothing does.
pub(crate) struct Rhythm<'a, M> {
    /// Steps between measurements of drift; 0 never.
    pub(crate) drift_every: u64,
    /// Steps between checkpoints; 0 never.
    pub(crate) save_every: u64,
    /// Checkpoints kept; the last one always is.
    pub(crate) keep: usize,
    /// Steps between looks at what is watched, and the look.
    pub(crate) watch: Option<(u64, Look<'a, M>)>,
}

/// A look at a model.
pub(crate) type Look<'a, M> = &'a dyn Fn(&M) -> Result<Vec<Seen>>;

impl<M> Default for Rhythm<'_, M> {
    fn default() -> Self {
        Self { drift_every: 0, save_every: 0, keep: 0, watch: None }
    }
}

impl<M> Rhythm<'_, M> {
    pub(crate) fn of(train: &Train) -> Self {
        Self { drift_every: train.drift_every, save_every: train.save_every, keep: train.keep, watch: None }
    }
}

/// How a loop of steps ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All steps are done and the hooks have finished.
    Finished,
    /// Somebody asked to stop; the state is saved.
    Stopped,
}

/// Steps until the run ends or somebody presses Ctrl-C, and writes a line of metrics a step. `again` is the command that
/// goes on with the run, which a step that fails tells.
pub(crate) fn run<M: Model, B: Batches>(
    fit: &mut Fit<M, B>,
    total: u64,
    dir: &Path,
    again: &str,
    rhythm: &Rhythm<'_, M>,
    progress: &mut Progress,
) -> Result<Ending> {
    let path = dir.join("metrics.jsonl");
    keep_lines(&path, fit.steps())?;
    let mut metrics = OpenOptions::new().create(true).append(true).open(&path).context(path.display().to_string())?;
    let mut recent = VecDeque::new();
    while let Some(mut step) = fit.step().with_context(|| what_is_left(dir, again))? {
        let at = step.step;
        // JSON has no NaN.
        step.log.retain(|(_, value)| value.is_finite());
        let due = |every: u64| every > 0 && (at.is_multiple_of(every) || at == total);
        let drift = due(rhythm.drift_every).then(|| fit.drift());
        let watch = rhythm.watch.filter(|(every, _)| due(*every));
        let watched = watch.map_or_else(|| Ok(Vec::new()), |(_, look)| look(&fit.model()))?;
        recent.push_back(step.loss);
        if recent.len() > 20 {
            recent.pop_front();
        }
        let loss = recent.iter().sum::<f64>() / recent.len() as f64;
        progress.set(at, &[("loss", loss)]);
        let mut line = serde_json::to_vec(&Metrics { step, drift, watched })?;
        line.push(b'\n');
        metrics.write_all(&line)?;
        let stopping = stop_asked();
        // The end is saved too: what follows, measuring, takes long.
        if stopping || due(rhythm.save_every) || at == total {
            metrics.sync_data()?;
            save(fit, dir, rhythm.keep)?;
        }
        if stopping && at < total {
            return Ok(Ending::Stopped);
        }
    }
    metrics.sync_data()?;
    Ok(Ending::Finished)
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

/// Saves a checkpoint, then removes the oldest beyond `keep`.
fn save<M: Model, B: Batches>(fit: &Fit<M, B>, dir: &Path, keep: usize) -> Result<()> {
    let folder = dir.join("checkpoints");
    fs::create_dir_all(&folder).context(folder.display().to_string())?;
    let place = folder.join(format!("step-{:08}", fit.steps()));
    if !place.exists() {
        fit.save(&place)?;
    }
    let mut all = checkpoints(dir)?;
    let surplus = all.len().saturating_sub(keep.max(1));
    tracing::debug!(step = fit.steps(), removed = surplus, "checkpoint");
    for old in all.drain(..surplus) {
        fs::remove_dir_all(&old).context(old.display().to_string())?;
    }
    Ok(())
}

/// The checkpoints of a run directory, oldest first.
pub(crate) fn checkpoints(dir: &Path) -> Result<Vec<PathBuf>> {
    let folder = dir.join("checkpoints");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&folder).context(folder.display().to_string())?;
    let mut found: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    found.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.strip_prefix("step-").is_some_and(|step| step.parse::<u64>().is_ok())
    });
    found.sort();
    Ok(found)
}

/// Takes up the newest checkpoint that is whole, if there is one. One that is damaged is named and put aside.
pub(crate) fn load_latest<M: Model, B: Batches>(fit: &mut Fit<M, B>, dir: &Path) -> Result<()> {
    for checkpoint in checkpoints(dir)?.into_iter().rev() {
        match fit.load(&checkpoint) {
            Err(damaged @ orbit_core::Error::Damaged { .. }) => {
                let aside = checkpoint.with_extension("damaged");
                tracing::error!("{damaged}; it is put aside as {}", aside.display());
                remove(&aside)?;
                fs::rename(&checkpoint, &aside).with_context(|| checkpoint.display().to_string())?;
            }
            loaded => return Ok(loaded?),
        }
    }
    Ok(())
}

/// Every line of `metrics.jsonl`.
pub(crate) fn read_metrics(dir: &Path) -> Result<Vec<Metrics>> {
    let path = dir.join("metrics.jsonl");
    let file = File::open(&path).context(path.display().to_string())?;
    let lines = BufReader::new(file).lines().enumerate();
    lines
        .map(|(at, line)| serde_json::from_str(&line?).with_context(|| format!("{}:{}", path.display(), at + 1)))
        .collect()
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

/// The first Ctrl-C lets the step finish and saves; the second stops now.
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

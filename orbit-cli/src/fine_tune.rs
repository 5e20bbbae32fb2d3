//! One fine-tuning, from a run file to a report: what `train`, `resume` and `quickstart` share.
//!
//! ```text
//! DIR/run.toml           the run with every default spelled out and every path absolute
//!     semantic_ids.json  what items or documents are called
//!     untouched.json     the model's language before training, item by item
//!     plugins.json       the plugins that the run began with, by digest; when it has any
//!     metrics.jsonl      a line a step
//!     checkpoints/       what `orbit resume` goes on from
//!     model/             the result, as a Hugging Face directory
//!     report.json, report.html
//! ```

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use orbit_core::{Entry, Fit};
use orbit_data::example::Mixed;
use orbit_models::weights::Dtype;
use orbit_models::{Extension, LanguageModel};
use orbit_regularizers::{HookEntry, Metric as DriftMetric, Use};
use sha2::{Digest, Sha256};

use crate::config::RunFile;
use crate::job::Job;
use crate::language::{self, How, SuiteResult};
use crate::memory::Base as Described;
use crate::pipeline::{Base, IDS_FILE, Speech};
use crate::progress::Progress;
use crate::report::{self, Report, Run};
use crate::run_dir::{self, Lock, RUN_FILE};
use crate::training::{self, Ending, Feed, Metrics, Rhythm};
use crate::{machine, notes, plugins, retrieval, vectors};

const UNTOUCHED: &str = "untouched.json";

/// Makes the run directory and writes `run.toml` into it. A run that is there already is an error, unless it may be replaced.
pub(crate) fn prepare(run: &mut RunFile, dir: &Path, overwrite: bool) -> Result<Lock> {
    // Nothing is written for a run that cannot be.
    notes::of_run(run)?;
    if Described::of(run)?.speech()?.1.uses_the_date() {
        run.model.now.get_or_insert_with(machine::now);
    }
    let (before, after) = ([IDS_FILE, UNTOUCHED, "plugins.json"], ["report.json", "report.html"]);
    let made = [&before[..], &["checkpoints", "model", "metrics.jsonl"], &after].concat();
    let lock = run_dir::claim(dir, overwrite, &made)?;
    plugins::note(&run.hooks, dir)?;
    run_dir::write_file(&dir.join(RUN_FILE), run.to_toml()?)?;
    Ok(lock)
}

/// The run of a run directory.
pub(crate) fn read(dir: &Path) -> Result<RunFile> {
    RunFile::read(&dir.join(RUN_FILE))
}

/// Trains and measures as `run`, whose paths are absolute, says; goes on from the last checkpoint where there is one. `None`
/// when somebody stopped it, with the state saved.
pub(crate) fn run(run: &RunFile, dir: &Path, _lock: Lock, quiet: bool) -> Result<Option<Report>> {
    let started = machine::now();
    machine::reset_peak_memory();
    let device = orbit_core::device(&run.device)?;
    let base = Base::of(run, &device)?;
    vectors::check(&run.hooks, &base.model, &device)?;
    let notes = notes::of_run(run)?;
    notes::warn(&notes);
    let job = job(run, dir, &base, quiet)?;
    let suites = run.evaluate.text.as_ref().map(language::suites).transpose()?;
    let before = untouched(run, dir, &base, suites.as_deref(), quiet)?;

    let mut fit = fit(run, &base, &job)?;
    // The training step changes weights in place; the base model would keep a second copy alive.
    let Base { speech, model, .. } = base;
    drop(model);
    training::load_latest(&mut fit, dir)?;
    let origin = fit.origin_digest();
    training::listen_for_stop()?;
    let rhythm = Rhythm::of(&run.train);
    let mut progress = Progress::new(&run.name, fit.steps(), run.train.steps, quiet);
    let ending = training::run(&mut fit, run.train.steps, dir, &training::resume(dir), &rhythm, &mut progress)?;
    progress.finish();
    if ending == Ending::Stopped {
        return Ok(None);
    }
    let drift = fit.drift();
    let acted = fit.acted();
    training::warn_of_idle([acted.as_slice()]);
    let hooks = acted.into_iter().map(|(name, _)| name).collect();
    let peak_memory_bytes = machine::peak_memory_bytes();
    let merges_at_end = merges(fit.finish_log());
    let model = fit.model();
    drop(fit);
    save_model(&model, &job, origin.clone(), &speech, dir)?;

    let text = run.evaluate.text.as_ref().zip(suites.as_deref());
    let text = text.map(|(config, suites)| {
        let results = language::measure(&model, job.vocabulary.text(), suites, How::plain(config.batch_tokens, quiet))?;
        Ok::<_, anyhow::Error>(language::summary(&results, before.as_deref()))
    });
    let text = text.transpose()?;
    let recommended = run.evaluate.retrieval.as_ref();
    let recommended = recommended.map(|config| retrieval::measure(&model, &job, config, quiet)).transpose()?;
    let metrics = training::read_metrics(dir)?;
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
        data: job.digest(),
        model: origin,
        config: config_digest(run)?,
        baselines: run.evaluate.retrieval.as_ref().map(|config| job.baselines(config)),
        untouched: before
            .as_ref()
            .map(|before| report::Evaluation { retrieval: None, text: Some(language::summary(before, Some(before))) }),
        runs: vec![Run {
            hooks,
            notes,
            plugins: plugins::records(&run.hooks)?,
            peak_memory_bytes,
            ..summary(run, &metrics, merges_at_end, drift, recommended, text)
        }],
    };
    report.save(dir)?;
    Ok(Some(report))
}

/// The job of a run, whose semantic IDs are made once a run directory.
fn job(run: &RunFile, dir: &Path, base: &Base, quiet: bool) -> Result<Job> {
    let path = dir.join(IDS_FILE);
    let made = path.exists();
    let job = Job::new(run, base, made.then(|| path.clone()), quiet)?;
    if !made {
        run_dir::write_with(&path, |partial| Ok(job.ids.save(partial)?))?;
    }
    Ok(job)
}

fn fit(run: &RunFile, base: &Base, job: &Job) -> Result<Fit<LanguageModel, Feed<Mixed>>> {
    let (base_tokens, tokens) = (job.vocabulary.base_tokens(), job.vocabulary.text().size());
    let model = base.model.clone().with_vocabulary(base_tokens, tokens, run.seed);
    let hooks = run.hooks.iter().map(entry).collect::<Result<_>>()?;
    let feed = Feed::new(job.loader(run)?);
    let fit = Fit::new(model, hooks, feed, run.train.optimizer(), run.train.schedule())?;
    training::with(fit, &run.train, run.seed)
}

pub(crate) fn entry(hook: &HookEntry) -> Result<Entry> {
    Ok(Entry { hook: hook.r#use.build()?, only: hook.only.clone(), every: hook.every.get() })
}

/// The model's language before training: measured once a run directory.
fn untouched(
    run: &RunFile,
    dir: &Path,
    base: &Base,
    suites: Option<&[language::Suite]>,
    quiet: bool,
) -> Result<Option<Vec<SuiteResult>>> {
    let (Some(config), Some(suites), true) = (&run.evaluate.text, suites, run.evaluate.untouched) else {
        return Ok(None);
    };
    let path = dir.join(UNTOUCHED);
    if path.exists() {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        return Ok(Some(serde_json::from_str(&text).with_context(|| path.display().to_string())?));
    }
    let results =
        language::measure(&base.model, &base.speech.tokenizer, suites, How::plain(config.batch_tokens, quiet))?;
    run_dir::write_file(&path, serde_json::to_vec(&results)?)?;
    Ok(Some(results))
}

fn save_model(model: &LanguageModel, job: &Job, origin: String, speech: &Speech, dir: &Path) -> Result<()> {
    let about = Extension { semantic_ids: Some(job.ids.digest().into()), origin: Some(origin), ..Extension::default() };
    run_dir::write_dir(&dir.join("model"), |place| {
        model.save(place, Dtype::F32, &about)?;
        speech.save(job.vocabulary.text(), place)?;
        job.ids.save(&place.join(IDS_FILE))?;
        job.catalogue().save(place)
    })
}

fn summary(
    run: &RunFile,
    metrics: &[Metrics],
    merges_at_end: u64,
    drift: orbit_core::Drift,
    retrieval: Option<report::Retrieval>,
    text: Option<report::Text>,
) -> Run {
    let trained = trained(&run.name, metrics, drift);
    Run {
        retrieval,
        text,
        max_drift: run.hooks.iter().find_map(limit),
        merges: trained.merges + merges_at_end,
        ..trained
    }
}

/// What the steps of a run came to, before anything is measured.
pub(crate) fn trained(name: &str, metrics: &[Metrics], drift: orbit_core::Drift) -> Run {
    let seconds: f64 = metrics.iter().map(|line| line.step.seconds).sum();
    let tokens: usize = metrics.iter().map(|line| line.step.tokens).sum();
    let padding: usize = metrics.iter().map(|line| line.step.padding).sum();
    Run {
        name: name.to_owned(),
        hooks: Vec::new(),
        plugins: Vec::new(),
        notes: Vec::new(),
        steps: metrics.len() as u64,
        retrieval: None,
        text: None,
        drift: report::Drift { l2: drift.l2, flips: drift.flips },
        max_drift: None,
        spikes: training::spikes(metrics),
        merges: metrics.iter().map(|line| merges(&line.step.log)).sum(),
        tokens_per_second: Some(tokens as f64 / seconds).filter(|rate| rate.is_finite()),
        seconds,
        peak_memory_bytes: None,
        padding_share: Some(padding as f64 / (padding + tokens).max(1) as f64),
        dtip: None,
        history: report::downsample(&metrics.iter().map(point).collect::<Vec<_>>(), 400),
    }
}

pub(crate) fn point(line: &Metrics) -> report::Point {
    let drift = line.drift.map(|drift| report::Drift { l2: drift.l2, flips: drift.flips });
    report::Point { step: line.step.step, loss: line.step.loss, drift, merges: merges(&line.step.log) }
}

/// How often hooks say that they merged the weights with the original.
pub(crate) fn merges(log: &[(String, f64)]) -> u64 {
    log.iter().filter(|(key, _)| key.ends_with(".merges")).map(|(_, count)| *count as u64).sum()
}

fn limit(entry: &HookEntry) -> Option<report::MaxDrift> {
    match &entry.r#use {
        // No limit is no number of a report.
        Use::Orbit(orbit) if orbit.max_drift.is_finite() => Some(report::MaxDrift {
            metric: match orbit.metric {
                DriftMetric::Flips => report::DriftMetric::Flips,
                DriftMetric::L2 => report::DriftMetric::L2,
            },
            value: orbit.max_drift,
        }),
        Use::Ball(ball) if !ball.per_parameter && ball.radius.is_finite() => {
            Some(report::MaxDrift { metric: report::DriftMetric::L2, value: ball.radius })
        }
        _ => None,
    }
}

/// A digest of everything that a run is, but for where its files lie on this machine and what is expected of it.
fn config_digest(run: &RunFile) -> Result<String> {
    let mut run = run.clone();
    for path in run.data_paths() {
        *path = path.file_name().unwrap_or_default().into();
    }
    run.model.path = run.model.path.map(|path| path.file_name().unwrap_or_default().into());
    run.model.now = None;
    run.expected = None;
    for entry in &mut run.hooks {
        if let Use::Plugin(plugin) = &mut entry.r#use {
            let name = Path::new(&plugin.path).file_name().unwrap_or_default();
            plugin.path = name.to_string_lossy().into_owned();
        }
    }
    Ok(digest(run.to_toml()?))
}

/// SHA-256 of a text or of bytes.
pub(crate) fn digest(text: impl AsRef<[u8]>) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

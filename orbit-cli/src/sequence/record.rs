//! What a stage leaves on the disk, and what of it a report shows.

use anyhow::Result;
use orbit_core::{Batches, Drift, Fit, Model, parameters};
use orbit_data::continual::ItemScores;
use orbit_data::statistics::bootstrap;
use orbit_models::LanguageModel;
use serde::{Deserialize, Serialize};

use super::Measuring;
use super::tasks::TaskResult;
use crate::config::{Adapters, SequenceFile};
use crate::language::{Item, Metric, Suite, SuiteResult};
use crate::report::sequence::{SequenceReport, Stage, SuiteColumn, TaskColumn, TaskScore};
use crate::report::watched::{Look, WatchedTask};
use crate::report::{self, Point};
use crate::training::{self, Metrics};
use crate::watch::Seen;
use crate::{fine_tune, machine};

const RESAMPLES: usize = 1000;
const SEED: u64 = 0;

/// Scores of the tasks, in order, and of the suites.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// None for a task that was not measured.
    pub(crate) tasks: Vec<Option<TaskResult>>,
    pub(crate) suites: Vec<SuiteResult>,
}

/// A stage's training, and what was measured after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StageRecord {
    pub(crate) measured: Measured,
    pub(crate) divergence: Option<f64>,
    steps: u64,
    seconds: f64,
    tokens_per_second: Option<f64>,
    drift: report::Drift,
    merges: u64,
    #[serde(default)]
    spikes: u64,
    pub(crate) acted: Vec<(String, u64)>,
    trained_parameters: u64,
    history: Vec<Point>,
    #[serde(default)]
    watched: Vec<(u64, Vec<Seen>)>,
}

impl StageRecord {
    /// The training alone.
    pub(crate) fn new<M: Model, B: Batches>(
        metrics: &[Metrics],
        fit: &Fit<M, B>,
        drift: Drift,
        trained: usize,
    ) -> Self {
        let seconds: f64 = metrics.iter().map(|line| line.step.seconds).sum();
        let tokens: usize = metrics.iter().map(|line| line.step.tokens).sum();
        let merged = metrics.iter().map(|line| fine_tune::merges(&line.step.log)).sum::<u64>();
        Self {
            measured: Measured::default(),
            divergence: None,
            steps: metrics.len() as u64,
            seconds,
            tokens_per_second: Some(tokens as f64 / seconds).filter(|rate| rate.is_finite()),
            drift: report::Drift { l2: drift.l2, flips: drift.flips },
            spikes: training::spikes(metrics),
            merges: merged + fine_tune::merges(fit.finish_log()),
            acted: fit.acted(),
            trained_parameters: trained as u64,
            watched: metrics
                .iter()
                .filter(|line| !line.watched.is_empty())
                .map(|line| (line.step.step, line.watched.clone()))
                .collect(),
            history: report::downsample(&metrics.iter().map(fine_tune::point).collect::<Vec<_>>(), 100),
        }
    }

    /// With what was measured after it.
    pub(crate) fn with(self, measured: Measured, divergence: Option<f64>) -> Self {
        Self { measured, divergence, ..self }
    }
}

/// The report of a run whose stages are all done.
pub(crate) fn report(
    run: &SequenceFile,
    started: String,
    base: &LanguageModel,
    measuring: &Measuring<'_>,
    before: Measured,
    records: Vec<StageRecord>,
) -> Result<SequenceReport> {
    let tasks = (measuring.tasks.iter().enumerate()).map(|(index, task)| TaskColumn {
        name: task.name.clone(),
        metric: metric_name(task.metric),
        chance: task.chance(),
        before: before.tasks.get(index).and_then(Option::as_ref).map(score),
        after: records.iter().map(|record| record.measured.tasks.get(index)?.as_ref().map(score)).collect(),
    });
    let suites = measuring.suites.iter().zip(&before.suites).enumerate();
    let suites = suites.flat_map(|(index, (suite, before))| columns(suite, before, index, &records));
    let stages = run.tasks.iter().zip(&records).map(|(task, record)| Stage {
        task: task.name.clone(),
        steps: record.steps,
        seconds: record.seconds,
        tokens_per_second: record.tokens_per_second,
        drift: record.drift,
        merges: record.merges,
        spikes: record.spikes,
        acted: record.acted.clone(),
        divergence: record.divergence,
        history: record.history.clone(),
    });
    let architecture = match base {
        LanguageModel::Decoder(_) => "decoder",
        LanguageModel::EncoderDecoder(_) => "encoder-decoder",
    };
    Ok(SequenceReport {
        format: SequenceReport::FORMAT,
        kind: SequenceReport::KIND.into(),
        title: run.name.clone(),
        command: machine::command_line(),
        version: env!("CARGO_PKG_VERSION").into(),
        commit: option_env!("ORBIT_COMMIT").map(str::to_owned),
        started,
        machine: machine::describe(),
        device: run.device.clone(),
        seed: run.seed,
        model: base.base_digest(),
        config: fine_tune::digest(anonymous(run).to_toml()?),
        architecture: architecture.into(),
        parameters: parameters(base).iter().map(|param| param.len() as u64).sum(),
        trained_parameters: records.first().map_or(0, |record| record.trained_parameters),
        adapters: run.lora.as_ref().map(|_| adapters_name(run.sequence.adapters).into()),
        hooks: run.hooks.iter().map(|hook| Ok(hook.r#use.build()?.name().to_owned())).collect::<Result<_>>()?,
        replay_share: run.replay.as_ref().map_or(0.0, |replay| replay.share),
        tasks: tasks.collect(),
        suites: suites.collect(),
        stages: stages.collect(),
        watched: Vec::new(),
        notes: Vec::new(),
    })
}

/// The looks at each watched task, over all stages: first that before training, as step 0.
pub(crate) fn watched(untrained: Vec<Seen>, records: &[StageRecord]) -> Vec<WatchedTask> {
    let mut looks = vec![(0, untrained)];
    let mut begin = 0;
    for record in records {
        looks.extend(record.watched.iter().map(|(step, seen)| (begin + step, seen.clone())));
        begin += record.steps;
    }
    let names: Vec<String> = looks[0].1.iter().map(|seen| seen.task.clone()).collect();
    let of = |(at, name): (usize, String)| {
        let look = |(step, seen): &(u64, Vec<Seen>)| {
            let Seen { cosine, in_context, loss, .. } = *seen.get(at)?;
            Some(Look { step: *step, cosine, in_context, loss })
        };
        WatchedTask { name, looks: looks.iter().filter_map(look).collect() }
    };
    names.into_iter().enumerate().map(of).collect()
}

/// The run without where its files lie on this machine.
fn anonymous(run: &SequenceFile) -> SequenceFile {
    let mut run = run.clone();
    for path in run.data_paths() {
        *path = path.file_name().unwrap_or_default().into();
    }
    run.model.now = None;
    run.model.path = run.model.path.file_name().unwrap_or_default().into();
    run
}

/// A suite as a column; one of bias also by its types.
fn columns(suite: &Suite, before: &SuiteResult, index: usize, records: &[StageRecord]) -> Vec<SuiteColumn> {
    let after: Vec<&SuiteResult> = records.iter().filter_map(|record| record.measured.suites.get(index)).collect();
    let whole: Vec<usize> = (0..before.items.len()).collect();
    let kinds = if before.metric == Metric::Stereotype { suite.kinds() } else { Vec::new() };
    let parts = kinds.into_iter().map(|(kind, items)| (format!("{}/{kind}", before.name), items));
    let column = |(name, items): (String, Vec<usize>)| {
        let scores = |result: &SuiteResult| items.iter().map(|&at| value(result.items[at])).collect::<Vec<f64>>();
        SuiteColumn {
            name,
            group: before.group,
            metric: before.metric.name().into(),
            chance: before.chance,
            items: ItemScores { before: scores(before), after: after.iter().map(|result| scores(result)).collect() },
        }
    };
    std::iter::once((before.name.clone(), whole)).chain(parts).map(column).collect()
}

fn value(Item(sum, weight): Item) -> f64 {
    sum / weight
}

fn score(result: &TaskResult) -> TaskScore {
    let items = &result.score.items;
    let mean = |drawn: &[usize]| drawn.iter().map(|&at| items[at]).sum::<f64>() / drawn.len() as f64;
    let shift = result.score.value - items.iter().sum::<f64>() / items.len().max(1) as f64;
    let interval = bootstrap(&[items.len()], RESAMPLES, SEED, |drawn| Some(mean(&drawn[0])));
    let ci = interval.map(|interval| [interval.low + shift, interval.high + shift]);
    TaskScore { value: result.score.value, ci }
}

/// As a run file spells it.
fn metric_name(metric: orbit_data::metric::Metric) -> String {
    serde_json::to_value(metric).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

fn adapters_name(adapters: Adapters) -> &'static str {
    match adapters {
        Adapters::Shared => "shared",
        Adapters::Merged => "merged",
        Adapters::PerTask => "per_task",
    }
}

//! The plots of one run over a sequence.

use orbit_data::text::Group;

use super::{SequenceReport, findings::Findings};
use crate::report::{
    measures::Measured,
    plot::{
        Figure, heat_map, stage_loss,
        stages::{Line, Stages},
    },
    quantity::{self, Unit},
    spread::Spread,
};

/// The plots for which there is something to show.
pub(super) fn figures(report: &SequenceReport, findings: &Findings) -> Vec<Figure> {
    let tasks: Vec<String> = report.stages.iter().map(|stage| stage.task.clone()).collect();
    [
        heat_map::figure("scores", "Scores of the tasks after each stage (R)", heat_map::READING, &findings.matrix),
        kept(&tasks, findings),
        scores(&tasks, findings),
        losses(&tasks, findings),
        divergence(&tasks, findings),
        drift(&tasks, report),
        stage_loss::figure(&report.stages),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Groups, and suites in none, with the number of their series.
fn families(findings: &Findings) -> impl Iterator<Item = (usize, &Measured)> {
    let groups = findings.model.groups.iter().map(|group| (group.group.map_or(0, series), group));
    let alone = findings.model.suites.iter().filter(|suite| suite.group.is_none());
    groups.chain(alone.enumerate().map(|(at, suite)| (4 + at, suite)))
}

/// The same colour in every report.
fn series(group: Group) -> usize {
    match group {
        Group::DomainKnowledge => 0,
        Group::Reasoning => 1,
        Group::ReadingComprehension => 2,
        Group::Bias => 3,
    }
}

fn kept(tasks: &[String], findings: &Findings) -> Option<Figure> {
    let lines = families(findings).map(|(series, measured)| Line {
        series,
        name: measured.name.clone(),
        values: measured.kept.iter().flatten().map(|kept| Some(*kept)).collect(),
        chance: None,
    });
    Stages {
        id: "kept".into(),
        title: "What was kept, stage by stage".into(),
        caption: "100% is the model before training, 0% is guessing.".into(),
        axis: "Kept of what was above guessing",
        unit: Unit::Percent,
        write: quantity::percent,
        tasks,
        lines: lines.collect(),
        level: "guessing",
        view: vec![0.0, 1.0],
    }
    .figure()
}

fn scores(tasks: &[String], findings: &Findings) -> Option<Figure> {
    let lines = families(findings).map(|(series, measured)| Line {
        series,
        name: measured.name.clone(),
        values: measured.scores.iter().map(|score| Some(*score)).collect(),
        chance: (!measured.is_bias()).then_some(measured.chance),
    });
    Stages {
        id: "scores-by-group".into(),
        title: "General suites, stage by stage".into(),
        caption: "Mean score of the suites of each group. Dotted: guessing. For bias, 0.5 is \
                  neutral and no end is better."
            .into(),
        axis: "Score",
        unit: Unit::Number,
        write: quantity::score,
        tasks,
        lines: lines.collect(),
        level: "guessing",
        view: Vec::new(),
    }
    .figure()
}

fn losses(tasks: &[String], findings: &Findings) -> Option<Figure> {
    let start = Some(Spread { mean: 0.0, low: 0.0, high: 0.0 });
    let lines = findings.model.losses.iter().enumerate().map(|(series, loss)| Line {
        series,
        name: loss.name.clone(),
        values: std::iter::once(start).chain(loss.changes.iter().map(|change| Some(*change))).collect(),
        chance: None,
    });
    Stages {
        id: "general-loss".into(),
        title: "Loss on general texts".into(),
        caption: "How much it rose since before training. Above 0, the model is worse at predicting ordinary text."
            .into(),
        axis: "Change (nats a token)",
        unit: Unit::Number,
        write: quantity::signed,
        tasks,
        lines: lines.collect(),
        level: "guessing",
        view: vec![0.0],
    }
    .figure()
}

fn divergence(tasks: &[String], findings: &Findings) -> Option<Figure> {
    let values = std::iter::once(None).chain(findings.model.divergence.iter().copied());
    let line = Line { series: 0, name: "KL to the start".into(), values: values.collect(), chance: None };
    Stages {
        id: "divergence".into(),
        title: "How far the answers moved".into(),
        caption:
            "KL of the model before the sequence from the model after the stage, on the answers of the stage’s task."
                .into(),
        axis: "KL (nats a token)",
        unit: Unit::Number,
        write: quantity::score,
        tasks,
        lines: vec![line],
        level: "guessing",
        view: vec![0.0],
    }
    .figure()
}

fn drift(tasks: &[String], report: &SequenceReport) -> Option<Figure> {
    let flips = report.stages.iter().map(|stage| Spread::over([stage.drift.flips]));
    let line = Line {
        series: 0,
        name: "Sign flips".into(),
        values: std::iter::once(None).chain(flips).collect(),
        chance: None,
    };
    Stages {
        id: "stage-drift".into(),
        title: "Drift in each stage".into(),
        caption: "Share of weights whose sign is not that at the beginning of the stage.".into(),
        axis: "Weights whose sign flipped",
        unit: Unit::Percent,
        write: quantity::fine_percent,
        tasks,
        lines: vec![line],
        level: "guessing",
        view: vec![0.0],
    }
    .figure()
}

//! The plots of a study.

use orbit_data::continual::Estimate;
use orbit_data::text::Group;

use super::{StudyModel, StudyReport, families::Family};
use crate::report::{
    matrix::Matrix,
    measures::Measured,
    plot::{
        Figure, heat_map,
        sizes::{Sized, Sizes},
        stages::{Line, Stages},
    },
    quantity::{self, Unit},
    spread::Spread,
};

const GROUPS: [Group; 4] = [Group::DomainKnowledge, Group::Reasoning, Group::ReadingComprehension, Group::Bias];

/// Size against FG and size against what was kept, side by side for each group; of bias, against the distance from one half.
pub(super) fn sizes(study: &StudyReport) -> Vec<Figure> {
    GROUPS.into_iter().flat_map(|group| [forgotten(study, group), kept(study, group)]).flatten().collect()
}

fn forgotten(study: &StudyReport, group: Group) -> Option<Figure> {
    let bias = group == Group::Bias;
    let caption = if bias {
        "Above 0, the stereotype is preferred less than before. Bars are 95% intervals over seeds and items."
    } else {
        "Filled: FG. Hollow: the largest FG before the model guesses. Bars are 95% intervals over seeds and items."
    };
    Sizes {
        id: format!("{}-forgotten", id(group)),
        title: format!("Size against FG: {group}"),
        caption: caption.into(),
        axis: "FG",
        write: quantity::percent,
        points: points(study, |model| {
            let measures = model.measures.group(group)?.measures;
            Some((measures.forgotten, measures.most_forgettable.map(|most| most.value)))
        }),
        hollow: (!bias).then_some("largest FG"),
        view: [0.0, 0.0],
        reach: [-1.0, 1.0],
    }
    .figure()
}

fn kept(study: &StudyReport, group: Group) -> Option<Figure> {
    let bias = group == Group::Bias;
    let (title, axis, caption) = if bias {
        (
            "distance from one half",
            "Distance from one half",
            "Filled: in the end. Hollow: before. Bars are 95% intervals over seeds and items.",
        )
    } else {
        (
            "what was kept",
            "Kept of what was above guessing",
            "100% is the model before training, 0% is guessing, wherever it began. Bars are 95% intervals over seeds and items, cut \
             where they leave the plot; without one, the model began too near guessing to tell.",
        )
    };
    Sizes {
        id: format!("{}-kept", id(group)),
        title: format!("Size against {title}: {group}"),
        caption: caption.into(),
        axis,
        write: quantity::percent,
        points: points(study, |model| {
            let measures = model.measures.group(group)?.measures;
            let neutral = measures.from_neutral.map(|from| (from.last, Some(from.before.value)));
            if bias { neutral } else { Some((measures.retention?, None)) }
        }),
        hollow: bias.then_some("before"),
        view: if bias { [0.0, 0.0] } else { [0.0, 1.0] },
        reach: if bias { [0.0, 1.0] } else { [-0.5, 1.5] },
    }
    .figure()
}

fn points(study: &StudyReport, of: impl Fn(&StudyModel) -> Option<(Estimate, Option<f64>)>) -> Vec<Sized> {
    let point = |(series, family): (usize, Family)| {
        let of = &of;
        family.models(study).into_iter().filter_map(move |model| {
            let (value, hollow) = of(model)?;
            let (name, parameters) = (model.name.clone(), model.parameters as f64);
            Some(Sized { series, family: family.name(), name, parameters, value, hollow })
        })
    };
    Family::ALL.into_iter().enumerate().flat_map(point).collect()
}

fn id(group: Group) -> String {
    group.to_string().replace(' ', "-")
}

/// A plot for each group with a line for each model.
pub(super) fn curves(study: &StudyReport) -> Vec<Figure> {
    let tasks = study.tasks();
    GROUPS
        .into_iter()
        .flat_map(|group| [scores(study, &tasks, group), retention(study, &tasks, group)])
        .flatten()
        .collect()
}

fn scores(study: &StudyReport, tasks: &[String], group: Group) -> Option<Figure> {
    let neutral = if group == Group::Bias { "neutral" } else { "guessing" };
    let lines = lines(study, group, |measured| Some(&measured.scores));
    let chance = study.models.iter().find_map(|model| model.measures.group(group)).map(|measured| measured.chance);
    let lines = lines.into_iter().map(|line| Line { chance, ..line }).collect();
    Stages {
        id: format!("{}-scores", id(group)),
        title: format!("Score, stage by stage: {group}"),
        caption: format!("Mean over suites and seeds; bars are the range over seeds. Dotted: {neutral}."),
        axis: "Score",
        unit: Unit::Number,
        write: quantity::score,
        tasks,
        lines,
        level: neutral,
        view: Vec::new(),
    }
    .figure()
}

fn retention(study: &StudyReport, tasks: &[String], group: Group) -> Option<Figure> {
    Stages {
        id: format!("{}-retention", id(group)),
        title: format!("Kept, stage by stage: {group}"),
        caption: "100% is the model before training, 0% is guessing. Bars are the range over seeds.".into(),
        axis: "Kept of what was above guessing",
        unit: Unit::Percent,
        write: quantity::percent,
        tasks,
        lines: lines(study, group, |measured| measured.kept.as_ref()),
        level: "guessing",
        view: vec![0.0, 1.0],
    }
    .figure()
}

fn lines(study: &StudyReport, group: Group, of: impl Fn(&Measured) -> Option<&Vec<Spread>>) -> Vec<Line> {
    let line = |(series, model): (usize, &StudyModel)| {
        let values = of(model.measures.group(group)?)?;
        let values = values.iter().map(|value| Some(*value)).collect();
        Some(Line { series, name: model.name.clone(), values, chance: None })
    };
    study.models.iter().enumerate().filter_map(line).collect()
}

/// R of each model.
pub(super) fn heat_maps(study: &StudyReport) -> Vec<Figure> {
    let map = |(at, model): (usize, &StudyModel)| {
        heat_map::figure(&format!("scores-{at}"), &model.name, "", &Matrix::of(&model.runs))
    };
    study.models.iter().enumerate().filter_map(map).collect()
}

/// KL and general loss, with a line for each model.
pub(super) fn changes(study: &StudyReport) -> Vec<Figure> {
    let tasks = study.tasks();
    let mut names: Vec<&str> =
        study.models.iter().flat_map(|model| &model.measures.losses).map(|loss| loss.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let losses = names.into_iter().enumerate().map(|(at, name)| loss(study, &tasks, at, name));
    losses.chain([divergence(study, &tasks)]).flatten().collect()
}

fn loss(study: &StudyReport, tasks: &[String], at: usize, name: &str) -> Option<Figure> {
    let start = Some(Spread { mean: 0.0, low: 0.0, high: 0.0 });
    let line = |(series, model): (usize, &StudyModel)| {
        let loss = model.measures.losses.iter().find(|loss| loss.name == name)?;
        let values = std::iter::once(start).chain(loss.changes.iter().map(|change| Some(*change))).collect();
        Some(Line { series, name: model.name.clone(), values, chance: None })
    };
    Stages {
        id: format!("loss-{at}"),
        title: format!("Loss on {name}"),
        caption: "How much it rose since before training. Bars are the range over seeds.".into(),
        axis: "Change (nats a token)",
        unit: Unit::Number,
        write: quantity::signed,
        tasks,
        lines: study.models.iter().enumerate().filter_map(line).collect(),
        level: "guessing",
        view: vec![0.0],
    }
    .figure()
}

fn divergence(study: &StudyReport, tasks: &[String]) -> Option<Figure> {
    let line = |(series, model): (usize, &StudyModel)| Line {
        series,
        name: model.name.clone(),
        values: std::iter::once(None).chain(model.measures.divergence.iter().copied()).collect(),
        chance: None,
    };
    Stages {
        id: "divergence".into(),
        title: "How far the answers moved".into(),
        caption: "KL of the model before the sequence from the model after the stage, on the answers of the stage’s task. Bars are \
                  the range over seeds."
            .into(),
        axis: "KL (nats a token)",
        unit: Unit::Number,
        write: quantity::score,
        tasks,
        lines: study.models.iter().enumerate().map(line).collect(),
        level: "guessing",
        view: vec![0.0],
    }
    .figure()
}

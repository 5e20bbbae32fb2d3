//! The tables of a study.

use orbit_data::continual::{Estimate, SequenceMeasures};
use orbit_data::text::Group;

use super::{StudyModel, StudyReport};
use crate::report::{
    measures::{Measured, ModelMeasures},
    quantity,
    spread::Spread,
    table::{Cell, Row, Table},
    watched::{Look, Score, WatchedTask, correlation},
};

/// What the models are.
pub(super) fn models(study: &StudyReport) -> Table {
    let columns = [
        "Parameters",
        "Trained",
        "Architecture",
        "Tuned first",
        "Hooks",
        "Seeds",
        "Steps a run",
        "Time a run",
        "Time a step",
    ];
    let row = |model: &StudyModel| {
        let steps = mean(model, |run| run.stages.iter().map(|stage| stage.steps as f64).sum());
        let seconds = mean(model, |run| run.stages.iter().map(|stage| stage.seconds).sum());
        let first = model.runs.first();
        let trained = first.map_or(f64::NAN, |run| run.trained_parameters as f64);
        let hooks = first.map_or_else(String::new, |run| run.hooks.join(" → "));
        vec![
            Cell::plain(quantity::parameters(model.parameters as f64)),
            Cell::plain(quantity::parameters(trained)),
            Cell::plain(model.architecture.clone()),
            Cell::plain(if model.tuned_first { "yes" } else { "no" }.into()),
            Cell::plain(if hooks.is_empty() { "none".into() } else { hooks }),
            Cell::plain(model.runs.len().to_string()),
            Cell::plain(quantity::count(steps.round() as u64)),
            Cell::plain(quantity::duration(seconds)),
            Cell::plain(format!("{} s", quantity::significant(seconds / steps))),
        ]
    };
    table(study, "The models", columns.map(str::to_owned).into(), row)
}

fn mean(model: &StudyModel, of: impl Fn(&crate::report::SequenceReport) -> f64) -> f64 {
    Spread::over(model.runs.iter().map(of)).map_or(f64::NAN, |spread| spread.mean)
}

/// The measures of the tasks.
pub(super) fn sequence(study: &StudyReport) -> Table {
    let columns = ["AP", "FP", "Forget", "BWT", "FWT"];
    let row = |model: &StudyModel| {
        let of = |measure: fn(&SequenceMeasures) -> Option<Estimate>| {
            Cell::perhaps(model.measures.sequence.as_ref().and_then(measure).as_ref(), quantity::score)
        };
        vec![
            of(|measures| Some(measures.average_performance)),
            of(|measures| Some(measures.final_performance)),
            of(|measures| Some(measures.forget)),
            of(|measures| measures.backward_transfer),
            of(|measures| measures.forward_transfer),
        ]
    };
    table(study, "Measures of the sequence, with 95% intervals over seeds", columns.map(str::to_owned).into(), row)
}

/// A table for each group that was measured.
pub(super) fn groups(study: &StudyReport) -> Vec<Table> {
    let all = [Group::DomainKnowledge, Group::Reasoning, Group::ReadingComprehension, Group::Bias];
    let measured = |group: &Group| study.models.iter().any(|model| model.measures.group(*group).is_some());
    all.into_iter().filter(measured).map(|group| self::group(study, group)).collect()
}

fn group(study: &StudyReport, group: Group) -> Table {
    let bias = group == Group::Bias;
    let last = if bias { ["From 0.5 before", "From 0.5 after"] } else { ["Largest FG", "Kept"] };
    let columns = ["Before", "After", "FG", "Final drop"].into_iter().chain(last).map(str::to_owned).collect();
    let row = |model: &StudyModel| match model.measures.group(group) {
        None => (0..6).map(|_| Cell::none()).collect(),
        Some(Measured { measures, .. }) => {
            let neutral = measures.from_neutral;
            let last = match bias {
                true => [neutral.map(|from| from.before), neutral.map(|from| from.last)],
                false => [measures.most_forgettable, measures.retention],
            };
            let number: fn(f64) -> String = if bias { quantity::score } else { quantity::percent };
            let scores = [&measures.before, &measures.last].map(|score| Cell::estimate(score, quantity::score));
            let lost = [&measures.forgotten, &measures.final_drop].map(|lost| Cell::estimate(lost, quantity::percent));
            let last = last.map(|estimate| Cell::perhaps(estimate.as_ref(), number));
            scores.into_iter().chain(lost).chain(last).collect()
        }
    };
    let name = group.to_string();
    let name = name[..1].to_uppercase() + &name[1..];
    let caption = if bias {
        "0.5 is neutral; a positive FG is less preference for the stereotype"
    } else {
        "95% intervals over seeds and items"
    };
    Table { caption: format!("{name}: {caption}").into(), ..table(study, "", columns, row) }
}

/// FG and what was kept by suite; of bias, the distance from one half.
pub(super) fn suites(study: &StudyReport) -> [Table; 3] {
    let scored = |suite: &Measured| !suite.is_bias();
    [
        by_suite(study, "FG by suite", scored, |suite| Cell::estimate(&suite.measures.forgotten, quantity::percent)),
        by_suite(study, "Kept by suite", scored, |suite| {
            Cell::perhaps(suite.measures.retention.as_ref(), quantity::percent)
        }),
        by_suite(
            study,
            "Bias by type: distance from one half, before → after, with the 95% interval of the end",
            Measured::is_bias,
            |suite| {
                let Some(from) = suite.measures.from_neutral else { return Cell::none() };
                let [before, last] = [from.before, from.last].map(|from| Cell::estimate(&from, quantity::score));
                Cell { value: format!("{} → {}", before.value, last.value), interval: last.interval }
            },
        ),
    ]
}

/// A row for each suite, a column for each model.
fn by_suite(
    study: &StudyReport,
    caption: &'static str,
    shown: impl Fn(&Measured) -> bool,
    cell: impl Fn(&Measured) -> Cell,
) -> Table {
    let all = |measures: &ModelMeasures| -> Vec<(String, Cell, String)> {
        let pooled = measures.pooled.iter().map(|all| (format!("{}, all items as one", all.name), all));
        let suites = measures.suites.iter().map(|suite| (suite.name.clone(), suite)).chain(pooled);
        let detail = |suite: &Measured| suite.group.map_or_else(|| "in no group".to_owned(), |group| group.to_string());
        suites.filter(|(_, suite)| shown(suite)).map(|(name, suite)| (name, cell(suite), detail(suite))).collect()
    };
    let models: Vec<Vec<(String, Cell, String)>> = study.models.iter().map(|model| all(&model.measures)).collect();
    let mut names: Vec<(String, String)> = Vec::new();
    for (name, _, detail) in models.iter().flatten() {
        if names.iter().all(|(other, _)| other != name) {
            names.push((name.clone(), detail.clone()));
        }
    }
    let find = |model: &[(String, Cell, String)], name: &str| {
        model.iter().find(|(other, ..)| other == name).map_or_else(Cell::none, |(_, cell, _)| cell.clone())
    };
    let rows = names.into_iter().map(|(name, detail)| Row {
        cells: models.iter().map(|model| find(model, &name)).collect(),
        name,
        detail,
        run: None,
    });
    Table {
        caption: caption.into(),
        corner: "Suite",
        rows: rows.collect(),
        columns: study.models.iter().map(|model| model.name.clone()).collect(),
    }
}

/// Models with and without general instruction tuning first, side by side.
pub(super) fn tuning(study: &StudyReport) -> Table {
    let columns = ["FG without", "FG with", "Kept without", "Kept with", "Largest FG without", "Largest FG with"];
    let mut rows = Vec::new();
    for (without, with) in study.tuning_pairs() {
        for group in &without.measures.groups {
            let Some(other) = group.group.and_then(|group| with.measures.group(group)) else { continue };
            let both = [group, other].map(|measured| &measured.measures);
            let forgotten = both.map(|measures| Some(measures.forgotten));
            let others = both
                .map(|measures| measures.retention)
                .into_iter()
                .chain(both.map(|measures| measures.most_forgettable));
            let cells = forgotten.into_iter().chain(others);
            rows.push(Row {
                name: group.name.clone(),
                detail: format!("{} and {}", without.name, with.name),
                run: None,
                cells: cells.map(|estimate| Cell::perhaps(estimate.as_ref(), quantity::percent)).collect(),
            });
        }
    }
    Table {
        caption: "Without and with general instruction tuning first, models of the same size and architecture".into(),
        corner: "Group",
        columns: columns.map(str::to_owned).into(),
        rows,
    }
}

/// How the loss on general texts changed.
pub(super) fn losses(study: &StudyReport) -> Table {
    let mut names: Vec<&str> =
        study.models.iter().flat_map(|model| &model.measures.losses).map(|loss| loss.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let columns =
        names.iter().flat_map(|name| ["before", "after", "change"].map(|when| format!("{name} {when}"))).collect();
    let row = |model: &StudyModel| {
        let cells = names.iter().flat_map(|name| match model.measures.losses.iter().find(|loss| loss.name == *name) {
            None => [(); 3].map(|()| Cell::none()),
            Some(loss) => [
                Cell::estimate(&loss.before, quantity::score),
                Cell::estimate(&loss.last, quantity::score),
                Cell::estimate(&loss.change, quantity::signed),
            ],
        });
        cells.collect()
    };
    let table = table(study, "Loss on general texts, in nats a token: lower is better", columns, row);
    if names.is_empty() { Table { rows: Vec::new(), ..table } } else { table }
}

/// What became of watched tasks, and how the cosine of their vectors went with it: over tasks and seeds.
pub(super) fn watched(study: &StudyReport) -> Table {
    let columns = ["Cosine", "In context before", "In context after", "Loss before", "Loss after"];
    let columns = columns.into_iter().chain(["r in context", "r loss", "r loss, a look ahead"]);
    let row = |model: &StudyModel| {
        let tasks = || model.runs.iter().flat_map(|run| &run.watched);
        let over = |of: &dyn Fn(&WatchedTask) -> Option<f64>| {
            let means = model.runs.iter().map(|run| Spread::over(run.watched.iter().filter_map(of)));
            let spread = Spread::over(means.flatten().map(|spread| spread.mean));
            Cell::new(spread.map(|spread| spread.mean), spread.and_then(Spread::apart), quantity::score)
        };
        let first = |of: fn(&Look) -> f64| move |task: &WatchedTask| task.looks.first().map(of);
        let last = |of: fn(&Look) -> f64| move |task: &WatchedTask| task.looks.last().map(of);
        let in_context = |look: &Look| look.in_context;
        let loss = |look: &Look| look.loss;
        let correlations = [(Score::InContext, 0), (Score::Loss, 0), (Score::Loss, 1)]
            .map(|(score, ahead)| Cell::perhaps(correlation(tasks(), score, ahead).as_ref(), quantity::signed));
        let ends = [
            over(&last(|look| look.cosine)),
            over(&first(in_context)),
            over(&last(in_context)),
            over(&first(loss)),
            over(&last(loss)),
        ];
        ends.into_iter().chain(correlations).collect()
    };
    let caption = "Watched tasks: the cosine of their instruction vectors with those before training, and r, its correlation \
                   with the change of a score";
    let watched = study.models.iter().any(|model| model.runs.iter().any(|run| !run.watched.is_empty()));
    let table = table(study, caption, columns.map(str::to_owned).collect(), row);
    if watched { table } else { Table { rows: Vec::new(), ..table } }
}

/// KL to the start, stage by stage.
pub(super) fn divergence(study: &StudyReport) -> Table {
    let row = |model: &StudyModel| {
        let cell = |spread: &Option<Spread>| {
            let ends = spread.and_then(Spread::apart);
            Cell::new(spread.map(|spread| spread.mean), ends, quantity::score)
        };
        model.measures.divergence.iter().map(cell).collect()
    };
    let table = table(
        study,
        "KL to the start on the task of each stage, in nats a token: mean over seeds, and range",
        study.tasks(),
        row,
    );
    let none = study.models.iter().all(|model| model.measures.divergence.iter().all(Option::is_none));
    if none { Table { rows: Vec::new(), ..table } } else { table }
}

/// A row for each model.
fn table(
    study: &StudyReport,
    caption: &'static str,
    columns: Vec<String>,
    cells: impl Fn(&StudyModel) -> Vec<Cell>,
) -> Table {
    let rows = study.models.iter().enumerate().map(|(at, model)| Row {
        name: model.name.clone(),
        detail: String::new(),
        run: Some(at),
        cells: cells(model),
    });
    Table { caption: caption.into(), corner: "Model", columns, rows: rows.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn every_row_fills_every_column() {
        let mut study = sample::study();
        study.models[0].measures.groups.remove(0);
        study.models[0].measures.losses.clear();
        study.models[1].measures.sequence = None;
        study.models[2].measures.suites.remove(0);
        let few = [models(&study), sequence(&study), tuning(&study), losses(&study), divergence(&study)];
        for table in few.into_iter().chain(groups(&study)).chain(suites(&study)) {
            assert!(!table.rows.is_empty(), "{}", table.caption);
            assert!(table.rows.iter().all(|row| row.cells.len() == table.columns.len()), "{}", table.caption);
        }
    }
}

//! The tables of one run over a sequence.

use super::{Stage, SuiteColumn, TaskMeasures, findings::Findings};
use crate::report::{
    measures::{LossChange, Measured},
    quantity::{self, NONE},
    spread::Spread,
    table::{Cell, Row, Table},
};

/// The measures of the tasks, with what they mean.
pub(super) fn measures(measures: &TaskMeasures) -> Table {
    let rows = [
        ("AP", "mean score of each task right after its own stage", measures.average),
        ("FP", "mean score of all tasks after the last stage", measures.last),
        ("Forget", "AP − FP: more is worse", measures.forget),
        ("Forgetting", "how far earlier tasks fell below their best: more is worse", measures.forgetting),
        ("BWT", "what later stages did to earlier tasks: below 0 is forgetting", measures.backward),
        ("FWT", "what earlier stages did for tasks not yet trained: above 0 is help", measures.forward),
    ];
    let row = |(name, meaning, value): (&str, &str, Option<f64>)| Row {
        name: name.into(),
        detail: meaning.into(),
        run: None,
        cells: vec![Cell::new(value, None, quantity::score)],
    };
    Table {
        caption: format!("Measures of the sequence; {NONE} needs scores that were not measured").into(),
        corner: "Measure",
        columns: vec!["Value".into()],
        rows: rows.map(row).into(),
    }
}

/// What was kept and lost, by group and by suite.
pub(super) fn kept(findings: &Findings) -> [Table; 2] {
    let head =
        |caption: &'static str, corner, rows| Table { caption: caption.into(), corner, columns: columns(), rows };
    let groups = findings.model.groups.iter().map(|group| row(group, counted(group))).collect();
    let suites = findings.model.suites.iter().map(|suite| row(suite, detail(suite))).collect();
    [
        head("What was kept and lost, by group: mean over its suites, with 95% intervals", "Group", groups),
        head("What was kept and lost, by suite, with 95% intervals", "Suite", suites),
    ]
}

fn columns() -> Vec<String> {
    ["Guessing", "Before", "After", "FG", "Final drop", "Largest FG", "Kept"].map(str::to_owned).into()
}

fn row(measured: &Measured, detail: String) -> Row {
    let measures = &measured.measures;
    let cells = vec![
        Cell::plain(quantity::score(measured.chance)),
        Cell::estimate(&measures.before, quantity::score),
        Cell::estimate(&measures.last, quantity::score),
        Cell::estimate(&measures.forgotten, quantity::percent),
        Cell::estimate(&measures.final_drop, quantity::percent),
        Cell::perhaps(measures.most_forgettable.as_ref(), quantity::percent),
        Cell::perhaps(measures.retention.as_ref(), quantity::percent),
    ];
    Row { name: measured.name.clone(), detail, run: None, cells }
}

fn counted(group: &Measured) -> String {
    let suites = if group.suites == 1 { "1 suite".to_owned() } else { format!("{} suites", group.suites) };
    format!("{suites}, {} items", quantity::count(group.items as u64))
}

fn detail(suite: &Measured) -> String {
    let group = suite.group.map_or_else(|| "in no group".to_owned(), |group| group.to_string());
    format!("{group}, {} items", quantity::count(suite.items as u64))
}

/// The scores of suites of bias and their distance from one half.
pub(super) fn bias(findings: &Findings) -> Table {
    let all = findings.model.groups.iter().filter(|group| group.is_bias());
    let types = findings.model.suites.iter().filter(|suite| suite.is_bias());
    let row = |measured: &Measured, name: String| {
        let from_neutral = measured.measures.from_neutral;
        let cells = vec![
            Cell::estimate(&measured.measures.before, quantity::score),
            Cell::estimate(&measured.measures.last, quantity::score),
            Cell::perhaps(from_neutral.map(|from| from.before).as_ref(), quantity::score),
            Cell::perhaps(from_neutral.map(|from| from.last).as_ref(), quantity::score),
        ];
        Row { name, detail: counted(measured), run: None, cells }
    };
    let pooled = findings.model.pooled.iter().map(|all| row(all, format!("{}, all items as one", all.name)));
    let rows = types.map(|suite| row(suite, suite.name.clone())).chain(pooled);
    let rows = rows.chain(all.map(|group| row(group, "Mean over types".into())));
    Table {
        caption: "Bias by type: share of pairs in which the stereotype is preferred; 0.5 is neutral".into(),
        corner: "Type",
        columns: ["Before", "After", "From 0.5 before", "From 0.5 after"].map(str::to_owned).into(),
        rows: rows.collect(),
    }
}

/// The score of every suite before training and after each stage, as far as it was measured.
pub(super) fn scores(suites: &[SuiteColumn], stages: &[Stage], findings: &Findings) -> Table {
    let groups = findings.model.groups.iter().map(|group| Row {
        name: group.name.clone(),
        detail: "group: mean over its suites".into(),
        run: None,
        cells: std::iter::once(group.chance).chain(group.scores.iter().map(|score| score.mean)).map(score).collect(),
    });
    let suite = |suite: &SuiteColumn| {
        let rows = std::iter::once(Some(&suite.items.before))
            .chain((0..stages.len()).map(|stage| suite.items.after.get(stage)));
        let mean = |row: Option<&Vec<f64>>| Spread::over(row?.iter().copied()).map(|spread| spread.mean);
        let cells = rows.map(|row| Cell::new(mean(row), None, quantity::score));
        let chance = if suite.is_loss() { suite.chance.ln() } else { suite.chance };
        let metric = if suite.is_loss() { "loss, nats a token: lower is better" } else { suite.metric.as_str() };
        Row {
            name: suite.name.clone(),
            detail: metric.to_owned(),
            run: None,
            cells: std::iter::once(score(chance)).chain(cells).collect(),
        }
    };
    let columns = ["Guessing", "Before"].map(str::to_owned).into_iter();
    Table {
        caption: "General suites after each stage, groups first".into(),
        corner: "Suite",
        columns: columns.chain(stages.iter().map(|stage| stage.task.clone())).collect(),
        rows: groups.chain(suites.iter().map(suite)).collect(),
    }
}

fn score(value: f64) -> Cell {
    Cell::plain(quantity::score(value))
}

/// How the loss on general texts changed.
pub(super) fn losses(losses: &[LossChange]) -> Table {
    let row = |loss: &LossChange| Row {
        name: loss.name.clone(),
        detail: String::new(),
        run: None,
        cells: vec![
            Cell::estimate(&loss.before, quantity::score),
            Cell::estimate(&loss.last, quantity::score),
            Cell::estimate(&loss.change, quantity::signed),
        ],
    };
    Table {
        caption: "Loss on general texts, in nats a token, with 95% intervals: lower is better".into(),
        corner: "Text",
        columns: ["Before", "After", "Change"].map(str::to_owned).into(),
        rows: losses.iter().map(row).collect(),
    }
}

/// What each stage took and did.
pub(super) fn stages(stages: &[Stage], findings: &Findings) -> Table {
    let columns = ["OP", "KL to start", "Steps", "Time", "Tokens/s", "Sign flips", "L2 drift", "Merges"];
    let row = |(at, stage): (usize, &Stage)| Row {
        name: format!("{} {}", at + 1, stage.task),
        detail: acted(stage),
        run: None,
        cells: vec![
            Cell::new(findings.tasks.overall.get(at).copied().flatten(), None, quantity::score),
            Cell::new(stage.divergence, None, quantity::score),
            Cell::plain(quantity::count(stage.steps)),
            Cell::plain(quantity::duration(stage.seconds)),
            Cell::new(stage.tokens_per_second, None, |rate| quantity::count(rate.round() as u64)),
            Cell::plain(quantity::fine_percent(stage.drift.flips)),
            Cell::plain(quantity::significant(stage.drift.l2)),
            Cell::plain(quantity::count(stage.merges)),
        ],
    };
    Table {
        caption: "Stages; drift is from where the stage began".into(),
        corner: "Stage",
        columns: columns.map(str::to_owned).into(),
        rows: stages.iter().enumerate().map(row).collect(),
    }
}

fn acted(stage: &Stage) -> String {
    let hooks = stage.acted.iter().map(|(hook, steps)| format!("{hook} in {}", quantity::count(*steps)));
    let hooks: Vec<String> = hooks.collect();
    if hooks.is_empty() { String::new() } else { format!("acted: {} steps", hooks.join(", ")) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn every_row_fills_every_column() {
        let mut run = sample::sequence(1);
        run.suites[0].items.after.pop();
        let findings = Findings::new(&run).unwrap();
        let [by_group, by_suite] = kept(&findings);
        let scores = scores(&run.suites, &run.stages, &findings);
        assert_eq!(scores.rows[4].cells.last().unwrap().value, NONE, "mmlu-stem was not scored after the last stage");
        let others = [measures(&findings.tasks), bias(&findings), losses(&findings.model.losses)];
        let tables = others.into_iter().chain([by_group, by_suite, scores, stages(&run.stages, &findings)]);
        for table in tables {
            assert!(!table.rows.is_empty(), "{}", table.caption);
            assert!(table.rows.iter().all(|row| row.cells.len() == table.columns.len()), "{}", table.caption);
        }
    }
}

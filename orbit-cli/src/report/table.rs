//! The tables of a report, before anybody decided how they look.

use std::{borrow::Cow, collections::BTreeMap};

use orbit_data::continual::Estimate;
use serde::Serialize;

use super::{
    Evaluation, Interval, Report, Retrieval, Run, SuiteScore, Text,
    labels::{self, UNTOUCHED},
    quantity::{self, NONE},
};

/// Named rows under named columns; each row has a cell for each column.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    pub(super) caption: Cow<'static, str>,
    /// What the rows are.
    pub(super) corner: &'static str,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Row>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    /// What else identifies the row: the hooks of a run, the metric of a suite.
    pub(super) detail: String,
    /// Place of the run in the report, for its colour; `None` for what was not trained.
    pub(super) run: Option<usize>,
    pub(super) cells: Vec<Cell>,
}

/// A value with, perhaps, its 95% interval.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Cell {
    pub(super) value: String,
    pub(super) interval: String,
}

/// One row for each model, with what matters most.
pub(super) fn models(report: &Report) -> Table {
    let columns =
        ["Language kept", "Recall@10", "NDCG@10", "Sign flips", "L2 drift", "Merges", "Steps", "Training time"];
    let mut rows = Vec::new();
    if let Some(Evaluation { text, retrieval }) = &report.untouched {
        rows.push(not_trained(UNTOUCHED, text.as_ref(), retrieval.as_ref()));
    }
    rows.extend(report.runs.iter().enumerate().map(|(i, run)| trained(i, run)));
    let baselines = report.baselines.iter().flatten();
    rows.extend(baselines.map(|(name, retrieval)| not_trained(labels::baseline(name), None, Some(retrieval))));
    let caption = "Models: language ability against the new job".into();
    Table { caption, corner: "Model", columns: columns.map(str::to_owned).into(), rows }
}

fn trained(index: usize, run: &Run) -> Row {
    let training = [
        quantity::fine_percent(run.drift.flips),
        quantity::significant(run.drift.l2),
        quantity::count(run.merges),
        quantity::count(run.steps),
        quantity::duration(run.seconds),
    ];
    let quality = quality(run.text.as_ref(), run.retrieval.as_ref());
    let cells = quality.into_iter().chain(training.map(Cell::plain)).collect();
    Row { name: run.heading(), detail: run.hooks.join(" → "), run: Some(index), cells }
}

fn not_trained(name: &str, text: Option<&Text>, retrieval: Option<&Retrieval>) -> Row {
    let cells = quality(text, retrieval).into_iter().chain([(); 5].map(|()| Cell::none())).collect();
    Row { name: name.to_owned(), detail: String::new(), run: None, cells }
}

/// Language kept, Recall@10, NDCG@10.
fn quality(text: Option<&Text>, retrieval: Option<&Retrieval>) -> [Cell; 3] {
    let kept = text.map(|text| Cell::new(text.retention, text.ci, quantity::percent));
    let recall = retrieval.map(|r| Cell::new(r.recall_at_10(), r.ci.recall.get(&10).copied(), quantity::retrieval));
    let ndcg = retrieval.map(|r| Cell::new(r.ndcg.get(&10).copied(), r.ci.ndcg.get(&10).copied(), quantity::retrieval));
    [kept, recall, ndcg].map(|cell| cell.unwrap_or_else(Cell::none))
}

/// One row for each run, with what its training needed; `None` when nothing was trained.
pub(super) fn training(report: &Report) -> Option<Table> {
    let columns = ["Tokens/s", "Padding", "Peak memory", "DTIP"];
    let row = |(i, run): (usize, &Run)| {
        let cells = [
            run.tokens_per_second.map(|rate| quantity::count(rate.round() as u64)),
            run.padding_share.map(quantity::percent),
            run.peak_memory_bytes.map(quantity::bytes),
            run.dtip.map(quantity::score),
        ];
        let cells = cells.map(|cell| cell.map_or_else(Cell::none, Cell::plain)).into();
        Row { name: run.heading(), detail: String::new(), run: Some(i), cells }
    };
    let rows: Vec<Row> = report.runs.iter().enumerate().map(row).collect();
    let columns = columns.map(str::to_owned).into();
    (!rows.is_empty()).then_some(Table { caption: "Training and selection".into(), corner: "Model", columns, rows })
}

/// One row for each suite, with the score of each model; `None` when no text was evaluated.
pub(super) fn suites(report: &Report) -> Option<Table> {
    let untouched = report.untouched.as_ref().and_then(|model| model.text.as_ref());
    let models: Vec<(String, &Text)> = untouched
        .map(|text| (UNTOUCHED.to_owned(), text))
        .into_iter()
        .chain(report.runs.iter().filter_map(|run| run.text.as_ref().map(|text| (run.heading(), text))))
        .collect();
    let mut names: Vec<&str> = models.iter().flat_map(|(_, text)| text.suites.keys().map(String::as_str)).collect();
    names.sort_unstable();
    names.dedup();
    let rows: Vec<Row> = names.iter().filter_map(|name| suite(name, &models)).collect();
    (!rows.is_empty()).then(|| Table {
        caption: "Language suites: score and 95% interval".into(),
        corner: "Suite",
        columns: std::iter::once("Chance".to_owned()).chain(models.into_iter().map(|(name, _)| name)).collect(),
        rows,
    })
}

fn suite(name: &str, models: &[(String, &Text)]) -> Option<Row> {
    let scores: Vec<Option<&SuiteScore>> = models.iter().map(|(_, text)| text.suites.get(name)).collect();
    let any = *scores.iter().flatten().next()?;
    let direction = match any {
        suite if suite.lower_is_better() => ", lower is better",
        suite if suite.is_bias() => ", one half is neutral",
        _ => "",
    };
    let cell = |suite: &Option<&SuiteScore>| {
        suite.map_or_else(Cell::none, |suite| Cell::new(Some(suite.score), suite.ci, quantity::score))
    };
    Some(Row {
        name: name.to_owned(),
        detail: format!("{}{direction}, {} items", any.metric, quantity::count(any.items)),
        run: None,
        cells: std::iter::once(Cell::plain(quantity::score(any.chance))).chain(scores.iter().map(cell)).collect(),
    })
}

/// One row for each recommender, with every cut-off; `None` when no retrieval was evaluated.
pub(super) fn retrieval(report: &Report) -> Option<Table> {
    let untouched = report.untouched.as_ref().and_then(|model| model.retrieval.as_ref());
    let runs = report.runs.iter().enumerate();
    let runs = runs.filter_map(|(i, run)| Some((run.heading(), Some(i), run.retrieval.as_ref()?)));
    let baselines = report.baselines.iter().flatten();
    let baselines = baselines.map(|(name, retrieval)| (labels::baseline(name).to_owned(), None, retrieval));
    let first = untouched.map(|retrieval| (UNTOUCHED.to_owned(), None, retrieval));
    let all: Vec<(String, Option<usize>, &Retrieval)> = first.into_iter().chain(runs).chain(baselines).collect();
    let mut cutoffs: Vec<u32> =
        all.iter().flat_map(|(_, _, r)| r.recall.keys().chain(r.ndcg.keys()).copied()).collect();
    cutoffs.sort_unstable();
    cutoffs.dedup();
    let names = ["Recall", "NDCG"].iter().flat_map(|metric| cutoffs.iter().map(move |k| format!("{metric}@{k}")));
    let mut reciprocal: Vec<u32> = all.iter().flat_map(|(_, _, r)| r.mrr.keys().copied()).collect();
    reciprocal.sort_unstable();
    reciprocal.dedup();
    let columns = names.chain(reciprocal.iter().map(|k| format!("MRR@{k}"))).collect();
    let (users, caption) = match report.finds_documents() {
        false => ("users", "Retrieval over the full catalogue"),
        true => ("queries", "Retrieval over all documents: recall is the share of queries with a right one, Hits@k"),
    };
    let row = |(name, run, r): (String, Option<usize>, &Retrieval)| {
        let at = |values: &BTreeMap<u32, f64>, k: &u32| Cell::new(values.get(k).copied(), None, quantity::retrieval);
        let recall = cutoffs.iter().map(|k| at(&r.recall, k));
        let ndcg = cutoffs.iter().map(|k| at(&r.ndcg, k));
        let cells = recall.chain(ndcg).chain(reciprocal.iter().map(|k| at(&r.mrr, k))).collect();
        Row { name, detail: format!("{} {users}", quantity::count(r.users)), run, cells }
    };
    let rows: Vec<Row> = all.into_iter().map(row).collect();
    (!rows.is_empty()).then_some(Table { caption: caption.into(), corner: "Model", columns, rows })
}

impl Cell {
    pub(super) fn new(value: Option<f64>, ends: Option<Interval>, number: fn(f64) -> String) -> Self {
        let Some(value) = value else { return Self::none() };
        let interval = ends.map_or_else(String::new, |ends| quantity::interval(ends, number));
        Self { value: number(value), interval }
    }

    /// What an estimate came to, with its interval.
    pub(super) fn estimate(estimate: &Estimate, number: fn(f64) -> String) -> Self {
        Self::new(Some(estimate.value), ends(estimate), number)
    }

    /// As [`estimate`](Self::estimate), where there may be none.
    pub(super) fn perhaps(estimate: Option<&Estimate>, number: fn(f64) -> String) -> Self {
        estimate.map_or_else(Self::none, |estimate| Self::estimate(estimate, number))
    }

    pub(super) fn plain(value: String) -> Self {
        Self { value, interval: String::new() }
    }

    pub(super) fn none() -> Self {
        Self::plain(NONE.to_owned())
    }
}

/// The ends of an estimate's interval.
pub(super) fn ends(estimate: &Estimate) -> Option<Interval> {
    estimate.interval.map(|interval| [interval.low, interval.high])
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};

    #[test]
    fn every_row_fills_every_column() {
        let mut report = sample::report();
        report.runs[1].text = None;
        report.runs[2].retrieval = None;
        let tables = [Some(models(&report)), suites(&report), retrieval(&report), training(&report)];
        for table in tables.into_iter().flatten() {
            assert!(table.rows.iter().all(|row| row.cells.len() == table.columns.len()), "{}", table.caption);
        }
        assert_eq!(models(&report).rows.len(), 6);
    }

    #[test]
    fn unmeasured_tables_are_absent() {
        let mut report = sample::report();
        (report.untouched, report.baselines) = (None, None);
        report.runs.clear();
        assert!(suites(&report).is_none() && retrieval(&report).is_none());
        assert!(models(&report).rows.is_empty());
    }

    #[test]
    fn suites_missing_from_one_model_stay_in_line() {
        let mut report = sample::report();
        report.runs[0].text.as_mut().map(|text| text.suites.remove("blimp"));
        let table = suites(&report).map(|table| table.rows).unwrap_or_default();
        assert_eq!(table[1].name, "blimp");
        assert_eq!(table[1].cells[2].value, NONE);
    }
}

//! Several runs over sequences of tasks side by side.

use std::path::Path;

use anyhow::{Result, ensure};

use super::{
    Headline, SequenceReport, file,
    measures::{Measured, ModelMeasures},
    page::{Block, Fact, Page},
    quantity,
    sequence::{SUITE_TERMS, TaskMeasures, method},
    table::{Cell, Row, Table},
    text::{captioned, opening},
};

/// Runs with what they came to.
pub(crate) struct Comparison {
    runs: Vec<Compared>,
}

struct Compared {
    report: SequenceReport,
    tasks: TaskMeasures,
    model: ModelMeasures,
}

impl Comparison {
    /// Measures each run.
    ///
    /// # Errors
    /// Without runs, and when the columns of one do not fit its stages.
    pub(crate) fn new(reports: Vec<SequenceReport>) -> Result<Self> {
        ensure!(!reports.is_empty(), "there is no report to show");
        let compared = |report: SequenceReport| {
            let model = ModelMeasures::new(std::slice::from_ref(&report))?;
            Ok(Compared { tasks: TaskMeasures::new(&report), model, report })
        };
        Ok(Self { runs: reports.into_iter().map(compared).collect::<Result<_>>()? })
    }

    /// Writes `report.html` into `directory`, which must exist. The numbers are in the reports of the runs.
    ///
    /// # Errors
    /// When the file cannot be written; the message names it.
    pub(crate) fn save(&self, directory: &Path) -> Result<()> {
        file::write(&directory.join("report.html"), &self.html()?)
    }

    /// The comparison for a terminal, with a final newline and without colours.
    pub(crate) fn text(&self) -> String {
        let tables = [self.settings(), self.measures(), self.kept()];
        let mut text = opening(&self.title(), &self.headline());
        tables.iter().filter(|table| !table.rows.is_empty()).for_each(|table| text += &captioned(table));
        text
    }

    fn html(&self) -> Result<String> {
        Page::new(&self.title(), self.headline(), self.origin())
            .section("The runs", [Block::Table(self.settings())])
            .section("The tasks", [Block::Table(self.measures())])
            .section("What the model could do before", [Block::Table(self.kept())])
            .terms(&SUITE_TERMS)
            .render()
    }

    fn title(&self) -> String {
        let titles: Vec<&str> = self.runs.iter().map(|run| run.report.title.as_str()).collect();
        titles.join(", ")
    }

    /// Which run did best, and whether they can be compared at all.
    fn headline(&self) -> Headline {
        let best = |of: fn(&Compared) -> Option<f64>| {
            let measured = self.runs.iter().filter_map(|run| Some((run, of(run)?)));
            measured.max_by(|a, b| a.1.total_cmp(&b.1))
        };
        let learned = best(|run| run.tasks.last).map(|(run, score)| {
            format!("{} has the best mean score of the tasks in the end, {}", run.report.title, quantity::score(score))
        });
        let kept = best(Compared::kept).map(|(run, kept)| {
            format!(
                "{} kept most of what it could do before, {} on the mean over groups",
                run.report.title,
                quantity::percent(kept)
            )
        });
        let parts: Vec<String> = [learned, kept].into_iter().flatten().collect();
        let summary = match parts.as_slice() {
            [] => format!("{} runs, of which nothing was measured that could be compared.", self.runs.len()),
            parts => format!("Of {} runs, {}.", self.runs.len(), parts.join("; ")),
        };
        let seeds = "The intervals are over questions alone: a difference between two runs may be that of their seeds."
            .to_owned();
        let missing = self
            .runs
            .iter()
            .flat_map(|run| run.model.unmeasured.iter().map(|why| format!("{}: {why}", run.report.title)));
        Headline { summary, cautions: self.differences().into_iter().chain([seeds]).chain(missing).collect() }
    }

    /// What makes runs hard to compare.
    fn differences(&self) -> Vec<String> {
        let Some((first, others)) = self.runs.split_first() else { return Vec::new() };
        let mut differences = Vec::new();
        for other in others {
            let between = format!("{} and {}", first.report.title, other.report.title);
            if first.report.model != other.report.model {
                differences.push(format!("{between} began with different weights."));
            }
            if let Err(difference) = super::alike::check_models(&first.report, &other.report, &between) {
                differences.push(format!("{difference}."));
            }
        }
        differences
    }

    /// What was done.
    fn settings(&self) -> Table {
        let columns = ["Hooks", "Adapters", "Replay", "Trained", "Steps", "Time", "Seed"];
        let row = |run: &Compared| {
            let report = &run.report;
            let hooks = if report.hooks.is_empty() { "none".to_owned() } else { report.hooks.join(" → ") };
            let steps = report.stages.iter().map(|stage| stage.steps).sum();
            let seconds = report.stages.iter().map(|stage| stage.seconds).sum();
            let adapters = report.adapters.as_deref().unwrap_or("none").replace('_', " ");
            let replay = quantity::fine_percent(report.replay_share);
            let trained = quantity::parameters(report.trained_parameters as f64);
            let cells = [
                hooks,
                adapters,
                replay,
                trained,
                quantity::count(steps),
                quantity::duration(seconds),
                report.seed.to_string(),
            ];
            cells.map(Cell::plain).into()
        };
        self.table("What was done", columns.map(str::to_owned).into(), row)
    }

    /// What was learned of the tasks.
    fn measures(&self) -> Table {
        let columns = ["AP", "FP", "Forget", "BWT", "FWT", "KL to start, last stage"];
        let row = |run: &Compared| {
            let TaskMeasures { average, last, forget, backward, forward, .. } = run.tasks;
            let divergence = run.report.stages.last().and_then(|stage| stage.divergence);
            [average, last, forget, backward, forward, divergence]
                .map(|value| Cell::new(value, None, quantity::score))
                .into()
        };
        self.table("Measures of the sequence", columns.map(str::to_owned).into(), row)
    }

    /// What was kept, by group, then by suite; then how the loss changed. A column for each run.
    fn kept(&self) -> Table {
        let measured = |row: &dyn Fn(&ModelMeasures) -> Vec<(String, Cell)>| {
            let of = |run: &Compared| row(&run.model);
            let runs: Vec<Vec<(String, Cell)>> = self.runs.iter().map(of).collect();
            rows(&runs)
        };
        let groups = |model: &ModelMeasures| kept(&model.groups, "group");
        let suites = |model: &ModelMeasures| kept(&model.suites, "suite");
        let losses = |model: &ModelMeasures| {
            let losses = model.losses.iter();
            losses
                .map(|loss| (format!("{} (change of loss)", loss.name), Cell::estimate(&loss.change, quantity::signed)))
                .collect()
        };
        Table {
            caption: "Kept of what was above guessing, with 95% intervals; loss in nats a token".into(),
            corner: "Measured",
            columns: self.runs.iter().map(|run| run.report.title.clone()).collect(),
            rows: [measured(&groups), measured(&suites), measured(&losses)].concat(),
        }
    }

    fn table(&self, caption: &'static str, columns: Vec<String>, cells: impl Fn(&Compared) -> Vec<Cell>) -> Table {
        let rows = self.runs.iter().enumerate().map(|(at, run)| Row {
            name: run.report.title.clone(),
            detail: method(&run.report),
            run: Some(at),
            cells: cells(run),
        });
        Table { caption: caption.into(), corner: "Run", columns, rows: rows.collect() }
    }

    fn origin(&self) -> Vec<Fact> {
        let run = |run: &Compared| {
            let SequenceReport { title, command, started, version, device, .. } = &run.report;
            Fact::new("Run", format!("{title}: {command} (orbit {version}, {started}, {device})"))
        };
        self.runs.iter().map(run).collect()
    }
}

/// What was kept of all that can be.
fn kept(measured: &[Measured], what: &str) -> Vec<(String, Cell)> {
    let measured = measured.iter().filter(|measured| !measured.is_bias());
    let cell = |measured: &Measured| Cell::perhaps(measured.measures.retention.as_ref(), quantity::percent);
    measured.map(|measured| (format!("{} ({what})", measured.name), cell(measured))).collect()
}

/// A row for each name, in the order in which they first come; a cell for each run.
fn rows(runs: &[Vec<(String, Cell)>]) -> Vec<Row> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in runs.iter().flatten() {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let find = |run: &[(String, Cell)], name: &str| {
        run.iter().find(|(other, _)| other == name).map_or_else(Cell::none, |(_, cell)| cell.clone())
    };
    let row = |name: &str| Row {
        name: name.to_owned(),
        detail: String::new(),
        run: None,
        cells: runs.iter().map(|run| find(run, name)).collect(),
    };
    names.into_iter().map(row).collect()
}

impl Compared {
    /// The mean retention over groups.
    fn kept(&self) -> Option<f64> {
        let kept = self.model.groups.iter().filter_map(|group| group.measures.retention);
        super::spread::Spread::over(kept.map(|kept| kept.value)).map(|spread| spread.mean)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{super::sample, *};

    #[test]
    fn runs_stand_side_by_side() {
        let mut protected = sample::sequence(2);
        (protected.title, protected.hooks) = ("with orbit".into(), vec!["orbit".into()]);
        let comparison = Comparison::new(vec![sample::sequence(1), protected]).unwrap();
        assert_eq!(comparison.kept().rows.len(), 3 + 5 + 1);
        for table in [comparison.settings(), comparison.measures(), comparison.kept()] {
            assert!(table.rows.iter().all(|row| row.cells.len() == table.columns.len()), "{}", table.caption);
        }
        let text = comparison.text();
        assert!(
            text.contains("with orbit")
                && text.contains("reasoning (group)")
                && text.contains("may be that of their seeds")
        );
        assert!(!text.contains("different"), "{text}");
        let directory = tempfile::tempdir().unwrap();
        comparison.save(directory.path()).unwrap();
        assert!(std::fs::read_to_string(directory.path().join("report.html")).unwrap().contains("with orbit"));
    }

    #[test]
    fn what_differs_is_said() {
        let mut other = sample::sequence(2);
        (other.title, other.model) = ("other".into(), "sha256:other".into());
        other.tasks[0].name = "poems".into();
        let text = Comparison::new(vec![sample::sequence(1), other]).unwrap().text();
        assert!(
            text.contains("began with different weights.") && text.contains("have different tasks: simplify"),
            "{text}"
        );
        assert!(Comparison::new(Vec::new()).is_err());
    }
}

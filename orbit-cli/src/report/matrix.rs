//! R, the scores of the tasks over the stages, as rows and columns to show.

use super::{
    Interval,
    quantity::{self, NONE},
    sequence::{SequenceReport, TaskScore},
    table::{Cell, Row, Table},
};

/// Characters of all tasks' names that a table has room for.
const NAMES: usize = 72;

/// R: a row before training and one after each stage, a column for each task.
pub(super) struct Matrix {
    pub(super) columns: Vec<MatrixColumn>,
    /// Names of the rows.
    pub(super) rows: Vec<String>,
    /// Row by row; none where nothing was measured.
    pub(super) cells: Vec<Vec<Option<Entry>>>,
    /// How many runs it is the mean of.
    pub(super) runs: usize,
}

/// A task.
pub(super) struct MatrixColumn {
    pub(super) name: String,
    pub(super) metric: String,
    /// The best score it ever had.
    pub(super) best: Option<f64>,
}

/// A score, as the mean over the runs that measured it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) value: f64,
    /// Of one run its 95% interval over items; of several the lowest and the highest.
    pub(super) ends: Option<Interval>,
}

impl Matrix {
    /// R as the mean over runs of the same tasks.
    pub(super) fn of(runs: &[SequenceReport]) -> Self {
        let tasks = runs.first().map_or(&[][..], |run| run.tasks.as_slice());
        let stages = tasks.len();
        let rows = std::iter::once("Before".to_owned())
            .chain(tasks.iter().enumerate().map(|(i, task)| format!("After {}", numbered(i, &task.name))));
        let cells: Vec<Vec<Option<Entry>>> =
            (0..=stages).map(|row| (0..tasks.len()).map(|column| entry(runs, row, column)).collect()).collect();
        let best = |column: usize| cells.iter().filter_map(|row| Some(row[column]?.value)).reduce(f64::max);
        let columns = tasks.iter().enumerate().map(|(i, task)| MatrixColumn {
            name: numbered(i, &task.name),
            metric: task.metric.clone(),
            best: best(i),
        });
        Self { columns: columns.collect(), rows: rows.collect(), cells, runs: runs.len() }
    }

    /// Whether the score in this row and column is that of the task that was just trained.
    pub(super) fn just_trained(row: usize, column: usize) -> bool {
        row == column + 1
    }

    /// Scores that were not measured of tasks that had been trained by then.
    pub(super) fn missing(&self) -> usize {
        let trained = |row: usize| (0..self.columns.len()).filter(move |column| row > *column);
        (0..self.rows.len())
            .flat_map(|row| trained(row).filter(move |&column| self.cells[row][column].is_none()))
            .count()
    }

    /// Cells of tasks that had been trained by then.
    pub(super) fn trained(&self) -> usize {
        self.columns.len() * (self.columns.len() + 1) / 2
    }

    /// Whether anything was measured.
    pub(super) fn is_empty(&self) -> bool {
        self.cells.iter().flatten().all(Option::is_none)
    }

    pub(super) fn table(&self) -> Table {
        let cell = |entry: &Option<Entry>| {
            entry.map_or_else(Cell::none, |entry| Cell::new(Some(entry.value), entry.ends, quantity::score))
        };
        let rows = self.rows.iter().zip(&self.cells).map(|(name, cells)| Row {
            name: name.clone(),
            detail: String::new(),
            run: None,
            cells: cells.iter().map(cell).collect(),
        });
        let of =
            if self.runs == 1 { "and 95% interval over questions" } else { "as the mean over seeds, and their range" };
        // The rows name the tasks too.
        let short = self.columns.iter().map(|column| column.name.chars().count()).sum::<usize>() > NAMES;
        let heading = |at: usize, column: &MatrixColumn| {
            let name = if short { (at + 1).to_string() } else { column.name.clone() };
            format!("{name} ({})", column.metric)
        };
        Table {
            caption: format!("Scores of the tasks after each stage (R), {of}; {NONE} is not measured").into(),
            corner: "Stage",
            columns: self.columns.iter().enumerate().map(|(at, column)| heading(at, column)).collect(),
            rows: rows.collect(),
        }
    }
}

fn numbered(index: usize, name: &str) -> String {
    format!("{} {name}", index + 1)
}

fn entry(runs: &[SequenceReport], row: usize, column: usize) -> Option<Entry> {
    let score = |run: &SequenceReport| -> Option<TaskScore> {
        let task = run.tasks.get(column)?;
        let score = if row == 0 { task.before.clone() } else { task.after.get(row - 1).cloned().flatten() };
        score.filter(|score| score.value.is_finite())
    };
    let scores: Vec<TaskScore> = runs.iter().filter_map(score).collect();
    let values = || scores.iter().map(|score| score.value);
    let ends = match scores.as_slice() {
        [] => return None,
        [one] => one.ci,
        _ => Some([values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max)]),
    };
    Some(Entry { value: values().sum::<f64>() / scores.len() as f64, ends })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{super::sample, *};

    #[test]
    fn several_runs_are_averaged_with_their_range() {
        let mut runs = vec![sample::sequence(1), sample::sequence(2)];
        for (run, value) in runs.iter_mut().zip([0.5, 0.7]) {
            run.tasks[0].after[0] = Some(TaskScore { value, ci: Some([0.0, 1.0]) });
        }
        runs[1].tasks[1].after[1] = None;
        let matrix = Matrix::of(&runs);
        let entry = matrix.cells[1][0].unwrap();
        assert!((entry.value - 0.6).abs() < 1e-12 && entry.ends == Some([0.5, 0.7]), "{entry:?}");
        // One of the runs alone measured it: that is its own interval.
        assert_eq!(matrix.cells[2][1].unwrap().ends, runs[0].tasks[1].after[1].as_ref().unwrap().ci);
        assert_eq!((matrix.missing(), matrix.trained()), (0, 6));
        assert!(matrix.table().rows.iter().all(|row| row.cells.len() == 3));
    }

    #[test]
    fn cells_without_a_score_stay_empty() {
        let mut run = sample::sequence(1);
        run.tasks[0].after[2] = None;
        let matrix = Matrix::of(std::slice::from_ref(&run));
        assert_eq!((matrix.cells[3][0], matrix.missing()), (None, 1));
        assert_eq!(matrix.table().rows[3].cells[0].value, NONE);
        run.tasks.iter_mut().for_each(|task| (task.before, task.after) = (None, vec![None; 3]));
        assert!(Matrix::of(&[run]).is_empty());
        assert!(Matrix::of(&[]).is_empty());
    }
}

//! The instruction vectors of tasks that a run watched: how they moved, and whether that told what became of the tasks.

use orbit_data::continual::Estimate;
use orbit_data::statistics::{bootstrap, pearson};
use serde::{Deserialize, Serialize};

use super::{
    plot::{Figure, watched},
    quantity,
    table::{Cell, Row, Table},
};

const RESAMPLES: usize = 1000;

/// A task that was not trained, over the steps of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct WatchedTask {
    /// Its name.
    pub name: String,
    /// In the order of the steps; the first is before training.
    pub looks: Vec<Look>,
}

/// One look at a task.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Look {
    /// Steps done, over all stages.
    pub step: u64,
    /// Of the instruction vector with what it was before training.
    pub cosine: f64,
    /// The share of prompts with examples after which the answer's first token is the likeliest.
    pub in_context: f64,
    /// Of the answers to the instruction alone, in nats a token.
    pub loss: f64,
}

/// A score of a watched task that the cosine may tell of.
#[derive(Clone, Copy)]
pub(super) enum Score {
    InContext,
    Loss,
}

impl Score {
    fn of(self, look: &Look) -> f64 {
        match self {
            Self::InContext => look.in_context,
            Self::Loss => look.loss,
        }
    }
}

impl WatchedTask {
    /// The cosine of each look but the first, with how far the score is from before training `ahead` looks later.
    fn pairs(&self, score: Score, ahead: usize) -> Vec<(f64, f64)> {
        let Some((first, looks)) = self.looks.split_first() else { return Vec::new() };
        let later = looks.iter().skip(ahead);
        looks.iter().zip(later).map(|(look, later)| (look.cosine, score.of(later) - score.of(first))).collect()
    }

    /// The last look with the one before training.
    fn ends(&self) -> Option<(&Look, &Look)> {
        self.looks.first().zip(self.looks.last())
    }
}

/// The correlation of the cosine with the change of a score, over all looks at all tasks, with the 95% interval over tasks.
pub(super) fn correlation<'a>(
    tasks: impl IntoIterator<Item = &'a WatchedTask>,
    score: Score,
    ahead: usize,
) -> Option<Estimate> {
    let tasks: Vec<Vec<(f64, f64)>> = tasks.into_iter().map(|task| task.pairs(score, ahead)).collect();
    let over = |drawn: &[usize]| pearson(&drawn.iter().flat_map(|&at| tasks[at].iter().copied()).collect::<Vec<_>>());
    let value = over(&(0..tasks.len()).collect::<Vec<_>>())?;
    let interval =
        (tasks.len() > 2).then(|| bootstrap(&[tasks.len()], RESAMPLES, 0, |drawn| over(&drawn[0]))).flatten();
    Some(Estimate { value, interval })
}

/// A row for each task, and one for all.
pub(super) fn table(tasks: &[WatchedTask]) -> Table {
    let columns = ["Cosine", "In context", "Loss", "r in context", "r loss", "r loss, a look ahead"];
    let correlations = |tasks: &[WatchedTask]| {
        [(Score::InContext, 0), (Score::Loss, 0), (Score::Loss, 1)]
            .map(|(score, ahead)| Cell::perhaps(correlation(tasks, score, ahead).as_ref(), quantity::signed))
    };
    let row = |task: &WatchedTask| {
        let ends = task.ends();
        let change = |score: Score| {
            ends.map_or_else(Cell::none, |(first, last)| {
                let [first, last] = [first, last].map(|look| quantity::score(score.of(look)));
                Cell::plain(format!("{first} → {last}"))
            })
        };
        let cosine = Cell::new(ends.map(|(_, last)| last.cosine), None, quantity::score);
        let cells = [cosine, change(Score::InContext), change(Score::Loss)];
        let cells = cells.into_iter().chain(correlations(std::slice::from_ref(task))).collect();
        Row { name: task.name.clone(), detail: String::new(), run: None, cells }
    };
    let mut rows: Vec<Row> = tasks.iter().map(row).collect();
    if tasks.len() > 1 {
        let cells = [(); 3].map(|()| Cell::none()).into_iter().chain(correlations(tasks)).collect();
        rows.push(Row { name: "all".into(), detail: "every look at every task".into(), run: None, cells });
    }
    Table {
        caption: "Watched tasks, before training → in the end; r is the correlation of the cosine with the change"
            .into(),
        corner: "Task",
        columns: columns.map(str::to_owned).into(),
        rows,
    }
}

/// The cosine over the steps, and the change of the loss against it.
pub(super) fn figures(tasks: &[WatchedTask], stages: &[u64]) -> Vec<Figure> {
    let told = correlation(tasks, Score::Loss, 0);
    [watched::over_steps(tasks, stages), watched::against_loss(tasks, told.as_ref())].into_iter().flatten().collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn task(name: &str, looks: &[(u64, f64, f64)]) -> WatchedTask {
        let look = |&(step, cosine, loss): &(u64, f64, f64)| Look { step, cosine, in_context: 0.5, loss };
        WatchedTask { name: name.into(), looks: looks.iter().map(look).collect() }
    }

    #[test]
    fn a_cosine_that_falls_as_the_loss_rises() {
        let falling = task("a", &[(0, 1.0, 2.0), (10, 0.9, 2.1), (20, 0.8, 2.2), (30, 0.7, 2.3)]);
        let found = correlation([&falling], Score::Loss, 0).unwrap();
        assert!((found.value + 1.0).abs() < 1e-9 && found.interval.is_none());
        assert!((correlation([&falling], Score::Loss, 1).unwrap().value + 1.0).abs() < 1e-9);
        // The score in context does not change, and nothing goes with what does not.
        assert_eq!(correlation([&falling], Score::InContext, 0), None);
        // The look before training is what the others are compared with.
        assert_eq!(falling.pairs(Score::Loss, 0).len(), 3);
        assert_eq!(falling.pairs(Score::Loss, 1).len(), 2);
    }

    #[test]
    fn tables_are_full_and_one_task_has_no_row_for_all() {
        let falling = task("a", &[(0, 1.0, 2.0), (10, 0.9, 2.1), (20, 0.8, 2.2)]);
        assert_eq!(table(std::slice::from_ref(&falling)).rows.len(), 1);
        let both = [falling, task("b", &[(0, 1.0, 2.0)])];
        let table = table(&both);
        assert_eq!(table.rows.len(), 3);
        assert!(table.rows.iter().all(|row| row.cells.len() == table.columns.len()));
        assert_eq!(figures(&both, &[20]).len(), 2);
        assert!(figures(&[], &[20]).is_empty());
    }
}

//! What was learned and what was kept over a sequence of tasks.
//!
//! [`Scores`] holds R: row `t` has the scores after stage `t`, column `i` belongs to task or suite `i`. Stages, tasks
//! and suites count from 0 here; the papers count from 1. Every measure is a function of R and asks only for the cells
//! that its formula has. A cell that is not there is an error that names it, never a zero.
//!
//! | measure | formula | source |
//! |---|---|---|
//! | [`average_performance`](Scores::average_performance), AP | mean over i of R\[i\]\[i\] | arXiv 2502.11019 |
//! | [`final_performance`](Scores::final_performance), FP | mean over i of R\[T-1\]\[i\] | arXiv 2502.11019 |
//! | [`overall_performance`](Scores::overall_performance), OP | mean over i <= t of R\[t\]\[i\] | TRACE, arXiv 2310.06762 |
//! | [`forget`](Scores::forget) | AP - FP | arXiv 2502.11019 |
//! | [`forgetting`](Scores::forgetting) | mean over i < T-1 of (max over i <= t < T-1 of R\[t\]\[i\]) - R\[T-1\]\[i\] | Chaudhry et al., arXiv 1801.10112 |
//! | [`backward_transfer`](Scores::backward_transfer), BWT | mean over i < T-1 of R\[T-1\]\[i\] - R\[i\]\[i\] | GEM, arXiv 1706.08840 |
//! | [`backward_transfer_at`](Scores::backward_transfer_at) | mean over i <= t of R\[t\]\[i\] - R\[i\]\[i\] | TRACE |
//! | [`forward_transfer`](Scores::forward_transfer), FWT | mean over i > 0 of R\[i-1\]\[i\] - before\[i\] | GEM |
//! | [`transfer_over_alone`](Scores::transfer_over_alone) | mean over i of R\[i\]\[i\] - alone\[i\] | SAPT's evaluation |
//! | [`forgotten`](Scores::forgotten), FG | mean over t of (before\[i\] - R\[t\]\[i\]) / before\[i\] | Luo et al., arXiv 2308.08747 |
//! | [`final_drop`](Scores::final_drop) | (before\[i\] - R\[N-1\]\[i\]) / before\[i\] | |
//! | [`most_forgettable`](Scores::most_forgettable) | (before\[i\] - chance\[i\]) / before\[i\] | |
//! | [`retention`](Scores::retention) | (R\[N-1\]\[i\] - chance\[i\]) / (before\[i\] - chance\[i\]) | |
//! | [`retention_of_learned`](Scores::retention_of_learned) | (R\[T-1\]\[i\] - chance\[i\]) / (R\[i\]\[i\] - chance\[i\]) | |
//! | [`change`](Scores::change) | R\[t\]\[i\] - before\[i\] | TRACE's general ability delta is its mean |
//!
//! [`SequenceMeasures`] are those of tasks over the runs of several seeds, and a [`Study`] those of suites and groups of
//! suites, from the scores of single items, both with intervals.
//!
//! Beware of the names: what the evaluation of SAPT and others call AP is FP here. FG, the final drop and the most that
//! can be forgotten belong together: a suite that started near its floor cannot show much forgetting by FG, however
//! much was lost.

mod estimate;
mod measures;
mod sequence;
mod study;
#[cfg(test)]
mod study_tests;
mod suites;
mod tasks;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::estimate::{BOOTSTRAP_SEED, Estimate, RESAMPLES};
pub use self::measures::{FromNeutral, Measures};
pub use self::sequence::SequenceMeasures;
pub use self::study::{ItemScores, Study, SuiteRuns};

use crate::{Error, Result};

/// Scores of some columns, which are tasks or general suites, before training and after each of its stages.
///
/// All scores are on one scale where more is better, `[0, 1]` for a [`Metric`](crate::metric::Metric); a measure has
/// the unit of the scores, or is a share where its formula divides by them.
///
/// Three tasks, worked by hand:
///
/// ```
/// use orbit_data::continual::Scores;
/// let mut scores = Scores::of_tasks(["a", "b", "c"])?;
/// scores.set_before(&[0.2, 0.3, 0.1])?;
/// scores.set_stage(0, &[0.8, 0.4, 0.1])?;
/// scores.set_stage(1, &[0.9, 0.7, 0.2])?;
/// scores.set_stage(2, &[0.5, 0.6, 0.6])?;
///
/// let near = |value: f64, by_hand: f64| assert!((value - by_hand).abs() < 1e-12, "{value} {by_hand}");
/// near(scores.average_performance()?, (0.8 + 0.7 + 0.6) / 3.0);
/// near(scores.final_performance()?, (0.5 + 0.6 + 0.6) / 3.0);
/// near(scores.forget()?, 0.4 / 3.0);
/// // The best of task a was 0.9, after the second stage; that of b was 0.7.
/// near(scores.forgetting()?, ((0.9 - 0.5) + (0.7 - 0.6)) / 2.0);
/// near(scores.backward_transfer()?, ((0.5 - 0.8) + (0.6 - 0.7)) / 2.0);
/// // Task b before its own stage was 0.4, c was 0.2.
/// near(scores.forward_transfer()?, ((0.4 - 0.3) + (0.2 - 0.1)) / 2.0);
/// # Ok::<(), orbit_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    columns: Vec<String>,
    stages: Vec<String>,
    before: Vec<Option<f64>>,
    after: Vec<Vec<Option<f64>>>,
}

impl Scores {
    /// Scores of the tasks of a sequence: stage `t` trains task `t`, so R is square. No cell has a score yet.
    ///
    /// # Errors
    /// Without tasks, or when two have the same name.
    pub fn of_tasks(tasks: impl IntoIterator<Item = impl Into<String>>) -> Result<Self> {
        let tasks: Vec<String> = tasks.into_iter().map(Into::into).collect();
        Self::new(tasks.clone(), tasks)
    }

    /// Scores of general suites that are not trained, after each stage of a sequence. No cell has a score yet.
    ///
    /// # Errors
    /// Without suites or stages, or when two of either have the same name.
    pub fn of_suites(
        suites: impl IntoIterator<Item = impl Into<String>>,
        stages: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self> {
        Self::new(suites.into_iter().map(Into::into).collect(), stages.into_iter().map(Into::into).collect())
    }

    fn new(columns: Vec<String>, stages: Vec<String>) -> Result<Self> {
        for names in [&columns, &stages] {
            if names.is_empty() {
                return Err(Error::Invalid("scores need at least one task or suite and one stage".into()));
            }
            if let Some(name) = names.iter().enumerate().find_map(|(i, name)| names[..i].contains(name).then_some(name))
            {
                return Err(Error::Invalid(format!("two tasks, suites or stages are called '{name}'")));
            }
        }
        let row = vec![None; columns.len()];
        Ok(Self { after: vec![row.clone(); stages.len()], before: row, columns, stages })
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The names of the stages, in order.
    pub fn stages(&self) -> &[String] {
        &self.stages
    }

    /// Enters the score of a column after a stage, or anew.
    ///
    /// # Errors
    /// When there is no such stage or column, or the score is not a finite number.
    pub fn set(&mut self, stage: usize, column: usize, score: f64) -> Result<()> {
        let place = format!("column {column} after stage {stage}");
        let cell = self.after.get_mut(stage).and_then(|row| row.get_mut(column));
        *cell.ok_or_else(|| Error::Invalid(format!("there is no {place}, from 0")))? = Some(finite(score, &place)?);
        Ok(())
    }

    /// Enters the scores of all columns after a stage.
    ///
    /// # Errors
    /// As [`set`](Self::set), and when there is not one score for each column.
    pub fn set_stage(&mut self, stage: usize, scores: &[f64]) -> Result<()> {
        self.check_width(scores)?;
        scores.iter().enumerate().try_for_each(|(column, &score)| self.set(stage, column, score))
    }

    /// Enters the scores of all columns before training.
    ///
    /// # Errors
    /// When there is not one finite score for each column.
    pub fn set_before(&mut self, scores: &[f64]) -> Result<()> {
        self.check_width(scores)?;
        let finite = |&score| finite(score, "a column before training").map(Some);
        self.before = scores.iter().map(finite).collect::<Result<_>>()?;
        Ok(())
    }

    /// The score of a column after a stage.
    ///
    /// # Errors
    /// When it has not been entered, with the names of both.
    pub fn after(&self, stage: usize, column: usize) -> Result<f64> {
        let score = self.after.get(stage).and_then(|row| row.get(column).copied().flatten());
        score.ok_or_else(|| {
            let stage = self.stages.get(stage).map_or("?", String::as_str);
            Error::Invalid(format!("'{}' was not scored after stage '{stage}'", self.name(column)))
        })
    }

    /// The score of a column before training.
    ///
    /// # Errors
    /// When it has not been entered, with its name.
    pub fn before(&self, column: usize) -> Result<f64> {
        let score = self.before.get(column).copied().flatten();
        score.ok_or_else(|| Error::Invalid(format!("'{}' was not scored before training", self.name(column))))
    }

    fn name(&self, column: usize) -> &str {
        self.columns.get(column).map_or("?", String::as_str)
    }

    fn last_stage(&self) -> usize {
        self.stages.len().saturating_sub(1)
    }

    fn check_width(&self, scores: &[f64]) -> Result<()> {
        if scores.len() == self.columns.len() {
            return Ok(());
        }
        Err(Error::Invalid(format!("{} scores for {} columns", scores.len(), self.columns.len())))
    }
}

fn finite(score: f64, place: &str) -> Result<f64> {
    if score.is_finite() { Ok(score) } else { Err(Error::Invalid(format!("the score of {place} is {score}"))) }
}

/// The mean of what may be an error.
fn mean(values: impl Iterator<Item = Result<f64>>) -> Result<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value?;
        count += 1.0;
    }
    if count > 0.0 { Ok(sum / count) } else { Err(Error::Invalid("there are no scores to average".into())) }
}

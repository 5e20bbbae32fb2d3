//! Measures over what the model could do before training. They take any column: a general suite, or a task.

use super::{Scores, mean};
use crate::statistics;
use crate::{Error, Result};

impl Scores {
    /// FG of Luo et al. (arXiv 2308.08747) of a column, as a share, not in percent: the mean over all stages of the
    /// part of the first score that is gone, `mean_t (before - R[t]) / before`. The paper's figure for a group of
    /// suites is the mean over the group. Because it averages over stages it is smaller than
    /// [`final_drop`](Self::final_drop) when a model goes on forgetting. More is worse; of a measure of bias, more is
    /// better.
    ///
    /// ```
    /// use orbit_data::continual::Scores;
    /// let mut scores = Scores::of_suites(["mmlu"], ["first", "second"])?;
    /// scores.set_before(&[0.5])?;
    /// scores.set_stage(0, &[0.375])?;
    /// scores.set_stage(1, &[0.25])?;
    /// assert_eq!(scores.forgotten(0)?, (0.25 + 0.5) / 2.0);
    /// assert_eq!(scores.final_drop(0)?, 0.5);
    /// // The floor is reached: with four choices no more than this can be forgotten.
    /// assert_eq!(scores.most_forgettable(0, 0.25)?, 0.5);
    /// assert_eq!(scores.retention(0, 0.25)?, Some(0.0));
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// When a cell is missing, or the first score is not above 0.
    pub fn forgotten(&self, column: usize) -> Result<f64> {
        mean((0..self.stages.len()).map(|stage| self.lost(column, self.after(stage, column)?)))
    }

    /// The part of the first score that is gone after the last stage, `(before - R[N-1]) / before`, a share.
    ///
    /// # Errors
    /// When a cell is missing, or the first score is not above 0.
    pub fn final_drop(&self, column: usize) -> Result<f64> {
        self.lost(column, self.after(self.last_stage(), column)?)
    }

    /// The largest [`forgotten`](Self::forgotten) that a column can show before it is at chance, `(before - chance) /
    /// before`. It grows with the first score, so a stronger model can show more of it; what is below chance is noise.
    ///
    /// # Errors
    /// When the first score is missing or not above 0.
    pub fn most_forgettable(&self, column: usize, chance: f64) -> Result<f64> {
        self.lost(column, super::finite(chance, "guessing")?)
    }

    /// The share of what the model could do above chance that is left after the last stage, `(R[N-1] - chance) /
    /// (before - chance)`, see [`statistics::retention`]. `None` when the model was not above chance.
    ///
    /// # Errors
    /// When a cell is missing.
    pub fn retention(&self, column: usize, chance: f64) -> Result<Option<f64>> {
        Ok(statistics::retention(self.after(self.last_stage(), column)?, self.before(column)?, chance))
    }

    /// What a column gained since before training, after stage `t`: `R[t] - before`. TRACE's general ability delta
    /// (arXiv 2310.06762) is its mean over the columns.
    ///
    /// # Errors
    /// When a cell is missing.
    pub fn change(&self, stage: usize, column: usize) -> Result<f64> {
        Ok(self.after(stage, column)? - self.before(column)?)
    }

    fn lost(&self, column: usize, score: f64) -> Result<f64> {
        let before = self.before(column)?;
        if before <= 0.0 {
            let name = self.name(column);
            return Err(Error::Invalid(format!(
                "'{name}' scored {before} before training: no part of that can be forgotten"
            )));
        }
        Ok((before - score) / before)
    }
}

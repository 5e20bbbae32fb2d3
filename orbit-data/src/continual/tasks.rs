//! Measures over the tasks of a sequence, for which R is square.

use super::{Scores, mean};
use crate::statistics;
use crate::{Error, Result};

impl Scores {
    /// AP of the function-vector study (arXiv 2502.11019): the mean over tasks of the score right after the task was
    /// trained, `mean_i R[i][i]`.
    ///
    /// # Errors
    /// When a cell is missing, or the columns are not the tasks.
    pub fn average_performance(&self) -> Result<f64> {
        self.check_square()?;
        mean((0..self.columns.len()).map(|task| self.after(task, task)))
    }

    /// FP of the same study: the mean over all tasks after the last stage, `mean_i R[T-1][i]`. It is
    /// [`overall_performance`](Self::overall_performance) of the last stage.
    ///
    /// # Errors
    /// When a cell is missing, or the columns are not the tasks.
    pub fn final_performance(&self) -> Result<f64> {
        self.overall_performance(self.last_stage())
    }

    /// OP of TRACE (arXiv 2310.06762): the mean after stage `t` over the tasks trained so far, `mean_{i<=t} R[t][i]`.
    ///
    /// # Errors
    /// When a cell is missing, there is no such stage, or the columns are not the tasks.
    pub fn overall_performance(&self, stage: usize) -> Result<f64> {
        self.check_stage(stage)?;
        mean((0..=stage).map(|task| self.after(stage, task)))
    }

    /// Forget of the function-vector study: AP - FP, so `mean_i (R[i][i] - R[T-1][i])`. More is worse.
    ///
    /// # Errors
    /// When a cell is missing, or the columns are not the tasks.
    pub fn forget(&self) -> Result<f64> {
        Ok(self.average_performance()? - self.final_performance()?)
    }

    /// Forgetting of Chaudhry et al. (arXiv 1801.10112), the forgetting rate F.Ra of SAPT: how far each task but the
    /// last is below the best it was after any earlier stage since it was trained,
    /// `mean_{i<T-1} (max_{i<=t<T-1} R[t][i] - R[T-1][i])`. Negative when tasks went on improving; more is worse.
    /// Unlike [`forget`](Self::forget) it sees a task that rose after its own stage and then fell, and leaves the last
    /// task out. The paper takes the best over the stages before a task's own too, which differs only where training on
    /// the task made it worse.
    ///
    /// # Errors
    /// When a cell is missing, there is one task only, or the columns are not the tasks.
    pub fn forgetting(&self) -> Result<f64> {
        let last = self.last_earlier()?;
        let forgotten = |task| {
            let mut best = (task..last).map(|stage| self.after(stage, task));
            let best = best.try_fold(f64::NEG_INFINITY, |best, score| Ok::<_, Error>(best.max(score?)))?;
            Ok(best - self.after(last, task)?)
        };
        mean((0..last).map(forgotten))
    }

    /// BWT of GEM (arXiv 1706.08840): what training on later tasks did to earlier ones, `mean_{i<T-1} (R[T-1][i] -
    /// R[i][i])`. Less is worse.
    ///
    /// # Errors
    /// When a cell is missing, there is one task only, or the columns are not the tasks.
    pub fn backward_transfer(&self) -> Result<f64> {
        let last = self.last_earlier()?;
        mean((0..last).map(|task| Ok(self.after(last, task)? - self.after(task, task)?)))
    }

    /// BWT of TRACE (arXiv 2310.06762) after stage `t`: `mean_{i<=t} (R[t][i] - R[i][i])`. It divides by all tasks so
    /// far, of which the last has nothing to lose, so at the last stage it is `(T-1)/T` of
    /// [`backward_transfer`](Self::backward_transfer).
    ///
    /// # Errors
    /// When a cell is missing, there is no such stage, or the columns are not the tasks.
    pub fn backward_transfer_at(&self, stage: usize) -> Result<f64> {
        self.check_stage(stage)?;
        mean((0..=stage).map(|task| Ok(self.after(stage, task)? - self.after(task, task)?)))
    }

    /// FWT of GEM: what training on earlier tasks did for a task not yet trained, `mean_{i>0} (R[i-1][i] - before[i])`.
    /// GEM's reference is a model at random; here it is the model before the sequence.
    ///
    /// # Errors
    /// When a cell is missing, there is one task only, or the columns are not the tasks.
    pub fn forward_transfer(&self) -> Result<f64> {
        let last = self.last_earlier()?;
        mean((1..=last).map(|task| Ok(self.after(task - 1, task)? - self.before(task)?)))
    }

    /// Forward transfer as SAPT's evaluation has it: what the sequence gave to learning each task, over training the
    /// same model on that task alone, `mean_i (R[i][i] - alone[i])`.
    ///
    /// ```
    /// use orbit_data::continual::Scores;
    /// let mut scores = Scores::of_tasks(["a", "b"])?;
    /// scores.set(0, 0, 0.75)?;
    /// scores.set(1, 1, 0.75)?;
    /// assert_eq!(scores.transfer_over_alone(&[0.75, 0.25])?, 0.25);
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// When a cell is missing, `alone` has not one score for each task, or the columns are not the tasks.
    pub fn transfer_over_alone(&self, alone: &[f64]) -> Result<f64> {
        self.check_square()?;
        self.check_width(alone)?;
        let gain = |(task, alone): (usize, &f64)| Ok(self.after(task, task)? - super::finite(*alone, "a task alone")?);
        mean(alone.iter().enumerate().map(gain))
    }

    /// The share of what a task had above chance right after it was trained that is left after the last stage,
    /// `(R[T-1][i] - chance) / (R[i][i] - chance)`. `None` when it was not above chance, so that there was nothing to
    /// keep.
    ///
    /// # Errors
    /// When a cell is missing, or the columns are not the tasks.
    pub fn retention_of_learned(&self, task: usize, chance: f64) -> Result<Option<f64>> {
        self.check_square()?;
        Ok(statistics::retention(self.after(self.last_stage(), task)?, self.after(task, task)?, chance))
    }

    fn check_square(&self) -> Result<()> {
        if self.columns == self.stages {
            return Ok(());
        }
        Err(Error::Invalid("this measure is about trained tasks: make the scores with Scores::of_tasks".into()))
    }

    fn check_stage(&self, stage: usize) -> Result<()> {
        self.check_square()?;
        let stages = self.stages.len();
        if stage < stages { Ok(()) } else { Err(Error::Invalid(format!("stage {stage}, from 0, of {stages} stages"))) }
    }

    /// The last stage, when there are earlier ones.
    fn last_earlier(&self) -> Result<usize> {
        self.check_square()?;
        match self.last_stage() {
            0 => Err(Error::Invalid("one task alone neither transfers nor is forgotten: give at least two".into())),
            last => Ok(last),
        }
    }
}

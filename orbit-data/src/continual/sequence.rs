//! What a sequence of tasks came to, over seeds.

use serde::{Deserialize, Serialize};

use super::{Estimate, Scores};
use crate::Result;

/// The measures of the task matrix R, each the mean over runs that differ in their seed alone, see
/// [`Estimate::over_seeds`]. The formulas are those of [`Scores`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SequenceMeasures {
    /// AP, [`Scores::average_performance`].
    pub average_performance: Estimate,
    /// FP, [`Scores::final_performance`].
    pub final_performance: Estimate,
    /// AP - FP, [`Scores::forget`].
    pub forget: Estimate,
    /// OP after each stage, [`Scores::overall_performance`]; the last is FP.
    pub overall_performance: Vec<Estimate>,
    /// BWT of GEM, [`Scores::backward_transfer`]. None for one task.
    pub backward_transfer: Option<Estimate>,
    /// FWT of GEM, [`Scores::forward_transfer`]. None for one task, and where no run scored tasks before their own stage.
    pub forward_transfer: Option<Estimate>,
}

impl SequenceMeasures {
    /// Measures the runs of all seeds.
    ///
    /// ```
    /// use orbit_data::continual::{Scores, SequenceMeasures};
    /// let mut scores = Scores::of_tasks(["a", "b"])?;
    /// scores.set(0, 0, 0.75)?;
    /// scores.set_stage(1, &[0.5, 0.5])?;
    /// let measures = SequenceMeasures::new(&[scores])?;
    /// assert_eq!((measures.average_performance.value, measures.forget.value), (0.625, 0.125));
    /// assert_eq!(measures.backward_transfer.map(|transfer| transfer.value), Some(-0.25));
    /// assert_eq!(measures.forward_transfer, None);
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// Without runs, when two have other tasks, a cell is missing, or the columns are not the tasks.
    pub fn new(runs: &[Scores]) -> Result<Self> {
        let over = |measure: fn(&Scores) -> Result<f64>| Estimate::over_seeds(runs, measure);
        let average_performance = over(Scores::average_performance)?;
        let stages = runs.first().map_or(0, |run| run.stages().len());
        let overall = |stage| Estimate::over_seeds(runs, |run| run.overall_performance(stage));
        let looked_ahead = runs.iter().any(|run| run.forward_transfer().is_ok());
        Ok(Self {
            average_performance,
            final_performance: over(Scores::final_performance)?,
            forget: over(Scores::forget)?,
            overall_performance: (0..stages).map(overall).collect::<Result<_>>()?,
            backward_transfer: (stages > 1).then(|| over(Scores::backward_transfer)).transpose()?,
            forward_transfer: looked_ahead.then(|| over(Scores::forward_transfer)).transpose()?,
        })
    }
}

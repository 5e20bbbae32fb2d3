//! A measure and how sure it is.

use serde::{Deserialize, Serialize};

use super::Scores;
use crate::statistics::{Interval, bootstrap_mean};
use crate::{Error, Result};

/// How often a bootstrap draws anew.
pub const RESAMPLES: usize = 1000;

/// The seed of every bootstrap: the same for all, so that intervals can be compared and come out the same again.
pub const BOOTSTRAP_SEED: u64 = 0;

/// A measure and its 95% interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The measure.
    pub value: f64,
    /// Bootstrap 95% interval; none where there is nothing to draw from.
    pub interval: Option<Interval>,
}

impl Estimate {
    /// The mean of a measure over runs that differ in their seed alone, with an interval over the runs; one run has none.
    /// With few runs it is rough: of three there are ten resamples that differ, and it reaches no further than the runs do.
    ///
    /// ```
    /// use orbit_data::continual::{Estimate, Scores};
    /// let run = |first: f64, last: f64| {
    ///     let mut scores = Scores::of_tasks(["a", "b"])?;
    ///     scores.set_stage(0, &[first, 0.0])?;
    ///     scores.set_stage(1, &[last, 0.5])?;
    ///     Ok::<_, orbit_data::Error>(scores)
    /// };
    /// let runs = [run(0.75, 0.5)?, run(0.75, 0.25)?];
    /// let transfer = Estimate::over_seeds(&runs, Scores::backward_transfer)?;
    /// assert_eq!(transfer.value, (-0.25 - 0.5) / 2.0);
    /// assert_eq!(transfer.interval.map(|ends| (ends.low, ends.high)), Some((-0.5, -0.25)));
    /// assert_eq!(Estimate::over_seeds(&runs[..1], Scores::backward_transfer)?.interval, None);
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// Without runs, when two have other tasks or stages, and what the measure refuses of any.
    pub fn over_seeds(runs: &[Scores], measure: impl Fn(&Scores) -> Result<f64>) -> Result<Self> {
        check_alike(runs)?;
        let values = runs.iter().map(measure).collect::<Result<Vec<f64>>>()?;
        let value = values.iter().sum::<f64>() / values.len() as f64;
        let interval = (values.len() > 1).then(|| bootstrap_mean(&values, RESAMPLES, BOOTSTRAP_SEED));
        Ok(Self { value, interval })
    }
}

fn check_alike(runs: &[Scores]) -> Result<()> {
    let Some(first) = runs.first() else {
        return Err(Error::Invalid("there is no run to measure: give the scores of at least one seed".into()));
    };
    let other = runs.iter().position(|run| run.columns() != first.columns() || run.stages() != first.stages());
    match other {
        Some(run) => Err(Error::Invalid(format!("run {run}, from 0, has other tasks or stages than the first"))),
        None => Ok(()),
    }
}

//! What one run over a sequence came to: the values that all its views show.

use anyhow::Result;
use orbit_data::continual::Scores;

use super::SequenceReport;
use crate::report::{matrix::Matrix, measures::ModelMeasures};

/// Computed once for a view.
pub(super) struct Findings {
    pub(super) matrix: Matrix,
    pub(super) tasks: TaskMeasures,
    pub(super) model: ModelMeasures,
}

impl Findings {
    pub(super) fn new(report: &SequenceReport) -> Result<Self> {
        let runs = std::slice::from_ref(report);
        Ok(Self { matrix: Matrix::of(runs), tasks: TaskMeasures::new(report), model: ModelMeasures::new(runs)? })
    }
}

/// The measures of R, each as far as the scores that it needs were measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TaskMeasures {
    pub(crate) average: Option<f64>,
    pub(crate) last: Option<f64>,
    pub(crate) forget: Option<f64>,
    pub(crate) forgetting: Option<f64>,
    pub(crate) backward: Option<f64>,
    pub(crate) forward: Option<f64>,
    /// OP after each stage.
    pub(crate) overall: Vec<Option<f64>>,
}

impl TaskMeasures {
    pub(crate) fn new(report: &SequenceReport) -> Self {
        let Ok(scores) = report.task_scores() else { return Self::default() };
        let of = |measure: fn(&Scores) -> orbit_data::Result<f64>| measure(&scores).ok();
        Self {
            average: of(Scores::average_performance),
            last: of(Scores::final_performance),
            forget: of(Scores::forget),
            forgetting: of(Scores::forgetting),
            backward: of(Scores::backward_transfer),
            forward: of(Scores::forward_transfer),
            overall: (0..report.stages.len()).map(|stage| scores.overall_performance(stage).ok()).collect(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_missing_score_costs_only_the_measures_that_need_it() {
        let whole = TaskMeasures::new(&sample::sequence(1));
        let mut run = sample::sequence(1);
        run.tasks[0].after[2] = None;
        let part = TaskMeasures::new(&run);
        assert_eq!((part.average, &part.overall[..2]), (whole.average, &whole.overall[..2]));
        assert_eq!(
            (part.last, part.forget, part.forgetting, part.backward, part.overall[2]),
            (None, None, None, None, None)
        );
        assert_eq!(part.forward, whole.forward);
        run.tasks[1].before = None;
        assert_eq!(TaskMeasures::new(&run).forward, None);
    }
}

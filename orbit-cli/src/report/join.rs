//! Several reports as one.

use anyhow::{Result, bail};
use orbit_data::statistics::dtip;

use super::{Report, Run};

impl Report {
    /// The runs of all reports in one, plain fine-tuning first, with their distances to the ideal point.
    ///
    /// # Errors
    /// Without a report, or when they are of different data, or of different models of which it is told what they kept: a table of
    /// those would compare nothing.
    pub(crate) fn join(reports: Vec<Self>) -> Result<Self> {
        let mut reports = reports.into_iter();
        let Some(mut joint) = reports.next() else { bail!("there is no report to show") };
        for other in reports {
            let kept = [&joint, &other].into_iter().any(|report| report.runs.iter().any(|run| run.text.is_some()));
            for (what, one, another) in [("model", &joint.model, &other.model), ("data", &joint.data, &other.data)] {
                if one != another && (kept || what == "data") {
                    bail!("\"{}\" and \"{}\" began with different {what}: {one}, {another}", joint.title, other.title);
                }
            }
            if measured(&joint) != measured(&other) {
                bail!("\"{}\" and \"{}\" measured different questions or users", joint.title, other.title);
            }
            joint.title = format!("{} and {}", joint.title, other.title);
            joint.command = format!("{}; {}", joint.command, other.command);
            joint.untouched = joint.untouched.or(other.untouched);
            joint.baselines = joint.baselines.or(other.baselines);
            joint.runs.extend(other.runs);
        }
        // Stable: runs with hooks keep their order.
        joint.runs.sort_by_key(|run| !run.hooks.is_empty());
        joint.measure_distances();
        Ok(joint)
    }

    /// The ideal keeps all the language and has the retrieval of plain fine-tuning (the ORBIT paper, section 2 of the
    /// evaluation): that needs a plain run to compare with.
    fn measure_distances(&mut self) {
        let Some((text_min, retrieval_max)) = self.runs.iter().find(|run| run.hooks.is_empty()).and_then(measures)
        else {
            return;
        };
        for run in &mut self.runs {
            run.dtip = measures(run).and_then(|(text, recall)| dtip(text, text_min, 1.0, recall, 0.0, retrieval_max));
        }
    }
}

/// What a report's runs were asked: suites with their number of questions, and users.
fn measured(report: &Report) -> Vec<(&str, u64)> {
    let Some(run) = report.runs.first() else { return Vec::new() };
    let suites = run.text.iter().flat_map(|text| &text.suites).map(|(name, suite)| (name.as_str(), suite.items));
    suites.chain(run.retrieval.iter().map(|retrieval| ("users", retrieval.users))).collect()
}

/// Language retention and recall at 10.
fn measures(run: &Run) -> Option<(f64, f64)> {
    Some((run.text.as_ref()?.retention?, *run.retrieval.as_ref()?.recall.get(&10)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::sample;
    use super::*;

    fn alone(index: usize) -> Report {
        let report = sample::report();
        Report { runs: vec![report.runs[index].clone()], ..report }
    }

    #[test]
    fn plain_comes_first_and_is_at_distance_one() {
        let joint = Report::join(vec![alone(1), alone(0)]).unwrap();
        assert!(joint.runs[0].hooks.is_empty() && !joint.runs[1].hooks.is_empty());
        assert!((joint.runs[0].dtip.unwrap() - 1.0).abs() < 1e-12);
        assert!(joint.runs[1].dtip.unwrap() < 1.0);
    }

    #[test]
    fn different_models_are_not_joined() {
        let other = Report { model: "another".into(), ..alone(1) };
        let message = Report::join(vec![alone(0), other]).unwrap_err().to_string();
        assert!(message.contains("different model"), "{message}");
        assert!(Report::join(Vec::new()).is_err());
    }
}

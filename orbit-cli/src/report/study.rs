//! Several models over the same sequence of tasks: the value that `report.json` of a study holds.

mod claims;
mod families;
mod figures;
mod floor;
mod headline;
mod ranks;
mod tables;
mod views;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::{Machine, SequenceReport, alike, file, measures::ModelMeasures};

pub(super) use claims::Claim;

/// Everything a study found out, with its measures, so that a reader need not compute them again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StudyReport {
    /// Version of this schema; see [`StudyReport::FORMAT`].
    pub format: u32,
    /// `study`, which tells it from the report of another kind of run.
    pub kind: String,
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
    /// The models, each with its runs.
    pub models: Vec<StudyModel>,
}

/// What a study is called, and what made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// One line that names the study.
    pub title: String,
    /// The command line that made the report.
    pub command: String,
    /// Version of `orbit`.
    pub version: String,
    /// Source revision `orbit` was built from, when known.
    pub commit: Option<String>,
    /// When the command began, as RFC 3339.
    pub started: String,
    /// The computer.
    pub machine: Machine,
    /// Device the tensors were on.
    pub device: String,
}

/// A model before it is measured.
pub(crate) struct Subject {
    /// Unique in the study.
    pub name: String,
    /// Whether it had general instruction tuning before the sequence.
    pub tuned_first: bool,
    /// How it was trained, for a study that compares that.
    pub method: Option<String>,
    /// A run for each seed.
    pub runs: Vec<SequenceReport>,
}

/// A model of the study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StudyModel {
    /// Unique in the study.
    pub name: String,
    /// How many it has.
    pub parameters: u64,
    /// `decoder` or `encoder-decoder`.
    pub architecture: String,
    /// Whether it had general instruction tuning before the sequence.
    pub tuned_first: bool,
    /// How it was trained, for a study that compares that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A run for each seed, over the same tasks and suites.
    pub runs: Vec<SequenceReport>,
    /// What the runs came to.
    pub measures: ModelMeasures,
}

impl StudyReport {
    /// The schema that this build writes and reads.
    pub(crate) const FORMAT: u32 = 1;
    /// What [`kind`](Self::kind) says.
    pub(crate) const KIND: &str = "study";

    /// Measures the models, in this order.
    ///
    /// # Errors
    /// Without models, when two have the same name or are over different tasks or suites, when the runs of a model differ in
    /// more than their seed. The message names what differs.
    pub(crate) fn new(origin: Origin, subjects: Vec<Subject>) -> Result<Self> {
        ensure!(!subjects.is_empty(), "a study needs at least one model");
        let mut models: Vec<StudyModel> = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let model = StudyModel::new(subject)?;
            if let Some(first) = models.first() {
                let between = format!("models {} and {}", first.name, model.name);
                alike::check_models(&first.runs[0], &model.runs[0], &between)?;
            }
            ensure!(models.iter().all(|other| other.name != model.name), "two models are called '{}'", model.name);
            models.push(model);
        }
        Ok(Self { format: Self::FORMAT, kind: Self::KIND.into(), origin, models })
    }

    /// The same study with the measures as this build computes them.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn remeasured(self) -> Result<Self> {
        let subject = |StudyModel { name, tuned_first, method, runs, .. }: StudyModel| Subject {
            name,
            tuned_first,
            method,
            runs,
        };
        Self::new(self.origin, self.models.into_iter().map(subject).collect())
    }

    /// Writes `report.json`, on one line, and `report.html` into `directory`, which must exist.
    ///
    /// # Errors
    /// When a number is not finite, or a file cannot be written; the message names it.
    pub(crate) fn save(&self, directory: &Path) -> Result<()> {
        file::write_json(self, &(serde_json::to_string(self)? + "\n"), directory)?;
        file::write(&directory.join("report.html"), &views::html(self)?)
    }

    /// Reads a `report.json` of a study.
    ///
    /// # Errors
    /// When the file cannot be read, is not such a report, or comes from a newer `orbit`.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        file::read(path, Self::FORMAT)
    }

    /// The report for a terminal, with a final newline and without colours.
    pub(crate) fn text(&self) -> String {
        views::text(self)
    }

    /// Whether it is one of ways to train, not of models.
    fn compares_methods(&self) -> bool {
        self.models.iter().any(|model| model.method.is_some())
    }

    /// The tasks, in order; they are the same for all models.
    fn tasks(&self) -> Vec<String> {
        let run = self.models.first().and_then(|model| model.runs.first());
        run.map_or_else(Vec::new, |run| run.stages.iter().map(|stage| stage.task.clone()).collect())
    }
}

impl StudyModel {
    fn new(Subject { name, tuned_first, method, runs }: Subject) -> Result<Self> {
        let measures = ModelMeasures::new(&runs).with_context(|| format!("cannot measure model {name}"))?;
        let first = runs.first().with_context(|| format!("model {name} has no run"))?;
        let (parameters, architecture) = (first.parameters, first.architecture.clone());
        Ok(Self { name, parameters, architecture, tuned_first, method, runs, measures })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{super::sample, *};

    #[test]
    fn measuring_again_changes_nothing() {
        let study = sample::study();
        assert!(study.clone().remeasured().unwrap() == study);
    }

    #[test]
    fn saved_study_loads_and_brings_its_page() {
        let directory = tempfile::tempdir().unwrap();
        let study = sample::study();
        study.save(directory.path()).unwrap();
        assert!(StudyReport::load(&directory.path().join("report.json")).unwrap() == study, "changed on disk");
        assert!(std::fs::read_to_string(directory.path().join("report.html")).unwrap().starts_with("<!doctype html>"));
    }

    /// Other programs read these keys; renaming one needs a new format.
    #[test]
    fn published_keys_are_there() {
        let json = serde_json::to_value(sample::study()).unwrap();
        let model = "/models/0/measures";
        let top = ["/format", "/kind", "/title", "/machine/cores", "/models/0/name", "/models/0/tuned_first"];
        let measures =
            ["sequence/forget/value", "suites/0/forgotten/interval/low", "groups/0/group", "groups/0/retention/value"]
                .into_iter()
                .chain([
                    "groups/0/most_forgettable/value",
                    "groups/0/final_drop/value",
                    "groups/3/from_neutral/last/value",
                ])
                .chain(["groups/0/scores/0/mean", "groups/0/kept/3/low", "losses/0/change/value", "divergence/2/high"])
                .chain(["pooled/0/name", "unmeasured"]);
        let measures = measures.map(|key| format!("{model}/{key}"));
        for pointer in top.map(str::to_owned).into_iter().chain(measures) {
            assert!(json.pointer(&pointer).is_some(), "{pointer} is missing");
        }
    }

    #[test]
    fn models_that_cannot_be_compared_are_an_error() {
        let study = sample::study();
        let subjects = || {
            let subject = |model: &StudyModel| Subject {
                name: model.name.clone(),
                tuned_first: model.tuned_first,
                method: None,
                runs: model.runs.clone(),
            };
            study.models[..2].iter().map(subject).collect::<Vec<_>>()
        };
        let why = |change: &dyn Fn(&mut Vec<Subject>)| {
            let mut subjects = subjects();
            change(&mut subjects);
            format!("{:#}", StudyReport::new(study.origin.clone(), subjects).unwrap_err())
        };
        assert_eq!(why(&|subjects| subjects.clear()), "a study needs at least one model");
        assert_eq!(why(&|subjects| subjects[1].name = "small".into()), "two models are called 'small'");
        let message = why(&|subjects| subjects[1].runs[0].tasks[0].name = "other".into());
        assert!(
            message.starts_with("cannot measure model middle: the runs of seeds 1 and 2 have different tasks"),
            "{message}"
        );
        let shorter = |subjects: &mut Vec<Subject>| {
            subjects[1].runs.iter_mut().for_each(|run| drop(run.suites.pop()));
        };
        assert!(why(&shorter).starts_with("models small and middle have different suites"), "{}", why(&shorter));
        assert_eq!(
            why(&|subjects| subjects[0].runs.clear()),
            "cannot measure model small: there is no run: give one for each seed"
        );
    }
}

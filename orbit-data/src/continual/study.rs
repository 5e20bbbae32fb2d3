//! What one model scored on general suites over the stages of a sequence, for several seeds.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Scores;
use crate::text::Group;
use crate::{Error, Result};

/// What one run scored on a suite, item by item. The score of the suite is the mean over items; more is better, but for a
/// measure of bias. Perplexities are no such scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemScores {
    /// Before training.
    pub before: Vec<f64>,
    /// After each stage, the same items in the same order.
    pub after: Vec<Vec<f64>>,
}

/// What the runs of all seeds scored on a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuiteRuns {
    /// Its name.
    pub name: String,
    /// The group in which it counts, if any.
    pub group: Option<Group>,
    /// The score of guessing, in `[0, 1)`; of a measure of bias, the neutral score, which is one half.
    pub chance: f64,
    /// A run for each seed.
    pub seeds: Vec<ItemScores>,
}

/// What one model scored on general suites before a sequence of tasks and after each of its stages, in runs that differ in
/// their seed alone: the value that the tables of Luo et al. (arXiv 2308.08747) are made from. What is measured of it
/// is said at [`Study::of_suite`] and [`Study::of_group`].
///
/// ```
/// use orbit_data::continual::{ItemScores, Study, SuiteRuns};
/// use orbit_data::text::Group;
/// let run = |last: [f64; 4]| ItemScores { before: vec![1.0, 1.0, 1.0, 0.0], after: vec![vec![1.0, 1.0, 1.0, 0.0], last.to_vec()] };
/// let seeds = vec![run([1.0, 1.0, 0.0, 0.0]), run([1.0, 1.0, 1.0, 0.0])];
/// let suite = SuiteRuns { name: "piqa".into(), group: Some(Group::Reasoning), chance: 0.5, seeds };
/// let study = Study::new(["first", "second"], vec![suite])?;
///
/// let measures = study.of_group(Group::Reasoning)?;
/// // One seed loses a third in the last of two stages, the other nothing.
/// assert_eq!(measures.forgotten.value, (1.0 / 3.0 / 2.0 + 0.0) / 2.0);
/// assert_eq!(measures.final_drop.value, 1.0 / 3.0 / 2.0);
/// assert_eq!(measures.retention.map(|kept| kept.value), Some((0.0 + 1.0) / 2.0));
/// assert_eq!(measures.most_forgettable.map(|most| most.value), Some(0.25 / 0.75));
/// # Ok::<(), orbit_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    stages: Vec<String>,
    suites: Vec<SuiteRuns>,
}

impl Study {
    /// Checks that all runs of a suite scored the same items at the same stages.
    ///
    /// # Errors
    /// Without stages, suites, seeds or items; when two stages or suites have the same name; when numbers of seeds, stages
    /// or items differ; when a score is not a finite number, a chance is outside `[0, 1)`, or that of a measure of bias is
    /// not one half. The message names the suite.
    pub fn new(stages: impl IntoIterator<Item = impl Into<String>>, suites: Vec<SuiteRuns>) -> Result<Self> {
        let stages: Vec<String> = stages.into_iter().map(Into::into).collect();
        // Names are looked at where they become those of scores.
        Scores::of_suites(suites.iter().map(|suite| suite.name.as_str()), &stages)?;
        let seeds = suites.first().map_or(0, |suite| suite.seeds.len());
        for suite in &suites {
            let wrong = |reason| Error::Invalid(format!("suite '{}': {reason}", suite.name));
            suite.check(seeds, stages.len()).map_err(wrong)?;
        }
        Ok(Self { stages, suites })
    }

    /// The names of the stages, in order.
    pub fn stages(&self) -> &[String] {
        &self.stages
    }

    /// The suites.
    pub fn suites(&self) -> &[SuiteRuns] {
        &self.suites
    }

    /// The groups that have a suite.
    pub fn groups(&self) -> BTreeSet<Group> {
        self.suites.iter().filter_map(|suite| suite.group).collect()
    }

    /// How many runs there are.
    pub fn seeds(&self) -> usize {
        self.suites.first().map_or(0, |suite| suite.seeds.len())
    }

    /// The scores of all suites in the run of seed `seed`, from 0.
    ///
    /// # Errors
    /// When there is no such run.
    pub fn scores(&self, seed: usize) -> Result<Scores> {
        if seed >= self.seeds() {
            return Err(Error::Invalid(format!("there is no seed {seed}, from 0, of {}", self.seeds())));
        }
        let all: Vec<Vec<usize>> = self.suites.iter().map(SuiteRuns::all_items).collect();
        self.scores_of(self.suites.iter(), seed, &all)
    }

    /// The scores of some suites in one run, over `items` of each.
    pub(super) fn scores_of<'a>(
        &self,
        suites: impl Iterator<Item = &'a SuiteRuns> + Clone,
        seed: usize,
        items: &[Vec<usize>],
    ) -> Result<Scores> {
        let mut scores = Scores::of_suites(suites.clone().map(|suite| suite.name.as_str()), &self.stages)?;
        let over = |at: &dyn Fn(&ItemScores) -> &[f64]| -> Vec<f64> {
            suites.clone().zip(items).map(|(suite, items)| mean(at(&suite.seeds[seed]), items)).collect()
        };
        scores.set_before(&over(&|run| &run.before))?;
        for stage in 0..self.stages.len() {
            scores.set_stage(stage, &over(&|run| &run.after[stage]))?;
        }
        Ok(scores)
    }
}

impl SuiteRuns {
    /// How many items it has.
    pub fn items(&self) -> usize {
        self.seeds.first().map_or(0, |run| run.before.len())
    }

    /// Whether it measures bias.
    pub fn is_bias(&self) -> bool {
        self.group == Some(Group::Bias)
    }

    pub(super) fn all_items(&self) -> Vec<usize> {
        (0..self.items()).collect()
    }

    /// Whether every run was above chance before training, so that there was something to keep.
    pub(super) fn above_chance(&self) -> bool {
        let all = self.all_items();
        self.seeds.iter().all(|run| mean(&run.before, &all) > self.chance)
    }

    /// Why it cannot be measured.
    fn check(&self, seeds: usize, stages: usize) -> Result<(), String> {
        if !(0.0..1.0).contains(&self.chance) {
            return Err(format!("a chance of {} is not in [0, 1)", self.chance));
        }
        if self.is_bias() && self.chance != 0.5 {
            return Err(format!("a measure of bias is neutral at 0.5, not at {}", self.chance));
        }
        if self.seeds.len() != seeds || seeds == 0 {
            return Err(format!("runs of {} seeds where the first suite has {seeds}, of at least 1", self.seeds.len()));
        }
        for (seed, run) in self.seeds.iter().enumerate() {
            run.check(self.items(), stages).map_err(|reason| format!("seed {seed}, from 0: {reason}"))?;
        }
        Ok(())
    }
}

impl ItemScores {
    fn check(&self, items: usize, stages: usize) -> Result<(), String> {
        if self.after.len() != stages {
            return Err(format!("scores after {} of {stages} stages", self.after.len()));
        }
        for scores in [&self.before].into_iter().chain(&self.after) {
            if scores.len() != items || items == 0 {
                return Err(format!("{} items where there were {items}, of at least 1", scores.len()));
            }
            if let Some(score) = scores.iter().find(|score| !score.is_finite()) {
                return Err(format!("the score of an item is {score}"));
            }
        }
        Ok(())
    }
}

/// The mean of the scores of some items.
fn mean(scores: &[f64], items: &[usize]) -> f64 {
    items.iter().map(|&item| scores[item]).sum::<f64>() / items.len() as f64
}

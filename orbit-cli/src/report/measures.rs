//! What the runs of one model over a sequence of tasks came to.

use std::collections::BTreeSet;

use anyhow::Result;
use orbit_data::continual::{
    BOOTSTRAP_SEED, Estimate, ItemScores, Measures, RESAMPLES, Scores, SequenceMeasures, Study, SuiteRuns,
};
use orbit_data::statistics::{bootstrap, retention};
use orbit_data::text::Group;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{alike, sequence::SequenceReport, spread::Spread};

/// Everything computed of the runs of one model, which differ in their seed alone. What could not be computed is left out,
/// and [`unmeasured`](Self::unmeasured) says why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ModelMeasures {
    /// Of the tasks; none when a score that they need was not measured.
    pub sequence: Option<SequenceMeasures>,
    /// By suite, but for perplexities.
    pub suites: Vec<Measured>,
    /// By group of suites, each suite with the same weight.
    pub groups: Vec<Measured>,
    /// Suites of bias that were split by type: all their types together, each item with the same weight.
    pub pooled: Vec<Measured>,
    /// By perplexity suite.
    pub losses: Vec<LossChange>,
    /// KL of the model before the sequence from the model after each stage, on the answers of the stage's task, in nats a token;
    /// none where no run measured it.
    pub divergence: Vec<Option<Spread>>,
    /// A sentence for each thing that is missing.
    pub unmeasured: Vec<String>,
}

/// What was kept and lost of a suite or a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Name of the suite or the group.
    pub name: String,
    /// The group itself, or that of the suite.
    pub group: Option<Group>,
    /// Suites in it.
    pub suites: usize,
    /// Items in it.
    pub items: usize,
    /// The mean score of guessing.
    pub chance: f64,
    /// The measures, with intervals over seeds and items.
    #[serde(flatten)]
    pub measures: Measures,
    /// The score before training and after each stage, over seeds.
    pub scores: Vec<Spread>,
    /// The share of what was above chance that is left, before training and after each stage, over seeds and the suites in which
    /// every run was above chance before. None where there is no such suite, and for a measure of bias.
    pub kept: Option<Vec<Spread>>,
}

/// How the loss on a text changed, in nats a token; the mean over windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LossChange {
    /// Name of the suite.
    pub name: String,
    /// Before training.
    pub before: Estimate,
    /// After the last stage.
    pub last: Estimate,
    /// After the last stage minus before, over the same windows.
    pub change: Estimate,
    /// The change after each stage, over seeds.
    pub changes: Vec<Spread>,
}

impl ModelMeasures {
    /// Measures runs that differ in their seed alone.
    ///
    /// # Errors
    /// When they differ in their model, tasks, suites or items.
    pub(super) fn new(runs: &[SequenceReport]) -> Result<Self> {
        alike::check_runs(runs)?;
        let mut unmeasured = Vec::new();
        let scores = runs.iter().map(SequenceReport::task_scores).collect::<orbit_data::Result<Vec<_>>>();
        let sequence = scores.and_then(|scores| SequenceMeasures::new(&scores));
        let sequence = keep(sequence, "The sequence has no measures", &mut unmeasured);
        let study = study(runs, &mut unmeasured);
        let stages = runs.first().map_or(0, |run| run.stages.len());
        let divergence =
            (0..stages).map(|stage| Spread::over(runs.iter().filter_map(|run| run.stages[stage].divergence)));
        Ok(Self {
            sequence,
            suites: study.as_ref().map_or_else(Vec::new, |study| suites(study, &mut unmeasured)),
            groups: study.as_ref().map_or_else(Vec::new, |study| groups(study, &mut unmeasured)),
            pooled: study.as_ref().map_or_else(Vec::new, pooled),
            losses: losses(runs, &mut unmeasured),
            divergence: divergence.collect(),
            unmeasured,
        })
    }

    /// What was measured of a group.
    pub(super) fn group(&self, group: Group) -> Option<&Measured> {
        self.groups.iter().find(|measured| measured.group == Some(group))
    }
}

/// The value, or none and a sentence that says why.
fn keep<T>(value: orbit_data::Result<T>, missing: &str, unmeasured: &mut Vec<String>) -> Option<T> {
    value.map_err(|error| unmeasured.push(format!("{missing}: {error}."))).ok()
}

/// The scores of all suites that were measured at every stage; none when there is none.
fn study(runs: &[SequenceReport], unmeasured: &mut Vec<String>) -> Option<Study> {
    let first = runs.first()?;
    let stages = || first.stages.iter().map(|stage| stage.task.as_str());
    let mut whole = Vec::new();
    for (at, suite) in first.suites.iter().enumerate().filter(|(_, suite)| !suite.is_loss()) {
        let seeds = runs.iter().map(|run| run.suites[at].items.clone()).collect();
        let suite = SuiteRuns { name: suite.name.clone(), group: suite.group, chance: suite.chance, seeds };
        match Study::new(stages(), vec![suite.clone()]) {
            Ok(_) => whole.push(suite),
            Err(error) => unmeasured.push(format!("{} is left out: {error}.", suite.name)),
        }
    }
    // Suites alone are sound; together they can only be none, or two of a name.
    (!whole.is_empty()).then(|| keep(Study::new(stages(), whole), "No suite is measured", unmeasured)).flatten()
}

fn suites(study: &Study, unmeasured: &mut Vec<String>) -> Vec<Measured> {
    let each: Vec<_> = (0..study.suites().len()).into_par_iter().map(|at| suite(study, at)).collect();
    let named = each.into_iter().zip(study.suites());
    named
        .filter_map(|(measured, suite)| keep(measured, &format!("{} has no measures", suite.name), unmeasured))
        .collect()
}

fn suite(study: &Study, at: usize) -> orbit_data::Result<Measured> {
    let suite = &study.suites()[at];
    Measured::new(&suite.name, suite.group, study.of_suite(at)?, study, &[at])
}

fn groups(study: &Study, unmeasured: &mut Vec<String>) -> Vec<Measured> {
    let groups: Vec<Group> = study.groups().into_iter().collect();
    let each: Vec<_> = groups.par_iter().map(|&group| self::group(study, group)).collect();
    let named = each.into_iter().zip(groups);
    named
        .filter_map(|(measured, group)| keep(measured, &format!("The group {group} has no measures"), unmeasured))
        .collect()
}

fn group(study: &Study, group: Group) -> orbit_data::Result<Measured> {
    let members = study.suites().iter().enumerate().filter(|(_, suite)| suite.group == Some(group));
    let members: Vec<usize> = members.map(|(at, _)| at).collect();
    Measured::new(&group.to_string(), Some(group), study.of_group(group)?, study, &members)
}

/// One suite for each suite of bias that was split by type.
fn pooled(study: &Study) -> Vec<Measured> {
    let split =
        |suite: &SuiteRuns| suite.name.split_once('/').filter(|_| suite.is_bias()).map(|(whole, _)| whole.to_owned());
    let names: BTreeSet<String> = study.suites().iter().filter_map(split).collect();
    let pool = |name: &String| {
        let types: Vec<&SuiteRuns> =
            study.suites().iter().filter(|suite| split(suite).as_ref() == Some(name)).collect();
        let seeds = (0..study.seeds()).map(|seed| joined(&types, seed, study.stages().len())).collect();
        let all = SuiteRuns { name: name.clone(), group: Some(Group::Bias), chance: 0.5, seeds };
        suite(&Study::new(study.stages(), vec![all])?, 0)
    };
    // A suite whose types have no measures has none either, which was said of them.
    names.iter().filter_map(|name| pool(name).ok()).collect()
}

/// The items of all types in one run.
fn joined(types: &[&SuiteRuns], seed: usize, stages: usize) -> ItemScores {
    let runs = || types.iter().map(|suite| &suite.seeds[seed]);
    ItemScores {
        before: runs().flat_map(|run| run.before.iter().copied()).collect(),
        after: (0..stages).map(|stage| runs().flat_map(|run| run.after[stage].iter().copied()).collect()).collect(),
    }
}

impl Measured {
    fn new(
        name: &str,
        group: Option<Group>,
        measures: Measures,
        study: &Study,
        members: &[usize],
    ) -> orbit_data::Result<Self> {
        let seeds = (0..study.seeds()).map(|seed| study.scores(seed)).collect::<orbit_data::Result<Vec<_>>>()?;
        let suites = || members.iter().map(|&at| &study.suites()[at]);
        Ok(Self {
            name: name.to_owned(),
            group,
            suites: members.len(),
            items: suites().map(SuiteRuns::items).sum(),
            chance: suites().map(|suite| suite.chance).sum::<f64>() / members.len() as f64,
            measures,
            scores: over_stages(study, &seeds, members, |_, score, _| Some(score)).unwrap_or_default(),
            kept: kept(study, &seeds, members),
        })
    }

    /// Whether one half is the best score.
    pub(super) fn is_bias(&self) -> bool {
        self.group == Some(Group::Bias)
    }
}

fn kept(study: &Study, seeds: &[Scores], members: &[usize]) -> Option<Vec<Spread>> {
    let chance = |at: usize| study.suites()[at].chance;
    let above = |at: usize| seeds.iter().all(|scores| scores.before(at).is_ok_and(|score| score > chance(at)));
    let members: Vec<usize> =
        members.iter().copied().filter(|&at| !study.suites()[at].is_bias() && above(at)).collect();
    over_stages(study, seeds, &members, |before, score, chance| retention(score, before, chance))
}

/// A function of (score before, score, chance), averaged over columns, before training and after each stage, over seeds. None
/// without columns, or where it has no value.
fn over_stages(
    study: &Study,
    seeds: &[Scores],
    members: &[usize],
    of: impl Fn(f64, f64, f64) -> Option<f64>,
) -> Option<Vec<Spread>> {
    let at_stage = |scores: &Scores, row: usize, at: usize| {
        let before = scores.before(at).ok()?;
        let score = if row == 0 { before } else { scores.after(row - 1, at).ok()? };
        of(before, score, study.suites()[at].chance)
    };
    let mean = |scores: &Scores, row: usize| {
        let values = members.iter().map(|&at| at_stage(scores, row, at)).collect::<Option<Vec<f64>>>()?;
        Some(Spread::over(values)?.mean)
    };
    let row = |row| Spread::over(seeds.iter().map(|scores| mean(scores, row)).collect::<Option<Vec<_>>>()?);
    (0..=study.stages().len()).map(row).collect()
}

fn losses(runs: &[SequenceReport], unmeasured: &mut Vec<String>) -> Vec<LossChange> {
    let Some(first) = runs.first() else { return Vec::new() };
    let mut losses = Vec::new();
    for (at, suite) in first.suites.iter().enumerate().filter(|(_, suite)| suite.is_loss()) {
        let seeds: Vec<&ItemScores> = runs.iter().map(|run| &run.suites[at].items).collect();
        match loss(&suite.name, &seeds, first.stages.len()) {
            Some(loss) => losses.push(loss),
            None => unmeasured.push(format!("{} is left out: it was not measured at every stage.", suite.name)),
        }
    }
    losses
}

/// None when a stage was not measured, or over other windows.
fn loss(name: &str, seeds: &[&ItemScores], stages: usize) -> Option<LossChange> {
    let windows = seeds.first()?.before.len();
    let rows = |run: &ItemScores| run.after.iter().chain([&run.before]).all(|row| row.len() == windows);
    if windows == 0 || stages == 0 || seeds.iter().any(|run| run.after.len() != stages || !rows(run)) {
        return None;
    }
    let last = stages - 1;
    let change = |run: &ItemScores, stage: usize, item: usize| run.after[stage][item] - run.before[item];
    let mean = |run: &ItemScores, stage: usize| {
        (0..windows).map(|item| change(run, stage, item)).sum::<f64>() / windows as f64
    };
    Some(LossChange {
        name: name.to_owned(),
        before: over_draws(seeds, windows, |run, item| run.before[item]),
        last: over_draws(seeds, windows, |run, item| run.after[last][item]),
        change: over_draws(seeds, windows, |run, item| change(run, last, item)),
        changes: (0..stages).filter_map(|stage| Spread::over(seeds.iter().map(|run| mean(run, stage)))).collect(),
    })
}

/// The mean of a value over seeds and items, with an interval over draws of both, the same items for all seeds.
fn over_draws(seeds: &[&ItemScores], items: usize, of: impl Fn(&ItemScores, usize) -> f64) -> Estimate {
    let mean = |drawn: &[Vec<usize>]| {
        let [seeds_drawn, items_drawn] = drawn else { return None };
        let values = seeds_drawn.iter().flat_map(|&seed| items_drawn.iter().map(move |&item| (seed, item)));
        let sum: f64 = values.map(|(seed, item)| of(seeds[seed], item)).sum();
        Some(sum / (seeds_drawn.len() * items_drawn.len()) as f64)
    };
    let sizes = [seeds.len(), items];
    let value = mean(&sizes.map(|size| (0..size).collect())).unwrap_or(f64::NAN);
    Estimate { value, interval: bootstrap(&sizes, RESAMPLES, BOOTSTRAP_SEED, mean) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{super::sample, *};

    fn near(value: f64, by_hand: f64) {
        assert!((value - by_hand).abs() < 1e-9, "{value} for {by_hand}");
    }

    #[test]
    fn the_ends_of_the_curves_are_the_measures() {
        let measures = ModelMeasures::new(&[sample::sequence(1), sample::sequence(2)]).unwrap();
        assert_eq!(measures.unmeasured, Vec::<String>::new());
        assert_eq!((measures.suites.len(), measures.groups.len(), measures.losses.len()), (8, 4, 1));
        for measured in measures.suites.iter().chain(&measures.groups).chain(&measures.pooled) {
            near(measured.scores[0].mean, measured.measures.before.value);
            near(measured.scores.last().unwrap().mean, measured.measures.last.value);
            assert_eq!(measured.scores.len(), 4);
            let kept = measured.kept.as_ref();
            assert_eq!(kept.is_some(), measured.measures.retention.is_some(), "{}", measured.name);
            if let (Some(kept), Some(retention)) = (kept, measured.measures.retention) {
                near(kept[0].mean, 1.0);
                near(kept.last().unwrap().mean, retention.value);
            }
        }
    }

    #[test]
    fn types_of_bias_are_pooled_by_item() {
        let measures = ModelMeasures::new(&[sample::sequence(1)]).unwrap();
        let [all] = measures.pooled.as_slice() else { panic!("{:?}", measures.pooled) };
        let types: Vec<&Measured> = measures.suites.iter().filter(|suite| suite.is_bias()).collect();
        assert_eq!((all.name.as_str(), types.len()), ("crows", 3));
        let items: usize = types.iter().map(|suite| suite.items).sum();
        assert_eq!(all.items, items);
        let right: f64 = types.iter().map(|suite| suite.measures.before.value * suite.items as f64).sum();
        near(all.measures.before.value, right / items as f64);
    }

    #[test]
    fn losses_are_paired_by_window() {
        let mut run = sample::sequence(1);
        let at = run.suites.iter().position(|suite| suite.is_loss()).unwrap();
        let before = run.suites[at].items.before.clone();
        run.suites[at].items.after = vec![before.iter().map(|loss| loss + 0.5).collect(); 3];
        let [loss] = &ModelMeasures::new(&[run]).unwrap().losses[..] else { panic!("one text") };
        near(loss.change.value, 0.5);
        let ends = loss.change.interval.unwrap();
        near(ends.low, 0.5);
        near(ends.high, 0.5);
        near(loss.last.value - loss.before.value, 0.5);
        assert!(loss.before.interval.unwrap().high > loss.before.interval.unwrap().low);
    }

    #[test]
    fn what_is_missing_is_said() {
        let mut run = sample::sequence(1);
        run.tasks[0].after[2] = None;
        run.suites[0].items.after.pop();
        run.suites[1].items.before.iter_mut().for_each(|item| *item = 0.0);
        let last = run.suites.len() - 1;
        run.suites[last].items.after[1].clear();
        run.stages[1].divergence = None;
        let measures = ModelMeasures::new(&[run]).unwrap();
        assert!(measures.sequence.is_none() && measures.divergence[1].is_none() && measures.divergence[0].is_some());
        let expected = [
            "The sequence has no measures: 'simplify' was not scored after stage 'headline'.",
            "mmlu-stem is left out: suite 'mmlu-stem': seed 0, from 0: scores after 2 of 3 stages.",
            "mmlu-social has no measures: 'mmlu-social' scored 0 before training: no part of that can be forgotten.",
            "The group domain knowledge has no measures: 'mmlu-social' scored 0 before training: no part of that can be \
             forgotten.",
            "wikitext is left out: it was not measured at every stage.",
        ];
        assert_eq!(measures.unmeasured, expected);
        assert!(measures.group(Group::Reasoning).is_some());
    }

    #[test]
    fn measures_survive_json() {
        let measures = ModelMeasures::new(&[sample::sequence(1), sample::sequence(2)]).unwrap();
        let json = serde_json::to_string(&measures).unwrap();
        assert_eq!(serde_json::from_str::<ModelMeasures>(&json).unwrap(), measures);
    }
}

//! Whether runs can be compared: the same tasks, and the same questions of the same suites.

use anyhow::{Result, bail, ensure};

use super::sequence::{SequenceReport, SuiteColumn};

/// Checks that runs of one model differ in nothing but their seed and what came of it.
///
/// # Errors
/// Without runs, or at the first difference, which the message names with the seeds.
pub(super) fn check_runs(runs: &[SequenceReport]) -> Result<()> {
    let Some((first, others)) = runs.split_first() else { bail!("there is no run: give one for each seed") };
    check_whole(first)?;
    for (at, run) in others.iter().enumerate() {
        let between = format!("the runs of seeds {} and {}", first.seed, run.seed);
        ensure!(runs[..=at].iter().all(|other| other.seed != run.seed), "two runs have the seed {}", run.seed);
        check_whole(run)?;
        ensure!(
            (first.parameters, &first.architecture) == (run.parameters, &run.architecture),
            "{between} are of different models: {} of {} parameters, {} of {}",
            first.architecture,
            first.parameters,
            run.architecture,
            run.parameters
        );
        check_tasks(first, run, &between)?;
        check_suites(first, run, &between, &|_| true)?;
    }
    Ok(())
}

/// Checks that two runs of different models are over the same tasks and suites. Perplexities may be of other windows: they
/// are cut by tokens, which are the model's own.
///
/// # Errors
/// At the first difference; `between` says between what.
pub(super) fn check_models(one: &SequenceReport, other: &SequenceReport, between: &str) -> Result<()> {
    check_tasks(one, other, between)?;
    check_suites(one, other, between, &|suite| !suite.is_loss())
}

/// A run whose tables have room for what is in them. One that was stopped early has fewer stages than tasks.
fn check_whole(run: &SequenceReport) -> Result<()> {
    let (seed, stages, tasks) = (run.seed, run.stages.len(), run.tasks.len());
    ensure!(stages <= tasks, "the run of seed {seed} has {stages} stages for {tasks} tasks");
    for task in &run.tasks {
        let rows = task.after.len();
        ensure!(rows <= tasks, "the run of seed {seed} has {rows} rows of task {} for {tasks} stages", task.name);
    }
    Ok(())
}

fn check_tasks(one: &SequenceReport, other: &SequenceReport, between: &str) -> Result<()> {
    let [names, others] = [one, other].map(|run| run.tasks.iter().map(|task| task.name.as_str()).collect::<Vec<_>>());
    ensure!(names == others, "{between} have different tasks: {}; {}", names.join(", "), others.join(", "));
    let [stages, others] = [one, other].map(|run| run.stages.len());
    ensure!(stages == others, "{between} have {stages} and {others} stages");
    for (task, same) in one.tasks.iter().zip(&other.tasks) {
        let (metric, another) = (&task.metric, &same.metric);
        ensure!(metric == another, "{between} scored task {} differently: {metric}, {another}", task.name);
    }
    Ok(())
}

fn check_suites(
    one: &SequenceReport,
    other: &SequenceReport,
    between: &str,
    same_items: &dyn Fn(&SuiteColumn) -> bool,
) -> Result<()> {
    let [names, others] =
        [one, other].map(|run| run.suites.iter().map(|suite| suite.name.as_str()).collect::<Vec<_>>());
    ensure!(names == others, "{between} have different suites: {}; {}", names.join(", "), others.join(", "));
    for (suite, same) in one.suites.iter().zip(&other.suites) {
        let name = &suite.name;
        let [items, others] = [suite, same].map(|suite| suite.items.before.len());
        ensure!(
            !same_items(suite) || items == others,
            "{between} have different items of suite {name}: {items} and {others}"
        );
        ensure!(
            (suite.group, &suite.metric) == (same.group, &same.metric),
            "{between} count or score suite {name} differently"
        );
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{super::sample, *};

    fn why(change: impl FnOnce(&mut SequenceReport)) -> String {
        let mut runs = vec![sample::sequence(1), sample::sequence(2)];
        change(&mut runs[1]);
        check_runs(&runs).unwrap_err().to_string()
    }

    #[test]
    fn runs_that_differ_are_told_apart() {
        check_runs(&[sample::sequence(1), sample::sequence(2)]).unwrap();
        assert!(check_runs(&[]).unwrap_err().to_string().contains("no run"));
        assert_eq!(why(|run| run.seed = 1), "two runs have the seed 1");
        let message = why(|run| run.tasks[1].name = "poems".into());
        assert_eq!(
            message,
            "the runs of seeds 1 and 2 have different tasks: simplify, dialogue, headline; simplify, poems, headline"
        );
        assert!(why(|run| run.parameters = 1).contains("different models"));
        assert!(
            why(|run| run.tasks[0].metric = "bleu".into()).contains("scored task simplify differently: sari, bleu")
        );
        assert!(why(|run| drop(run.suites.pop())).contains("have different suites"));
        let message = why(|run| run.suites[0].items.before.truncate(119));
        assert_eq!(message, "the runs of seeds 1 and 2 have different items of suite mmlu-stem: 120 and 119");
        assert!(why(|run| run.suites[0].group = None).contains("count or score suite mmlu-stem differently"));
        assert_eq!(why(|run| drop(run.stages.pop())), "the runs of seeds 1 and 2 have 3 and 2 stages");
        let again = |run: &mut SequenceReport| run.stages.push(run.stages[0].clone());
        assert_eq!(why(again), "the run of seed 2 has 4 stages for 3 tasks");
        assert_eq!(
            why(|run| run.tasks[0].after.push(None)),
            "the run of seed 2 has 4 rows of task simplify for 3 stages"
        );
    }

    #[test]
    fn models_may_cut_a_text_differently() {
        let (one, mut other) = (sample::sequence(1), sample::sequence(2));
        let last = other.suites.len() - 1;
        other.suites[last].items.before.pop();
        check_models(&one, &other, "a and b").unwrap();
        other.suites[0].items.before.pop();
        let message = check_models(&one, &other, "a and b").unwrap_err().to_string();
        assert_eq!(message, "a and b have different items of suite mmlu-stem: 120 and 119");
    }
}

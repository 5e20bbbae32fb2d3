//! One run over a sequence in plain words.

use super::{SequenceReport, findings::Findings};
use crate::report::{
    Headline,
    headline::spiked,
    measures::{Measured, ModelMeasures},
    quantity,
    table::ends,
};

/// What a reader should take away, and what should make them careful.
pub(super) fn headline(report: &SequenceReport, findings: &Findings) -> Headline {
    let summary = format!("{} {}", learned(report, findings), kept(&findings.model));
    let cautions = [unscored(report, findings), stopped(report), by_chance(&findings.model), floored(&findings.model)];
    let seed = "This is one run: the intervals say how far numbers would vary with other questions, and nothing of other seeds.";
    let cautions = cautions.into_iter().flatten().chain(findings.model.unmeasured.iter().cloned());
    let spikes = report.stages.iter().filter_map(|stage| spiked(&stage.task, stage.spikes));
    let cautions = cautions.chain(spikes).chain(report.notes.iter().cloned());
    Headline { summary, cautions: cautions.chain([seed.to_owned()]).collect() }
}

/// What shaped the training, as it begins a sentence.
pub(crate) fn method(report: &SequenceReport) -> String {
    let hooks = match report.hooks.as_slice() {
        [] => "Plain fine-tuning".to_owned(),
        hooks => format!("Training with {}", hooks.join(", ")),
    };
    let replay = report.replay_share;
    let replay = (replay > 0.0).then(|| format!("{} old examples", quantity::fine_percent(replay)));
    let adapters = report.adapters.as_ref().map(|kind| format!("{} adapters", kind.replace('_', " ")));
    let with: Vec<String> = [adapters, replay].into_iter().flatten().collect();
    if with.is_empty() { hooks } else { format!("{hooks} ({})", with.join(", ")) }
}

/// The tasks.
fn learned(report: &SequenceReport, findings: &Findings) -> String {
    let (method, count) = (method(report), report.stages.len());
    let tasks = if count == 1 { "one task".to_owned() } else { format!("{count} tasks in turn") };
    let score = quantity::score;
    match (findings.tasks.average, findings.tasks.last) {
        (Some(right_after), Some(last)) if count > 1 => {
            let change = match right_after - last {
                lost if lost >= 0.0005 => format!("{} was forgotten", score(lost)),
                lost if lost <= -0.0005 => format!("they gained {} since", score(-lost)),
                _ => "nothing was forgotten on the mean".to_owned(),
            };
            format!(
                "{method} on {tasks} left a mean score of {} on them, against {} right after each was trained: {change}.",
                score(last),
                score(right_after)
            )
        }
        (Some(score_after), _) if count == 1 => {
            format!("{method} on {tasks} reached a score of {} on it.", score(score_after))
        }
        (_, Some(last)) => format!("{method} on {tasks} left a mean score of {} on them.", score(last)),
        _ => format!(
            "{method} on {tasks}: not all were scored in the end, so it cannot be said what was forgotten of them."
        ),
    }
}

/// What the model could do before.
fn kept(measures: &ModelMeasures) -> String {
    let all = if measures.groups.iter().any(has_retention) { &measures.groups } else { &measures.suites };
    let part = |measured: &Measured| {
        let kept = measured.measures.retention?;
        let interval =
            ends(&kept).map_or_else(String::new, |ends| format!(" {}", quantity::interval(ends, quantity::percent)));
        Some(format!("{}{interval} in {}", quantity::percent(kept.value), measured.name))
    };
    let parts: Vec<String> = all.iter().filter_map(part).collect();
    match parts.as_slice() {
        [] => "What it kept of what it could do before was not measured.".to_owned(),
        parts => format!("Of what it could do before, beyond guessing, it kept {}.", parts.join(", ")),
    }
}

fn has_retention(measured: &Measured) -> bool {
    measured.measures.retention.is_some()
}

/// Scores of trained tasks that R lacks.
fn unscored(report: &SequenceReport, findings: &Findings) -> Option<String> {
    let (missing, all) = (findings.matrix.missing(), findings.matrix.trained());
    let untold = || {
        let unknown = findings.tasks.forward.is_none() && report.tasks.len() > 1;
        unknown.then(|| {
            "Not all tasks were scored before their own stage: what earlier ones did for them is not known.".to_owned()
        })
    };
    if missing == 0 {
        return untold();
    }
    Some(format!(
        "{missing} of {all} scores of tasks that had been trained were not measured; measures that need them are left out."
    ))
}

/// Fewer stages than tasks.
fn stopped(report: &SequenceReport) -> Option<String> {
    let (stages, tasks) = (report.stages.len(), report.tasks.len());
    (stages < tasks).then(|| {
        format!("The run has {stages} of {tasks} stages: its measures are those of a sequence that was stopped.")
    })
}

/// Groups in which the loss may be chance.
fn by_chance(measures: &ModelMeasures) -> Option<String> {
    let whole = |measured: &&Measured| {
        let interval = measured.measures.retention.and_then(|kept| ends(&kept));
        interval.is_some_and(|[low, high]| low <= 1.0 && 1.0 <= high)
    };
    let names: Vec<&str> = measures.groups.iter().filter(whole).map(|measured| measured.name.as_str()).collect();
    (!names.is_empty()).then(|| {
        format!("The interval of what was kept includes all of it in {}: that change may be chance.", names.join(", "))
    })
}

/// Suites that cannot show forgetting.
fn floored(measures: &ModelMeasures) -> Option<String> {
    let floored = |measured: &&Measured| !measured.is_bias() && measured.measures.retention.is_none();
    let names: Vec<&str> = measures.suites.iter().filter(floored).map(|measured| measured.name.as_str()).collect();
    let clause = "cannot show forgetting: before training the model was no better than guessing there";
    (!names.is_empty()).then(|| format!("{} {clause}.", names.join(", ")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::report::sample;

    fn said(report: &SequenceReport) -> String {
        let Headline { summary, cautions } = headline(report, &Findings::new(report).unwrap());
        std::iter::once(summary).chain(cautions).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_whole_run() {
        expect![[r#"
            Plain fine-tuning on 3 tasks in turn left a mean score of 0.341 on them, against 0.361 right after each was trained: 0.021 was forgotten. Of what it could do before, beyond guessing, it kept 41% [21%, 59%] in domain knowledge, 30% [-25%, 59%] in reasoning, 38% [17%, 57%] in reading comprehension.
            This is one run: the intervals say how far numbers would vary with other questions, and nothing of other seeds."#]].assert_eq(&said(&sample::sequence(1)));
    }

    #[test]
    fn what_is_missing_is_not_hidden() {
        let mut run = sample::sequence(1);
        run.hooks = vec!["orbit".into(), "ewc".into()];
        (run.adapters, run.replay_share) = (Some("per_task".into()), 0.01);
        run.tasks[0].after[2] = None;
        run.suites.clear();
        run.stages[1].spikes = 1;
        expect![[r#"
            Training with orbit, ewc (per task adapters, 1.00% old examples) on 3 tasks in turn: not all were scored in the end, so it cannot be said what was forgotten of them. What it kept of what it could do before was not measured.
            1 of 6 scores of tasks that had been trained were not measured; measures that need them are left out.
            The sequence has no measures: 'simplify' was not scored after stage 'headline'.
            The guard took one step in the training of dialogue for spikes of the loss.
            This is one run: the intervals say how far numbers would vary with other questions, and nothing of other seeds."#]].assert_eq(&said(&run));
    }

    #[test]
    fn a_model_at_chance_cannot_forget() {
        let mut run = sample::sequence(1);
        run.suites.retain(|suite| suite.name == "mmlu-stem");
        run.suites[0].chance = 0.9;
        expect![[r#"
            Plain fine-tuning on 3 tasks in turn left a mean score of 0.341 on them, against 0.361 right after each was trained: 0.021 was forgotten. What it kept of what it could do before was not measured.
            mmlu-stem cannot show forgetting: before training the model was no better than guessing there.
            This is one run: the intervals say how far numbers would vary with other questions, and nothing of other seeds."#]].assert_eq(&said(&run));
    }
}

//! A study in plain words.

use orbit_data::text::Group;

use super::{
    StudyModel, StudyReport,
    floor::{Floor, floors, verdict},
};
use crate::report::{Headline, measures::Measured, quantity};

/// What a reader should take away, and what should make them careful.
pub(super) fn headline(study: &StudyReport) -> Headline {
    let floor = (!study.compares_methods()).then(|| verdict(&floors(study)));
    let summary = [Some(subject(study)), kept(study), floor];
    let summary = summary.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let cautions = few_seeds(study).into_iter().chain(at_guessing(study)).chain(unmeasured(study)).collect();
    Headline { summary, cautions }
}

fn subject(study: &StudyReport) -> String {
    let models = if study.models.len() == 1 {
        "One model was".to_owned()
    } else {
        format!("{} models were", study.models.len())
    };
    let each = if study.models.len() == 1 { "" } else { " each" };
    let seeds = range(study.models.iter().map(|model| model.runs.len()));
    let tasks = study.tasks().len();
    if study.compares_methods() {
        let count = study.models.len();
        return format!("{count} ways to tune a model on {tasks} tasks in turn are compared, with {seeds}{each}.");
    }
    format!("{models} tuned on {tasks} tasks in turn, with {seeds}{each}.")
}

/// `3 seeds`, `1 to 3 seeds`.
fn range(seeds: impl Iterator<Item = usize> + Clone) -> String {
    let (least, most) = (seeds.clone().min().unwrap_or(0), seeds.max().unwrap_or(0));
    match (least, most) {
        (1, 1) => "one seed".to_owned(),
        (least, most) if least == most => format!("{most} seeds"),
        (least, most) => format!("{least} to {most} seeds"),
    }
}

/// The least and the most that was kept, by group.
fn kept(study: &StudyReport) -> Option<String> {
    let part = |group: Group| {
        let kept = study.models.iter().filter_map(|model| Some((model, retention(model, group)?)));
        let (lowest, low) = kept.clone().min_by(|a, b| a.1.total_cmp(&b.1))?;
        let (highest, high) = kept.max_by(|a, b| a.1.total_cmp(&b.1))?;
        let least = format!("{} ({})", quantity::percent(low), lowest.name);
        if lowest.name == highest.name {
            return Some(format!("{least} in {group}"));
        }
        Some(format!("from {least} to {} ({}) in {group}", quantity::percent(high), highest.name))
    };
    let groups = [Group::DomainKnowledge, Group::Reasoning, Group::ReadingComprehension];
    let parts: Vec<String> = groups.into_iter().filter_map(part).collect();
    (!parts.is_empty()).then(|| {
        let they = if study.models.len() == 1 { "it" } else { "they" };
        format!("Of what {they} could do before, beyond guessing, {they} kept {}.", parts.join("; "))
    })
}

fn retention(model: &StudyModel, group: Group) -> Option<f64> {
    Some(model.measures.group(group)?.measures.retention?.value)
}

fn few_seeds(study: &StudyReport) -> Option<String> {
    let single: Vec<&str> =
        study.models.iter().filter(|model| model.runs.len() == 1).map(|model| model.name.as_str()).collect();
    let least = study.models.iter().map(|model| model.runs.len()).min()?;
    match (single.as_slice(), least) {
        ([], least @ 2..5) => Some(format!(
            "With {least} seeds an interval over seeds is rough: it reaches no further than the runs did."
        )),
        ([], _) => None,
        (names, _) => Some(format!("One seed only: the intervals of {} say nothing of other seeds.", names.join(", "))),
    }
}

/// Models and groups that began where nothing could be lost.
fn at_guessing(study: &StudyReport) -> Option<String> {
    let floored = |measured: &&Measured| {
        let room = measured.measures.most_forgettable.and_then(|most| most.interval);
        room.is_some_and(|room| room.low <= 0.0)
    };
    let of = |model: &StudyModel| {
        let groups: Vec<&str> = model.measures.groups.iter().filter(floored).map(|group| group.name.as_str()).collect();
        (!groups.is_empty()).then(|| format!("{} in {}", model.name, groups.join(", ")))
    };
    let models: Vec<String> = study.models.iter().filter_map(of).collect();
    (!models.is_empty()).then(|| {
        format!("Not clearly above guessing before training, so that no forgetting can show: {}.", models.join("; "))
    })
}

fn unmeasured(study: &StudyReport) -> impl Iterator<Item = String> {
    let of = |model: &StudyModel| {
        let name = model.name.clone();
        model.measures.unmeasured.clone().into_iter().map(move |reason| format!("{name}: {reason}"))
    };
    study.models.iter().flat_map(of)
}

/// What the text below the plots of size says.
pub(super) fn about_floor(floors: &[Floor]) -> Vec<String> {
    if floors.is_empty() {
        return Vec::new();
    }
    floors.iter().map(Floor::sentence).chain([verdict(floors)]).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::report::sample;

    fn said(study: &StudyReport) -> String {
        let Headline { summary, cautions } = headline(study);
        std::iter::once(summary).chain(cautions).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_whole_study() {
        expect![[r#"
            6 models were tuned on 3 tasks in turn, with 3 seeds each. Of what they could do before, beyond guessing, they kept from 7% (two-sided small) to 78% (middle tuned) in domain knowledge; from -31% (two-sided small) to 78% (middle tuned) in reasoning; from 28% (two-sided middle) to 75% (middle tuned) in reading comprehension. In this study FG follows the floor in reasoning, reading comprehension, and does not in domain knowledge.
            With 3 seeds an interval over seeds is rough: it reaches no further than the runs did."#]].assert_eq(&said(&sample::study()));
    }

    #[test]
    fn one_model_with_one_seed() {
        let mut study = sample::study();
        study.models.truncate(1);
        study.models[0].runs.truncate(1);
        study.models[0].measures.groups.truncate(1);
        study.models[0].measures.unmeasured = vec!["poem is left out.".into()];
        expect![[r#"
            One model was tuned on 3 tasks in turn, with one seed. Of what it could do before, beyond guessing, it kept 26% (small) in domain knowledge. There are too few models in this study to tell whether FG follows the floor.
            One seed only: the intervals of small say nothing of other seeds.
            small: poem is left out."#]].assert_eq(&said(&study));
    }
}

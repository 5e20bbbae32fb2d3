//! Whether FG tells more than how far from guessing the models began.

use orbit_data::text::Group;

use super::{StudyModel, StudyReport, families::Family, ranks::Agreement};
use crate::report::quantity;

/// From this rank agreement on, two orders are called alike: more than three of four pairs.
const ALIKE: f64 = 0.5;
/// With fewer pairs nothing is called anything.
const ENOUGH: usize = 3;

/// What floor effects are, for somebody who never heard of them.
pub(super) const EXPLANATION: &str = "A floor effect: a model that guesses on a suite with four choices is right in 25% of \
    the cases, so a model that began at 27% can lose 2 points and no more, and its FG cannot pass 8%, whatever it forgot; a \
    model that began at 37% can show 33%. Larger models begin further above guessing and so have more to show. When FG rises \
    with size as the largest possible FG does (the hollow marks), that says where the models began. What was kept, on the right, \
    counts from guessing and is free of it. Of the same kind are models of one architecture, either all tuned first or none.";

/// How orders of models agree in a group of suites.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Floor {
    pub(super) group: Group,
    /// FG against the largest FG possible, over all models.
    pub(super) all: Agreement,
    /// The same within families: of models that differ in size alone.
    pub(super) limit: Agreement,
    /// Size against FG, within families.
    pub(super) size_forgotten: Agreement,
    /// Size against what was kept, within families.
    pub(super) size_kept: Agreement,
}

/// Of every group that has a floor.
pub(super) fn floors(study: &StudyReport) -> Vec<Floor> {
    let groups = [Group::DomainKnowledge, Group::Reasoning, Group::ReadingComprehension];
    let measured = |group: &Group| study.models.iter().any(|model| model.measures.group(*group).is_some());
    groups.into_iter().filter(measured).map(|group| floor(study, group)).collect()
}

fn floor(study: &StudyReport, group: Group) -> Floor {
    type Of = fn(&StudyModel, Group) -> Option<f64>;
    let order = |models: &[&StudyModel], one: Of, other: Of| {
        let both = models.iter().filter_map(|model| Some((one(model, group)?, other(model, group)?)));
        Agreement::of(&both.collect::<Vec<_>>())
    };
    let within = |one: Of, other: Of| {
        let families = Family::ALL.into_iter().map(|family| order(&family.models(study), one, other));
        families.fold(Agreement::default(), |sum, of| sum + of)
    };
    Floor {
        group,
        all: order(&study.models.iter().collect::<Vec<_>>(), most, forgotten),
        limit: within(most, forgotten),
        size_forgotten: within(size, forgotten),
        size_kept: within(size, kept),
    }
}

fn size(model: &StudyModel, _: Group) -> Option<f64> {
    Some(model.parameters as f64)
}

fn forgotten(model: &StudyModel, group: Group) -> Option<f64> {
    Some(model.measures.group(group)?.measures.forgotten.value)
}

fn most(model: &StudyModel, group: Group) -> Option<f64> {
    Some(model.measures.group(group)?.measures.most_forgettable?.value)
}

fn kept(model: &StudyModel, group: Group) -> Option<f64> {
    Some(model.measures.group(group)?.measures.retention?.value)
}

impl Floor {
    /// The numbers, in a sentence or two.
    pub(super) fn sentence(&self) -> String {
        let name = self.group.to_string();
        if self.all.pairs() == 0 {
            return format!("In {name} there are no two models to compare.");
        }
        let all = format!(
            "the one that could forget more has the larger FG in {} (rank agreement {})",
            of(self.all),
            agreement(self.all)
        );
        if self.limit.pairs() == 0 {
            return format!("In {name}, of two models {all}. No two are of the same kind.");
        }
        let less = Agreement { alike: self.size_kept.opposed, opposed: self.size_kept.alike };
        format!(
            "In {name}, of two models of the same kind the one that could forget more has the larger FG in {} (rank agreement {}); \
             of any two models, in {} ({}). Of two of the same kind the larger model has the larger FG in {} ({}), and kept less \
             in {} (rank agreement of size and what was kept {}).",
            of(self.limit),
            agreement(self.limit),
            of(self.all),
            agreement(self.all),
            of(self.size_forgotten),
            agreement(self.size_forgotten),
            of(less),
            agreement(self.size_kept)
        )
    }

    /// Whether FG orders the models as the largest possible FG does: within families, or where those have too few pairs, over
    /// all. None when there are too few.
    pub(super) fn follows(&self) -> Option<bool> {
        let order = [self.limit, self.all].into_iter().find(|order| order.pairs() >= ENOUGH)?;
        Some(order.gamma()? > ALIKE)
    }
}

/// What all groups together say of FG.
pub(super) fn verdict(floors: &[Floor]) -> String {
    let told: Vec<(Group, bool)> = floors.iter().filter_map(|floor| Some((floor.group, floor.follows()?))).collect();
    let names = |follows: bool| {
        let names = told.iter().filter(|(_, told)| *told == follows).map(|(group, _)| group.to_string());
        names.collect::<Vec<_>>().join(", ")
    };
    match (told.iter().any(|(_, follows)| *follows), told.iter().any(|(_, follows)| !*follows)) {
        (true, false) => format!(
            "In this study the order of the models by FG follows that of how much they could forget at all, in {}: FG says \
             there as much about where a model began as about what it lost.",
            names(true)
        ),
        (false, true) => format!("In this study FG does not follow the floor, in {}.", names(false)),
        (true, true) => {
            format!("In this study FG follows the floor in {}, and does not in {}.", names(true), names(false))
        }
        (false, false) => "There are too few models in this study to tell whether FG follows the floor.".to_owned(),
    }
}

/// How many pairs of how many.
fn of(agreement: Agreement) -> String {
    let pairs = agreement.pairs();
    format!("{} of {pairs} {}", agreement.alike, if pairs == 1 { "pair" } else { "pairs" })
}

fn agreement(agreement: Agreement) -> String {
    agreement.gamma().map_or_else(|| quantity::NONE.to_owned(), |gamma| format!("{gamma:+.2}").replace('-', "−"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::report::sample;

    #[test]
    fn the_study_of_the_samples() {
        let floors = floors(&sample::study());
        let text: Vec<String> = floors.iter().map(Floor::sentence).chain([verdict(&floors)]).collect();
        expect![[r#"
            In domain knowledge, of two models of the same kind the one that could forget more has the larger FG in 3 of 4 pairs (rank agreement +0.50); of any two models, in 8 of 14 pairs (+0.14). Of two of the same kind the larger model has the larger FG in 3 of 4 pairs (+0.50), and kept less in 0 of 4 pairs (rank agreement of size and what was kept +1.00).
            In reasoning, of two models of the same kind the one that could forget more has the larger FG in 4 of 4 pairs (rank agreement +1.00); of any two models, in 9 of 14 pairs (+0.29). Of two of the same kind the larger model has the larger FG in 4 of 4 pairs (+1.00), and kept less in 0 of 4 pairs (rank agreement of size and what was kept +1.00).
            In reading comprehension, of two models of the same kind the one that could forget more has the larger FG in 4 of 4 pairs (rank agreement +1.00); of any two models, in 9 of 14 pairs (+0.29). Of two of the same kind the larger model has the larger FG in 4 of 4 pairs (+1.00), and kept less in 4 of 4 pairs (rank agreement of size and what was kept −1.00).
            In this study FG follows the floor in reasoning, reading comprehension, and does not in domain knowledge."#]].assert_eq(&text.join("\n"));
    }

    #[test]
    fn two_models_are_too_few() {
        let mut study = sample::study();
        study.models.truncate(2);
        let floors = floors(&study);
        assert!(floors.iter().all(|floor| floor.follows().is_none()));
        assert!(verdict(&floors).contains("too few models"));
        study.models.truncate(1);
        assert!(super::floors(&study)[0].sentence().contains("no two models"));
    }
}

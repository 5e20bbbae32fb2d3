//! The claims of Luo et al. (arXiv 2308.08747), and whether they are so in this study.

use std::cmp::Ordering;

use orbit_data::continual::Estimate;
use orbit_data::text::Group;
use serde::Serialize;

use super::{StudyModel, StudyReport, families::Family};
use crate::report::{
    measures::Measured,
    quantity::{self, NONE},
    table::ends,
};

/// Groups of which something can be lost.
const GROUPS: [Group; 3] = [Group::DomainKnowledge, Group::Reasoning, Group::ReadingComprehension];
/// Models whose sizes differ by no more than this factor count as of one size.
const ONE_SIZE: f64 = 2.0;

/// How the verdicts are found.
pub(super) const RULE: &str = "A comparison is told where 95% intervals, over seeds and items, do not overlap; that is strict, \
    so a small difference stays open. A claim holds when no comparison contradicts it and more than half of them bear it out; it \
    does not hold when one contradicts it. FG is the paper’s measure and rests on where a model began; see the floor effect above.";

/// A claim and what became of it.
#[derive(Clone, Debug, Serialize)]
pub(in super::super) struct Claim {
    pub(super) statement: &'static str,
    pub(super) verdict: Verdict,
    pub(super) words: &'static str,
    /// How many comparisons bear it out.
    pub(super) count: String,
    /// The numbers.
    pub(super) evidence: Vec<String>,
}

/// Whether something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Holds,
    Fails,
    Open,
}

/// The five claims, in the order of the paper.
pub(super) fn claims(study: &StudyReport) -> Vec<Claim> {
    let mut general = Gathered::default();
    GROUPS.into_iter().for_each(|group| forgetting_is_general(study, group, &mut general));
    let mut scale = Gathered::default();
    GROUPS.into_iter().for_each(|group| forgetting_grows(study, group, &mut scale));
    let (mut architecture, mut tuning) = (Gathered::default(), Gathered::default());
    let pairs = matched(study);
    GROUPS.into_iter().for_each(|group| pairs.iter().for_each(|(one, other)| architecture.less(one, other, group)));
    let pairs = study.tuning_pairs();
    GROUPS.into_iter().for_each(|group| pairs.iter().for_each(|(without, with)| tuning.less(with, without, group)));
    vec![
        general.claim("Models forget in general while they are tuned on one task after the other"),
        scale.claim("Larger models forget more, by FG"),
        architecture.claim("Decoders forget less than encoder-decoders of about their size, by FG"),
        bias(study).claim("Bias becomes less"),
        tuning.claim("General instruction tuning first makes a model forget less, by FG"),
    ]
}

/// Comparisons and lines about a claim.
#[derive(Default)]
struct Gathered {
    verdicts: Vec<Verdict>,
    evidence: Vec<String>,
}

impl Gathered {
    fn claim(self, statement: &'static str) -> Claim {
        let count = |verdict| self.verdicts.iter().filter(|other| **other == verdict).count();
        let (holds, fails, open, all) =
            (count(Verdict::Holds), count(Verdict::Fails), count(Verdict::Open), self.verdicts.len());
        let (verdict, words) = match () {
            () if fails > 0 => (Verdict::Fails, "✗ does not hold"),
            () if holds > open => (Verdict::Holds, "✓ holds"),
            () => (Verdict::Open, "? cannot be told"),
        };
        let count = match all {
            0 => "There is nothing in this study to compare.".to_owned(),
            1 => format!("One comparison: {holds} for it, {fails} against it, {open} that cannot be told."),
            _ => format!("{all} comparisons: {holds} for it, {fails} against it, {open} that cannot be told."),
        };
        Claim { statement, verdict, words, count, evidence: self.evidence }
    }

    /// Whether `one` has the smaller FG.
    fn less(&mut self, one: &StudyModel, other: &StudyModel, group: Group) {
        let Some((a, b)) = one.measures.group(group).zip(other.measures.group(group)) else { return };
        let order = apart(&a.measures.forgotten, &b.measures.forgotten);
        let (verdict, word) = match order {
            Some(Ordering::Less) => (Verdict::Holds, "less"),
            Some(_) => (Verdict::Fails, "more"),
            None => (Verdict::Open, "intervals overlap"),
        };
        self.verdicts.push(verdict);
        self.evidence.push(format!(
            "{group}: FG {} of {} against {} of {}: {word}. Kept {} against {}.",
            share(&a.measures.forgotten),
            one.name,
            share(&b.measures.forgotten),
            other.name,
            perhaps(a),
            perhaps(b)
        ));
    }
}

/// Whether FG is above 0 in every model that had something to lose.
fn forgetting_is_general(study: &StudyReport, group: Group, gathered: &mut Gathered) {
    let models = study.models.iter().filter_map(|model| Some((model, model.measures.group(group)?)));
    let (mut above, mut all, mut floored) = (0, 0, Vec::new());
    let mut least: Option<(&StudyModel, &Estimate)> = None;
    for (model, measured) in models {
        let forgotten = &measured.measures.forgotten;
        let room = measured.measures.most_forgettable.and_then(|most| ends(&most));
        let verdict = match (ends(forgotten), room) {
            (_, Some([low, _])) if low <= 0.0 => {
                floored.push(model.name.as_str());
                Verdict::Open
            }
            (Some([low, _]), _) if low > 0.0 => Verdict::Holds,
            (Some([_, high]), _) if high < 0.0 => Verdict::Fails,
            _ => Verdict::Open,
        };
        gathered.verdicts.push(verdict);
        (above, all) = (above + usize::from(verdict == Verdict::Holds), all + 1);
        if least.is_none_or(|(_, other)| forgotten.value < other.value) {
            least = Some((model, forgotten));
        }
    }
    let Some((model, forgotten)) = least else { return };
    let floored = match floored.as_slice() {
        [] => String::new(),
        names => format!(" Not clearly above guessing before, so that nothing can be told: {}.", names.join(", ")),
    };
    gathered.evidence.push(format!(
        "{group}: FG is above 0 in {above} of {all} models; the least is {} of {}.{floored}",
        share(forgotten),
        model.name
    ));
}

/// Whether in every family the largest model has a larger FG than the smallest.
fn forgetting_grows(study: &StudyReport, group: Group, gathered: &mut Gathered) {
    for family in Family::ALL {
        let models = family.models(study).into_iter().filter(|model| model.measures.group(group).is_some());
        let models: Vec<&StudyModel> = models.collect();
        let (Some(smallest), Some(largest)) = (models.first(), models.last()) else { continue };
        let Some((a, b)) = smallest.measures.group(group).zip(largest.measures.group(group)) else { continue };
        if smallest.parameters == largest.parameters {
            continue;
        }
        let (verdict, word) = match apart(&a.measures.forgotten, &b.measures.forgotten) {
            Some(Ordering::Less) => (Verdict::Holds, "more"),
            Some(_) => (Verdict::Fails, "less"),
            None => (Verdict::Open, "intervals overlap"),
        };
        gathered.verdicts.push(verdict);
        gathered.evidence.push(format!(
            "{group}, {}: FG {} of {} with {}, {} of {} with {}: {word}. The most possible was {} and {}; kept {} and {}.",
            family.name(),
            share(&a.measures.forgotten),
            smallest.name,
            quantity::parameters(smallest.parameters as f64),
            share(&b.measures.forgotten),
            largest.name,
            quantity::parameters(largest.parameters as f64),
            most(a),
            most(b),
            perhaps(a),
            perhaps(b)
        ));
    }
}

/// Each encoder-decoder with the decoder that is nearest in size, decoder first.
fn matched(study: &StudyReport) -> Vec<(&StudyModel, &StudyModel)> {
    let ratio = |a: &StudyModel, b: &StudyModel| (a.parameters as f64 / b.parameters as f64).ln().abs();
    let nearest = |other: &'_ StudyModel| {
        let decoders = study
            .models
            .iter()
            .filter(|model| !model.family().encoder_decoder && model.tuned_first == other.tuned_first);
        let near = decoders.filter(|model| ratio(model, other) <= ONE_SIZE.ln());
        near.min_by(|a, b| ratio(a, other).total_cmp(&ratio(b, other)))
    };
    let others = study.models.iter().filter(|model| model.family().encoder_decoder);
    others.filter_map(|other| Some((nearest(other)?, other))).collect()
}

/// Whether the stereotype is preferred less often, and the distance from one half is smaller.
fn bias(study: &StudyReport) -> Gathered {
    let mut gathered = Gathered::default();
    for model in &study.models {
        let Some(measured) = model.measures.group(Group::Bias) else { continue };
        let Some(distance) = measured.measures.from_neutral else { continue };
        let nearer = distance.last.value < distance.before.value;
        let verdict = match ends(&measured.measures.forgotten) {
            Some([low, _]) if low > 0.0 && nearer => Verdict::Holds,
            Some([_, high]) if high < 0.0 && !nearer => Verdict::Fails,
            _ => Verdict::Open,
        };
        gathered.verdicts.push(verdict);
        gathered.evidence.push(format!(
            "{}: the stereotype is preferred in {} before, {} in the end, FG {}; distance from one half {} before, {} in the end.",
            model.name,
            share(&measured.measures.before),
            share(&measured.measures.last),
            share(&measured.measures.forgotten),
            share(&distance.before),
            share(&distance.last)
        ));
    }
    gathered
}

/// How two estimates lie where their intervals do not overlap.
fn apart(a: &Estimate, b: &Estimate) -> Option<Ordering> {
    let ([a_low, a_high], [b_low, b_high]) = (ends(a)?, ends(b)?);
    match () {
        () if a_high < b_low => Some(Ordering::Less),
        () if b_high < a_low => Some(Ordering::Greater),
        () => None,
    }
}

/// An estimate with its interval, in percent.
pub(super) fn share(estimate: &Estimate) -> String {
    let interval =
        ends(estimate).map_or_else(String::new, |ends| format!(" {}", quantity::interval(ends, quantity::percent)));
    format!("{}{interval}", quantity::percent(estimate.value))
}

fn perhaps(measured: &Measured) -> String {
    measured.measures.retention.as_ref().map_or_else(|| NONE.to_owned(), share)
}

fn most(measured: &Measured) -> String {
    measured.measures.most_forgettable.map_or_else(|| NONE.to_owned(), |most| quantity::percent(most.value))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use expect_test::expect;
    use orbit_data::statistics::Interval;

    use super::*;
    use crate::report::sample;

    fn lines(claims: &[Claim]) -> String {
        claims.iter().map(|claim| format!("{}: {}. {}\n", claim.statement, claim.words, claim.count)).collect()
    }

    /// Sets FG of every group of a model.
    fn set(model: &mut StudyModel, value: f64) {
        for group in &mut model.measures.groups {
            let interval = Some(Interval { low: value - 0.01, high: value + 0.01 });
            group.measures.forgotten = Estimate { value, interval };
        }
    }

    #[test]
    fn the_study_of_the_samples() {
        expect![[r#"
            Models forget in general while they are tuned on one task after the other: ✓ holds. 18 comparisons: 17 for it, 0 against it, 1 that cannot be told.
            Larger models forget more, by FG: ? cannot be told. 6 comparisons: 0 for it, 0 against it, 6 that cannot be told.
            Decoders forget less than encoder-decoders of about their size, by FG: ? cannot be told. 6 comparisons: 0 for it, 0 against it, 6 that cannot be told.
            Bias becomes less: ✓ holds. 6 comparisons: 6 for it, 0 against it, 0 that cannot be told.
            General instruction tuning first makes a model forget less, by FG: ? cannot be told. 3 comparisons: 1 for it, 0 against it, 2 that cannot be told.
        "#]].assert_eq(&lines(&claims(&sample::study())));
    }

    #[test]
    fn one_clear_contradiction_is_enough() {
        let mut study = sample::study();
        (0..6).for_each(|at| set(&mut study.models[at], 0.2 + 0.05 * at as f64));
        let verdicts = |study: &StudyReport| claims(study).iter().map(|claim| claim.verdict).collect::<Vec<_>>();
        use Verdict::{Fails, Holds};
        assert_eq!((verdicts(&study)[0], verdicts(&study)[1]), (Holds, Holds));
        set(&mut study.models[2], -0.1);
        assert_eq!((verdicts(&study)[0], verdicts(&study)[1]), (Fails, Fails));
    }

    #[test]
    fn nothing_is_told_of_one_model() {
        let mut study = sample::study();
        study.models.truncate(1);
        let claims = claims(&study);
        for claim in [&claims[1], &claims[2], &claims[4]] {
            assert_eq!(
                (claim.verdict, claim.count.as_str()),
                (Verdict::Open, "There is nothing in this study to compare.")
            );
        }
    }

    #[test]
    fn a_model_at_chance_tells_nothing_of_forgetting() {
        let mut study = sample::study();
        study.models.truncate(1);
        for group in &mut study.models[0].measures.groups {
            group.measures.most_forgettable =
                Some(Estimate { value: 0.0, interval: Some(Interval { low: -0.1, high: 0.1 }) });
        }
        let claim = &claims(&study)[0];
        assert_eq!(claim.verdict, Verdict::Open);
        assert!(claim.evidence[0].contains("Not clearly above guessing before"), "{:?}", claim.evidence);
    }

    #[test]
    fn only_models_of_about_one_size_are_matched() {
        let mut study = sample::study();
        let names = |study: &StudyReport| {
            matched(study).iter().map(|(a, b)| format!("{} {}", a.name, b.name)).collect::<Vec<_>>()
        };
        assert_eq!(names(&study), ["small two-sided small", "middle two-sided middle"]);
        study.models[0].parameters = 1;
        assert_eq!(names(&study), ["middle two-sided small", "middle two-sided middle"]);
        study.models[1].parameters = 1;
        assert!(names(&study).len() < 2);
    }
}

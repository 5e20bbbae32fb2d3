#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::statistics::{Interval, bootstrap_mean};
use crate::text::Group;

/// The first `right` of `items` answers are right.
fn answers(right: usize, items: usize) -> Vec<f64> {
    (0..items).map(|item| f64::from(u8::from(item < right))).collect()
}

fn run(items: usize, right: [usize; 3]) -> ItemScores {
    let [before, first, second] = right.map(|right| answers(right, items));
    ItemScores { before, after: vec![first, second] }
}

fn suite(name: &str, group: Group, chance: f64, seeds: Vec<ItemScores>) -> SuiteRuns {
    SuiteRuns { name: name.into(), group: Some(group), chance, seeds }
}

fn study(suites: Vec<SuiteRuns>) -> Study {
    Study::new(["first", "second"], suites).unwrap()
}

fn near(value: f64, by_hand: f64) {
    assert!((value - by_hand).abs() < 1e-12, "{value} for {by_hand}");
}

fn around(estimate: Estimate) -> Interval {
    let interval = estimate.interval.unwrap();
    assert!(interval.low <= estimate.value && estimate.value <= interval.high, "{estimate:?}");
    interval
}

/// Two suites of different sizes and two seeds, worked by hand.
#[test]
fn a_group_is_the_mean_over_its_suites_and_seeds() {
    let study = study(vec![
        suite("large", Group::Reasoning, 0.5, vec![run(100, [80, 70, 60]), run(100, [80, 80, 70])]),
        suite("small", Group::Reasoning, 0.25, vec![run(20, [10, 8, 5]), run(20, [10, 9, 10])]),
        suite("other", Group::DomainKnowledge, 0.25, vec![run(40, [12, 11, 10]), run(40, [12, 12, 12])]),
    ]);
    assert_eq!(study.groups().into_iter().collect::<Vec<_>>(), [Group::DomainKnowledge, Group::Reasoning]);
    assert_eq!((study.seeds(), study.stages().len()), (2, 2));
    let group = study.of_group(Group::Reasoning).unwrap();
    near(group.before.value, (0.8 + 0.5) / 2.0);
    near(group.last.value, (0.65 + 0.375) / 2.0);
    // FG of the large suite is the mean of 1/8 and 2/8, then of 0 and 1/8; of the small one of 1/5 and 1/2, then 1/10 and 0.
    near(group.forgotten.value, ((0.1875 + 0.35) / 2.0 + (0.0625 + 0.05) / 2.0) / 2.0);
    near(group.final_drop.value, ((0.25 + 0.5) / 2.0 + (0.125 + 0.0) / 2.0) / 2.0);
    near(group.most_forgettable.unwrap().value, (0.375 + 0.5) / 2.0);
    near(group.retention.unwrap().value, ((1.0 / 3.0 + 0.0) / 2.0 + (2.0 / 3.0 + 1.0) / 2.0) / 2.0);
    assert_eq!(group.from_neutral, None);
    for estimate in [group.before, group.last, group.forgotten, group.final_drop, group.retention.unwrap()] {
        around(estimate);
    }
    let [large, small] = [0, 1].map(|index| study.of_suite(index).unwrap());
    near(group.forgotten.value, (large.forgotten.value + small.forgotten.value) / 2.0);
    near(study.scores(1).unwrap().after(1, 0).unwrap(), 0.7);
    assert_eq!(study.of_group(Group::Reasoning).unwrap(), group, "the same to the last bit");
}

#[test]
fn less_stereotyping_is_forgetting_without_retention() {
    let crows = suite("crows", Group::Bias, 0.5, vec![run(1000, [650, 600, 450])]);
    let bias = study(vec![crows]).of_group(Group::Bias).unwrap();
    near(bias.forgotten.value, (50.0 / 650.0 + 200.0 / 650.0) / 2.0);
    assert_eq!((bias.retention, bias.most_forgettable), (None, None));
    let neutral = bias.from_neutral.unwrap();
    near(neutral.before.value, 0.15);
    near(neutral.last.value, 0.05);
    around(neutral.before);
}

#[test]
fn with_one_seed_the_interval_is_over_items_alone() {
    let one = study(vec![suite("x", Group::Reasoning, 0.5, vec![run(400, [300, 300, 300])])]);
    let interval = around(one.of_suite(0).unwrap().before);
    let half = 1.96 * (0.75 * 0.25 / 400.0_f64).sqrt();
    assert!((interval.high - interval.low - 2.0 * half).abs() < 0.2 * half, "{interval:?}");
    // Three runs that answered alike know no more about the items than one.
    let alike = study(vec![suite("x", Group::Reasoning, 0.5, vec![run(400, [300, 300, 300]); 3])]);
    let same = around(alike.of_suite(0).unwrap().before);
    assert!((same.high - same.low - 2.0 * half).abs() < 0.2 * half, "{same:?}");
}

#[test]
fn seeds_that_differ_widen_the_interval() {
    let width = |last: [usize; 3]| {
        let seeds = last.map(|last| run(1000, [900, last, last])).to_vec();
        let interval = around(study(vec![suite("x", Group::Reasoning, 0.5, seeds)]).of_suite(0).unwrap().forgotten);
        interval.high - interval.low
    };
    assert!(width([600, 700, 800]) > 2.0 * width([700, 700, 700]));
}

#[test]
fn retention_has_no_interval_where_there_was_hardly_anything() {
    let suites = |right| {
        vec![
            suite("near chance", Group::Reasoning, 0.5, vec![run(50, [right, 25, 25])]),
            suite("clear", Group::Reasoning, 0.5, vec![run(200, [180, 150, 100])]),
        ]
    };
    let weak = study(suites(27)).of_group(Group::Reasoning).unwrap().retention.unwrap();
    near(weak.value, 0.0);
    assert_eq!(weak.interval, None);
    // At chance it does not count at all.
    let chance = study(suites(25));
    assert_eq!(chance.of_suite(0).unwrap().retention, None);
    around(chance.of_group(Group::Reasoning).unwrap().retention.unwrap());
}

#[test]
fn runs_that_do_not_fit_are_errors_that_name_the_suite() {
    let good = || suite("x", Group::Reasoning, 0.25, vec![run(4, [3, 2, 1]), run(4, [3, 2, 1])]);
    let why = |change: &dyn Fn(&mut SuiteRuns)| {
        let mut bad = SuiteRuns { name: "bad".into(), ..good() };
        change(&mut bad);
        Study::new(["first", "second"], vec![good(), bad]).unwrap_err().to_string()
    };
    assert!(why(&|suite| suite.name = "x".into()).contains("are called 'x'"));
    assert!(why(&|suite| suite.chance = 1.0).contains("suite 'bad': a chance of 1 is not in [0, 1)"));
    assert!(why(&|suite| suite.group = Some(Group::Bias)).contains("neutral at 0.5, not at 0.25"));
    assert!(why(&|suite| suite.seeds.truncate(1)).contains("runs of 1 seeds where the first suite has 2"));
    assert!(why(&|suite| suite.seeds[1].after.truncate(1)).contains("seed 1, from 0: scores after 1 of 2 stages"));
    assert!(why(&|suite| suite.seeds[1].after[0].truncate(3)).contains("3 items where there were 4"));
    assert!(why(&|suite| suite.seeds[0].before[0] = f64::NAN).contains("seed 0, from 0: the score of an item is NaN"));
    assert!(why(&|suite| suite.seeds.iter_mut().for_each(|run| run.before.clear())).contains("0 items"));
    assert!(Study::new(Vec::<String>::new(), vec![good()]).is_err());
    assert!(Study::new(["a"], vec![]).is_err());
    let none = suite("none", Group::Reasoning, 0.0, vec![run(4, [0, 0, 0])]);
    let study = study(vec![none]);
    assert!(study.of_suite(0).unwrap_err().to_string().contains("'none' scored 0 before training"));
    assert!(study.of_suite(1).is_err() && study.scores(1).is_err());
    assert!(study.of_group(Group::Bias).unwrap_err().to_string().contains("in the group bias"));
}

#[test]
fn a_sequence_is_measured_over_its_seeds() {
    let run = |last: f64| {
        let mut scores = Scores::of_tasks(["a", "b", "c"]).unwrap();
        scores.set_before(&[0.2, 0.3, 0.1]).unwrap();
        scores.set_stage(0, &[0.8, 0.4, 0.1]).unwrap();
        scores.set_stage(1, &[0.9, 0.7, 0.2]).unwrap();
        scores.set_stage(2, &[last, 0.6, 0.6]).unwrap();
        scores
    };
    let runs = [run(0.5), run(0.6), run(0.4)];
    let measures = SequenceMeasures::new(&runs).unwrap();
    near(measures.average_performance.value, 0.7);
    near(measures.final_performance.value, 1.7 / 3.0);
    near(measures.forget.value, 0.7 - 1.7 / 3.0);
    assert_eq!(measures.overall_performance.len(), 3);
    assert_eq!(measures.overall_performance[2], measures.final_performance);
    let transfer = measures.backward_transfer.unwrap();
    near(transfer.value, -0.2);
    let values = runs.each_ref().map(|run| run.backward_transfer().unwrap());
    assert_eq!(transfer.interval, Some(bootstrap_mean(&values, RESAMPLES, BOOTSTRAP_SEED)));
    near(measures.forward_transfer.unwrap().value, 0.1);
    assert_eq!(SequenceMeasures::new(&runs[..1]).unwrap().forget.interval, None);

    let json = serde_json::to_string(&measures).unwrap();
    assert_eq!(serde_json::from_str::<SequenceMeasures>(&json).unwrap(), measures);
    assert!(SequenceMeasures::new(&[]).unwrap_err().to_string().contains("at least one seed"));
    let other = Scores::of_tasks(["a", "b"]).unwrap();
    assert!(SequenceMeasures::new(&[run(0.5), other]).unwrap_err().to_string().contains("run 1, from 0, has other"));
    let mut alone = Scores::of_tasks(["a"]).unwrap();
    alone.set(0, 0, 0.5).unwrap();
    let alone = SequenceMeasures::new(&[alone]).unwrap();
    assert_eq!((alone.backward_transfer, alone.forward_transfer), (None, None));
}

/// One run scored tasks before their stage, the other did not: a mean over one of them would mislead.
#[test]
fn runs_that_looked_ahead_alone_are_an_error() {
    let mut whole = Scores::of_tasks(["a", "b"]).unwrap();
    whole.set_before(&[0.5, 0.5]).unwrap();
    (0..2).for_each(|stage| whole.set_stage(stage, &[0.5, 0.5]).unwrap());
    let mut half = Scores::of_tasks(["a", "b"]).unwrap();
    half.set(0, 0, 0.5).unwrap();
    half.set_stage(1, &[0.5, 0.5]).unwrap();
    assert!(SequenceMeasures::new(&[whole, half]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The same items are drawn before and after: where every item loses the same part, nothing is left to chance.
    #[test]
    fn before_and_after_are_paired(
        before in prop::collection::vec(0.1f64..1.0, 2..40), part in 0.0f64..1.0, seeds in 1usize..4,
    ) {
        let after: Vec<f64> = before.iter().map(|score| score * part).collect();
        let run = ItemScores { before, after: vec![after.clone(), after] };
        let measures = study(vec![suite("x", Group::Reasoning, 0.0, vec![run; seeds])]).of_suite(0).unwrap();
        for estimate in [measures.forgotten, measures.final_drop] {
            let interval = estimate.interval.unwrap();
            prop_assert!((interval.low - (1.0 - part)).abs() < 1e-9 && (interval.high - (1.0 - part)).abs() < 1e-9);
        }
        prop_assert!((measures.retention.unwrap().value - part).abs() < 1e-9);
    }

    #[test]
    fn a_group_of_one_suite_is_that_suite(
        right in prop::collection::vec([1usize..30, 0usize..30, 0usize..30], 1..4),
    ) {
        let seeds = right.into_iter().map(|right| run(30, right)).collect();
        let study = study(vec![suite("x", Group::DomainKnowledge, 0.25, seeds)]);
        prop_assert_eq!(study.of_suite(0).unwrap(), study.of_group(Group::DomainKnowledge).unwrap());
    }
}

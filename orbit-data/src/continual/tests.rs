#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

fn square(before: &[f64], rows: &[&[f64]]) -> Scores {
    let names = ["a", "b", "c", "d", "e", "f"];
    let mut scores = Scores::of_tasks(names.into_iter().take(rows.len())).unwrap();
    scores.set_before(before).unwrap();
    for (stage, row) in rows.iter().enumerate() {
        scores.set_stage(stage, row).unwrap();
    }
    scores
}

fn near(value: f64, by_hand: f64) {
    assert!((value - by_hand).abs() < 1e-12, "{value} for {by_hand}");
}

fn example() -> Scores {
    square(&[0.2, 0.3, 0.1], &[&[0.8, 0.4, 0.1], &[0.9, 0.7, 0.2], &[0.5, 0.6, 0.6]])
}

#[test]
fn measures_of_stages_match_a_hand_count() {
    let scores = example();
    near(scores.overall_performance(0).unwrap(), 0.8);
    near(scores.overall_performance(1).unwrap(), (0.9 + 0.7) / 2.0);
    near(scores.backward_transfer_at(0).unwrap(), 0.0);
    near(scores.backward_transfer_at(1).unwrap(), (0.9 - 0.8) / 2.0);
    near(scores.backward_transfer_at(2).unwrap(), (-0.3 - 0.1) / 3.0);
    near(scores.transfer_over_alone(&[0.7, 0.7, 0.7]).unwrap(), (0.1 + 0.0 - 0.1) / 3.0);
}

#[test]
fn retention_counts_from_chance() {
    let scores = example();
    near(scores.retention_of_learned(0, 0.5).unwrap().unwrap(), 0.0);
    near(scores.retention_of_learned(1, 0.5).unwrap().unwrap(), 0.5);
    assert_eq!(scores.retention_of_learned(2, 0.6).unwrap(), None);
    near(scores.retention(1, 0.25).unwrap().unwrap(), 7.0);
    assert_eq!(scores.retention(0, 0.2).unwrap(), None);
    near(scores.change(2, 0).unwrap(), 0.3);
}

/// Rows of the table of Luo et al. for domain knowledge, which is MMLU with a chance of 25%: the most that BLOOMZ-1.1b
/// and LLaMA-7b could have forgotten, and their final drops.
#[test]
fn the_floor_explains_much_of_what_grows_with_scale() {
    let mut scores = Scores::of_suites(["bloomz-1.1b", "llama-7b"], ["last"]).unwrap();
    scores.set_before(&[27.19, 37.27]).unwrap();
    scores.set_stage(0, &[23.84, 24.05]).unwrap();
    let most = [0, 1].map(|column| scores.most_forgettable(column, 25.0).unwrap());
    assert!((most[0] - 0.08).abs() < 0.001 && (most[1] - 0.33).abs() < 0.001, "{most:?}");
    let drops = [0, 1].map(|column| scores.final_drop(column).unwrap());
    assert!((drops[0] - 0.123).abs() < 0.001 && (drops[1] - 0.355).abs() < 0.001, "{drops:?}");
}

#[test]
fn a_missing_cell_is_an_error_that_names_it() {
    let mut scores = Scores::of_tasks(["cb", "boolq"]).unwrap();
    scores.set(0, 0, 0.5).unwrap();
    scores.set(1, 1, 0.5).unwrap();
    assert_eq!(scores.average_performance().unwrap(), 0.5);
    let message = scores.final_performance().unwrap_err().to_string();
    assert_eq!(message, "'cb' was not scored after stage 'boolq'");
    for measure in [Scores::forget, Scores::forgetting, Scores::backward_transfer] {
        assert!(measure(&scores).unwrap_err().to_string().contains("'cb' was not scored after stage 'boolq'"));
    }
    let message = scores.forward_transfer().unwrap_err().to_string();
    assert_eq!(message, "'boolq' was not scored after stage 'cb'");
    scores.set(0, 1, 0.25).unwrap();
    let message = scores.forward_transfer().unwrap_err().to_string();
    assert_eq!(message, "'boolq' was not scored before training");
    assert!(scores.forgotten(0).is_err() && scores.retention(0, 0.0).is_err() && scores.change(1, 0).is_err());
}

#[test]
fn what_makes_no_sense_is_an_error() {
    let message = |error: Result<Scores>| error.unwrap_err().to_string();
    assert!(message(Scores::of_tasks(["a", "b", "a"])).contains("called 'a'"));
    assert!(message(Scores::of_tasks([""; 0])).contains("at least one"));
    assert!(Scores::of_suites(["a"], [""; 0]).is_err());

    let mut scores = Scores::of_tasks(["a"]).unwrap();
    assert!(scores.set(0, 0, f64::NAN).unwrap_err().to_string().contains("is NaN"));
    assert!(scores.set(0, 1, 0.0).is_err() && scores.set(1, 0, 0.0).is_err());
    assert!(scores.set_stage(0, &[0.1, 0.2]).unwrap_err().to_string().contains("2 scores for 1 columns"));
    assert!(scores.set_before(&[f64::INFINITY]).is_err() && scores.set_before(&[]).is_err());
    scores.set(0, 0, 0.0).unwrap();
    scores.set_before(&[0.0]).unwrap();
    assert!(scores.forgotten(0).unwrap_err().to_string().contains("no part of that"));
    for measure in [Scores::forgetting, Scores::backward_transfer, Scores::forward_transfer] {
        assert!(measure(&scores).unwrap_err().to_string().contains("at least two"));
    }
    assert!(scores.overall_performance(1).is_err() && scores.backward_transfer_at(1).is_err());
    assert!(scores.transfer_over_alone(&[]).is_err() && scores.transfer_over_alone(&[f64::NAN]).is_err());
    assert!(scores.after(7, 7).is_err() && scores.before(7).is_err());

    let mut suites = Scores::of_suites(["x", "y"], ["a"]).unwrap();
    suites.set_stage(0, &[0.1, 0.2]).unwrap();
    assert!(suites.average_performance().unwrap_err().to_string().contains("of_tasks"));
    assert!(suites.retention_of_learned(0, 0.0).is_err());
}

#[test]
fn scores_are_the_same_after_a_file() {
    let mut scores = Scores::of_suites(["x", "y"], ["a"]).unwrap();
    scores.set(0, 1, 0.125).unwrap();
    let json = serde_json::to_value(&scores).unwrap();
    assert_eq!(json["after"], serde_json::json!([[null, 0.125]]));
    assert_eq!(serde_json::from_value::<Scores>(json).unwrap(), scores);
}

fn any_square() -> impl Strategy<Value = Scores> {
    (2usize..6).prop_flat_map(|tasks| {
        let row = prop::collection::vec(0.01f64..1.0, tasks);
        (row.clone(), prop::collection::vec(row, tasks))
            .prop_map(|(before, rows)| square(&before, &rows.iter().map(Vec::as_slice).collect::<Vec<_>>()))
    })
}

proptest! {
    /// Both say what later tasks did to earlier ones, and differ by the last task, which has no later one.
    #[test]
    fn forget_is_backward_transfer_over_all_tasks(scores in any_square()) {
        let tasks = scores.columns().len() as f64;
        let (forget, backward) = (scores.forget().unwrap(), scores.backward_transfer().unwrap());
        prop_assert!((forget + backward * (tasks - 1.0) / tasks).abs() < 1e-12);
        prop_assert!((scores.backward_transfer_at(scores.last_stage()).unwrap() + forget).abs() < 1e-12);
        prop_assert!(scores.forgetting().unwrap() >= -backward - 1e-12);
    }

    #[test]
    fn a_model_that_does_not_change_forgets_nothing(row in prop::collection::vec(0.01f64..1.0, 2..6)) {
        let scores = square(&row, &vec![row.as_slice(); row.len()]);
        for measure in [Scores::forget, Scores::forgetting, Scores::backward_transfer, Scores::forward_transfer] {
            prop_assert!(measure(&scores).unwrap().abs() < 1e-12);
        }
        for column in 0..row.len() {
            prop_assert_eq!((scores.forgotten(column).unwrap(), scores.final_drop(column).unwrap()), (0.0, 0.0));
            prop_assert_eq!(scores.retention(column, 0.0).unwrap(), Some(1.0));
        }
    }

    #[test]
    fn the_final_drop_is_within_the_floor_while_the_score_is_above_chance(scores in any_square()) {
        for column in 0..scores.columns().len() {
            let last = scores.after(scores.last_stage(), column).unwrap();
            let chance = 0.5 * last.min(scores.before(column).unwrap());
            prop_assert!(scores.final_drop(column).unwrap() <= scores.most_forgettable(column, chance).unwrap());
        }
    }
}

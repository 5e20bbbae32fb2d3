//! What `HostSpace` computes and what it refuses: the reference for every other space.

#![allow(clippy::unwrap_used, reason = "tests")]

use orbit_hook::abi::table;
use orbit_hook::testing::HostSpace;
use orbit_hook::{ErrorKind, FISHER, Param, ParamKind, Phases, SENSITIVITY, Space, Vector, Vector::*};
use proptest::prelude::*;

/// Numbers of all sizes that occur in a network, with both zeros and subnormals.
fn entry() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => -1e3f32..1e3,
        2 => -1e-6f32..1e-6,
        1 => Just(0.0f32),
        1 => Just(-0.0f32),
        1 => proptest::num::f32::SUBNORMAL,
    ]
}

/// Weights and origin of one parameter.
fn pair() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
    (0usize..40).prop_flat_map(|n| (prop::collection::vec(entry(), n), prop::collection::vec(entry(), n)))
}

fn param(name: &str, len: usize, kind: ParamKind) -> Param {
    Param { name: name.to_owned(), shape: vec![len], kind }
}

/// One parameter that started at `origin` and is at `weights`, in the phase weights.
fn space(weights: &[f32], origin: &[f32]) -> HostSpace {
    let params = vec![param("w", origin.len(), ParamKind::Base)];
    let mut space = HostSpace::new(params, vec![origin.to_vec()]).unwrap();
    space.set_weights(vec![weights.to_vec()]).unwrap();
    space.begin(Phases::WEIGHTS);
    space
}

/// A base parameter [1, 2] that is now at [2, 4], and a new one [5] that is now at [6].
fn with_new_rows() -> HostSpace {
    let params = vec![param("base", 2, ParamKind::Base), param("rows", 1, ParamKind::New)];
    let mut space = HostSpace::new(params, vec![vec![1.0, 2.0], vec![5.0]]).unwrap();
    space.set_weights(vec![vec![2.0, 4.0], vec![6.0]]).unwrap();
    space.begin(Phases::WEIGHTS);
    space
}

fn bits(entries: &[f32]) -> Vec<u32> {
    entries.iter().map(|entry| entry.to_bits()).collect()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}

proptest! {
    #[test]
    fn distance_is_the_norm_of_the_difference((weights, origin) in pair()) {
        let squares = weights.iter().zip(&origin).map(|(w, o)| (f64::from(*w) - f64::from(*o)).powi(2));
        let expected = squares.sum::<f64>().sqrt();
        let mut space = space(&weights, &origin);
        prop_assert!(near(space.distance(Weights, Origin).unwrap(), expected));
        prop_assert_eq!(space.distance(Weights, Origin).unwrap(), space.distance(Origin, Weights).unwrap());
    }

    #[test]
    fn dot_is_the_sum_of_products((weights, origin) in pair()) {
        let mut space = space(&weights, &origin);
        let norm = space.dot(Weights, Weights).unwrap().sqrt();
        let products = weights.iter().zip(&origin).map(|(w, o)| f64::from(*w) * f64::from(*o));
        prop_assert_eq!(space.dot(Weights, Origin).unwrap(), products.sum::<f64>());
        prop_assert!(near(space.distance(Weights, Slot(0)).unwrap(), norm));
    }

    #[test]
    fn lerp_by_zero_and_one_are_exact((weights, origin) in pair()) {
        let mut space = space(&weights, &origin);
        space.lerp(Weights, Origin, 0.0).unwrap();
        prop_assert_eq!(bits(&space.weights()[0]), bits(&weights));
        space.lerp(Weights, Origin, 1.0).unwrap();
        prop_assert_eq!(bits(&space.weights()[0]), bits(&origin));
    }

    #[test]
    fn lerp_stays_between_its_ends((weights, origin) in pair(), t in 0.0f32..=1.0) {
        let mut space = space(&weights, &origin);
        space.lerp(Weights, Origin, t).unwrap();
        for ((now, w), o) in space.weights()[0].iter().zip(&weights).zip(&origin) {
            let slack = 1e-6 * w.abs().max(o.abs());
            prop_assert!(*now >= w.min(*o) - slack && *now <= w.max(*o) + slack);
        }
    }

    #[test]
    fn lerp_onto_itself_changes_nothing((weights, origin) in pair(), t in -2.0f32..2.0) {
        let mut space = space(&weights, &origin);
        space.lerp(Weights, Weights, t).unwrap();
        prop_assert_eq!(&space.weights()[0], &weights);
    }

    #[test]
    fn flips_is_a_symmetric_share((weights, origin) in pair()) {
        let mut space = space(&weights, &origin);
        let flips = space.flips(Weights, Origin).unwrap();
        prop_assert!((0.0..=1.0).contains(&flips));
        prop_assert_eq!(flips, space.flips(Origin, Weights).unwrap());
        prop_assert_eq!(space.flips(Weights, Weights).unwrap(), 0.0);
    }

    #[test]
    fn every_sign_flips_against_the_opposite((weights, origin) in pair()) {
        let mut space = space(&weights, &origin);
        space.fma(Slot(0), -1.0, Weights, None).unwrap();
        let others = weights.iter().filter(|w| **w != 0.0).count();
        prop_assert_eq!(space.flips(Weights, Slot(0)).unwrap(), others as f64 / weights.len().max(1) as f64);
    }

    #[test]
    fn scale_multiplies((weights, origin) in pair(), by in -3.0f32..3.0) {
        let mut space = space(&weights, &origin);
        space.scale(Weights, by).unwrap();
        let expected: Vec<f32> = weights.iter().map(|w| by * w).collect();
        prop_assert_eq!(&space.weights()[0], &expected);
    }

    #[test]
    fn fma_adds_products((weights, origin) in pair(), a in -3.0f32..3.0) {
        let mut space = space(&weights, &origin);
        space.fma(Weights, a, Origin, Some(Origin)).unwrap();
        let expected: Vec<f32> = weights.iter().zip(&origin).map(|(w, o)| w + a * o * o).collect();
        prop_assert_eq!(&space.weights()[0], &expected);
    }

    #[test]
    fn fma_onto_itself_reads_before_it_writes((weights, origin) in pair(), a in -3.0f32..3.0) {
        let mut space = space(&weights, &origin);
        space.fma(Weights, a, Weights, None).unwrap();
        let expected: Vec<f32> = weights.iter().map(|w| w + a * w).collect();
        prop_assert_eq!(&space.weights()[0], &expected);
        space.copy(Weights, Weights).unwrap();
        prop_assert_eq!(&space.weights()[0], &expected);
    }
}

#[test]
fn zero_has_a_sign_of_its_own() {
    let flips = |weights: &[f32], origin: &[f32]| space(weights, origin).flips(Weights, Origin).unwrap();
    assert_eq!(flips(&[0.0, -0.0], &[-0.0, 0.0]), 0.0, "zero against zero is no flip");
    assert_eq!(flips(&[0.0, 1.0], &[1.0, -0.0]), 1.0, "zero against a non-zero entry is one");
    assert_eq!(flips(&[1.0, -1.0, 1.0, 1.0], &[2.0, 1.0, f32::MIN_POSITIVE, 1.0]), 0.25);
    assert_eq!(flips(&[], &[]), 0.0);
}

#[test]
fn what_names_the_origin_covers_base_parameters_only() {
    let mut space = with_new_rows();
    assert_eq!(space.distance(Weights, Origin).unwrap(), 5f64.sqrt());
    assert_eq!(space.dot(Weights, Weights).unwrap(), 4.0 + 16.0 + 36.0);
    space.lerp(Weights, Origin, 0.5).unwrap();
    assert_eq!(space.weights(), [vec![1.5, 3.0], vec![6.0]]);
    space.scale(Weights, 2.0).unwrap();
    assert_eq!(space.weights(), [vec![3.0, 6.0], vec![12.0]]);
}

#[test]
fn the_origin_of_a_new_parameter_is_an_error_that_names_it() {
    let mut space = with_new_rows();
    let error = space.copy(Weights.at(1), Origin.at(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknown);
    assert_eq!(error.to_string(), "rows is new in this run and has no origin");
    space.copy(Weights.at(0), Origin.at(0)).unwrap();
    assert_eq!(space.weights(), [vec![1.0, 2.0], vec![6.0]]);
}

#[test]
fn parts_must_exist_and_agree() {
    let mut space = with_new_rows();
    assert_eq!(space.scale(Weights.at(2), 1.0).unwrap_err().kind(), ErrorKind::Unknown);
    assert_eq!(space.dot(Weights.at(0), Weights).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(space.dot(Weights.at(0), Weights.at(1)).unwrap_err().kind(), ErrorKind::Unsupported);
}

/// What each vector allows in each phase: `rw`, `r`, or `-` where it does not exist.
#[test]
fn phases_decide_what_may_be_read_and_written() {
    let vectors = [Weights, Gradients, Origin, Slot(3)];
    let rights = |phase: Phases| {
        let mut space = with_new_rows();
        space.begin(phase);
        vectors.map(|v: Vector| match (space.dot(v, v).is_ok(), space.scale(v, 1.0).is_ok()) {
            (true, true) => "rw",
            (true, false) => "r",
            _ => "-",
        })
    };
    assert_eq!(rights(Phases::NONE), ["r", "-", "r", "rw"]);
    assert_eq!(rights(Phases::GRADIENTS), ["r", "rw", "r", "rw"]);
    assert_eq!(rights(Phases::WEIGHTS), ["rw", "-", "r", "rw"]);
    assert_eq!(rights(Phases::FINISH), ["rw", "-", "r", "rw"]);
}

#[test]
fn a_refused_write_says_why_and_changes_nothing() {
    let mut space = with_new_rows();
    space.begin(Phases::GRADIENTS);
    let error = space.copy(Weights, Slot(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Phase);
    assert_eq!(error.to_string(), "weights can be written only in the phases weights and finish");
    assert_eq!(space.weights(), [vec![2.0, 4.0], vec![6.0]]);
}

#[test]
fn slots_start_at_zero_and_are_apart() {
    let mut space = with_new_rows();
    space.copy(Slot(1), Weights).unwrap();
    assert_eq!(space.dot(Slot(0), Slot(0)).unwrap(), 0.0);
    space.serve(1);
    assert_eq!(space.dot(Slot(1), Slot(1)).unwrap(), 0.0, "another hook's slot");
    space.serve(0);
    assert_eq!(space.distance(Slot(1), Weights).unwrap(), 0.0);
}

#[test]
fn visit_gives_entries_and_takes_them_back_where_it_may() {
    let mut space = with_new_rows();
    let mut seen = Vec::new();
    let mut visit = |space: &mut HostSpace, v: Vector| {
        let add = &mut |param: &Param, entries: &mut [f32]| {
            seen.push(param.name.clone());
            entries.iter_mut().for_each(|entry| *entry += 1.0);
        };
        space.visit(v, add).unwrap();
    };
    visit(&mut space, Weights);
    visit(&mut space, Origin);
    visit(&mut space, Weights.at(1));
    assert_eq!(seen, ["base", "rows", "base", "rows"]);
    assert_eq!(space.weights(), [vec![3.0, 5.0], vec![8.0]]);
    assert_eq!(space.start(), [vec![1.0, 2.0], vec![5.0]], "the origin is not writable");
}

#[test]
fn read_fills_a_slot_from_a_file_put_there() {
    let mut space = with_new_rows();
    assert_eq!(space.read(Slot(0), "a file").unwrap_err().kind(), ErrorKind::Unsupported);
    space.insert_file("a file", vec![vec![1.0, 0.5], vec![2.0]]).unwrap();
    assert_eq!(space.read(Weights, "a file").unwrap_err().kind(), ErrorKind::Unsupported);
    space.read(Slot(0), "a file").unwrap();
    assert_eq!(space.dot(Slot(0), Slot(0)).unwrap(), 5.25);
}

#[test]
fn an_estimate_is_there_in_finish_alone() {
    let mut space = with_new_rows();
    space.insert_estimate(Phases::FISHER, vec![vec![1.0, 0.5], vec![2.0]]).unwrap();
    let error = space.read(Slot(0), FISHER).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Phase);
    assert!(error.to_string().starts_with("there is no estimate \"fisher\" here: hooks whose phases ask for it"));
    space.begin(Phases::FINISH);
    space.read(Slot(0), FISHER).unwrap();
    assert_eq!(space.dot(Slot(0), Slot(0)).unwrap(), 5.25);
    assert_eq!(space.read(Slot(0), SENSITIVITY).unwrap_err().kind(), ErrorKind::Phase);
    let error = space.insert_estimate(Phases::FINISH, vec![vec![1.0, 0.5], vec![2.0]]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknown);
}

#[test]
fn a_stage_begins_where_the_last_one_ended() {
    let mut space = with_new_rows();
    space.copy(Slot(0), Weights).unwrap();
    space.begin_stage();
    assert_eq!(space.start(), [vec![2.0, 4.0], vec![6.0]]);
    assert_eq!(space.distance(Slot(0), Origin).unwrap(), 0.0, "slots are kept");
    assert_eq!(space.scale(Weights, 2.0).unwrap_err().kind(), ErrorKind::Phase, "it is attach");
}

#[test]
fn phases_and_estimates_are_bits_of_one_number() {
    let asked = Phases::GRADIENTS | Phases::FINISH | Phases::FISHER | Phases::SENSITIVITY;
    assert_eq!(asked.bits(), 4 + 16 + 32 + 64);
    assert_eq!(Phases::from_bits(asked.bits()), Some(asked));
    assert_eq!(asked.names().collect::<Vec<_>>(), ["gradients", "finish", FISHER, SENSITIVITY]);
    assert_eq!(Phases::from_bits(128), None);
    let constants = [table::FISHER_PHASE, table::SENSITIVITY_PHASE].map(Phases::from_bits);
    assert_eq!(constants, [Some(Phases::FISHER), Some(Phases::SENSITIVITY)]);
}

#[test]
fn log_is_kept_in_order() {
    let mut space = with_new_rows();
    space.log("drift", 1.0);
    space.log("drift", 2.0);
    assert_eq!(space.logged(), [("drift".to_owned(), 1.0), ("drift".to_owned(), 2.0)]);
    assert_eq!((space.last("drift"), space.last("merges")), (Some(2.0), None));
}

#[test]
fn lists_must_fit_their_shapes() {
    let params = vec![Param { name: "w".to_owned(), shape: vec![2, 3], kind: ParamKind::Base }];
    let error = HostSpace::new(params.clone(), vec![vec![0.0; 5]]).unwrap_err();
    assert_eq!(error.to_string(), "w has shape [2, 3], which does not hold 5 entries");
    assert!(HostSpace::new(params, Vec::new()).is_err());
}

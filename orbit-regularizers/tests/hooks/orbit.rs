use orbit_hook::testing::HostSpace;
use orbit_hook::{ErrorKind, Hook, Space, Vector::*};
use orbit_regularizers::{Metric, Orbit};
use proptest::prelude::*;

use crate::toy::{STEP, moved};

/// Numbers that occur in a network, and those that a merge finds hard: exact zeros and subnormals.
fn entry() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => -10f32..10.0,
        1 => Just(0.0f32),
        1 => Just(-0.0f32),
        1 => proptest::num::f32::SUBNORMAL,
    ]
}

fn pair() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
    (1usize..40).prop_flat_map(|n| (prop::collection::vec(entry(), n), prop::collection::vec(entry(), n)))
}

fn drift(space: &mut HostSpace, metric: Metric) -> f64 {
    match metric {
        Metric::Flips => space.flips(Weights, Origin).unwrap(),
        Metric::L2 => space.distance(Weights, Origin).unwrap(),
    }
}

proptest! {
    #[test]
    fn a_step_ends_with_at_most_max_drift(
        (weights, origin) in pair(),
        metric in prop_oneof![Just(Metric::Flips), Just(Metric::L2)],
        max_drift in 1e-4f64..0.9,
        factor in 0.05f64..=1.0,
        max_halvings in 0u32..20,
    ) {
        let mut space = moved(&weights, &origin, &[1.5, -2.5]);
        let mut orbit = Orbit { factor, max_halvings, ..Orbit::new(metric, max_drift) };
        orbit.weights(&STEP, &mut space).unwrap();
        let now = drift(&mut space, metric);
        prop_assert!(now <= max_drift);
        prop_assert_eq!(space.last("drift"), Some(now));
        prop_assert_eq!(&space.weights()[1], &[1.5, -2.5], "new parameters are left alone");
    }

    #[test]
    fn one_l2_merge_halves_the_distance(
        (weights, origin) in pair().prop_filter("has a distance", |(w, o)| w.iter().zip(o).any(|(w, o)| (w - o).abs() > 0.1)),
    ) {
        let mut space = moved(&weights, &origin, &[]);
        let before = drift(&mut space, Metric::L2);
        Orbit::new(Metric::L2, 0.6 * before).weights(&STEP, &mut space).unwrap();
        prop_assert_eq!(space.last("merges"), Some(1.0));
        prop_assert!((drift(&mut space, Metric::L2) / before - 0.5).abs() < 1e-5);
    }

    #[test]
    fn within_the_limit_nothing_moves((weights, origin) in pair()) {
        let mut space = moved(&weights, &origin, &[]);
        Orbit::new(Metric::Flips, 1.0).weights(&STEP, &mut space).unwrap();
        prop_assert_eq!(&space.weights()[0], &weights);
        prop_assert_eq!(space.last("merges"), Some(0.0));
    }
}

/// The paper: a sign comes back after k merges when (2^k − 1) |θ₀| > |θ|.
#[test]
fn as_many_merges_as_the_paper_says() {
    for (weight, merges) in [(-0.9, 1.0), (-1.1, 2.0), (-2.9, 2.0), (-3.1, 3.0), (-6.9, 3.0), (-7.1, 4.0)] {
        let mut space = moved(&[weight, 1.0], &[1.0, 1.0], &[]);
        Orbit::new(Metric::Flips, 0.4).weights(&STEP, &mut space).unwrap();
        assert_eq!((space.last("merges"), space.last("resets")), (Some(merges), Some(0.0)), "from {weight}");
    }
}

/// No merge gives an entry back the sign of an exact zero, so the step ends on the origin itself.
#[test]
fn exact_zeros_in_the_origin_end_in_a_reset() {
    let mut space = moved(&[0.5, 2.0], &[0.0, 1.0], &[7.0]);
    let mut orbit = Orbit { max_halvings: 5, ..Orbit::new(Metric::Flips, 0.4) };
    orbit.weights(&STEP, &mut space).unwrap();
    assert_eq!(space.weights(), [vec![0.0, 1.0], vec![7.0]]);
    assert_eq!(["merges", "resets", "drift"].map(|key| space.last(key)), [Some(5.0), Some(1.0), Some(0.0)]);
}

#[test]
fn merges_add_up_over_steps() {
    let mut orbit = Orbit::new(Metric::L2, 1.5);
    let mut space = moved(&[4.0], &[0.0], &[]);
    orbit.weights(&STEP, &mut space).unwrap();
    space.set_weights(vec![vec![2.0], vec![]]).unwrap();
    orbit.weights(&STEP, &mut space).unwrap();
    assert_eq!((space.last("merges"), space.last("total_merges")), (Some(1.0), Some(3.0)));
}

#[test]
fn weights_that_are_not_finite_are_an_error() {
    let mut space = moved(&[f32::NAN], &[1.0], &[]);
    let error = Orbit::new(Metric::L2, 1.5).weights(&STEP, &mut space).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Failed, "the drift is NaN: weights are not finite")
    );
}

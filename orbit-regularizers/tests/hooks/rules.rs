//! Each rule against numbers worked out by hand.

use std::num::NonZeroU64;

use orbit_hook::testing::HostSpace;
use orbit_hook::{Hook, ParamKind, Phases, Space, Step, Vector::*};
use orbit_regularizers::{Ball, Decay, Ema, Interpolate, L2Sp, Soup};
use proptest::prelude::*;

use crate::toy::{STEP, moved, space, space_of};

fn step(number: u64) -> Step {
    Step { number, ..STEP }
}

/// The base parameter.
fn base(space: &HostSpace) -> &[f32] {
    &space.weights()[0]
}

#[test]
fn soup_merges_every_k_steps() {
    let mut soup = Soup { weight: 0.25, ..Soup::new(NonZeroU64::new(3).unwrap()) };
    let mut space = moved(&[8.0], &[0.0], &[8.0]);
    let mut after = |number| {
        soup.weights(&step(number), &mut space).unwrap();
        base(&space)[0]
    };
    assert_eq!([1, 2, 3, 4, 5, 6].map(&mut after), [8.0, 8.0, 6.0, 6.0, 6.0, 4.5]);
    assert_eq!(space.weights()[1], [8.0], "new parameters are left alone");
}

#[test]
fn soup_merges_at_the_end_unless_it_just_did() {
    let end = |last: u64, at_end: bool| {
        let mut soup = Soup { at_end, ..Soup::new(NonZeroU64::new(3).unwrap()) };
        let mut space = moved(&[8.0], &[0.0], &[]);
        (1..=last).for_each(|number| soup.weights(&step(number), &mut space).unwrap());
        soup.finish(&mut space).unwrap();
        base(&space)[0]
    };
    assert_eq!((end(2, true), end(3, true), end(4, true)), (4.0, 4.0, 2.0));
    assert_eq!((end(2, false), end(3, false), end(4, false)), (8.0, 4.0, 4.0));
}

#[test]
fn interpolate_keeps_a_share_of_the_fine_tuned_weights() {
    let end = |alpha| {
        let mut space = moved(&[8.0], &[4.0], &[3.0]);
        Interpolate::new(alpha).finish(&mut space).unwrap();
        assert_eq!(space.weights()[1], [3.0]);
        base(&space)[0]
    };
    assert_eq!([0.0, 0.25, 1.0].map(end), [4.0, 5.0, 8.0]);
}

#[test]
fn ema_ends_on_the_average_but_trains_from_the_weights() {
    let mut ema = Ema::new(0.75);
    let mut space = space(&[4.0], &[8.0]);
    ema.attach(&mut space).unwrap();
    space.begin(Phases::WEIGHTS);
    for weight in [8.0, 16.0] {
        space.set_weights(vec![vec![weight], vec![8.0]]).unwrap();
        ema.weights(&STEP, &mut space).unwrap();
        assert_eq!(base(&space), [weight]);
    }
    ema.finish(&mut space).unwrap();
    assert_eq!(space.weights(), [[0.75 * (0.75 * 4.0 + 0.25 * 8.0) + 0.25 * 16.0], [8.0]]);
}

#[test]
fn l2_sp_adds_the_gradient_of_its_penalty() {
    let mut space = moved(&[3.0, -1.0], &[1.0, 1.0], &[5.0]);
    space.set_gradients(vec![vec![0.5, 0.5], vec![0.5]]).unwrap();
    space.begin(Phases::GRADIENTS);
    L2Sp::new(0.25).gradients(&STEP, &mut space).unwrap();
    assert_eq!(space.gradients(), [vec![1.0, 0.0], vec![0.5]]);
    L2Sp { new_strength: 0.1, ..L2Sp::new(0.0) }.gradients(&STEP, &mut space).unwrap();
    assert_eq!(space.gradients(), [vec![1.0, 0.0], vec![1.0]]);
}

#[test]
fn decay_shrinks_all_weights_by_rate_times_strength() {
    let mut space = moved(&[8.0], &[4.0], &[-4.0]);
    Decay::new(0.5).weights(&STEP, &mut space).unwrap();
    assert_eq!(space.weights(), [[6.0], [-3.0]]);
    let error = Decay::new(3.0).weights(&STEP, &mut space).unwrap_err();
    assert_eq!(error.to_string(), "strength must be at most 2 at the learning rate 0.5, got 3");
}

#[test]
fn ball_lands_on_its_surface() {
    let mut space = moved(&[3.0, 4.0], &[0.0, 0.0], &[9.0]);
    Ball::new(2.5).weights(&STEP, &mut space).unwrap();
    assert_eq!(space.weights(), [vec![1.5, 2.0], vec![9.0]]);
    assert_eq!(space.last("projected"), Some(1.0));
    Ball::new(2.5).weights(&STEP, &mut space).unwrap();
    assert_eq!(space.last("projected"), Some(0.0));
}

#[test]
fn ball_per_parameter_projects_each_alone() {
    let kinds = [ParamKind::Base, ParamKind::New, ParamKind::Base];
    let mut space = space_of(&kinds.map(|kind| (kind, &[0.0f32][..])));
    space.set_weights(vec![vec![0.5], vec![9.0], vec![-4.0]]).unwrap();
    space.begin(Phases::WEIGHTS);
    Ball { per_parameter: true, ..Ball::new(1.0) }.weights(&STEP, &mut space).unwrap();
    assert_eq!(space.weights(), [[0.5], [9.0], [-1.0]]);
    assert_eq!(space.last("projected"), Some(1.0));
}

proptest! {
    #[test]
    fn ball_holds_its_radius(weights in prop::collection::vec(-10f32..10.0, 1..40), radius in 0.01f64..5.0) {
        let origin = vec![0.25; weights.len()];
        let mut space = moved(&weights, &origin, &[]);
        Ball::new(radius).weights(&STEP, &mut space).unwrap();
        prop_assert!(space.distance(Weights, Origin).unwrap() <= radius * (1.0 + 1e-3));
    }
}

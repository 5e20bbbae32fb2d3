//! EWC, MAS and SI against numbers worked out by hand.

use orbit_hook::testing::HostSpace;
use orbit_hook::{ErrorKind, Hook, Phases, Step};
use orbit_regularizers::{Ewc, Mas, Si};
use proptest::prelude::*;

use crate::toy::{STEP, space};

/// The gradients after `hook` has added to `gradients` at `weights`: a base parameter, then a new one.
fn pulled(hook: &mut dyn Hook, space: &mut HostSpace, weights: [&[f32]; 2], gradients: [&[f32]; 2]) -> Vec<Vec<f32>> {
    space.set_weights(weights.map(<[f32]>::to_vec).to_vec()).unwrap();
    space.set_gradients(gradients.map(<[f32]>::to_vec).to_vec()).unwrap();
    space.begin(Phases::GRADIENTS);
    hook.gradients(&STEP, space).unwrap();
    space.gradients().to_vec()
}

/// Ends a stage at `weights`, where the host estimates `importance`, and begins the next.
fn next_stage(
    hook: &mut dyn Hook,
    space: &mut HostSpace,
    weights: [&[f32]; 2],
    estimate: Option<(Phases, [&[f32]; 2])>,
) {
    space.set_weights(weights.map(<[f32]>::to_vec).to_vec()).unwrap();
    space.begin(Phases::FINISH);
    if let Some((phase, entries)) = estimate {
        space.insert_estimate(phase, entries.map(<[f32]>::to_vec).to_vec()).unwrap();
    }
    hook.finish(space).unwrap();
    space.begin_stage();
    hook.attach(space).unwrap();
}

fn fisher(entries: [&'static [f32]; 2]) -> Option<(Phases, [&'static [f32]; 2])> {
    Some((Phases::FISHER, entries))
}

#[test]
fn ewc_pulls_to_the_end_of_the_last_stage_by_fisher_information() {
    let mut ewc = Ewc { decay: 0.5, ..Ewc::new(0.25) };
    let mut space = space(&[1.0, 2.0], &[0.5]);
    ewc.attach(&mut space).unwrap();
    let first = pulled(&mut ewc, &mut space, [&[9.0, 9.0], &[9.0]], [&[0.5, 0.5], &[0.5]]);
    assert_eq!(first, [vec![0.5, 0.5], vec![0.5]], "no stage has ended yet");

    next_stage(&mut ewc, &mut space, [&[3.0, 2.0], &[1.5]], fisher([&[2.0, 0.5], &[1.0]]));
    let second = pulled(&mut ewc, &mut space, [&[4.0, 1.0], &[1.0]], [&[0.5, 0.5], &[0.0]]);
    assert_eq!(second, [vec![0.5 + 0.25 * 2.0, 0.5 - 0.25 * 0.5], vec![-0.25 * 0.5]]);

    // The importance is now 2 · ½ + 4 and ½ · ½ + 1; the anchor is the last stage's alone.
    next_stage(&mut ewc, &mut space, [&[8.0, 4.0], &[0.0]], fisher([&[4.0, 1.0], &[0.0]]));
    let third = pulled(&mut ewc, &mut space, [&[9.0, 4.0], &[4.0]], [&[0.0, 0.0], &[0.0]]);
    assert_eq!(third, [vec![0.25 * 5.0, 0.0], vec![0.25 * 0.5 * 4.0]]);
}

#[test]
fn ewc_with_a_file_begins_at_once() {
    let mut space = space(&[1.0, 2.0], &[0.5]);
    space.insert_file("base", vec![vec![2.0, 0.5], vec![0.0]]).unwrap();
    let mut ewc = Ewc { importance: Some("base".into()), ..Ewc::new(0.25) };
    ewc.attach(&mut space).unwrap();
    let first = pulled(&mut ewc, &mut space, [&[2.0, 1.0], &[9.0]], [&[0.0, 0.0], &[0.0]]);
    assert_eq!(first, [vec![0.5, -0.125], vec![0.0]]);
    // What the first stage estimates is added to it.
    next_stage(&mut ewc, &mut space, [&[1.0, 2.0], &[0.0]], fisher([&[1.0, 1.0], &[1.0]]));
    let second = pulled(&mut ewc, &mut space, [&[2.0, 3.0], &[1.0]], [&[0.0, 0.0], &[0.0]]);
    assert_eq!(second, [vec![0.25 * 3.0, 0.25 * 1.5], vec![0.25]]);
}

#[test]
fn an_estimate_that_the_host_did_not_make_is_an_error() {
    let hooks: [(Box<dyn Hook>, &str); 2] =
        [(Box::new(Ewc::new(1.0)), "\"fisher\""), (Box::new(Mas::new(1.0)), "\"sensitivity\"")];
    for (mut hook, name) in hooks {
        let mut space = space(&[1.0], &[]);
        hook.attach(&mut space).unwrap();
        space.begin(Phases::FINISH);
        let error = hook.finish(&mut space).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Phase);
        assert!(error.to_string().contains(name), "{error}");
    }
    let mut missing = Ewc { importance: Some("nowhere".into()), ..Ewc::new(1.0) };
    let error = missing.attach(&mut space(&[1.0], &[])).unwrap_err();
    assert!(error.to_string().contains("\"nowhere\""), "{error}");
}

#[test]
fn mas_averages_the_sensitivities_of_the_stages() {
    let mut mas = Mas { mix: 0.75, ..Mas::new(0.25) };
    let mut space = space(&[1.0, 2.0], &[0.5]);
    mas.attach(&mut space).unwrap();
    let first = pulled(&mut mas, &mut space, [&[9.0, 9.0], &[9.0]], [&[0.5, 0.5], &[0.5]]);
    assert_eq!(first, [vec![0.5, 0.5], vec![0.5]], "no stage has ended yet");

    let sensitivity = |entries: [&'static [f32]; 2]| Some((Phases::SENSITIVITY, entries));
    next_stage(&mut mas, &mut space, [&[3.0, 2.0], &[1.5]], sensitivity([&[2.0, 0.5], &[1.0]]));
    let second = pulled(&mut mas, &mut space, [&[4.0, 1.0], &[1.0]], [&[0.5, 0.5], &[0.0]]);
    assert_eq!(second, [vec![0.5 + 0.5 * 2.0, 0.5 - 0.5 * 0.5], vec![-0.5 * 0.5]]);

    next_stage(&mut mas, &mut space, [&[8.0, 4.0], &[0.0]], sensitivity([&[4.0, 0.5], &[0.0]]));
    let third = pulled(&mut mas, &mut space, [&[9.0, 5.0], &[4.0]], [&[0.0, 0.0], &[0.0]]);
    assert_eq!(third, [vec![0.5 * 2.5, 0.5 * 0.5], vec![0.5 * 0.75 * 4.0]]);
}

/// One step of SI from where `space` is to `to`, with the task's gradient given.
fn step(si: &mut Si, space: &mut HostSpace, gradients: [&[f32]; 2], to: [&[f32]; 2]) {
    let step = Step { ..STEP };
    space.set_gradients(gradients.map(<[f32]>::to_vec).to_vec()).unwrap();
    space.begin(Phases::GRADIENTS);
    si.gradients(&step, space).unwrap();
    space.set_weights(to.map(<[f32]>::to_vec).to_vec()).unwrap();
    space.begin(Phases::WEIGHTS);
    si.weights(&step, space).unwrap();
}

/// Entry 0 goes 1 → 2 → 2.5 against gradients −2 and −1: w = 2 + ½, over a way of 1.5 squared and ε = ¼: Ω = 1. Entry 1 goes
/// uphill, which counts as nothing. The new parameter goes down by 1 against a gradient of 2.5: Ω = 2.
#[test]
fn si_pulls_by_what_each_entry_did_for_the_loss() {
    let mut si = Si { damping: 0.25, ..Si::new(0.25) };
    let mut space = space(&[1.0, 1.0], &[1.0]);
    si.attach(&mut space).unwrap();
    step(&mut si, &mut space, [&[-2.0, 1.0], &[2.5]], [&[2.0, 2.0], &[0.0]]);
    assert_eq!(space.gradients(), [vec![-2.0, 1.0], vec![2.5]], "nothing in the first stage");
    step(&mut si, &mut space, [&[-1.0, 1.0], &[0.0]], [&[2.5, 2.5], &[0.0]]);
    next_stage(&mut si, &mut space, [&[2.5, 2.5], &[0.0]], None);
    let second = pulled(&mut si, &mut space, [&[3.5, 9.0], &[-1.0]], [&[0.5, 0.5], &[0.0]]);
    assert_eq!(second, [vec![0.5 + 0.5, 0.5], vec![-1.0]]);
}

/// With no gradient of the task, a stage adds nothing, whatever the penalty does.
#[test]
fn si_does_not_count_its_own_penalty() {
    let mut si = Si { damping: 1.0, ..Si::new(0.25) };
    let mut space = space(&[1.0], &[0.0]);
    si.attach(&mut space).unwrap();
    step(&mut si, &mut space, [&[-2.0], &[0.0]], [&[2.0], &[0.0]]);
    next_stage(&mut si, &mut space, [&[2.0], &[0.0]], None);
    step(&mut si, &mut space, [&[0.0], &[0.0]], [&[3.0], &[0.0]]);
    step(&mut si, &mut space, [&[0.0], &[0.0]], [&[2.5], &[0.0]]);
    assert_eq!(space.gradients()[0], [0.5], "the penalty was at work");
    next_stage(&mut si, &mut space, [&[2.5], &[0.0]], None);
    let third = pulled(&mut si, &mut space, [&[3.5], &[0.0]], [&[0.0], &[0.0]]);
    assert_eq!(third[0], [0.5], "Ω is still 2 / (1 + 1)");
}

proptest! {
    /// At the anchor nothing pulls, and what does not matter is never pulled.
    #[test]
    fn only_what_matters_and_has_moved_is_pulled(
        entries in prop::collection::vec((-10f32..10.0, -10f32..10.0, 0f32..10.0), 1..40),
        strength in 0f64..10.0,
    ) {
        let [start, weights, importance] = [
            entries.iter().map(|entry| entry.0).collect::<Vec<_>>(),
            entries.iter().map(|entry| entry.1).collect(),
            entries.iter().enumerate().map(|(i, entry)| if i % 3 == 0 { 0.0 } else { entry.2 }).collect(),
        ];
        let mut space = space(&start, &[]);
        space.insert_file("base", vec![importance.clone(), vec![]]).unwrap();
        let mut ewc = Ewc { importance: Some("base".into()), ..Ewc::new(strength) };
        ewc.attach(&mut space).unwrap();
        let zeros = vec![0.0; start.len()];
        let pulls = pulled(&mut ewc, &mut space, [&start, &[]], [&zeros, &[]]);
        prop_assert!(pulls[0].iter().all(|pull| *pull == 0.0));
        let pulls = pulled(&mut ewc, &mut space, [&weights, &[]], [&zeros, &[]]);
        for (at, pull) in pulls[0].iter().enumerate() {
            let exact = strength * f64::from(importance[at]) * (f64::from(weights[at]) - f64::from(start[at]));
            let scale = strength * f64::from(importance[at]) * 10.0;
            prop_assert!((f64::from(*pull) - exact).abs() <= 1e-6 * scale, "{pull} is not {exact}");
        }
    }
}

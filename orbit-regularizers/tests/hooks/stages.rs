//! One hook through several stages.

use std::num::NonZeroU64;

use orbit_hook::testing::ToyRun;
use orbit_hook::{Hook, Phases, Step};
use orbit_regularizers::{Ema, Metric, Orbit, Soup};

use crate::toy::{BUILT_INS, STAGES, STEP, STEPS, build, space, start};

fn stage(run: &mut ToyRun) {
    run.steps(STEPS).unwrap();
    run.finish().unwrap();
}

/// Hooks that carry nothing from one stage to the next: the second is as the first of a fresh hook would be.
#[test]
fn these_begin_each_stage_afresh() {
    let soup = "soup = { every_steps = 4 }";
    for config in BUILT_INS.into_iter().take(9).chain([soup]) {
        let mut run = start(vec![build(config)]).unwrap();
        stage(&mut run);
        let (weights, terms) = (run.space.weights().to_vec(), run.terms.len());
        run.next_stage().unwrap();
        stage(&mut run);

        let mut space = start(Vec::new()).unwrap().space;
        space.set_weights(weights).unwrap();
        space.begin_stage();
        let mut fresh = ToyRun::start(vec![build(config)], space, STEPS).unwrap();
        stage(&mut fresh);
        assert_eq!(run.space.weights(), fresh.space.weights(), "{config}");
        assert_eq!(run.terms[terms..], fresh.terms, "{config}");
    }
}

/// In every stage, half way: the conformance checks stop at two, where a third would first see two earlier ones.
#[test]
fn all_are_taken_up_in_any_stage() {
    let more = ["ewc = { strength = 1.0, importance = \"importance\" }", "si = { strength = 0.1 }"];
    for config in BUILT_INS.into_iter().chain(more) {
        let mut whole = start(vec![build(config)]).unwrap();
        let mut stopped = start(vec![build(config)]).unwrap();
        for number in 1..=STAGES {
            stage(&mut whole);
            stopped.steps(STEPS / 2).unwrap();
            stopped = stopped.resume(vec![build(config)]).unwrap();
            stopped.steps(STEPS - STEPS / 2).unwrap();
            stopped.finish().unwrap();
            assert_eq!(whole.space.weights(), stopped.space.weights(), "{config}, stage {number}");
            assert_eq!(whole.saved().unwrap(), stopped.saved().unwrap(), "{config}, stage {number}");
            whole.next_stage().unwrap();
            stopped.next_stage().unwrap();
        }
        assert_eq!(whole.terms, stopped.terms, "{config}");
    }
}

#[test]
fn soup_forgets_a_merge_of_the_last_stage() {
    let mut soup = Soup::new(NonZeroU64::new(2).unwrap());
    let mut space = space(&[0.0], &[]);
    let end = |soup: &mut Soup, space: &mut orbit_hook::testing::HostSpace, steps: u64| {
        soup.attach(space).unwrap();
        space.set_weights(vec![vec![8.0], vec![]]).unwrap();
        space.begin(Phases::WEIGHTS);
        (1..=steps).for_each(|number| soup.weights(&Step { number, ..STEP }, space).unwrap());
        space.begin(Phases::FINISH);
        soup.finish(space).unwrap();
        space.weights()[0][0]
    };
    assert_eq!(end(&mut soup, &mut space, 2), 4.0, "merged by the last step alone");
    space.begin_stage();
    assert_eq!(end(&mut soup, &mut space, 0), 6.0, "merged at the end of a stage without steps");
}

#[test]
fn ema_begins_a_stage_at_its_weights_whatever_the_origin() {
    let mut ema = Ema::new(0.5);
    let mut space = space(&[0.0], &[]);
    ema.attach(&mut space).unwrap();
    space.set_weights(vec![vec![8.0], vec![]]).unwrap();
    space.begin(Phases::WEIGHTS);
    ema.weights(&STEP, &mut space).unwrap();
    // The run keeps its origin: the next stage is attached with weights that are not the origin.
    space.begin(Phases::NONE);
    ema.attach(&mut space).unwrap();
    space.begin(Phases::WEIGHTS);
    space.set_weights(vec![vec![10.0], vec![]]).unwrap();
    ema.weights(&STEP, &mut space).unwrap();
    ema.finish(&mut space).unwrap();
    assert_eq!(space.weights()[0], [9.0]);
}

#[test]
fn orbit_counts_its_merges_over_all_stages() {
    let mut run = start(vec![Box::new(Orbit::new(Metric::L2, 0.1))]).unwrap();
    let mut merges = 0.0;
    for _ in 0..2 {
        let before = run.space.logged().len();
        stage(&mut run);
        let logged = run.space.logged()[before..].iter();
        merges += logged.filter(|(key, _)| key == "merges").map(|(_, value)| value).sum::<f64>();
        assert_eq!(run.space.last("total_merges"), Some(merges));
        run.next_stage().unwrap();
    }
}

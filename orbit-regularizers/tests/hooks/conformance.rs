use orbit_hook::testing::check;

use crate::toy::{BUILT_INS, build, run};

#[test]
fn every_built_in_is_a_good_hook() {
    let more = [
        "orbit = { metric = \"l2\", max_drift = 0.1 }",
        "orbit = { max_drift = 1e-3, max_halvings = 2 }",
        "soup = { every_steps = 4, at_end = false }",
        "ball = { radius = 0.1, per_parameter = true }",
        "l2_sp = { strength = 0.5, new_strength = 0.1 }",
        "kl = { strength = 0.5, at = \"all\", temperature = 2.0 }",
        "ewc = { strength = 1.0, decay = 0.5 }",
        "mas = { strength = 1.0, mix = 0.9 }",
        "si = { strength = 0.1, damping = 0.1 }",
        "o_lora = { strength = 0.0, l2 = 0.1 }",
        "freeze = { layers = 0, from_stage = 1 }",
        "freeze = { layers = 9, embeddings = false, from_stage = 1 }",
    ];
    for config in BUILT_INS.into_iter().chain(more) {
        check(&|| build(config)).unwrap_or_else(|error| panic!("{config}: {error}"));
    }
}

/// Else the checks above would prove nothing.
#[test]
fn every_built_in_does_something_on_the_toy_run() {
    let plain = run(Vec::new()).unwrap();
    for config in BUILT_INS {
        let with = run(vec![build(config)]).unwrap();
        assert!(with.space.weights() != plain.space.weights() || with.terms != plain.terms, "{config}");
    }
}

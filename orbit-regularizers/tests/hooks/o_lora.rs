use orbit_hook::testing::HostSpace;
use orbit_hook::{Entry, ErrorKind, Hook, Phases, Space, State};
use orbit_regularizers::OLora;
use proptest::prelude::*;

use crate::toy::{STEP, named};

const READS: &str = "model.layers.0.self_attn.q_proj.weight.lora.a";

/// An adapter of rank 2 on a matrix of 2 inputs and 2 outputs, with a parameter beside it.
fn adapter() -> HostSpace {
    named(&[
        ("model.layers.0.self_attn.q_proj.weight", &[2, 2]),
        ("model.layers.0.self_attn.q_proj.weight.lora.b", &[2, 2]),
        (READS, &[2, 2]),
    ])
}

/// Gives the adapter these factors, [out, rank] and [rank, in].
fn set(space: &mut HostSpace, a: &[f32], b: &[f32]) {
    space.set_weights(vec![vec![1.0; 4], a.to_vec(), b.to_vec()]).unwrap();
}

/// What is added to gradients of zero.
fn added(hook: &mut OLora, space: &mut HostSpace) -> Vec<Vec<f32>> {
    let zeros = space.params().iter().map(|param| vec![0.0; param.len()]).collect();
    space.set_gradients(zeros).unwrap();
    space.begin(Phases::GRADIENTS);
    hook.gradients(&STEP, space).unwrap();
    space.gradients().to_vec()
}

fn end_stage(hook: &mut OLora, space: &mut HostSpace) {
    space.begin(Phases::FINISH);
    hook.finish(space).unwrap();
    space.begin_stage();
    hook.attach(space).unwrap();
}

#[test]
fn rows_are_pushed_from_all_earlier_rows() {
    let mut hook = OLora::default();
    let mut space = adapter();
    hook.attach(&mut space).unwrap();
    set(&mut space, &[0.0; 4], &[1.0, 0.0, 0.0, 2.0]);
    assert!(added(&mut hook, &mut space).concat().iter().all(|g| *g == 0.0), "nothing in the first stage");
    assert_eq!(space.last("overlap"), Some(0.0));

    // Row 0 has products 3 and −2 with the old rows, row 1 has none.
    end_stage(&mut hook, &mut space);
    set(&mut space, &[0.0; 4], &[3.0, -1.0, 0.0, 0.0]);
    assert_eq!(added(&mut hook, &mut space), [vec![0.0; 4], vec![0.0; 4], vec![0.5, -1.0, 0.0, 0.0]]);
    assert_eq!(space.last("overlap"), Some(5.0));

    // Now [3, −1] and [0, 0] are old too: row 1 has products 1, 2, 2 and 0.
    end_stage(&mut hook, &mut space);
    set(&mut space, &[0.0; 4], &[0.0, 0.0, 1.0, 1.0]);
    assert_eq!(added(&mut hook, &mut space)[2], [0.0, 0.0, 0.5 * (1.0 + 0.0 + 3.0), 0.5 * (0.0 + 2.0 - 1.0)]);
    assert_eq!(space.last("overlap"), Some(5.0));
}

#[test]
fn the_norm_of_every_factor_counts_and_that_of_zero_has_no_slope() {
    let mut hook = OLora { l2: 0.5, ..OLora::default() };
    let mut space = adapter();
    hook.attach(&mut space).unwrap();
    set(&mut space, &[0.0, 3.0, 0.0, -4.0], &[0.0; 4]);
    assert_eq!(added(&mut hook, &mut space), [vec![0.0; 4], vec![0.0, 0.3, 0.0, -0.4], vec![0.0; 4]]);
}

#[test]
fn what_is_remembered_is_saved() {
    let mut hook = OLora::default();
    let mut space = adapter();
    hook.attach(&mut space).unwrap();
    set(&mut space, &[0.0; 4], &[1.0, 0.0, 0.0, 2.0]);
    end_stage(&mut hook, &mut space);
    let mut state = State::new();
    hook.save(&mut state).unwrap();
    assert_eq!(state.get(READS), Some(&Entry::Floats(vec![1.0, 0.0, 0.0, 2.0])));
    let mut loaded = OLora::default();
    loaded.load(&state).unwrap();
    assert_eq!(loaded, hook);

    state.put(READS, Entry::Count(1));
    assert_eq!(loaded.load(&state).unwrap_err().kind(), ErrorKind::State);
    state.put(READS, Entry::Floats(vec![1.0; 3]));
    loaded.load(&state).unwrap();
    space.begin(Phases::GRADIENTS);
    let error = loaded.gradients(&STEP, &mut space).unwrap_err();
    assert_eq!(error.to_string(), format!("what is remembered of {READS} does not have rows of 2 entries"));
}

proptest! {
    /// The sum is homogeneous in the new factor, so its gradient times the factor is the sum itself (Euler).
    #[test]
    fn the_gradient_is_that_of_the_sum(
        old in prop::collection::vec(-2f32..2.0, 4),
        new in prop::collection::vec(-2f32..2.0, 4),
    ) {
        let mut hook = OLora { strength: 1.0, ..OLora::default() };
        let mut space = adapter();
        hook.attach(&mut space).unwrap();
        set(&mut space, &[0.0; 4], &old);
        end_stage(&mut hook, &mut space);
        set(&mut space, &[0.0; 4], &new);
        let gradient = added(&mut hook, &mut space).swap_remove(2);
        let product: f64 = gradient.iter().zip(&new).map(|(g, x)| f64::from(*g) * f64::from(*x)).sum();
        prop_assert!((product - space.last("overlap").unwrap()).abs() < 1e-5);
    }
}

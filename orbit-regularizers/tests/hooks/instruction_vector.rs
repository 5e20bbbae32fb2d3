use orbit_hook::testing::HostPass;
use orbit_hook::{ForwardPlan, Hook, Positions, Site, Step};
use orbit_regularizers::{At, Direction, InstructionVector, Intervention};

use crate::toy::{STEP, space};

const FILE: &str = "tests/vector.safetensors";

fn attached(hook: InstructionVector) -> InstructionVector {
    let mut hook = hook;
    hook.attach(&mut space(&[1.0], &[])).unwrap();
    hook
}

/// Two examples of two positions: the end of a prompt, and one more of an answer.
fn pass() -> HostPass {
    let student = vec![vec![0.0, 2.0], vec![1.0, 0.0], vec![0.5, 0.5], vec![0.0, 3.0]];
    let reference = vec![vec![0.0, 1.0], vec![0.0, 0.0], vec![0.5, -0.5], vec![1.0, 0.0]];
    HostPass::new(student, reference, vec![false, true, false, true]).with_direction(FILE, "vector", vec![1.0, -1.0])
}

fn terms(hook: InstructionVector) -> Vec<(String, f64)> {
    let mut pass = pass();
    attached(hook).loss(&STEP, &mut pass).unwrap();
    pass.terms().iter().map(|term| (term.name.clone(), term.weight * term.value)).collect()
}

fn log_softmax(z: [f64; 2], tau: f64) -> [f64; 2] {
    let total = z.map(|z| (z / tau).exp()).iter().sum::<f64>().ln();
    z.map(|z| z / tau - total)
}

/// KL(p ‖ q) of two rows of logits.
fn kl(p: [f64; 2], q: [f64; 2], tau: f64) -> f64 {
    let (p, q) = (log_softmax(p, tau), log_softmax(q, tau));
    p.iter().zip(q).map(|(p, q)| p.exp() * (p - q)).sum()
}

/// At the prompts' ends: the model's logits, and those of the reference with the vector added.
const ENDS: [([f64; 2], [f64; 2]); 2] = [([1.0, 0.0], [1.0, -1.0]), ([0.0, 3.0], [2.0, -1.0])];

#[test]
fn the_terms_are_those_of_the_authors() {
    let only = InstructionVector { kl: 0.0, consistency: 0.0, ..InstructionVector::new([FILE]) };
    let expected = 20.0 * ENDS.iter().map(|&(p, q)| kl(p, q, 2.0)).sum::<f64>() / 2.0;
    let found = terms(only);
    assert_eq!(found.len(), 1);
    assert!(found[0].0 == "prompt_kl" && (found[0].1 - expected).abs() < 1e-9, "{found:?} is not {expected}");

    // Over all positions, summed within an example: those that are not a prompt's end have the reference as it is.
    let others = [([0.0, 2.0], [0.0, 1.0]), ([0.5, 0.5], [0.5, -0.5])];
    let sum: f64 = ENDS.iter().chain(&others).map(|&(p, q)| kl(p, q, 2.0)).sum();
    let all = InstructionVector { prompt_kl: 0.0, consistency: 0.0, ..InstructionVector::new([FILE]) };
    let found = terms(all.clone());
    assert!((found[0].1 - 0.1 * sum / 2.0).abs() < 1e-9, "{found:?}");
    let found = terms(InstructionVector { positions: At::Answer, temperature: 1.0, ..all });
    let sum: f64 = ENDS.iter().map(|&(p, q)| kl(p, q, 1.0)).sum();
    assert!((found[0].1 - 0.1 * sum / 2.0).abs() < 1e-9, "{found:?}");

    // Two heads, each of which is the logits in this pass: without the vector.
    let heads = InstructionVector { prompt_kl: 0.0, kl: 0.0, ..InstructionVector::new([FILE]) };
    let squares: [f64; 4] = [1.0, 0.0, -1.0, 3.0];
    let mean = squares.iter().map(|x| x * x).sum::<f64>() / 4.0;
    let found = terms(heads);
    assert_eq!(found, [("consistency".to_owned(), mean), ("consistency".to_owned(), mean)]);
}

#[test]
fn the_other_direction_is_that_of_distillation() {
    let hook = InstructionVector {
        kl: 0.0,
        consistency: 0.0,
        direction: Direction::Forward,
        ..InstructionVector::new([FILE])
    };
    let expected = 20.0 * ENDS.iter().map(|&(p, q)| kl(q, p, 2.0)).sum::<f64>() / 2.0;
    assert!((terms(hook)[0].1 - expected).abs() < 1e-9);
}

#[test]
fn within_the_dead_zone_nothing_is_added() {
    let sizes = ENDS.map(|(p, q)| kl(p, q, 2.0));
    let mean = (sizes[0] + sizes[1]) / 2.0;
    let zone = |zone: f64| InstructionVector {
        kl: 0.0,
        consistency: 0.0,
        kl_dead_zone: zone,
        ..InstructionVector::new([FILE])
    };
    assert!(terms(zone(mean * 1.001)).is_empty());
    assert_eq!(terms(zone(mean * 0.999)).len(), 1);
}

#[test]
fn the_added_vector_fades_over_the_stage() {
    let scale = |intervention: Intervention, number: u64| {
        let mut hook = attached(InstructionVector { intervention, scale: 0.5, ..InstructionVector::new([FILE]) });
        let mut plan = ForwardPlan::default();
        hook.forward(&Step { number, total: 5, learning_rate: 0.1 }, &mut plan).unwrap();
        assert_eq!(plan.taps, [Site::Head(1, 0), Site::Head(2, 1)]);
        plan.edits.first().map_or(0.0, |edit| {
            assert_eq!((edit.site, edit.at, edit.file.as_str()), (Site::AttnOut(9), Positions::PromptEnd, FILE));
            edit.scale
        })
    };
    let steps = |intervention| [1, 2, 3, 4, 5].map(|number| scale(intervention, number));
    assert_eq!(steps(Intervention::None), [0.0; 5]);
    assert_eq!(steps(Intervention::Constant), [0.5; 5]);
    assert_eq!(steps(Intervention::Linear), [0.5, 0.375, 0.25, 0.125, 0.0]);
    let cosine = steps(Intervention::Cosine);
    assert!(cosine[0] == 0.5 && (cosine[2] - 0.25).abs() < 1e-6 && cosine[4] == 0.0, "{cosine:?}");
}

#[test]
fn each_stage_has_its_own_vector_and_knows_it_when_resumed() {
    let one = "tests/one-head.safetensors";
    let heads = |hook: &mut InstructionVector| {
        let mut plan = ForwardPlan::default();
        hook.forward(&STEP, &mut plan).unwrap();
        plan.taps.len()
    };
    let mut hook = attached(InstructionVector::new([FILE, one]));
    assert_eq!(heads(&mut hook), 2);
    hook.attach(&mut space(&[1.0], &[])).unwrap();
    assert_eq!(heads(&mut hook), 1);
    let mut state = orbit_hook::State::default();
    hook.save(&mut state).unwrap();
    let mut resumed = attached(InstructionVector::new([FILE, one]));
    resumed.load(&state).unwrap();
    assert_eq!(heads(&mut resumed), 1);
    let message = hook.attach(&mut space(&[1.0], &[])).unwrap_err().to_string();
    assert!(message.contains("stage 3 has none of the 2 files"), "{message}");

    state.put("begun", orbit_hook::Entry::Count(3));
    let message = resumed.load(&state).unwrap_err().to_string();
    assert!(message.contains("stage 3 has begun, and there are vectors for 2"), "{message}");
}

#[test]
fn a_file_that_is_not_there_or_not_one_is_named() {
    let refused = |file: &str| InstructionVector::new([file]).attach(&mut space(&[1.0], &[])).unwrap_err().to_string();
    assert!(refused("tests/nothing.safetensors").contains("tests/nothing.safetensors"));
    assert!(refused("tests/make_vector.py").contains("tests/make_vector.py"));
}

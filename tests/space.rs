//! The space of a real run against the space in plain memory, and the conditions under which the host calls a hook.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;

use orbit_core::hook::testing::HostSpace;
use orbit_core::hook::{Param, ParamKind, Phases, Result, Space, Vector, Vector::*};
use orbit_core::{AdamW, Entry, Error, Fit, host_weights, parameters};
use orbit_models::weights::{Array, Dtype, Weights as WeightFile};
use proptest::prelude::*;

use crate::tiny::{Language, constant, contents, decoder, finish, fit, noise, scripted};

/// One call on a space.
#[derive(Clone, Debug)]
enum Call {
    Dot(Vector, Vector),
    Distance(Vector, Vector),
    Flips(Vector, Vector),
    Copy(Vector, Vector),
    Scale(Vector, f32),
    Lerp(Vector, Vector, f32),
    Fma(Vector, f32, Vector, Option<Vector>),
    Negate(Vector),
}

impl Call {
    /// The number it gives, if it gives one.
    fn on(&self, space: &mut dyn Space) -> Result<Option<f64>> {
        let done = |()| None;
        match *self {
            Self::Dot(a, b) => space.dot(a, b).map(Some),
            Self::Distance(a, b) => space.distance(a, b).map(Some),
            Self::Flips(a, b) => space.flips(a, b).map(Some),
            Self::Copy(dst, src) => space.copy(dst, src).map(done),
            Self::Scale(dst, by) => space.scale(dst, by).map(done),
            Self::Lerp(dst, src, t) => space.lerp(dst, src, t).map(done),
            Self::Fma(dst, a, x, y) => space.fma(dst, a, x, y).map(done),
            Self::Negate(v) => space.visit(v, &mut |_, entries| entries.iter_mut().for_each(|x| *x = -*x)).map(done),
        }
    }

    /// What the result of a sum may be off by: its rounding grows with its terms, not with the sum.
    fn slack(&self, space: &mut dyn Space) -> f64 {
        match *self {
            Self::Dot(a, b) => 1e-6 * (space.dot(a, a).unwrap() * space.dot(b, b).unwrap()).sqrt(),
            Self::Distance(a, b) => 1e-6 * space.distance(a, b).unwrap(),
            _ => 0.0,
        }
    }
}

fn vector() -> impl Strategy<Value = Vector> {
    let whole = prop::sample::select(vec![Weights, Gradients, Origin, Slot(0), Slot(3)]);
    // Mostly whole vectors; else one parameter's parts: a base one, a new one, or none that is there.
    (whole, prop::sample::select(vec![None, None, None, None, None, Some(1), Some(20), Some(99)]))
        .prop_map(|(whole, part)| part.map_or(whole, |part| whole.at(part)))
}

fn call() -> impl Strategy<Value = Call> {
    let v = vector;
    let number = || prop::sample::select(vec![0.0f32, 1.0, -1.0, 0.5, 0.3]);
    prop_oneof![
        (v(), v()).prop_map(|(a, b)| Call::Dot(a, b)),
        (v(), v()).prop_map(|(a, b)| Call::Distance(a, b)),
        (v(), v()).prop_map(|(a, b)| Call::Flips(a, b)),
        (v(), v()).prop_map(|(dst, src)| Call::Copy(dst, src)),
        (v(), number()).prop_map(|(dst, by)| Call::Scale(dst, by)),
        (v(), v(), number()).prop_map(|(dst, src, t)| Call::Lerp(dst, src, t)),
        (v(), number(), v(), prop::option::of(v())).prop_map(|(dst, a, x, y)| Call::Fma(dst, a, x, y)),
        v().prop_map(Call::Negate),
    ]
}

const VECTORS: [Vector; 5] = [Weights, Gradients, Origin, Slot(0), Slot(3)];

/// A host space that holds what `space` holds in a phase.
fn mirror(space: &mut dyn Space, phase: Phases) -> HostSpace {
    let params = space.params().to_vec();
    let origin: BTreeMap<String, Vec<f32>> = contents(space, Origin).into_iter().collect();
    let start = params.iter().map(|param| origin.get(&param.name).cloned().unwrap_or(vec![0.0; param.len()]));
    let mut host = HostSpace::new(params.clone(), start.collect()).unwrap();
    let entries = |space: &mut dyn Space, v| contents(space, v).into_iter().map(|(_, entries)| entries).collect();
    host.set_weights(entries(space, Weights)).unwrap();
    host.begin(phase);
    if phase == Phases::GRADIENTS {
        host.set_gradients(entries(space, Gradients)).unwrap();
    }
    for slot in [Slot(0), Slot(3)] {
        let mut stored = contents(space, slot).into_iter();
        host.visit(slot, &mut |_, entries| entries.copy_from_slice(&stored.next().unwrap().1)).unwrap();
    }
    host
}

/// Makes the calls on both spaces and compares results, kinds of errors, and afterwards every vector to the bit.
fn same_on_both(space: &mut dyn Space, phase: Phases, calls: &[Call]) -> Result<(), String> {
    let mut host = mirror(space, phase);
    for call in calls {
        match (call.on(space), call.on(&mut host)) {
            (Ok(None), Ok(None)) => {}
            (Ok(Some(a)), Ok(Some(b))) if (a - b).abs() <= call.slack(&mut host) => {}
            (Err(a), Err(b)) if a.kind() == b.kind() => {}
            (found, expected) => return Err(format!("{call:?} in {phase:?} gives {found:?}, not {expected:?}")),
        }
    }
    let readable = VECTORS.iter().filter(|v| **v != Gradients || phase == Phases::GRADIENTS);
    for &v in readable {
        let bits = |space: &mut dyn Space| -> Vec<u32> {
            contents(space, v).iter().flat_map(|(_, entries)| entries).map(|x| x.to_bits()).collect()
        };
        if bits(space) != bits(&mut host) {
            return Err(format!("{v:?} differs after {calls:?} in {phase:?}"));
        }
    }
    Ok(())
}

fn with_new_tokens(hooks: Vec<Entry>, total: u64) -> Fit<orbit_models::Decoder, Language> {
    let model = decoder().with_new_tokens(3, 1);
    Fit::new(model, hooks, Language { micro: 8 }, AdamW::default(), constant(0.05, total)).unwrap()
}

const WRITING: [Phases; 3] = [Phases::GRADIENTS, Phases::WEIGHTS, Phases::FINISH];

fn all_phases() -> Phases {
    WRITING[0] | WRITING[1] | WRITING[2]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_call_does_what_it_does_in_plain_memory(
        calls in prop::collection::vec(prop::collection::vec(call(), 1..12), 4),
    ) {
        let (sender, receiver) = channel();
        let mut calls = calls.into_iter();
        let hook = scripted("compared", all_phases(), move |phase, _, space| {
            let outcome = same_on_both(space, phase, &calls.next().unwrap());
            sender.send(outcome).unwrap();
            Ok(())
        });
        finish(&mut with_new_tokens(vec![hook], 1));
        let outcomes: Vec<_> = receiver.iter().collect();
        prop_assert_eq!(outcomes, vec![Ok(()); 4]);
    }
}

#[test]
fn new_parameters_have_no_origin() {
    let (sender, receiver) = channel();
    let hook = scripted("curious", Phases::WEIGHTS, move |phase, _, space| {
        if phase == Phases::WEIGHTS {
            let names: Vec<String> = contents(space, Origin).into_iter().map(|(name, _)| name).collect();
            let new = space.params().iter().position(|param| param.kind == ParamKind::New).unwrap();
            sender.send((names, space.copy(Weights.at(new), Origin.at(new)).unwrap_err())).unwrap();
            space.copy(Weights, Origin)?;
        }
        Ok(())
    });
    let mut fit = with_new_tokens(vec![hook], 1);
    let before = host_weights(&fit.model());
    let params = parameters(&fit.model());
    finish(&mut fit);
    let (names, error) = receiver.recv().unwrap();
    let base = params.iter().filter(|param| param.kind == ParamKind::Base);
    assert_eq!(names, base.map(|param| param.name.clone()).collect::<Vec<_>>());
    assert!(error.to_string().contains("new_tokens.input"), "{error}");
    for ((param, before), after) in params.iter().zip(before).zip(host_weights(&fit.model())) {
        // The language has none of the new tokens, so that their input rows have no gradient.
        assert_eq!(before != after, param.name == "new_tokens.output", "{}", param.name);
    }
    assert_eq!(fit.drift().l2, 0.0);
}

fn error_of(hook: Entry) -> Error {
    let calm = scripted("calm", Phases::NONE, |_, _, _| Ok(()));
    match Fit::new(decoder(), vec![calm, hook], Language { micro: 8 }, AdamW::default(), constant(0.05, 1)) {
        Err(error) => error,
        Ok(mut fit) => {
            let error = loop {
                match fit.step() {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("there is no error"),
                    Err(error) => break error,
                }
            };
            assert!(host_weights(&fit.model()).iter().flatten().count() > 1000, "the model is still there");
            error
        }
    }
}

#[test]
fn a_write_out_of_phase_names_hook_place_and_phase() {
    let write = |in_phase: Phases, vector: Vector| {
        let hook = scripted(
            "eager",
            all_phases(),
            move |phase, _, space| {
                if phase == in_phase { space.scale(vector, 2.0) } else { Ok(()) }
            },
        );
        error_of(hook).to_string()
    };
    let refused = [
        (Phases::NONE, Weights, "attach: Weights is read-only in attach"),
        (Phases::GRADIENTS, Weights, "gradients: Weights is read-only in gradients"),
        (Phases::NONE, Gradients, "attach: there are no Gradients in attach"),
        (Phases::WEIGHTS, Gradients, "weights: there are no Gradients in weights"),
        (Phases::FINISH, Gradients, "finish: there are no Gradients in finish"),
        (Phases::WEIGHTS, Origin, "weights: Origin is never writable, also in weights"),
        (Phases::FINISH, Origin, "finish: Origin is never writable, also in finish"),
    ];
    for (phase, vector, message) in refused {
        assert_eq!(write(phase, vector), format!("hook 2 \"eager\" in {message}"));
    }
}

#[test]
fn only_narrows_what_a_hook_sees() {
    let seen = |only: &str| {
        let (sender, receiver) = channel();
        let hook = scripted("narrow", Phases::WEIGHTS, move |phase, _, space| {
            if phase == Phases::WEIGHTS {
                let names = space.params().iter().map(|param| param.name.clone()).collect::<Vec<_>>();
                space.scale(Weights, -1.0)?;
                sender.send((names, space.flips(Weights, Origin)?)).unwrap();
            }
            Ok(())
        });
        let mut fit = fit(vec![Entry { only: Some(only.into()), ..hook }], 1);
        finish(&mut fit);
        let (names, flips) = receiver.recv().unwrap();
        assert!(flips > 0.8, "{only}: nearly every covered sign is flipped, {flips}");
        let (params, share) = (parameters(&fit.model()), fit.drift().flips);
        let count = |of: &dyn Fn(&Param) -> bool| params.iter().filter(|p| of(p)).map(Param::len).sum::<usize>() as f64;
        let covered = count(&|param| names.contains(&param.name)) / count(&|_| true);
        assert!((share - covered).abs() < 0.1, "{only}: {share} of all signs differ, {covered} are covered");
        names
    };
    assert_eq!(seen("embed_tokens.weight"), ["model.embed_tokens.weight"]);
    assert_eq!(seen("model.norm.*"), ["model.norm.weight"]);
    assert_eq!(seen("layers.1.*.?_proj.weight").len(), 4);
    assert_eq!(seen("layers.*").len(), 18);
    assert_eq!(seen("*").len(), parameters(&decoder()).len());
}

#[test]
fn conditions_that_never_hold_are_errors() {
    let with = |only: Option<&str>, every| {
        let calm = scripted("calm", Phases::NONE, |_, _, _| Ok(()));
        error_of(Entry { only: only.map(Into::into), every, ..calm }).to_string()
    };
    let none = "hooks[2].only: \"layer.*\" selects no parameter; a name looks like \"model.embed_tokens.weight\"";
    assert_eq!(with(Some("layer.*"), 1), none);
    assert!(with(Some("layers.["), 1).starts_with("hooks[2].only: "));
    assert_eq!(with(None, 0), "hooks[2].every: must be at least 1");
}

#[test]
fn every_is_a_divisor_of_the_step() {
    let (sender, receiver) = channel();
    let hook = scripted("rare", Phases::GRADIENTS | Phases::WEIGHTS, move |_, step, _| {
        sender.send(step).unwrap();
        Ok(())
    });
    finish(&mut fit(vec![Entry { every: 3, ..hook }], 10));
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [0, 3, 3, 6, 6, 9, 9], "attach, then both phases of each step");
}

#[test]
fn the_list_is_the_order_and_names_the_log() {
    let write = |name, factor: f32, shift: f32| {
        scripted(name, Phases::WEIGHTS, move |phase, _, space| {
            if phase == Phases::WEIGHTS {
                let norm = space.dot(Weights.at(0), Weights.at(0))?.sqrt();
                space.log("before", norm);
                space.visit(Weights.at(0), &mut |_, entries| {
                    let first = entries[0];
                    entries.fill(first * factor + shift);
                })?;
            }
            Ok(())
        })
    };
    let mut last = fit(vec![write("zero", 0.0, 1.0), write("double", 2.0, 0.0), write("add", 1.0, 3.0)], 1);
    let report = last.step().unwrap().unwrap();
    assert_eq!(host_weights(&last.model())[0][0], 5.0);
    assert_eq!(report.acted, ["zero", "double", "add"]);
    let keys: Vec<&str> = report.log.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["zero.before", "double.before", "add.before"]);
    let ratio = report.log[2].1 / report.log[1].1;
    assert!((ratio - 2.0).abs() < 1e-6, "each sees what those before it wrote, {ratio}");
}

#[test]
fn slots_of_two_hooks_are_apart() {
    let (sender, receiver) = channel();
    let count = |name, by: f32| {
        let sender = sender.clone();
        scripted(name, Phases::WEIGHTS, move |_, _, space| {
            space.visit(Slot(0), &mut |_, entries| entries.iter_mut().for_each(|x| *x += by))?;
            sender.send((name, contents(space, Slot(0))[0].1[0])).unwrap();
            Ok(())
        })
    };
    finish(&mut fit(vec![count("a", 1.0), count("b", 10.0)], 2));
    drop(sender);
    let expected = [("a", 1.0), ("b", 10.0), ("a", 2.0), ("b", 20.0), ("a", 3.0), ("b", 30.0)];
    assert_eq!(receiver.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_file_fills_a_slot_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let stored = |skip: usize| {
        let path = dir.path().join(format!("{skip}.safetensors"));
        let array = |(seed, param): (usize, Param)| {
            let array = Array { data: noise(param.len(), seed as u32), shape: param.shape };
            (param.name, array)
        };
        let tensors = parameters(&decoder()).into_iter().enumerate().skip(skip).map(array).collect();
        WeightFile { tensors }.write_file(&path, Dtype::F32).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (whole, partial) = (stored(0), stored(1));
    let (sender, receiver) = channel();
    let hook = scripted("reader", Phases::WEIGHTS, move |phase, _, space| {
        space.read(Slot(2), &whole)?;
        let found = contents(space, Slot(2))[1].1.clone();
        let writes = if phase == Phases::WEIGHTS { space.read(Weights, &whole).map_err(|e| e.kind()) } else { Ok(()) };
        let missing = space.read(Slot(2), &partial).unwrap_err().to_string();
        sender.send((found, writes, missing)).unwrap();
        Ok(())
    });
    finish(&mut fit(vec![hook], 1));
    let calls: Vec<_> = receiver.iter().collect();
    let params = parameters(&decoder());
    for (found, _, missing) in &calls {
        assert_eq!(found, &noise(params[1].len(), 1));
        assert!(missing.contains("1.safetensors has no tensor \"model.embed_tokens.weight\""), "{missing}");
    }
    assert_eq!(calls[1].1, Err(orbit_core::hook::ErrorKind::Unsupported), "as in plain memory");
}

/// The drifts of fine-tuning are small beside the weights; a difference of squares would drown in them.
#[test]
fn a_small_drift_of_many_entries_keeps_five_digits() {
    let config = orbit_models::DecoderConfig { vocab_size: 16, hidden_size: 1024, ..wide() };
    let model = orbit_models::Decoder::random(config, 3, &crate::tiny::flex().autodiff());
    let (sender, receiver) = channel();
    let hook = scripted("measuring", Phases::FINISH, move |phase, _, space| {
        if phase == Phases::FINISH {
            let (mut squares, mut seed) = (0.0, 0);
            space.visit(Weights, &mut |_, entries| {
                seed += 1;
                let noise = noise(50_000, seed);
                for (x, noise) in entries.iter_mut().zip(noise.iter().cycle()) {
                    let before = *x;
                    *x += 1e-4 * before * noise;
                    squares += (f64::from(*x) - f64::from(before)).powi(2);
                }
            })?;
            let norm = space.dot(Weights, Weights)?.sqrt();
            sender.send((space.distance(Weights, Origin)?, squares.sqrt(), norm)).unwrap();
        }
        Ok(())
    });
    let mut fit = Fit::new(model, vec![hook], Language { micro: 8 }, AdamW::default(), constant(0.0, 0)).unwrap();
    finish(&mut fit);
    let (found, expected, norm) = receiver.recv().unwrap();
    assert!(expected < 2e-4 * norm);
    assert!((found - expected).abs() <= 1e-5 * expected, "{found}, not {expected}");
    assert_eq!(fit.drift().l2, found);
}

/// Four million entries in one layer.
fn wide() -> orbit_models::DecoderConfig {
    orbit_models::DecoderConfig {
        intermediate_size: 700,
        num_hidden_layers: 1,
        num_attention_heads: 8,
        num_key_value_heads: 2,
        head_dim: 96,
        tie_word_embeddings: true,
        ..Default::default()
    }
}

//! A plugin is the built-in of the same source: not nearly, but to the bit.

use std::num::NonZeroU64;

use burn::tensor::Device;
use orbit_core::hook::Hook;
use orbit_core::hook::testing::check;
use orbit_core::{AdamW, Entry, Fit, StepReport, device, host_weights};
use orbit_models::Decoder;
use orbit_regularizers::{Ball, Ema, InstructionVector, Interpolate, Intervention, Kl, Metric, Orbit, Soup};
use serde_json::{Value, json};

use super::hook;
use crate::activations::vector_file;
use crate::tiny::{Language, constant, decoder_on, finish, flex, relative_difference};

const STEPS: u64 = 50;

/// Makes a hook, the same each time.
type Make = Box<dyn Fn() -> Box<dyn Hook>>;

/// Every example plugin, and the built-in that it is.
fn pairs() -> Vec<(&'static str, Value, Make)> {
    fn of<H: Hook + Clone + 'static>(hook: H) -> Make {
        Box::new(move || Box::new(hook.clone()))
    }
    vec![
        ("l2-ball", json!({"radius": 0.5}), of(Ball::new(0.5))),
        ("l2-ball-c", json!({"radius": 0.5}), of(Ball::new(0.5))),
        ("orbit", json!({"max_drift": 0.01}), of(Orbit::new(Metric::Flips, 0.01))),
        ("orbit", json!({"metric": "l2", "max_drift": 0.4}), of(Orbit::new(Metric::L2, 0.4))),
        ("weight-average", json!({"ema": {"decay": 0.7}}), of(Ema::new(0.7))),
        ("weight-average", json!({"soup": {"every_steps": 7}}), of(Soup::new(NonZeroU64::new(7).unwrap()))),
        ("weight-average", json!({"interpolate": {"alpha": 0.3}}), of(Interpolate::new(0.3))),
        ("instruction-vector", json!(guidance()), of(guidance())),
        ("kl-anchor", json!({"strength": 0.5, "temperature": 2.0}), of(Kl { temperature: 2.0, ..Kl::new(0.5) })),
    ]
}

/// All that guidance by a vector does, on the model of these tests.
pub(crate) fn guidance() -> InstructionVector {
    InstructionVector {
        site: "layers.1.attn_out".into(),
        kl_dead_zone: 0.0,
        consistency_dead_zone: 0.0,
        intervention: Intervention::Linear,
        ..InstructionVector::new([vector_file()])
    }
}

fn start(device: &Device, hook: Box<dyn Hook>) -> Fit<Decoder, Language> {
    let model = decoder_on(device).with_new_tokens(3, 1);
    let schedule = constant(1e-2, STEPS);
    Fit::new(model, vec![Entry::new(hook)], Language { micro: 4 }, AdamW::default(), schedule).unwrap()
}

fn weights(fit: &Fit<Decoder, Language>) -> Vec<f32> {
    host_weights(&fit.model()).concat()
}

/// A report without names and without what the clock says.
fn numbers(report: &StepReport) -> Vec<u64> {
    let mut numbers = vec![report.loss, report.gradient_norm];
    numbers.extend(report.terms.iter().map(|(_, value)| value));
    numbers.into_iter().map(f64::to_bits).collect()
}

#[test]
fn fifty_steps_end_on_the_same_bits() {
    for (name, config, built_in) in pairs() {
        let (mut ours, mut theirs) = (start(&flex(), built_in()), start(&flex(), hook(name, &config)));
        let reports = [finish(&mut ours), finish(&mut theirs)];
        let [ours_reported, theirs_reported] = reports.each_ref().map(|reports| reports.iter().map(numbers));
        assert!(ours_reported.eq(theirs_reported), "{name} {config}: the losses differ");
        assert!(weights(&ours) == weights(&theirs), "{name} {config}: the weights differ");
        assert!(theirs.acted()[0].1 > 0, "{name} {config} did nothing");
    }
}

#[test]
fn so_they_do_when_resumed_half_way() {
    for (name, config, built_in) in pairs() {
        let dir = tempfile::tempdir().unwrap();
        let mut ours = start(&flex(), built_in());
        finish(&mut ours);
        let mut stopped = start(&flex(), hook(name, &config));
        for _ in 0..STEPS / 2 {
            stopped.step().unwrap();
        }
        stopped.save(dir.path().join("half")).unwrap();
        let mut resumed = start(&flex(), hook(name, &config));
        resumed.load(dir.path().join("half")).unwrap();
        finish(&mut resumed);
        assert!(weights(&ours) == weights(&resumed), "{name} {config}");
    }
}

#[test]
fn ndarray_agrees_to_rounding() {
    let Ok(ndarray) = device("ndarray") else {
        return eprintln!("skipped: build the tests with the feature ndarray");
    };
    for (name, config, built_in) in pairs() {
        let (mut ours, mut theirs) = (start(&ndarray, built_in()), start(&ndarray, hook(name, &config)));
        finish(&mut ours);
        finish(&mut theirs);
        let difference = relative_difference(&weights(&theirs), &weights(&ours));
        assert!(difference <= 1e-6, "{name} {config}: {difference}");
    }
}

#[test]
fn every_example_keeps_the_contract() {
    for (name, config, _) in pairs() {
        check(&|| hook(name, &config)).unwrap_or_else(|error| panic!("{name} {config}: {error}"));
    }
}

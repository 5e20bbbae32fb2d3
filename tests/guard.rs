//! Spikes of the loss, and what is done about them.

use orbit_core::{AdamW, Entry, Error, Fit, Guard, MicroBatch, OnSpike, StepReport, host_weights};
use orbit_models::Decoder;
use orbit_regularizers::{Ema, Kl};

use crate::tiny::{Language, constant, decoder, micro_batch};

const BAD: u64 = 15;

/// The language, but for one batch of rows that nobody could guess.
fn batches(without: std::ops::Range<u64>) -> impl FnMut(u64) -> orbit_core::Result<Option<Vec<MicroBatch>>> {
    move |step| {
        let step = if step < without.start { step } else { step + without.end - without.start };
        let mut rows = Language::rows(step);
        if step == BAD {
            rows.iter_mut().for_each(|(tokens, _)| tokens.iter_mut().rev().for_each(|token| *token = 15 - *token));
        }
        Ok(Some(rows.chunks(4).map(micro_batch).collect()))
    }
}

type Run = Fit<Decoder, Box<dyn FnMut(u64) -> orbit_core::Result<Option<Vec<MicroBatch>>>>>;

fn run(on_spike: Option<OnSpike>, without: std::ops::Range<u64>) -> Run {
    let guard = on_spike.map(|on_spike| Guard { window: 8, sigmas: 3.0, on_spike });
    let batches: Box<dyn FnMut(u64) -> _> = Box::new(batches(without));
    let hooks = vec![Entry::new(Box::new(Kl::new(0.01))), Entry::new(Box::new(Ema::new(0.1)))];
    let fit = Fit::new(decoder(), hooks, batches, AdamW::default(), constant(1e-2, 20)).unwrap();
    fit.with_guard(guard).unwrap()
}

fn steps(fit: &mut Run, to: u64) -> Vec<StepReport> {
    (fit.steps()..to).map(|_| fit.step().unwrap().unwrap()).collect()
}

fn bits(fit: &Run) -> Vec<u32> {
    host_weights(&fit.model()).concat().into_iter().map(f32::to_bits).collect()
}

#[test]
fn a_spike_stops_the_run_with_evidence() {
    let mut fit = run(Some(OnSpike::Stop), 0..0);
    steps(&mut fit, BAD - 1);
    let before = bits(&fit);
    let error = fit.step().unwrap_err();
    assert!(matches!(&error, Error::Spike { step: BAD, spike, .. } if spike.of == "loss"), "{error}");
    assert!(error.to_string().contains("100, 101, 102, 103, 100, 101, 102, 103"), "{error}");
    assert!(before == bits(&fit), "the weights have changed");
}

#[test]
fn a_warning_changes_nothing() {
    let (mut warned, mut plain) = (run(Some(OnSpike::Go), 0..0), run(None, 0..0));
    let (reports, silent) = (steps(&mut warned, 20), steps(&mut plain, 20));
    assert!(bits(&warned) == bits(&plain));
    let at = |reports: &[StepReport]| reports.iter().filter(|r| r.spike.is_some()).map(|r| r.step).collect::<Vec<_>>();
    assert_eq!((at(&reports), at(&silent), warned.spikes()), (vec![BAD], vec![], (1, 0)));
}

#[test]
fn a_skipped_step_makes_no_update() {
    let mut fit = run(Some(OnSpike::Skip), 0..0);
    steps(&mut fit, BAD - 1);
    let before = bits(&fit);
    let report = steps(&mut fit, BAD).remove(0);
    assert!(report.spike.is_some_and(|spike| spike.skipped));
    assert!(before == bits(&fit), "the weights have changed");
    steps(&mut fit, 20);
    assert!(before != bits(&fit), "and the run goes on");
}

/// What the guard has seen is part of the checkpoint.
#[test]
fn a_guarded_run_goes_on_as_if_nothing_had_happened() {
    let dir = tempfile::tempdir().unwrap();
    let mut whole = run(Some(OnSpike::Skip), 0..0);
    steps(&mut whole, BAD - 2);
    whole.save(dir.path().join("step-13")).unwrap();
    steps(&mut whole, 20);
    let mut resumed = run(Some(OnSpike::Skip), 0..0);
    resumed.load(dir.path().join("step-13")).unwrap();
    steps(&mut resumed, 20);
    assert_eq!((resumed.spikes(), whole.spikes()), ((1, 0), (1, 0)), "the window is part of it");
    assert!(bits(&resumed) == bits(&whole));
}

/// The run that went back is, to the bit, the run that never saw the batches that it passed over.
#[test]
fn a_run_that_goes_back_does_not_meet_the_spike_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut fit = run(Some(OnSpike::Skip), 0..0);
    steps(&mut fit, 10);
    fit.save(dir.path().join("step-10")).unwrap();
    steps(&mut fit, BAD);
    fit.roll_back(dir.path().join("step-10")).unwrap();
    assert_eq!((fit.steps(), fit.spikes()), (10, (1, BAD - 10)));
    steps(&mut fit, 13);
    // Stopped and taken up again, it still passes over them.
    fit.save(dir.path().join("step-13")).unwrap();
    let mut resumed = run(Some(OnSpike::Skip), 0..0);
    resumed.load(dir.path().join("step-13")).unwrap();
    steps(&mut fit, 20);
    steps(&mut resumed, 20);
    let mut never = run(Some(OnSpike::Skip), 11..BAD + 1);
    steps(&mut never, 20);
    assert!(bits(&fit) == bits(&never) && bits(&resumed) == bits(&never));
    assert_eq!(fit.spikes().0, never.spikes().0 + 1);
    assert_eq!(fit.acted(), never.acted());
}

//! Training: that it learns, that the update is AdamW's, and that what should not matter does not.

use std::sync::mpsc::channel;

use orbit_core::hook::{Error as HookError, Phases, Vector::*};
use orbit_core::{
    AdamW, Batches, Decay, Entry, Error, Fit, MicroBatch, Model, Schedule, StepReport, host_weights, parameters,
};
use orbit_models::Decoder;
use orbit_regularizers::{At, Kl, Metric, Orbit};

use crate::tiny::{
    Language, constant, contents, decoder, finish, fit, log_softmax, micro_batch, noise, relative_difference, scripted,
};

#[test]
fn the_language_is_learned() {
    let mut fit = fit(Vec::new(), 50);
    let reports = finish(&mut fit);
    let (first, last) = (reports[0].loss, reports[49].loss);
    assert!(first > 2.5 && last < 0.05, "the loss went from {first} to {last}");
    let numbers: Vec<u64> = reports.iter().map(|report| report.step).collect();
    assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
    assert!(fit.step().unwrap().is_none(), "it stays at its end");
}

#[test]
fn a_report_counts_its_batch() {
    let report = fit(Vec::new(), 1).step().unwrap().unwrap();
    let rows = Language::rows(1);
    assert_eq!(report.tokens, rows.iter().map(|(tokens, _)| tokens.len()).sum::<usize>());
    let widths = rows.chunks(4).map(|rows| 4 * rows.iter().map(|(tokens, _)| tokens.len()).max().unwrap());
    assert_eq!(report.padding + report.tokens, widths.sum::<usize>());
    let model = decoder();
    let losses: Vec<f64> = rows
        .iter()
        .flat_map(|(tokens, answer)| {
            let scores = log_softmax(&model, tokens);
            (*answer..tokens.len()).map(move |at| -scores[at - 1][tokens[at] as usize]).collect::<Vec<_>>()
        })
        .collect();
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    assert!((report.loss - mean).abs() < 1e-5, "{} is not the mean over all answer tokens, {mean}", report.loss);
}

/// AdamW in double precision, written from the paper, one entry at a time.
struct Reference {
    optimizer: AdamW,
    moments: Vec<[f64; 2]>,
    step: i32,
}

impl Reference {
    fn update(&mut self, weights: &mut [f64], gradients: &[f64], learning_rate: f64) {
        let AdamW { beta1, beta2, epsilon, weight_decay, max_norm } = self.optimizer;
        self.step += 1;
        let norm = gradients.iter().map(|g| g * g).sum::<f64>().sqrt();
        let clip = max_norm.map_or(1.0, |max| if norm > max { max / norm } else { 1.0 });
        for ((weight, gradient), [first, second]) in weights.iter_mut().zip(gradients).zip(&mut self.moments) {
            let gradient = clip * gradient;
            *first = beta1 * *first + (1.0 - beta1) * gradient;
            *second = beta2 * *second + (1.0 - beta2) * gradient * gradient;
            let mean = *first / (1.0 - beta1.powi(self.step));
            let square = *second / (1.0 - beta2.powi(self.step));
            *weight -= learning_rate * (weight_decay * *weight + mean / (square.sqrt() + epsilon));
        }
    }
}

/// The largest error of five updates, in learning rates, when gradients have the given size.
fn worst_update(optimizer: AdamW, size: f32) -> f64 {
    let schedule = Schedule { learning_rate: 0.02, warmup: 3, decay: Decay::Cosine, total: 5 };
    let given = move |step: u64, count: usize| -> Vec<f32> {
        noise(count, step as u32).into_iter().map(|x| x * size).collect()
    };
    let hook = scripted("given", Phases::GRADIENTS, move |phase, step, space| {
        if phase == Phases::GRADIENTS {
            let count = space.params().iter().map(|param| param.len()).sum();
            let mut gradients = given(step, count).into_iter();
            space.visit(Gradients, &mut |_, entries| entries.fill_with(|| gradients.next().unwrap()))?;
        }
        Ok(())
    });
    let mut fit = Fit::new(decoder(), vec![hook], Language { micro: 8 }, optimizer, schedule).unwrap();
    let mut weights: Vec<f64> = host_weights(&fit.model()).into_iter().flatten().map(f64::from).collect();
    let mut reference = Reference { optimizer, moments: vec![[0.0; 2]; weights.len()], step: 0 };
    let mut worst = 0.0;
    for step in 1..=5 {
        fit.step().unwrap().unwrap();
        let gradients: Vec<f64> = given(step, weights.len()).into_iter().map(f64::from).collect();
        reference.update(&mut weights, &gradients, schedule.at(step));
        let found = host_weights(&fit.model()).into_iter().flatten();
        worst = found.zip(&weights).fold(worst, |worst, (a, b)| f64::max(worst, (f64::from(a) - b).abs()));
    }
    worst / schedule.learning_rate
}

#[test]
fn the_update_is_that_of_adamw() {
    let plain = AdamW { max_norm: None, ..AdamW::default() };
    let decayed = AdamW { weight_decay: 0.1, beta1: 0.8, beta2: 0.95, ..plain };
    let clipped = AdamW { max_norm: Some(0.5), epsilon: 1e-3, ..decayed };
    for (optimizer, size) in [(plain, 1e-3), (plain, 1e-7), (decayed, 1e-5), (clipped, 1e-2), (clipped, 1e-4)] {
        // A weight near 1 is rounded by 6e-8 a step, which is 3e-6 of the learning rate.
        let error = worst_update(optimizer, size);
        assert!(error < 3e-5, "{optimizer:?} with gradients of {size} is off by {error} learning rates");
    }
}

#[test]
fn options_of_the_optimizer_are_checked() {
    let with = |optimizer| Fit::new(decoder(), Vec::new(), Language { micro: 8 }, optimizer, constant(0.01, 1)).err();
    let message = |optimizer| with(optimizer).unwrap().to_string();
    assert_eq!(message(AdamW { beta2: 1.0, ..AdamW::default() }), "beta2: must be at least 0 and below 1, got 1");
    assert!(message(AdamW { beta1: f64::NAN, ..AdamW::default() }).starts_with("beta1: "));
    assert!(message(AdamW { max_norm: Some(0.0), ..AdamW::default() }).starts_with("max_norm: "));
}

/// The gradient of a first step on the given batch, and its report.
fn gradient(batch: Vec<MicroBatch>) -> (StepReport, Vec<f32>) {
    let (sender, receiver) = channel();
    let hook = scripted("watching", Phases::GRADIENTS, move |phase, _, space| {
        if phase == Phases::GRADIENTS {
            sender.send(contents(space, Gradients).into_iter().flat_map(|(_, entries)| entries).collect()).unwrap();
        }
        Ok(())
    });
    let mut fit = Fit::new(decoder(), vec![hook], Given(batch), AdamW::default(), constant(1e-3, 1)).unwrap();
    (fit.step().unwrap().unwrap(), receiver.recv().unwrap())
}

/// The same batch every step.
struct Given(Vec<MicroBatch>);

impl Batches for Given {
    fn batch(&mut self, _: u64) -> orbit_core::Result<Option<Vec<MicroBatch>>> {
        Ok(Some(self.0.clone()))
    }
}

#[test]
fn micro_batches_add_up_to_the_batch() {
    let rows = Language::rows(1);
    let (whole, expected) = gradient(vec![micro_batch(&rows)]);
    for size in [1, 2, 3] {
        let (report, found) = gradient(rows.chunks(size).map(micro_batch).collect());
        assert!((report.loss - whole.loss).abs() < 1e-6);
        let difference = relative_difference(&found, &expected);
        assert!(difference < 1e-5, "in micro-batches of {size} the gradient differs by {difference}");
    }
}

#[test]
fn the_size_of_micro_batches_does_not_change_the_run() {
    // With a large epsilon, entries whose gradient is all rounding do not move by a whole learning rate.
    let optimizer = AdamW { epsilon: 1e-4, ..AdamW::default() };
    let run = |micro| {
        let mut fit = Fit::new(decoder(), Vec::new(), Language { micro }, optimizer, constant(1e-3, 5)).unwrap();
        finish(&mut fit);
        host_weights(&fit.model()).concat()
    };
    let difference = relative_difference(&run(2), &run(8));
    assert!(difference < 1e-5, "the weights differ by {difference}");
}

#[test]
fn padding_changes_nothing() {
    let rows = Language::rows(1);
    let (bare, expected) = gradient(vec![micro_batch(&rows)]);
    let mut wide = micro_batch(&rows);
    let rest = wide.tokens.chunks(wide.width).flat_map(|row| row.iter().copied().chain([5; 7])).collect();
    (wide.width, wide.tokens) = (wide.width + 7, rest);
    for (row, length) in wide.lengths.iter().enumerate() {
        wide.tokens[row * wide.width..][*length..wide.width].fill(5);
    }
    let (padded, found) = gradient(vec![wide]);
    assert_eq!(padded.padding, bare.padding + 7 * 8);
    assert!((padded.loss - bare.loss).abs() < 1e-6);
    let difference = relative_difference(&found, &expected);
    assert!(difference < 1e-5, "the gradient differs by {difference}");
}

#[test]
fn the_prompt_bears_no_loss() {
    let text = vec![3u32, 2, 13, 4, 7, 6];
    let (report, _) = gradient(vec![micro_batch(&[(text.clone(), 4)])]);
    let scores = log_softmax(&decoder(), &text);
    let expected = -(scores[3][7] + scores[4][6]) / 2.0;
    assert!((report.loss - expected).abs() < 1e-5, "{}, not {expected}", report.loss);
}

#[test]
fn batches_that_make_no_sense_are_errors() {
    let message = |batch: Vec<MicroBatch>| {
        let mut fit = Fit::new(decoder(), Vec::new(), Given(batch), AdamW::default(), constant(1e-3, 1)).unwrap();
        fit.step().unwrap_err().to_string()
    };
    assert_eq!(message(Vec::new()), "the batch of step 1 is empty");
    let good = micro_batch(&[(vec![1, 2, 3], 1), (vec![1, 2, 3], 1)]);
    let answer = |answer| MicroBatch { answers: vec![1, answer], ..good.clone() };
    assert_eq!(message(vec![answer(0)]), "example 101: its answer begins at token 0 of 3, in a batch 3 wide");
    assert!(message(vec![good.clone(), answer(3)]).starts_with("example 101: "));
    assert!(message(vec![answer(9)]).starts_with("example 101: "));
    assert!(message(vec![MicroBatch { lengths: vec![3, 4], ..good.clone() }]).starts_with("example 101: "));
    assert!(message(vec![MicroBatch { tokens: vec![0; 5], ..good.clone() }]).contains("2 x 3 has 5 tokens"));
}

/// Weights and reports of a run, to the bit.
fn bits(steps: u64) -> (Vec<u32>, Vec<u64>) {
    let orbit = Entry::new(Box::new(Orbit::new(Metric::L2, 0.5)));
    let kl = Entry::new(Box::new(Kl::new(0.5)));
    let mut fit = fit(vec![orbit, kl], steps);
    let losses =
        finish(&mut fit).iter().flat_map(|report| [report.loss.to_bits(), report.gradient_norm.to_bits()]).collect();
    (host_weights(&fit.model()).concat().into_iter().map(f32::to_bits).collect(), losses)
}

#[test]
fn the_same_run_gives_the_same_bits_on_any_number_of_threads() {
    let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| bits(6));
    let expected = bits(6);
    assert!(expected == bits(6), "the same run twice");
    for threads in [1, 2, 3] {
        assert!(expected == on(threads), "on {threads} threads");
    }
}

#[test]
fn what_is_not_finite_stops_the_run_before_an_update() {
    for value in ["NaN", "infinity"] {
        for name in ["model.layers.0.self_attn.k_proj.weight", "model.layers.1.mlp.up_proj.weight", "model.norm.weight"]
        {
            let poison = scripted("poison", Phases::WEIGHTS, move |phase, step, space| {
                let place = space.params().iter().position(|param| param.name == name).unwrap();
                if phase == Phases::WEIGHTS && step == 2 {
                    // Neither can be written, but an entry can overflow, and leave the others as they are.
                    let part = Weights.at(place);
                    space.visit(part, &mut |_, entries| entries[0] = f32::MAX)?;
                    space.scale(part, 4.0)?;
                    space.scale(part, 0.25)?;
                    if value == "NaN" {
                        space.lerp(part, part, 0.5)?;
                    }
                }
                Ok(())
            });
            let mut fit = fit(vec![poison], 5);
            fit.step().unwrap();
            fit.step().unwrap();
            let bits = |fit: &Fit<Decoder, Language>| -> Vec<u32> {
                host_weights(&fit.model()).concat().into_iter().map(f32::to_bits).collect()
            };
            let before = bits(&fit);
            let error = fit.step().unwrap_err();
            let Error::NonFinite { step, batch, .. } = &error else { panic!("{value} in {name}: {error}") };
            assert_eq!((*step, batch.as_str()), (3, "100, 101, 102, 103, 100, 101, 102, 103"));
            assert!(before == bits(&fit), "{value} in {name}: the weights have changed");
            assert_eq!(fit.steps(), 2);
        }
    }
}

#[test]
fn a_step_that_failed_half_way_is_neither_gone_on_from_nor_saved() {
    let dir = tempfile::tempdir().unwrap();
    let failing = |at: u64| {
        scripted("failing", Phases::WEIGHTS, move |_, step, space| {
            if step == 0 {
                Ok(())
            } else if step == at {
                Err(HookError::failed("told to"))
            } else {
                space.scale(Weights, 0.99)
            }
        })
    };
    let bits = |fit: &Fit<Decoder, Language>| host_weights(&fit.model()).concat();
    let mut fit = fit(vec![failing(3)], 5);
    fit.step().unwrap();
    fit.step().unwrap();
    fit.save(dir.path().join("whole")).unwrap();
    let whole = bits(&fit);
    let error = fit.step().unwrap_err();
    assert_eq!(error.to_string(), "hook 1 \"failing\" in weights: told to");
    assert!(matches!(fit.step(), Err(Error::Torn { step: 3 })));
    assert!(matches!(fit.save(dir.path().join("torn")), Err(Error::Torn { step: 3 })));
    assert!(!dir.path().join("torn").exists());
    // The update has happened, which is why the weights are not to be kept; the checkpoint before is.
    assert!(bits(&fit) != whole);
    fit.load(dir.path().join("whole")).unwrap();
    assert!(bits(&fit) == whole);
}

/// Mean KL(original ‖ trained) · τ² over the tokens that both know, in double precision: over the answers of a step's batch,
/// or all its tokens.
fn divergence(trained: &Decoder, step: u64, kl: &Kl) -> f64 {
    let original = decoder();
    let softened = |row: &[f64]| {
        let row: Vec<f64> = row[..16].iter().map(|x| x / kl.temperature).collect();
        let total = row.iter().map(|x| x.exp()).sum::<f64>().ln();
        row.into_iter().map(|x| x - total).collect::<Vec<_>>()
    };
    let divergence = |(p, q): (&Vec<f64>, &Vec<f64>)| -> f64 {
        softened(p).iter().zip(softened(q)).map(|(p, q)| p.exp() * (p - q)).sum()
    };
    let rows = Language::rows(step).into_iter().flat_map(|(tokens, answer)| {
        let pairs = log_softmax(&original, &tokens).into_iter().zip(log_softmax(trained, &tokens));
        let at = if kl.at == At::All { 0..tokens.len() } else { answer - 1..tokens.len() - 1 };
        pairs.skip(at.start).take(at.len()).map(|(p, q)| divergence((&p, &q))).collect::<Vec<_>>()
    });
    let rows: Vec<f64> = rows.collect();
    rows.iter().sum::<f64>() / rows.len() as f64 * kl.temperature * kl.temperature
}

/// A run with new tokens, of which the frozen original's distribution knows nothing.
fn with_kl(kl: Option<&Kl>, steps: u64) -> Fit<Decoder, Language> {
    let hooks = kl.into_iter().map(|kl| Entry::new(Box::new(kl.clone()))).collect();
    let model = decoder().with_new_tokens(2, 1);
    Fit::new(model, hooks, Language { micro: 8 }, AdamW::default(), constant(1e-2, steps)).unwrap()
}

#[test]
fn the_term_of_kl_is_its_formula() {
    for (temperature, at) in [(1.0, At::Answer), (2.0, At::Answer), (1.0, At::All), (0.5, At::All)] {
        let kl = Kl { temperature, at, ..Kl::new(0.75) };
        let mut fit = with_kl(Some(&kl), 3);
        let first = fit.step().unwrap().unwrap();
        assert!(first.terms[0].1.abs() < 1e-6, "before the first update nothing has moved");
        let expected = 0.75 * divergence(&fit.model(), 2, &kl);
        let report = fit.step().unwrap().unwrap();
        let [(name, found)] = report.terms.as_slice() else { panic!("{:?}", report.terms) };
        assert_eq!(name, "kl.kl");
        assert!((found - expected).abs() < 1e-4 * expected, "{kl:?}: {found}, not {expected}");
        assert_eq!(report.acted, [""; 0], "it touches the loss alone");
    }
}

#[test]
fn kl_keeps_the_original_distribution() {
    let kl = Kl::new(5.0);
    let run = |kl: Option<&Kl>| {
        let mut fit = with_kl(kl, 15);
        let reports = finish(&mut fit);
        (reports, fit.model())
    };
    let ((reports, plain), (_, held)) = (run(None), run(Some(&kl)));
    assert!(reports.iter().all(|report| report.terms.is_empty()));
    let (without, with) = (divergence(&plain, 1, &kl), divergence(&held, 1, &kl));
    assert!(with < 0.25 * without, "{with} with the hook, {without} without");

    let (reports, idle) = run(Some(&Kl::new(0.0)));
    assert_eq!(host_weights(&idle), host_weights(&plain), "a term of strength 0 changes nothing");
    assert_eq!(reports[14].terms, [("kl.kl".to_owned(), 0.0)]);
}

#[test]
fn orbit_ends_every_step_within_its_drift() {
    for (metric, max_drift) in [(Metric::Flips, 0.02), (Metric::L2, 0.8)] {
        let hook = Entry::new(Box::new(Orbit::new(metric, max_drift)));
        let mut fit = fit(vec![hook], 30);
        let mut merges = 0.0;
        while let Some(report) = fit.step().unwrap() {
            let drift = fit.drift();
            let drift = if metric == Metric::Flips { drift.flips } else { drift.l2 };
            assert!(drift <= max_drift, "{metric:?}: a drift of {drift} after step {}", report.step);
            let logged = |key: &str| report.log.iter().find(|(name, _)| name == key).unwrap().1;
            assert_eq!(logged("orbit.drift"), drift);
            merges += logged("orbit.merges");
            assert_eq!(logged("orbit.total_merges"), merges);
            assert_eq!(report.acted.is_empty(), logged("orbit.merges") == 0.0);
        }
        assert!(merges > 2.0, "{metric:?} never had to merge");
    }
}

#[test]
fn a_hook_is_counted_once_a_step() {
    let twice = scripted("twice", Phases::GRADIENTS | Phases::WEIGHTS, |phase, _, space| match phase {
        Phases::GRADIENTS => space.scale(Gradients, 0.5),
        Phases::WEIGHTS => space.scale(Weights, 0.999),
        _ => Ok(()),
    });
    let kl = Entry::new(Box::new(Kl::new(0.1)));
    let watching = scripted("watching", Phases::WEIGHTS, |_, _, space| space.dot(Weights, Weights).map(drop));
    let mut fit = fit(vec![twice, kl, Entry { every: 2, ..watching }], 4);
    finish(&mut fit);
    assert_eq!(fit.acted(), [("twice".into(), 4), ("kl".into(), 4), ("watching".into(), 0)]);
}

#[test]
fn the_schedule_warms_up_and_then_decays() {
    let schedule = |warmup, decay| Schedule { learning_rate: 2.0, warmup, decay, total: 20 };
    let constant = schedule(4, Decay::Constant);
    assert_eq!([1, 2, 3, 4, 5, 20, 99].map(|step| constant.at(step)), [0.5, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0]);
    let cosine = schedule(0, Decay::Cosine);
    let close = |step, expected: f64| assert!((cosine.at(step) - expected).abs() < 1e-12, "{}", cosine.at(step));
    close(0, 2.0);
    close(10, 1.1);
    close(20, 0.2);
    close(1000, 0.2);
    assert!((1..20).all(|step| cosine.at(step) > cosine.at(step + 1)));
    assert_eq!(schedule(20, Decay::Cosine).at(20), 2.0, "nothing is left to decay");
}

#[test]
fn a_tied_parameter_counts_once() {
    let model = decoder();
    let count: usize = parameters(&model).iter().map(|param| param.len()).sum();
    assert_eq!(count, model.config().parameter_count());
    assert!(parameters(&model).iter().all(|param| param.name != "lm_head.weight"));
    assert_eq!(model.base_vocabulary(), 16);
}

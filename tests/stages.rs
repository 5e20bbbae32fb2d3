//! Training adapters, and one stage after the other.

use std::collections::BTreeSet;
use std::sync::mpsc::channel;

use orbit_core::hook::Vector::*;
use orbit_core::hook::{Hook, Phases};
use orbit_core::{
    AdamW, Batches, Entry, Fit, Loss, MicroBatch, Model, Stage, StageOrigin, StepReport, host_weights, parameters,
};
use orbit_models::LanguageModel;
use orbit_models::lora::{Adapter, LoraConfig, distance};
use orbit_models::weights::Array;
use orbit_regularizers::{Ball, Ema, Ewc, Kl, L2Sp, Mas, Metric, OLora, Orbit, Si};

use crate::lora::drawn;
use crate::tiny::{Language, constant, contents, decoder, finish, largest_difference, relative_difference, scripted};

pub(crate) fn config() -> LoraConfig {
    LoraConfig {
        rank: 3,
        alpha: 6.0,
        dropout: 0.0,
        targets: vec!["q_proj".into(), "v_proj".into(), "down_proj".into()],
    }
}

pub(crate) fn plain() -> LanguageModel {
    decoder().with_new_tokens(2, 1).into()
}

/// A model with an adapter that does something already, and new tokens.
pub(crate) fn adapted(config: &LoraConfig) -> (LanguageModel, Adapter) {
    let adapter = drawn(&plain(), config, 5);
    (plain().with_adapter(&adapter).unwrap(), adapter)
}

type Training = Fit<LanguageModel, Language>;

fn start(model: LanguageModel, hooks: Vec<Entry>, steps: u64) -> Training {
    Fit::new(model, hooks, Language { micro: 4 }, AdamW::default(), constant(1e-2, steps)).unwrap()
}

fn next(steps: u64, origin: StageOrigin, model: Option<LanguageModel>) -> Stage<LanguageModel, Language> {
    Stage { batches: Language { micro: 4 }, schedule: constant(1e-2, steps), seed: 9, origin, model }
}

fn entry<H: Hook + 'static>(hook: H) -> Entry {
    Entry::new(Box::new(hook))
}

pub(crate) fn bits<B: Batches>(fit: &Fit<LanguageModel, B>) -> Vec<u32> {
    host_weights(&fit.model()).concat().into_iter().map(f32::to_bits).collect()
}

pub(crate) fn timeless(reports: &[StepReport]) -> Vec<String> {
    let timeless = |report: &StepReport| StepReport { seconds: 0.0, hook_seconds: 0.0, ..report.clone() };
    reports.iter().map(|report| format!("{:?}", timeless(report))).collect()
}

#[test]
fn only_factors_and_new_tokens_are_trained_seen_and_saved() {
    let (model, _) = adapted(&config());
    let names: BTreeSet<String> = parameters(&model).into_iter().map(|param| param.name).collect();
    let trains = |name: &str| name.contains(".weight.lora.") || name.starts_with("new_tokens");
    let expected: BTreeSet<String> = names.iter().filter(|name| trains(name)).cloned().collect();
    assert_eq!(expected.len(), 2 * 3 * 2 + 2, "{names:?}");

    let (sender, receiver) = channel();
    let watching = scripted("watching", Phases::GRADIENTS, move |phase, step, space| {
        if phase == Phases::GRADIENTS && step == 1 {
            sender.send(contents(space, Gradients)).unwrap();
        }
        Ok(())
    });
    let before = host_weights(&model);
    let mut fit = start(model, vec![watching], 4);
    finish(&mut fit);
    let seen = receiver.recv().unwrap();
    assert_eq!(seen.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>(), expected);
    let after = fit.model();
    for ((param, before), after) in parameters(&after).iter().zip(&before).zip(host_weights(&after)) {
        let same = before.iter().zip(&after).all(|(a, b)| a.to_bits() == b.to_bits());
        // The language has no new tokens, so their input rows have no gradient.
        let idle = !trains(&param.name) || param.name == "new_tokens.input";
        assert_eq!(same, idle, "{}", param.name);
    }

    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("end");
    fit.save(&place).unwrap();
    let stored = |file: &str| -> BTreeSet<String> {
        let bytes = std::fs::read(place.join(file)).unwrap();
        safetensors::SafeTensors::deserialize(&bytes)
            .unwrap()
            .names()
            .into_iter()
            .map(|name| name.to_string())
            .collect()
    };
    assert_eq!(stored("weights.safetensors"), expected);
    let moments = ["first.", "second."].map(|prefix| expected.iter().map(|name| format!("{prefix}{name}")).collect());
    assert_eq!(stored("optimizer.safetensors"), moments.into_iter().flat_map(|names: Vec<_>| names).collect());
}

#[test]
fn an_adapter_learns_the_language() {
    let model = plain();
    let everything = LoraConfig { rank: 8, targets: vec!["*_proj".into()], ..config() };
    let adapter = model.fresh_adapter(&everything, 1).unwrap();
    let mut fit = start(model.with_adapter(&adapter).unwrap(), Vec::new(), 60);
    let reports = finish(&mut fit);
    assert!(reports[0].loss > 2.5 && reports[59].loss < 1.0, "{} to {}", reports[0].loss, reports[59].loss);
}

#[test]
fn dropout_is_seeded_resumes_and_stays_out_of_evaluation() {
    let config = LoraConfig { dropout: 0.3, ..config() };
    let run = |seed: u64, hooks: Vec<Entry>| start(adapted(&config).0, hooks, 8).with_seed(seed);
    let hooks = || vec![entry(Ema::new(0.7)), entry(Kl::new(0.5))];
    let mut whole = run(5, hooks());
    let reports = finish(&mut whole);

    let dir = tempfile::tempdir().unwrap();
    let mut stopped = run(5, hooks());
    (0..4).for_each(|_| drop(stopped.step().unwrap()));
    stopped.save(dir.path().join("4")).unwrap();
    let mut resumed = run(5, hooks());
    resumed.load(dir.path().join("4")).unwrap();
    assert_eq!(timeless(&finish(&mut resumed)), timeless(&reports[4..]));
    assert!(bits(&whole) == bits(&resumed));

    let mut other = run(6, hooks());
    assert_ne!(finish(&mut other)[0].loss, reports[0].loss, "the seed chooses what is dropped");
    let without = LoraConfig { dropout: 0.0, ..config.clone() };
    let mut plain = start(adapted(&without).0, Vec::new(), 1).with_seed(5);
    assert_ne!(finish(&mut plain)[0].loss, reports[0].loss, "something is dropped");

    // Rows of equal tokens would be dropped alike, were the masks of two layers or two micro-batches one.
    let rows = crate::tiny::micro_batch(&Language::rows(1));
    let logits = |model: &LanguageModel| crate::lora::logits(model, &rows);
    let (model, adapter) = adapted(&config);
    let trained = Adapter::of(&model, &config);
    assert_eq!(trained, adapter, "an adapter is read off the model as it was put on");
    let plainly = adapted(&without).0;
    assert_eq!(logits(&model), logits(&plainly), "evaluation drops nothing");
}

/// ‖s (B A − B₀ A₀)‖ from the products themselves, in double precision.
fn dense(now: &Adapter, then: Option<&Adapter>) -> f64 {
    let product = |[a, b]: &[Array; 2]| -> Vec<f64> {
        let (rank, input) = (a.shape[0], a.shape[1]);
        let entry = |row: usize, column: usize| {
            (0..rank).map(|k| f64::from(b.data[row * rank + k]) * f64::from(a.data[k * input + column])).sum::<f64>()
        };
        (0..b.shape[0]).flat_map(|row| (0..input).map(move |column| (row, column))).map(|(r, c)| entry(r, c)).collect()
    };
    let squares = now.factors.iter().map(|(layer, factors)| {
        let before = then
            .map_or_else(|| vec![0.0; factors[1].shape[0] * factors[0].shape[1]], |then| product(&then.factors[layer]));
        product(factors).iter().zip(before).map(|(now, then)| (now - then).powi(2)).sum::<f64>()
    });
    now.config.scale() * squares.sum::<f64>().sqrt()
}

#[test]
fn hooks_act_on_factors_and_distance_is_that_of_the_weights() {
    for (metric, max_drift) in [(Metric::Flips, 0.01), (Metric::L2, 0.3)] {
        let (model, began) = adapted(&config());
        let mut fit = start(model, vec![entry(Orbit::new(metric, max_drift))], 15);
        while let Some(report) = fit.step().unwrap() {
            let drift = fit.drift();
            let drift = if metric == Metric::Flips { drift.flips } else { drift.l2 };
            assert!(drift <= max_drift, "{metric:?}: a drift of {drift} after step {}", report.step);
        }
        assert!(fit.acted()[0].1 > 0, "{metric:?} never had to merge");
        let now = Adapter::of(&fit.model(), &config());
        let moved: f64 = (now.factors.values().zip(began.factors.values()))
            .flat_map(|(now, then)| now.iter().zip(then).flat_map(|(now, then)| now.data.iter().zip(&then.data)))
            .map(|(now, then)| (f64::from(*now) - f64::from(*then)).powi(2))
            .sum();
        assert!((fit.drift().l2 - moved.sqrt()).abs() <= 1e-5 * moved.sqrt(), "drift is that of the factors");

        for then in [Some(&began), None] {
            let (found, expected) = (distance(&now, then), dense(&now, then));
            assert!((found - expected).abs() <= 1e-6 * expected, "{found}, not {expected}");
        }
        // And of what merging does, to the rounding of the weights.
        let merged = |adapter: &Adapter| host_weights(&plain().merge(adapter, 1.0).unwrap()).concat();
        let difference: f64 =
            merged(&now).iter().zip(merged(&began)).map(|(a, b)| (f64::from(*a) - f64::from(b)).powi(2)).sum();
        let found = distance(&now, Some(&began));
        assert!((found - difference.sqrt()).abs() <= 1e-4 * found, "{found}, not {}", difference.sqrt());
    }
    let run = |hooks: Vec<Entry>| {
        let mut fit = start(adapted(&config()).0, hooks, 10);
        finish(&mut fit);
        (bits(&fit), fit.drift().l2, fit.acted().iter().map(|(_, acted)| *acted).sum::<u64>())
    };
    let (plain, drift, _) = run(Vec::new());
    for hook in [entry(L2Sp::new(3.0)), entry(Ema::new(0.9)), entry(Ball::new(0.2)), entry(Kl::new(5.0))] {
        let name = hook.hook.name().to_owned();
        let (held, held_drift, acted) = run(vec![hook]);
        assert!(acted > 0 && held != plain, "{name} does nothing");
        assert!(held_drift < drift, "{name}: {held_drift} is not less than {drift}");
    }
}

#[test]
fn the_origin_of_a_stage_is_its_own_or_that_of_the_run() {
    let (model, _) = adapted(&config());
    let mut fit = start(model.clone(), Vec::new(), 3);
    fit.step().unwrap();
    let error = fit.next_stage(next(2, StageOrigin::Stage, None)).unwrap_err().to_string();
    assert!(error.contains("has not finished"), "{error}");
    finish(&mut fit);
    let (digest, first) = (fit.origin_digest(), fit.drift());
    assert!(first.l2 > 0.0);
    let ended = bits(&fit);

    fit.next_stage(next(2, StageOrigin::Run, None)).unwrap();
    assert_eq!((fit.steps(), fit.drift()), (0, first));
    assert!(bits(&fit) == ended, "nothing moves between stages");
    assert_eq!(finish(&mut fit).iter().map(|report| report.step).collect::<Vec<_>>(), [1, 2]);
    assert_ne!(fit.drift(), first);

    fit.next_stage(next(2, StageOrigin::Stage, None)).unwrap();
    assert_eq!((fit.drift().l2, fit.drift().flips), (0.0, 0.0));
    finish(&mut fit);
    assert!(fit.drift().l2 > 0.0);

    let fresh = plain().with_adapter(&drawn(&plain(), &config(), 77)).unwrap();
    let expected = host_weights(&fresh).concat();
    fit.next_stage(next(2, StageOrigin::Run, Some(fresh))).unwrap();
    assert_eq!(host_weights(&fit.model()).concat(), expected, "it goes on with the model given");
    assert_eq!(fit.drift().l2, 0.0, "which is its own origin");
    assert_eq!(fit.origin_digest(), digest, "a run is known by what its first stage began with");
    finish(&mut fit);

    let other = LoraConfig { rank: 2, ..config() };
    let error = fit.next_stage(next(2, StageOrigin::Stage, Some(adapted(&other).0))).unwrap_err().to_string();
    assert!(error.contains("other parameters"), "{error}");
}

/// The optimizer starts afresh with a stage: its first step is that of a run which begins there.
#[test]
fn a_stage_has_moments_of_its_own() {
    let mut staged = start(adapted(&config()).0, Vec::new(), 3);
    finish(&mut staged);
    let mut fresh = start(staged.model(), Vec::new(), 2);
    staged.next_stage(next(2, StageOrigin::Stage, None)).unwrap();
    assert_eq!(timeless(&finish(&mut staged)), timeless(&finish(&mut fresh)));
    assert!(bits(&staged) == bits(&fresh));
}

/// The gradient of the mean loss over one batch, parameter by parameter.
fn gradient(model: LanguageModel, batch: MicroBatch) -> Vec<Vec<f32>> {
    let (sender, receiver) = channel();
    let watching = scripted("watching", Phases::GRADIENTS, move |phase, _, space| {
        if phase == Phases::GRADIENTS {
            sender.send(contents(space, Gradients)).unwrap();
        }
        Ok(())
    });
    let one = move |_: u64| Ok(Some(vec![batch.clone()]));
    Fit::new(model, vec![watching], one, AdamW::default(), constant(1e-3, 1)).unwrap().step().unwrap();
    receiver.recv().unwrap().into_iter().map(|(_, entries)| entries).collect()
}

/// λ F ∘ (θ − θ*), F the mean over examples of the squared gradient of log p(answer | prompt).
#[test]
fn ewc_pulls_by_the_fisher_information_of_the_stage_before() {
    const EXAMPLES: usize = 11;
    let strength = 40.0;
    let (sender, receiver) = channel();
    let watch = |name| {
        let sender = sender.clone();
        scripted(name, Phases::GRADIENTS, move |phase, step, space| {
            if phase == Phases::GRADIENTS && step == 2 {
                sender.send((contents(space, Gradients), contents(space, Weights))).unwrap();
            }
            Ok(())
        })
    };
    let hooks = vec![watch("before"), entry(Ewc::new(strength)), watch("after")];
    let mut fit = start(adapted(&config()).0, hooks, 2).with_estimate_examples(EXAMPLES);
    finish(&mut fit);
    let [(before, _), (after, _)] = [receiver.recv().unwrap(), receiver.recv().unwrap()];
    assert!(before == after, "in the first stage it does nothing");
    let anchor = fit.model();

    let mut fisher: Vec<Vec<f64>> = Vec::new();
    let rows: Vec<_> = (1..=2).flat_map(Language::rows).take(EXAMPLES).collect();
    for row in &rows {
        let tokens = (row.0.len() - row.1) as f64;
        let of_example = gradient(anchor.clone(), crate::tiny::micro_batch(std::slice::from_ref(row)));
        fisher.resize(of_example.len(), Vec::new());
        for (sum, gradient) in fisher.iter_mut().zip(of_example) {
            sum.resize(gradient.len(), 0.0);
            // Of the sum over tokens, not their mean.
            let square = |g: f32| (f64::from(g) * tokens).powi(2) / EXAMPLES as f64;
            sum.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += square(g));
        }
    }

    fit.next_stage(next(2, StageOrigin::Stage, None)).unwrap();
    finish(&mut fit);
    let [(before, weights), (after, _)] = [receiver.recv().unwrap(), receiver.recv().unwrap()];
    let trained = |name: &str| anchor.trains(name);
    let anchors = parameters(&anchor).into_iter().zip(host_weights(&anchor)).filter(|(param, _)| trained(&param.name));
    let mut checked = 0;
    for ((((name, before), (_, after)), (_, now)), ((param, then), fisher)) in
        before.iter().zip(&after).zip(&weights).zip(anchors.zip(&fisher))
    {
        assert_eq!(*name, param.name);
        let found: Vec<f32> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        let moved = now.iter().zip(&then).map(|(now, then)| f64::from(*now) - f64::from(*then));
        let expected: Vec<f32> = moved.zip(fisher).map(|(moved, fisher)| (strength * fisher * moved) as f32).collect();
        let scale = before.iter().chain(&expected).fold(0.0f32, |largest, x| largest.max(x.abs()));
        // What is left of each other by two gradients is known to their rounding.
        assert!(largest_difference(&found, &expected) <= 1e-5 * scale, "{name}");
        checked +=
            usize::from(relative_difference(&found, &expected) < 1e-2 && expected.iter().any(|x| x.abs() > 1e-4));
    }
    assert!(checked >= 6, "the pull is seen on {checked} parameters");
}

/// Every hook that lives through stages, killed in the middle of the second.
#[test]
fn a_second_stage_resumes_to_the_bit() {
    type Make = fn() -> Entry;
    let makes: [(&str, Make); 6] = [
        ("ewc", || entry(Ewc::new(10.0))),
        ("mas", || entry(Mas::new(1.0))),
        ("si", || entry(Si::new(0.5))),
        ("o_lora", || entry(OLora::default())),
        ("orbit", || entry(Orbit::new(Metric::L2, 0.3))),
        ("kl", || entry(Kl::new(0.5))),
    ];
    let config = LoraConfig { dropout: 0.2, ..config() };
    for (title, make) in makes {
        for (origin, fresh) in [(StageOrigin::Stage, false), (StageOrigin::Run, false), (StageOrigin::Stage, true)] {
            let begin = || start(adapted(&config).0, vec![make()], 4).with_seed(3).with_estimate_examples(6);
            let model = || fresh.then(|| plain().with_adapter(&drawn(&plain(), &config, 77)).unwrap());
            let second = || next(4, origin, model());
            let dir = tempfile::tempdir().unwrap();
            let [end, middle] = ["end", "middle"].map(|name| dir.path().join(name));

            let mut whole = begin();
            finish(&mut whole);
            whole.save(&end).unwrap();
            whole.next_stage(second()).unwrap();
            (0..2).for_each(|_| drop(whole.step().unwrap()));
            whole.save(&middle).unwrap();
            let rest = finish(&mut whole);
            assert!(title == "kl" || whole.acted()[0].1 > 0, "{title} did nothing");

            let mut resumed = begin();
            resumed.load(&end).unwrap();
            resumed.next_stage(second()).unwrap();
            let mut unbroken = begin();
            unbroken.load(&end).unwrap();
            unbroken.next_stage(second()).unwrap();
            resumed.load(&middle).unwrap();
            let what = format!("{title}, {origin:?}, fresh: {fresh}");
            assert_eq!(timeless(&finish(&mut resumed)), timeless(&rest), "{what}");
            assert!(bits(&whole) == bits(&resumed), "{what}: the weights differ");
            assert_eq!(timeless(&finish(&mut unbroken))[2..], timeless(&rest)[..], "{what}: from the boundary");
            assert!(bits(&whole) == bits(&unbroken), "{what}: from the boundary, the weights differ");
            assert_eq!(resumed.acted(), whole.acted(), "{what}");
        }
    }
}

#[test]
fn dynamic_fine_tuning_takes_less_notice_of_what_is_unlikely() {
    let run = |loss| {
        let mut fit = start(adapted(&config()).0, Vec::new(), 5).with_loss(loss);
        (finish(&mut fit), bits(&fit))
    };
    let ((plain, plain_bits), (dynamic, dynamic_bits)) = (run(Loss::CrossEntropy), run(Loss::Dynamic));
    assert!(plain_bits != dynamic_bits);
    // −p log p is at most 1/e.
    assert!(dynamic.iter().all(|report| report.loss <= 0.37) && plain[0].loss > 1.0);
}

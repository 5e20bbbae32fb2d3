//! Every two built-ins in one run, in either order, with all weights in training and with adapters: stopped in a
//! second stage on one number of threads, and taken up on another.

use std::path::Path;

use orbit_core::hook::Hook;
use orbit_core::{AdamW, Batches, Entry, Fit, MicroBatch, Stage, StageOrigin};
use orbit_data::{Batch, Example, Loader};
use orbit_models::LanguageModel;
use orbit_models::lora::LoraConfig;
use orbit_regularizers::{Ewc, Mas, OLora, Si, Use};
use rayon::ThreadPoolBuilder;
use serde_json::json;

use crate::plugins::guidance;
use crate::resume::{Make, built_ins, of};
use crate::stages::{adapted, bits, config, plain, timeless};
use crate::tiny::{Language, constant, finish};

/// High enough for every hook to have something to do within three steps.
const RATE: f64 = 3e-2;

/// One hook of every kind; the one that needs adapters is the last.
fn hooks() -> Vec<(&'static str, Make)> {
    let mut hooks = built_ins();
    hooks.retain(|(title, _)| *title != "orbit by l2");
    hooks.extend([
        ("ewc", of(Ewc::new(10.0))),
        ("mas", of(Mas::new(1.0))),
        ("si", of(Si::new(0.5))),
        ("instruction_vector", of(guidance())),
        ("o_lora", of(OLora::default())),
    ]);
    hooks
}

#[test]
fn no_built_in_is_left_out() {
    let error = serde_json::from_value::<Use>(json!({"nothing": {}})).unwrap_err().to_string();
    let mut expected: Vec<&str> = error.split('`').skip(3).step_by(2).filter(|name| *name != "plugin").collect();
    let mut found: Vec<&str> = hooks().into_iter().map(|(title, _)| title).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected, "{error}");
}

/// Nine examples in batches of four: an epoch ends with every second step. A batch is a micro-batch of three and one of
/// one.
fn epochs(seed: u64) -> impl Batches {
    let rows = (1..=2).flat_map(Language::rows).take(9);
    let examples: Vec<Example> = rows.map(|(tokens, answer)| Example { tokens, answer }).collect();
    let loader = Loader::new(examples, 4, 3, seed).unwrap();
    let micro_batch = |Batch { rows, width, tokens, lengths, answers, examples }| MicroBatch {
        rows,
        width,
        tokens,
        lengths,
        answers,
        examples,
    };
    move |step: u64| -> orbit_core::Result<Option<Vec<MicroBatch>>> {
        Ok(Some(loader.batch_at(step - 1).into_iter().map(micro_batch).collect()))
    }
}

/// A run at the beginning of its second stage, before which some hooks do nothing.
fn begin(adapters: bool, hooks: Vec<Box<dyn Hook>>) -> Fit<LanguageModel, impl Batches> {
    let model = if adapters { adapted(&LoraConfig { dropout: 0.2, ..config() }).0 } else { plain() };
    let entries = hooks.into_iter().map(Entry::new).collect();
    let fit = Fit::new(model, entries, epochs(1), AdamW::default(), constant(RATE, 1)).unwrap();
    let mut fit = fit.with_seed(3).with_estimate_examples(2);
    finish(&mut fit);
    let origin = StageOrigin::Stage;
    let second = Stage { batches: epochs(2), schedule: constant(RATE, 3), seed: 9, origin, model: None };
    fit.next_stage(second).unwrap();
    fit
}

/// How a run ends: its weights, its reports from the second step on, and on how many steps each hook acted.
#[derive(PartialEq)]
struct Outcome {
    weights: Vec<u32>,
    reports: Vec<String>,
    acted: Vec<(String, u64)>,
}

fn end(mut fit: Fit<LanguageModel, impl Batches>) -> Outcome {
    let reports = timeless(&finish(&mut fit));
    Outcome { weights: bits(&fit), reports, acted: fit.acted() }
}

/// A run that is saved after the first step of its second stage, and goes on.
fn unbroken(adapters: bool, hooks: Vec<Box<dyn Hook>>, checkpoint: &Path) -> Outcome {
    let mut fit = begin(adapters, hooks);
    fit.step().unwrap();
    fit.save(checkpoint).unwrap();
    end(fit)
}

/// The same run in another process, as it were, from what was saved.
fn resumed(adapters: bool, hooks: Vec<Box<dyn Hook>>, checkpoint: &Path) -> Outcome {
    let mut fit = begin(adapters, hooks);
    fit.load(checkpoint).unwrap();
    end(fit)
}

/// Each of so many alone, and each two of them in both orders.
fn choices(count: usize) -> impl Iterator<Item = Vec<usize>> {
    let alone = (0..count).map(|one| vec![one]);
    let pairs =
        (0..count).flat_map(move |one| (0..count).filter(move |&two| two != one).map(move |two| vec![one, two]));
    alone.chain(pairs)
}

fn every_two_resume(adapters: bool) {
    let mut makes = hooks();
    if !adapters {
        makes.pop();
    }
    let pools = [1, 2, 3].map(|threads| ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
    for (index, chosen) in choices(makes.len()).enumerate() {
        let title = chosen.iter().map(|&at| makes[at].0).collect::<Vec<_>>().join(" and then ");
        let hooks = || -> Vec<Box<dyn Hook>> { chosen.iter().map(|&at| makes[at].1()).collect() };
        let dir = tempfile::tempdir().unwrap();
        let checkpoint = dir.path().join("step-1");
        let whole = pools[index % 3].install(|| unbroken(adapters, hooks(), &checkpoint));
        let again = pools[(index + 1) % 3].install(|| resumed(adapters, hooks(), &checkpoint));
        assert_eq!(whole.reports, again.reports, "{title}: the reports differ");
        assert_eq!(whole.reports.len(), 2, "{title}");
        assert!(whole == again, "{title}: the weights or the acts differ");
        assert!(chosen.len() > 1 || whole.acted[0].1 > 0, "{title} did nothing");
    }
}

#[test]
fn every_two_hooks_on_all_weights() {
    every_two_resume(false);
}

#[test]
fn every_two_hooks_on_adapters() {
    every_two_resume(true);
}

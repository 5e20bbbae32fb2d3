//! Devices by name, and every backend of this build against flex, whose operations are written by hand.

use burn::tensor::Device;
use orbit_core::hook::Hook;
use orbit_core::{AdamW, Batches, Decay, Entry, Fit, MicroBatch, Schedule, available, device, host_weights};
use orbit_models::Decoder;
use orbit_models::generate::beam_search;
use orbit_regularizers::{Ema, Kl, L2Sp, Metric, Orbit};

use crate::bloom::bloom;
use crate::decoding::trie;
use crate::encoder_decoder::{answer_logits, golden, t5};
use crate::tiny::{Language, decoder_on, finish, flex, llama, log_softmax, micro_batch, relative_difference, values};

/// The devices besides flex that are compiled in and in this machine.
fn others() -> Vec<(&'static str, Device)> {
    let others = available().into_iter().filter(|name| *name != "flex");
    let others: Vec<_> = others.filter_map(|name| Some((name, device(name).ok()?))).collect();
    if others.is_empty() {
        eprintln!("skipped: only flex is here; build the tests with the feature ndarray");
    }
    others
}

#[test]
fn logits_agree() {
    let tokens: Vec<u32> = (0..40).map(|i| i * 29 % 99).collect();
    let scores = |model: Decoder| -> Vec<f32> {
        let model = model.with_new_tokens(3, 4);
        log_softmax(&model, &tokens).into_iter().flatten().map(|x| x as f32).collect()
    };
    for (name, device) in others() {
        for load in [llama, bloom] {
            let difference = relative_difference(&scores(load(&device)), &scores(load(&flex())));
            assert!(difference <= 1e-4, "{name}: log-probabilities differ by {difference}");
        }
        for model in ["tiny-t5", "tiny-mt5"] {
            let scores = |device: &Device| values(answer_logits(&t5(model, device), &golden(model).batch()).0);
            let difference = relative_difference(&scores(&device), &scores(&flex()));
            assert!(difference <= 1e-4, "{name}: logits of {model} differ by {difference}");
        }
    }
}

/// On a GPU the best continuations are chosen there.
#[test]
fn searches_agree() {
    let sequences: Vec<Vec<u32>> = (0..64).map(|i| vec![90 + i / 16, 80 + i / 4 % 4, 70 + i % 4]).collect();
    let (valid, prompts) = (trie(&sequences), [vec![1, 40, 41], vec![7; 9], vec![3]]);
    for (name, device) in others() {
        for load in [llama, bloom] {
            let [found, expected] =
                [&device, &flex()].map(|on| beam_search(&load(on), &prompts, &valid, 10).unwrap().concat());
            assert_eq!(found.len(), expected.len(), "{name}");
            for (found, expected) in found.iter().zip(expected) {
                let gap = (found.log_probability - expected.log_probability).abs();
                assert!(found.item == expected.item && gap < 1e-3, "{name}: {found:?}, not {expected:?}");
            }
        }
    }
}

/// Rows of one length: nothing is padded.
struct Even;

impl Batches for Even {
    fn batch(&mut self, step: u64) -> orbit_core::Result<Option<Vec<MicroBatch>>> {
        let rows: Vec<_> = Language::rows(step).into_iter().map(|(tokens, _)| (tokens[..4].to_vec(), 1)).collect();
        Ok(Some(vec![micro_batch(&rows)]))
    }
}

/// Losses and weights of three steps with a hook of every phase.
fn trained(device: &Device) -> (Vec<f32>, Vec<f32>) {
    let hooks: [Box<dyn Hook>; 4] = [
        Box::new(Kl::new(0.5)),
        Box::new(L2Sp::new(0.1)),
        Box::new(Orbit::new(Metric::L2, 0.05)),
        Box::new(Ema::new(0.5)),
    ];
    let optimizer = AdamW { epsilon: 1e-4, weight_decay: 0.1, ..AdamW::default() };
    let schedule = Schedule { learning_rate: 1e-3, warmup: 2, decay: Decay::Cosine, total: 3 };
    let model = decoder_on(device).with_new_tokens(2, 1);
    let hooks = hooks.into_iter().map(Entry::new).collect();
    let mut fit = Fit::new(model, hooks, Even, optimizer, schedule).unwrap();
    let losses = finish(&mut fit).iter().map(|report| report.loss as f32).collect();
    (losses, host_weights(&fit.model()).concat())
}

#[test]
fn training_agrees() {
    let (losses, weights) = trained(&flex());
    for (name, device) in others() {
        let (found_losses, found_weights) = trained(&device);
        let differences = [relative_difference(&found_losses, &losses), relative_difference(&found_weights, &weights)];
        assert!(differences.iter().all(|difference| *difference <= 1e-4), "{name}: {differences:?}");
    }
}

#[test]
fn a_device_that_is_not_there_is_named_beside_those_that_are() {
    let message = |name: &str| device(name).unwrap_err().to_string();
    let here = available().join(", ");
    assert_eq!(message("abacus"), format!("device \"abacus\": no such device; this build has {here}"));
    assert!(message("").contains("no such device"));
    assert_eq!(
        message("flex:1"),
        format!("device \"flex:1\": there is one of its kind, without a number; this build has {here}")
    );
    for (name, kind) in [("ndarray", "ndarray"), ("cuda:0", "cuda"), ("cuda:99", "cuda")] {
        if !available().iter().any(|known| known.starts_with(kind)) {
            let reason = "not compiled into this program; build it with the cargo feature of that name";
            assert_eq!(message(name), format!("device \"{name}\": {reason}; this build has {here}"));
        }
    }
}

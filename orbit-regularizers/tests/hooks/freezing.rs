//! What Freeze and half fine-tuning hold, and that it is held to the bit.

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use orbit_hook::Hook;
use orbit_hook::testing::ToyRun;
use orbit_regularizers::{Decay, Freeze, Half};

use crate::toy::{STEPS, named};

/// A toy run over matrices of these names; vectors if "norm" is in the name. Weight decay moves everything beside the gradient.
fn begin(hook: impl Hook + 'static, names: &[String]) -> ToyRun {
    let shape = |name: &str| -> &[usize] { if name.contains("norm") { &[2] } else { &[2, 2] } };
    let params: Vec<_> = names.iter().map(|name| (name.as_str(), shape(name))).collect();
    ToyRun::start(vec![Box::new(Decay::new(0.5)), Box::new(hook)], named(&params), STEPS).unwrap()
}

/// The names of the parameters that a stage leaves as they are, to the bit.
fn held(run: &mut ToyRun) -> BTreeSet<String> {
    let before = run.space.weights().to_vec();
    run.steps(STEPS).unwrap();
    run.finish().unwrap();
    let bits = |entries: &[f32]| entries.iter().map(|entry| entry.to_bits()).collect::<Vec<_>>();
    let weights = before.iter().zip(run.space.weights()).zip(orbit_hook::Space::params(&run.space));
    weights.filter(|((a, b), _)| bits(a) == bits(b)).map(|(_, param)| param.name.clone()).collect()
}

fn names(lists: &[&[&str]]) -> Vec<String> {
    lists.concat().into_iter().map(str::to_owned).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn from_the_start(layers: usize) -> Freeze {
    Freeze { from_stage: NonZeroU64::MIN, ..Freeze::new(layers) }
}

const DECODER: [&str; 7] = [
    "model.embed_tokens.weight",
    "model.layers.0.self_attn.q_proj.weight",
    "model.layers.0.self_attn.q_proj.weight.lora.b",
    "model.layers.1.input_layernorm.weight",
    "model.layers.10.mlp.up_proj.weight",
    "model.norm.weight",
    "new_tokens.input",
];

#[test]
fn freeze_begins_with_the_second_stage() {
    let mut run = begin(Freeze::new(1), &names(&[&DECODER]));
    assert_eq!(held(&mut run), set(&[]));
    for _ in 0..2 {
        run.next_stage().unwrap();
        assert_eq!(held(&mut run), set(&DECODER[..3]));
    }
}

#[test]
fn freeze_knows_the_bottom_of_every_kind_of_model() {
    let mut run = begin(from_the_start(2), &names(&[&DECODER]));
    assert_eq!(held(&mut run), set(&DECODER[..4]), "layer 10 is not below 2");
    let without = Freeze { embeddings: false, ..from_the_start(11) };
    assert_eq!(held(&mut begin(without, &names(&[&DECODER]))), set(&DECODER[1..5]));

    let t5 = [
        "shared.weight",
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
        "decoder.block.0.layer.1.EncDecAttention.q.weight",
        "encoder.block.1.layer.1.DenseReluDense.wo.weight",
        "lm_head.weight",
    ];
    assert_eq!(held(&mut begin(from_the_start(1), &names(&[&t5]))), set(&t5[..3]), "of both stacks");

    let bloom = [
        "transformer.word_embeddings.weight",
        "transformer.word_embeddings_layernorm.weight",
        "transformer.h.0.mlp.dense_h_to_4h.weight",
        "transformer.h.1.mlp.dense_h_to_4h.weight",
        "transformer.ln_f.weight",
    ];
    assert_eq!(held(&mut begin(from_the_start(1), &names(&[&bloom]))), set(&bloom[..3]));
    let headless = ["word_embeddings.weight", "h.0.mlp.dense_h_to_4h.weight", "h.1.mlp.dense_h_to_4h.weight"];
    assert_eq!(held(&mut begin(from_the_start(1), &names(&[&headless]))), set(&headless[..2]));
}

/// A decoder of four layers.
fn decoder() -> Vec<String> {
    let parts = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"];
    let parts = parts.into_iter().chain(["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "input_layernorm"]);
    let layer = |layer| parts.clone().map(move |part| format!("model.layers.{layer}.{part}.weight"));
    let layers = (0..4).flat_map(layer);
    layers.chain(names(&[&["model.embed_tokens.weight", "model.norm.weight"]])).collect()
}

/// How many of `held` have both parts in their name.
fn count(held: &BTreeSet<String>, parts: [&str; 2]) -> usize {
    held.iter().filter(|name| parts.iter().all(|part| name.contains(part))).count()
}

#[test]
fn half_of_each_layer_is_held() {
    for seed in 0..20 {
        let held = held(&mut begin(Half::new(seed), &decoder()));
        let mut feed_forward = Vec::new();
        for layer in ["layers.0.", "layers.1.", "layers.2.", "layers.3."] {
            assert_eq!(count(&held, [layer, "self_attn"]), 2, "{held:?}");
            feed_forward.push(count(&held, [layer, "mlp"]));
        }
        feed_forward.sort_unstable();
        assert_eq!(feed_forward, [1, 1, 2, 2], "{held:?}");
        assert_eq!(held.len(), 4 * 2 + 6, "norms and embeddings are trained");
    }
}

#[test]
fn every_matrix_has_its_turn_and_every_stage_its_draw() {
    let mut run = begin(Half::new(5), &decoder());
    let first = held(&mut run);
    let mut all = first.clone();
    for stage in 2..10 {
        run.next_stage().unwrap();
        let now = held(&mut run);
        assert!(stage > 2 || now != first, "the second stage has the first one's draw");
        all.extend(now);
    }
    assert_eq!(all.len(), 4 * 7, "{all:?}");
    assert_eq!(held(&mut begin(Half::new(5), &decoder())), first, "a seed is a draw");
    assert_ne!(held(&mut begin(Half::new(6), &decoder())), first);
}

#[test]
fn a_matrix_and_its_adapter_go_together() {
    let matrix = "model.layers.0.self_attn.q_proj.weight".to_owned();
    let other = "model.layers.0.self_attn.o_proj.weight".to_owned();
    let all = [&matrix, &other].map(|name| ["", ".lora.b", ".lora.a"].map(|end| format!("{name}{end}"))).concat();
    for seed in 0..8 {
        let held = held(&mut begin(Half::new(seed), &all));
        assert!(held == all[..3].iter().cloned().collect() || held == all[3..].iter().cloned().collect(), "{held:?}");
    }
}

#[test]
fn half_knows_the_matrices_of_t5_and_bloom() {
    let t5 = names(&[&[
        "decoder.block.0.layer.0.SelfAttention.q.weight",
        "decoder.block.0.layer.0.SelfAttention.o.weight",
        "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
        "decoder.block.0.layer.1.EncDecAttention.q.weight",
        "decoder.block.0.layer.1.EncDecAttention.o.weight",
        "decoder.block.0.layer.2.DenseReluDense.wi.weight",
        "decoder.block.0.layer.2.DenseReluDense.wo.weight",
    ]]);
    let bloom = names(&[&[
        "transformer.h.0.self_attention.query_key_value.weight",
        "transformer.h.0.self_attention.dense.weight",
        "transformer.h.0.mlp.dense_h_to_4h.weight",
        "transformer.h.0.mlp.dense_4h_to_h.weight",
    ]]);
    for seed in 0..8 {
        let held = [&t5, &bloom].map(|names| held(&mut begin(Half::new(seed), names)));
        assert_eq!((count(&held[0], ["Attention", ""]), count(&held[0], ["Dense", ""])), (2, 1), "{held:?}");
        assert!(!held[0].contains(&t5[2]), "the table of biases is trained");
        assert_eq!((count(&held[1], ["attention", ""]), count(&held[1], ["mlp", ""])), (1, 1), "{held:?}");
    }
}

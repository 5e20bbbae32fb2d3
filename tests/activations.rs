//! What models show and let change of their activations, against `transformers`. `make_tiny_sites.py` in `testdata/models` made
//! the files. And the effects of heads, computed in two ways.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use burn::tensor::{Device, Tensor};
use orbit_core::hook::{Edit, ForwardPlan, Hook, Pass, Phases, Positions, Site, Step};
use orbit_core::{At, Change, Entry, Input, Model, Trace, pick};
use orbit_models::instruction_vector::{
    About, Effect, InstructionVector, Prompt, effects, effects_by_full_passes, head_means, prompt_ends, strongest,
    usable,
};
use orbit_models::weights::{Array, Weights};
use orbit_models::{Decoder, DecoderConfig, LanguageModel};

use tempfile::TempDir;

use crate::golden::folder;
use crate::tiny::{decoder_on, fit, flex, largest_difference, tensor, values};

const CHECKPOINTS: [&str; 3] = ["tiny-llama", "tiny-bloom", "tiny-flan-t5"];

fn model(name: &str, device: &Device) -> LanguageModel {
    LanguageModel::load(folder(name), device).unwrap()
}

fn golden(name: &str) -> BTreeMap<String, Array> {
    Weights::read_file(folder(name).join("sites.safetensors")).unwrap().tensors
}

/// The golden prompt with room for one token of an answer.
fn input(golden: &BTreeMap<String, Array>) -> (Input, usize) {
    let mut tokens: Vec<u32> = golden["input_ids"].data.iter().map(|&id| id as u32).collect();
    let prompt = tokens.len();
    tokens.push(1);
    (Input::rows(tokens, 1, prompt + 1).with_answers(vec![prompt]), prompt)
}

/// The logits at the end of the prompt.
fn logits(model: &LanguageModel, golden: &BTreeMap<String, Array>, trace: &mut Trace) -> Vec<f32> {
    let (input, prompt) = input(golden);
    let hidden = model.traced(&input, trace);
    let [_, width, d] = hidden.dims();
    values(model.logits(pick(hidden.reshape([width, d]), &[prompt as u32 - 1])))
}

fn rows(kept: Tensor<3>, count: usize) -> Vec<f32> {
    values(kept.narrow(1, 0, count))
}

#[test]
fn every_site_holds_what_transformers_has_there() {
    for name in CHECKPOINTS {
        let (model, golden) = (model(name, &flex()), golden(name));
        let count = golden["input_ids"].data.len();
        let wanted: Vec<Site> = (0..model.sites().layers)
            .flat_map(|layer| [Site::Heads(layer), Site::Head(layer, 1), Site::AttnOut(layer), Site::Out(layer)])
            .collect();
        let mut trace = Trace::new(wanted.clone(), Vec::new());
        trace.check(&model.sites()).unwrap();
        let found = logits(&model, &golden, &mut trace);
        assert!(largest_difference(&found, &golden["logits"].data) <= 1e-4, "{name}");
        for site in wanted {
            let kept = trace.kept(site).unwrap();
            if let Site::Head(layer, head) = site {
                let width = model.sites().head_width;
                let whole = trace.kept(Site::Heads(layer)).unwrap().narrow(2, head * width, width);
                assert_eq!(values(kept), values(whole), "{name} {site}");
                continue;
            }
            let difference = largest_difference(&rows(kept, count), &golden[&site.to_string()].data);
            assert!(difference <= 1e-4, "{name} {site}: {difference}");
        }
    }
}

#[test]
fn changes_do_what_hooks_on_transformers_do() {
    for name in CHECKPOINTS {
        let (model, golden) = (model(name, &flex()), golden(name));
        let vector = |name: &str| tensor(&golden[name].data, &flex());
        let at = || At::Positions(Positions::PromptEnd);
        let added = Change { site: Site::AttnOut(1), at: at(), keep: 1.0, vector: vector("vector").mul_scalar(0.5) };
        let replaced = Change { site: Site::Head(1, 1), at: at(), keep: 0.0, vector: vector("mean") };
        let plain = logits(&model, &golden, &mut Trace::default());
        for (key, change) in [("added", added), ("replaced", replaced)] {
            let expected = &golden[key].data;
            let found = logits(&model, &golden, &mut Trace::new(Vec::new(), vec![change.clone()]));
            assert!(largest_difference(&found, expected) <= 1e-4, "{name} {key}");
            assert!(largest_difference(&found, &plain) > 1e-3, "{name} {key}: nothing changed");
            let steered = model.clone().steered(vec![change]).unwrap();
            assert_eq!(logits(&steered, &golden, &mut Trace::default()), found, "{name} {key}");
        }
    }
}

#[test]
fn what_a_model_does_not_have_is_refused_by_name() {
    let model = model("tiny-llama", &flex());
    let change =
        |site, width| Change { site, at: At::PromptEnd(0), keep: 1.0, vector: tensor(&vec![0.0; width], &flex()) };
    let refused = |site, width| model.clone().steered(vec![change(site, width)]).unwrap_err().to_string();
    let message = refused(Site::Head(1, 4), 8);
    assert!(message.contains("layers.1.heads.4") && message.contains("heads.0 to heads.3"), "{message}");
    let message = refused(Site::Out(2), 32);
    assert!(message.contains("layers.0 to layers.1"), "{message}");
    let message = refused(Site::Out(1), 31);
    assert!(message.contains("31 entries") && message.contains("32"), "{message}");
}

fn prompts(count: usize, vocabulary: u32, length: usize) -> Vec<Prompt> {
    let token = |prompt: usize, at: usize| (7 + 13 * prompt + 5 * at * at) as u32 % vocabulary;
    let prompt = |p: usize| Prompt {
        tokens: (0..length + p).map(|at| token(p, at)).collect(),
        answer: (0..1 + p % 3).map(|at| token(p + 1, at)).collect(),
    };
    (0..count).map(prompt).collect()
}

#[test]
fn effects_from_suffixes_are_those_of_full_passes() {
    for name in ["tiny-llama", "tiny-bloom"] {
        let model = model(name, &flex());
        let prompts = prompts(4, 90, 11);
        let means = head_means(&model, &prompts, 3).unwrap();
        for effect in [Effect::Probability, Effect::LogLikelihood] {
            let fast = effects(&model, &prompts, &means, effect).unwrap();
            let full = effects_by_full_passes(&model, &prompts, &means, effect, 3).unwrap();
            let flat = |effects: &[Vec<f64>]| effects.concat().iter().map(|&x| x as f32).collect::<Vec<f32>>();
            let difference = largest_difference(&flat(&fast.heads), &flat(&full.heads));
            assert!(difference <= 1e-5, "{name} {effect:?}: {difference}");
            let order =
                |effects: &[Vec<f64>]| strongest(effects, 5).iter().map(|h| (h.layer, h.head)).collect::<Vec<_>>();
            assert_eq!(order(&fast.heads), order(&full.heads), "{name} {effect:?}");
            assert!(fast.heads.concat().iter().any(|effect| effect.abs() > 1e-4), "{name}: no head has an effect");
        }
    }
}

/// The figure of the doc: a model of 30 layers of 9 heads and prompts of 150 tokens.
#[test]
fn suffixes_cost_less_than_a_fiftieth_of_the_tokens() {
    let mut config = DecoderConfig { num_hidden_layers: 30, ..model_config() };
    config.num_attention_heads = 9;
    config.num_key_value_heads = 3;
    config.hidden_size = 18;
    config.head_dim = 2;
    let model = LanguageModel::from(Decoder::random(config, 1, &flex()));
    let prompts = prompts(1, 60, 150);
    let means = head_means(&model, &prompts, 1).unwrap();
    let fast = effects(&model, &prompts, &means, Effect::Probability).unwrap();
    let full = (1 + 270) as f64 * 150.0;
    assert!(full / fast.token_forwards >= 50.0, "only {} x fewer", full / fast.token_forwards);
}

fn model_config() -> DecoderConfig {
    match model("tiny-llama", &flex()) {
        LanguageModel::Decoder(decoder) => decoder.config().clone(),
        LanguageModel::EncoderDecoder(_) => unreachable!("a decoder"),
    }
}

#[test]
fn a_vector_is_what_its_heads_contribute_and_comes_back_from_its_file() {
    for name in CHECKPOINTS {
        let model = model(name, &flex());
        let prompts = prompts(3, 60, 6);
        let means = head_means(&model, &prompts, 2).unwrap();
        let found = effects(&model, &prompts, &means, Effect::LogLikelihood).unwrap();
        let about = About {
            format: 1,
            task: "test".into(),
            model: model.base_digest(),
            effect: Effect::LogLikelihood,
            prompts: "digest".into(),
            averaged: 3,
            patched: 3,
            heads: strongest(&found.heads, 3),
        };
        let vector = InstructionVector::of(&model, means.clone(), found.heads.clone(), about).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vector.safetensors");
        vector.save(&path).unwrap();
        let read = InstructionVector::load(&path).unwrap();
        assert_eq!(
            (&read.vector, &read.layers, &read.about.heads),
            (&vector.vector, &vector.layers, &vector.about.heads)
        );
        read.check(&model.base_digest()).unwrap();
        assert!(read.check("another").unwrap_err().to_string().contains("extract it anew"));

        // With nothing but the chosen heads of a layer found, the attention adds their part of the vector, and a bias.
        for (&layer, part) in &vector.layers {
            let sites = model.sites();
            let mut only = vec![0.0; sites.heads * sites.head_width];
            for head in vector.about.heads.iter().filter(|head| head.layer == layer) {
                only[head.head * sites.head_width..][..sites.head_width].copy_from_slice(means.head(layer, head.head));
            }
            let at = |found: Vec<f32>| {
                let all = At::Positions(Positions::All);
                let change = Change { site: Site::Heads(layer), at: all, keep: 0.0, vector: tensor(&found, &flex()) };
                let mut trace = Trace::new(vec![Site::AttnOut(layer)], vec![change]);
                model.traced(&input(&golden(name)).0, &mut trace);
                rows(trace.kept(Site::AttnOut(layer)).unwrap(), 1)
            };
            let bias = at(vec![0.0; only.len()]);
            let expected: Vec<f32> = at(only).iter().zip(bias).map(|(x, bias)| x - bias).collect();
            assert!(largest_difference(part, &expected) <= 1e-5, "{name} layer {layer}");
        }
    }
}

#[test]
fn no_head_and_no_prompt_are_errors() {
    let model = model("tiny-llama", &flex());
    assert!(head_means(&model, &[], 1).unwrap_err().to_string().contains("no prompt"));
    let short = Prompt { tokens: vec![1], answer: vec![2] };
    assert!(head_means(&model, &[short], 1).unwrap_err().to_string().contains("fewer than two tokens"));
}

/// A file with a vector of the small decoder of these tests.
pub(crate) fn vector_file() -> String {
    static DIR: OnceLock<TempDir> = OnceLock::new();
    let dir = DIR.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let model = LanguageModel::from(decoder_on(&flex()));
        let prompts: Vec<Prompt> =
            (1..5).map(|at| Prompt { tokens: vec![at, 2 * at, 3, at + 1], answer: vec![at + 2] }).collect();
        let means = head_means(&model, &prompts, 4).unwrap();
        let found = effects(&model, &prompts, &means, Effect::LogLikelihood).unwrap().heads;
        let about = About {
            format: 1,
            task: "counting".into(),
            model: model.base_digest(),
            effect: Effect::LogLikelihood,
            prompts: String::new(),
            averaged: 4,
            patched: 4,
            heads: strongest(&found, 2),
        };
        let vector = InstructionVector::of(&model, means, found, about).unwrap();
        vector.save(dir.path().join("vector.safetensors")).unwrap();
        dir
    });
    dir.path().join("vector.safetensors").to_string_lossy().into_owned()
}

/// Compares the model with the original that has a vector added, after a pass without it or on its own.
struct Guided {
    after_plain: bool,
}

impl Hook for Guided {
    fn name(&self) -> &str {
        "guided"
    }
    fn phases(&self) -> Phases {
        Phases::LOSS
    }
    fn loss(&mut self, _: &Step, pass: &mut dyn Pass) -> orbit_core::hook::Result<()> {
        let edit = |scale| Edit {
            site: Site::AttnOut(1),
            at: Positions::PromptEnd,
            file: vector_file(),
            name: "vector".into(),
            scale,
        };
        if self.after_plain {
            pass.reference(&ForwardPlan { taps: vec![Site::Out(0)], edits: Vec::new() })?;
        }
        let mut compared = |name: &str, edits: Vec<Edit>| {
            let guide = pass.reference(&ForwardPlan { taps: vec![Site::Out(1)], edits })?;
            let (logits, guided) = (pass.logits()?, pass.of(guide, Site::Logits)?);
            let (logits, guided) = (pass.select(logits, Positions::All)?, pass.select(guided, Positions::All)?);
            let divergence = pass.kl(logits, guided, 1.0)?;
            let divergence = pass.scalar(divergence)?;
            pass.log(name, divergence);
            Ok::<(), orbit_core::hook::Error>(())
        };
        compared("once", vec![edit(2.0)])?;
        compared("twice", vec![edit(1.0), edit(1.0)])?;
        compared("opposite", vec![edit(-2.0)])
    }
}

#[test]
fn a_pass_that_goes_on_from_another_is_the_pass_itself() {
    let logged = |after_plain| {
        let mut fit = fit(vec![Entry::new(Box::new(Guided { after_plain }))], 1);
        fit.step().unwrap().unwrap().log
    };
    let (alone, shared) = (logged(false), logged(true));
    assert_eq!(alone, shared);
    let value = |name: &str| alone.iter().find(|(key, _)| key == name).unwrap().1;
    assert!(value("guided.once") > 1e-6 && value("guided.opposite") != value("guided.once"));
    assert!((value("guided.once") - value("guided.twice")).abs() < 1e-6);
}

/// Asks for activations of a site.
struct Taps(Site);

impl Hook for Taps {
    fn name(&self) -> &str {
        "taps"
    }
    fn phases(&self) -> Phases {
        Phases::FORWARD
    }
    fn forward(&mut self, _: &Step, plan: &mut ForwardPlan) -> orbit_core::hook::Result<()> {
        plan.taps.push(self.0);
        Ok(())
    }
}

#[test]
fn a_site_that_is_not_there_is_an_error_of_the_hook_that_asked() {
    let hooks = [Site::Out(0), Site::Out(9)].map(|site| Entry::new(Box::new(Taps(site))));
    let message = fit(hooks.into(), 1).step().unwrap_err().to_string();
    assert!(message.contains("taps") && message.contains('2'), "{message}");
    assert!(message.contains("layers.9.out") && message.contains("layers.0 to layers.1"), "{message}");
}

/// Prompts of one token each after which the model is asked for its `rank`-th likeliest token.
fn asked_for(model: &LanguageModel, ranks: &[usize]) -> Vec<Prompt> {
    let prompt = |(at, &rank): (usize, &usize)| {
        let tokens = vec![at as u32 + 1, 2 * at as u32 + 5];
        let hidden = model.hidden(&Input::rows(tokens.clone(), 1, 2));
        let d = hidden.dims()[2];
        let logits = values(model.logits(pick(hidden.reshape([2, d]), &[1])));
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
        Prompt { tokens, answer: vec![order[rank]] }
    };
    ranks.iter().enumerate().map(prompt).collect()
}

#[test]
fn usable_prompts_are_those_that_the_model_answers_best() {
    let model = model("tiny-llama", &flex());
    let ranks = [0, 40, 9, 30, 1, 10, 50, 60];
    let prompts = asked_for(&model, &ranks);
    assert_eq!(prompt_ends(&model, &prompts, 3).unwrap().ranks, ranks);
    let chosen = |count| usable(&model, &prompts, count, 3).unwrap();
    let mut best = chosen(4);
    best.sort_unstable();
    assert_eq!(best, [0, 2, 4], "the fourth best is far, and more than half are there");
    let filled = chosen(8);
    assert!(filled.len() == 4 && filled[3] == 5, "one more, the best of the others: {filled:?}");
    let none = usable(&model, &asked_for(&model, &[30, 40]), 2, 3).unwrap_err().to_string();
    assert!(none.contains("no prompt is usable: of 2"), "{none}");
}

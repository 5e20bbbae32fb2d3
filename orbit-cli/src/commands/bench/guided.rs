//! `orbit bench --guided`: what training that an instruction vector guides costs over plain training.
//!
//! Two runs of the same weights on the same batch step in turn. The guided one has all terms of the authors' loss: the heads'
//! consistency, and the divergence from the reference with the vector, at the prompt's end and over all positions.

use std::path::Path;

use anyhow::Result;
use orbit_core::{AdamW, Decay, Entry, Fit, MicroBatch, Schedule};
use orbit_models::instruction_vector::{About, ChosenHead, Effect, HeadMeans, InstructionVector, strongest};
use orbit_models::{Decoder, LanguageModel};
use orbit_regularizers::Use;
use serde::Serialize;

use super::{Same, batch, config, lora, median};
use crate::args::Bench;
use crate::commands::print;
use crate::machine;
use crate::report::Machine;

const SEED: u64 = 1;
/// Of the vector, as the authors have it.
const HEADS: usize = 10;

#[derive(Serialize)]
struct Measured {
    command: String,
    commit: Option<&'static str>,
    started: String,
    machine: Machine,
    /// Of the random weights and tokens.
    seed: u64,
    shape: String,
    device: String,
    parameters: usize,
    lora: Option<usize>,
    rows: usize,
    width: usize,
    site: String,
    rounds: usize,
    /// Medians over the rounds.
    plain_seconds: f64,
    guided_seconds: f64,
    /// The median over rounds of the guided step's time over the plain one's.
    ratio: f64,
}

pub(super) fn run(args: &Bench) -> Result<()> {
    let started = machine::now();
    let config = config(args.shape);
    let device = orbit_core::device(&args.device)?;
    let site = format!("layers.{}.attn_out", config.num_hidden_layers * 9 / 32);
    let (sites, head_width) = ((config.num_hidden_layers, config.num_attention_heads), config.head_dim);
    let model = LanguageModel::from(Decoder::random(config.clone(), SEED, &device.clone().autodiff()));
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("vector.safetensors");
    save_vector(&model, sites, head_width, &file)?;
    let guidance = serde_json::json!({"instruction_vector": {"vectors": [file], "site": site}});
    let guidance: Use = serde_json::from_value(guidance)?;
    // A prompt, and a quarter of the row that answers it.
    let batch = batch(&config, args.rows, args.width);
    let batch = MicroBatch { answers: vec![args.width * 3 / 4; args.rows], ..batch };
    let mut plain = fit(args, &model, &batch, Vec::new())?;
    let mut guided = fit(args, &model, &batch, vec![Entry::new(guidance.build()?)])?;
    drop(model);
    let mut rounds: Vec<[f64; 2]> = Vec::new();
    for _ in 0..args.warmup + args.steps {
        let seconds = [plain.step()?, guided.step()?].map(|step| step.map_or(f64::NAN, |step| step.seconds));
        rounds.push(seconds);
    }
    let rounds = &rounds[args.warmup..];
    let measured = Measured {
        command: machine::command_line(),
        commit: option_env!("ORBIT_COMMIT"),
        started,
        machine: machine::describe(),
        seed: SEED,
        shape: format!("{:?}", args.shape).to_lowercase(),
        device: args.device.clone(),
        parameters: config.parameter_count(),
        lora: args.lora,
        rows: args.rows,
        width: args.width,
        site,
        rounds: args.steps,
        plain_seconds: median(rounds.iter().map(|[plain, _]| *plain)),
        guided_seconds: median(rounds.iter().map(|[_, guided]| *guided)),
        ratio: median(rounds.iter().map(|[plain, guided]| guided / plain)),
    };
    print(&format!("{}\n", serde_json::to_string(&measured)?))
}

fn fit(args: &Bench, model: &LanguageModel, batch: &MicroBatch, hooks: Vec<Entry>) -> Result<Fit<LanguageModel, Same>> {
    let model = match args.lora {
        Some(rank) => model.clone().with_adapter(&lora::fresh(model, rank)?)?,
        None => model.clone(),
    };
    let schedule = Schedule { learning_rate: 1e-5, warmup: 1, decay: Decay::Constant, total: u64::MAX };
    Ok(Fit::new(model, hooks, Same(batch.clone()), AdamW::default(), schedule)?)
}

/// A vector of heads all over the model, which found something.
fn save_vector(model: &LanguageModel, (layers, heads): (usize, usize), head_width: usize, file: &Path) -> Result<()> {
    let found = (0..layers).map(|layer| (0..heads * head_width).map(|at| ((layer + at) as f32).sin()).collect());
    let means = HeadMeans { layers: found.collect(), head_width };
    let effect = |layer: usize, head: usize| ((layer * heads + head) as f64).sin();
    let effects: Vec<Vec<f64>> =
        (0..layers).map(|layer| (0..heads).map(|head| effect(layer, head)).collect()).collect();
    let chosen: Vec<ChosenHead> = strongest(&effects, HEADS);
    let about = About {
        format: 1,
        task: "bench".into(),
        model: model.base_digest(),
        effect: Effect::Probability,
        prompts: String::new(),
        averaged: 0,
        patched: 0,
        heads: chosen,
    };
    Ok(InstructionVector::of(model, means, effects, about)?.save(file)?)
}

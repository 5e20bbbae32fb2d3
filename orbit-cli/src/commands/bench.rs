//! `orbit bench`: the speed of a training step, as JSON.
//!
//! `bench/torch_step.py` measures the same shapes in PyTorch; `bench/compare.py` runs the two in turn.

mod boundary;
mod checkpoint;
mod choices;
mod guided;
mod lora;

use anyhow::{Result, anyhow};
use orbit_core::{AdamW, Batches, Decay, Entry, Fit, MicroBatch, Schedule};
use orbit_models::{Decoder, DecoderConfig, LanguageModel};
use orbit_regularizers::{Metric, Orbit, Use};
use serde::Serialize;

use crate::args::{Bench, Global, Shape};
use crate::machine;

#[derive(Serialize)]
struct Measured {
    shape: String,
    device: String,
    parameters: usize,
    rows: usize,
    width: usize,
    steps: usize,
    /// Medians over the steps.
    step_seconds: f64,
    tokens_per_second: f64,
    hook_seconds: f64,
    /// The hook's share of the step.
    hook_share: f64,
    loss: f64,
    peak_memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lora: Option<lora::Measured>,
}

pub(crate) fn run(args: &Bench, _: &Global) -> Result<()> {
    if let Some(path) = &args.plugin {
        return boundary::run(args, path);
    }
    if let Some(dir) = &args.checkpoint {
        return checkpoint::run(args, dir);
    }
    if args.choices {
        return choices::run(args);
    }
    if args.guided {
        return guided::run(args);
    }
    let config = config(args.shape);
    let device = orbit_core::device(&args.device)?;
    let model = LanguageModel::from(Decoder::random(config.clone(), 1, &device.clone().autodiff()));
    let adapter = args.lora.map(|rank| lora::fresh(&model, rank)).transpose()?;
    let model = match &adapter {
        Some(adapter) => model.with_adapter(adapter)?,
        None => model,
    };
    let hooks = if args.orbit { vec![Entry::new(watching().build()?)] } else { Vec::new() };
    let schedule = Schedule { learning_rate: 1e-5, warmup: 1, decay: Decay::Constant, total: u64::MAX };
    let batches = Same(batch(&config, args.rows, args.width));
    let mut fit = Fit::new(model, hooks, batches, AdamW::default(), schedule)?;
    let mut reports = Vec::new();
    for _ in 0..args.warmup + args.steps {
        reports.extend(fit.step()?);
    }
    device.sync().map_err(|e| anyhow!("{e:?}"))?;
    let timed = &reports[args.warmup..];
    let peak_memory_bytes = machine::peak_memory_bytes();
    let step_seconds = median(timed.iter().map(|report| report.seconds));
    let hook_seconds = median(timed.iter().map(|report| report.hook_seconds));
    let measured = Measured {
        shape: format!("{:?}", args.shape).to_lowercase(),
        device: args.device.clone(),
        parameters: config.parameter_count(),
        rows: args.rows,
        width: args.width,
        steps: args.steps,
        step_seconds,
        tokens_per_second: (args.rows * args.width) as f64 / step_seconds,
        hook_seconds,
        hook_share: hook_seconds / step_seconds,
        loss: timed.last().map_or(f64::NAN, |report| report.loss),
        peak_memory_bytes,
        lora: adapter.map(|adapter| lora::measure(&fit.model(), &adapter, &device)),
    };
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

/// ORBIT with a threshold that is never reached: what is timed is the watching.
fn watching() -> Use {
    Use::Orbit(Orbit::new(Metric::Flips, 1.0))
}

/// The shapes of the models that orbit's recipes train.
fn config(shape: Shape) -> DecoderConfig {
    let base = DecoderConfig { tie_word_embeddings: true, ..DecoderConfig::default() };
    match shape {
        Shape::Smollm2 => DecoderConfig {
            vocab_size: 49_152,
            hidden_size: 576,
            intermediate_size: 1536,
            num_hidden_layers: 30,
            num_attention_heads: 9,
            num_key_value_heads: 3,
            head_dim: 64,
            ..base
        },
        Shape::Tiny => DecoderConfig {
            vocab_size: 4096,
            hidden_size: 192,
            intermediate_size: 512,
            num_hidden_layers: 6,
            num_attention_heads: 6,
            num_key_value_heads: 3,
            head_dim: 32,
            ..base
        },
    }
}

/// Random tokens; the loss is over all of them.
fn batch(config: &DecoderConfig, rows: usize, width: usize) -> MicroBatch {
    let mut state = 12_345_u64;
    let mut token = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % config.vocab_size as u64) as u32
    };
    // One token more than is predicted from, as in a training row of text.
    let width = width + 1;
    MicroBatch {
        rows,
        width,
        tokens: (0..rows * width).map(|_| token()).collect(),
        lengths: vec![width; rows],
        answers: vec![1; rows],
        examples: (0..rows).collect(),
    }
}

struct Same(MicroBatch);

impl Batches for Same {
    fn batch(&mut self, _: u64) -> orbit_core::Result<Option<Vec<MicroBatch>>> {
        Ok(Some(vec![self.0.clone()]))
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

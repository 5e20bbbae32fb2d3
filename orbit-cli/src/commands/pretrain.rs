//! `orbit pretrain`: a language model from scratch, on text files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use orbit_core::{AdamW, Decay, Fit, Schedule};
use orbit_data::Loader;
use orbit_data::chat::ChatTemplate;
use orbit_data::example::Windows;
use orbit_data::text::TextSource;
use orbit_data::vocabulary::{SPECIAL_TOKENS, Vocabulary, train_bpe};
use orbit_models::weights::Dtype;
use orbit_models::{Decoder, DecoderConfig, Extension};
use serde::Deserialize;

use crate::args::{Global, Pretrain};
use crate::paths::DataDir;
use crate::progress::Progress;
use crate::training::{self, Ending, Feed, Rhythm};
use crate::usage::Usage;

/// What a recipe for a language model says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    seed: u64,
    /// Tokens of the byte-level BPE tokenizer, trained on the same text.
    vocabulary: usize,
    architecture: Architecture,
    train: Training,
    text: Vec<TextSource>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Architecture {
    hidden_size: usize,
    intermediate_size: usize,
    layers: usize,
    heads: usize,
    groups: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Training {
    steps: u64,
    /// Tokens a row.
    context: usize,
    /// Rows a step.
    batch: usize,
    micro_batch: usize,
    learning_rate: f64,
    warmup: u64,
    weight_decay: f64,
}

pub(crate) fn run(args: &Pretrain, global: &Global) -> Result<()> {
    let text = fs::read_to_string(&args.recipe).with_context(|| args.recipe.display().to_string())?;
    let recipe = toml::from_str(&text).map_err(|error| Usage::new(format!("{}: {error}", args.recipe.display())));
    let mut recipe: Recipe = recipe?;
    if recipe.architecture.heads == 0 {
        return Err(Usage::new("architecture.heads must be at least 1").into());
    }
    recipe.train.steps = args.steps.unwrap_or(recipe.train.steps);
    let device = orbit_core::device(&args.device)?;
    fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;

    let documents = documents(&recipe, &DataDir::new(global.data.clone(), &args.recipe))?;
    let bytes: usize = documents.iter().map(String::len).sum();
    tracing::info!("{} documents, {bytes} bytes", documents.len());
    let tokenizer = train_bpe(documents.iter(), recipe.vocabulary, &SPECIAL_TOKENS)?;
    let rows = tokenizer.get_vocab_size(true);
    let vocabulary = Vocabulary::new(tokenizer, u32::try_from(rows)?, &[])?;
    let tokens = stream(&documents, &vocabulary)?;
    tracing::info!("{} tokens of a vocabulary of {rows}", tokens.len());

    let train = &recipe.train;
    let model = Decoder::random(config(&recipe, rows), recipe.seed, &device.autodiff());
    let loader = Loader::new(Windows::new(tokens, train.context), train.batch, train.micro_batch, recipe.seed)?;
    let optimizer = AdamW { beta2: 0.98, weight_decay: train.weight_decay, ..AdamW::default() };
    let schedule = Schedule {
        learning_rate: train.learning_rate,
        warmup: train.warmup.min(train.steps),
        decay: Decay::Cosine,
        total: train.steps,
    };
    let mut fit = Fit::new(model, Vec::new(), Feed::new(loader), optimizer, schedule)?;
    training::listen_for_stop()?;
    let rhythm = Rhythm { drift_every: 0, save_every: 0, keep: 1 };
    let mut progress = Progress::new("pretrain", 0, train.steps, global.quiet);
    if training::run(&mut fit, train.steps, &args.out, &rhythm, &mut progress)? == Ending::Stopped {
        progress.say("stopped early; the model is saved as it is");
    }
    progress.finish();
    write(&fit.model(), &vocabulary, &args.out)
}

fn documents(recipe: &Recipe, data: &DataDir) -> Result<Vec<String>> {
    let mut documents = Vec::new();
    for source in &recipe.text {
        let path = data.file(&source.path)?;
        documents.extend(TextSource { path, ..source.clone() }.documents(Path::new(""))?);
    }
    Ok(documents)
}

/// All documents as one row of tokens, each ended by `<|endoftext|>`, which is token 0.
fn stream(documents: &[String], vocabulary: &Vocabulary) -> Result<Vec<u32>> {
    let mut tokens = Vec::new();
    for document in documents {
        tokens.extend(vocabulary.encode(document)?);
        tokens.push(0);
    }
    Ok(tokens)
}

fn config(recipe: &Recipe, rows: usize) -> DecoderConfig {
    let shape = &recipe.architecture;
    DecoderConfig {
        vocab_size: rows,
        hidden_size: shape.hidden_size,
        intermediate_size: shape.intermediate_size,
        num_hidden_layers: shape.layers,
        num_attention_heads: shape.heads,
        num_key_value_heads: shape.groups,
        head_dim: shape.hidden_size / shape.heads,
        max_position_embeddings: recipe.train.context,
        tie_word_embeddings: true,
        bos_token_id: Some(0),
        eos_token_ids: vec![0],
        pad_token_id: Some(0),
        ..DecoderConfig::default()
    }
}

fn write(model: &Decoder, vocabulary: &Vocabulary, dir: &Path) -> Result<()> {
    orbit_models::save(model, dir, Dtype::Bf16, &Extension::default())?;
    vocabulary.save(dir)?;
    ChatTemplate::chatml()?.save(dir)?;
    Ok(())
}

//! `orbit pretrain`: language models from scratch, on text files.
//!
//! A recipe has one `[architecture]`, or several `[[models]]` that are trained on the same text and tokens, so that they can be
//! compared by size and by kind.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::tensor::Device;
use orbit_core::{AdamW, Decay, Fit, Schedule};
use orbit_data::chat::ChatTemplate;
use orbit_data::example::Windows;
use orbit_data::text::TextSource;
use orbit_data::tokenizer::Reader;
use orbit_data::vocabulary::{SPECIAL_TOKENS, train_bpe};
use orbit_data::{Loader, TextTokenizer};
use orbit_models::t5::{FeedForwardProj, ModelType};
use orbit_models::weights::Dtype;
use orbit_models::{Decoder, DecoderConfig, EncoderDecoder, Extension, LanguageModel, T5Config};
use serde::Deserialize;

use crate::args::{Global, Pretrain};
use crate::config::is_of_a_folder;
use crate::paths::DataDir;
use crate::pipeline::Speech;
use crate::progress::Progress;
use crate::training::{self, Ending, Feed, Rhythm};
use crate::usage::Usage;

/// What a recipe for language models says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    seed: u64,
    /// Tokens of the byte-level BPE tokenizer, trained on the same text.
    vocabulary: usize,
    /// The one model, which goes to the folder that the command line names.
    architecture: Option<Architecture>,
    /// Several, each of which goes to a folder of its name within.
    #[serde(default)]
    models: Vec<Named>,
    train: Training,
    text: Vec<TextSource>,
}

/// A model of a family. Not flattened: serde would no longer refuse unknown keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    architecture: Architecture,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Architecture {
    #[serde(default)]
    kind: Kind,
    hidden_size: usize,
    intermediate_size: usize,
    /// Blocks; of an encoder-decoder, in each of the two stacks.
    layers: usize,
    heads: usize,
    /// Heads of keys and values, of a decoder. Default: as many as there are heads.
    groups: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// The Llama family's, which learns every token of a window.
    #[default]
    Decoder,
    /// T5's, which reads the beginning of a window and learns the rest.
    EncoderDecoder,
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
    recipe.train.steps = args.steps.unwrap_or(recipe.train.steps);
    let models = models(&recipe, &args.out)?;
    let device = orbit_core::device(&args.device)?;
    fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;

    let documents = documents(&recipe, &DataDir::new(global.data.clone(), &args.recipe))?;
    let bytes: usize = documents.iter().map(String::len).sum();
    tracing::info!("{} documents, {bytes} bytes", documents.len());
    let tokenizer = train_bpe(documents.iter(), recipe.vocabulary, &SPECIAL_TOKENS)?;
    let tokenizer = TextTokenizer::new(tokenizer, Reader::Decoder)?;
    let rows = tokenizer.size();
    let tokens = stream(&documents, &tokenizer)?;
    tracing::info!("{} tokens of a vocabulary of {rows}", tokens.len());
    training::listen_for_stop()?;
    for (architecture, dir) in models {
        if train(&recipe, architecture, &tokenizer, &tokens, &dir, &device, global)? == Ending::Stopped {
            break;
        }
    }
    Ok(())
}

/// The models of a recipe and where each goes.
fn models<'r>(recipe: &'r Recipe, out: &Path) -> Result<Vec<(&'r Architecture, PathBuf)>> {
    if let Some(Named { name, .. }) = recipe.models.iter().find(|model| !is_of_a_folder(&model.name)) {
        return Err(Usage::new(format!(
            "a model cannot be called \"{name}\": its name is that of its folder, so use letters, digits, dots, dashes and \
             underscores, not beginning with a dot"
        ))
        .into());
    }
    let models: Vec<_> = match &recipe.architecture {
        Some(architecture) if recipe.models.is_empty() => vec![(architecture, out.to_owned())],
        None if !recipe.models.is_empty() => {
            recipe.models.iter().map(|model| (&model.architecture, out.join(&model.name))).collect()
        }
        _ => return Err(Usage::new("a recipe has either [architecture] or [[models]]").into()),
    };
    for (index, (architecture, dir)) in models.iter().enumerate() {
        let Architecture { heads, layers, hidden_size, .. } = **architecture;
        if heads == 0 || layers == 0 || hidden_size % heads != 0 {
            let reason = "layers and heads must be at least 1, and heads must divide hidden_size";
            return Err(Usage::new(format!("{}: {reason}", dir.display())).into());
        }
        if models[..index].iter().any(|(_, other)| other == dir) {
            return Err(Usage::new(format!("two models would go to {}: give each a name", dir.display())).into());
        }
    }
    Ok(models)
}

fn train(
    recipe: &Recipe,
    architecture: &Architecture,
    tokenizer: &TextTokenizer,
    tokens: &[u32],
    dir: &Path,
    device: &Device,
    global: &Global,
) -> Result<Ending> {
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let Training { steps, context, batch, micro_batch, learning_rate, warmup, weight_decay } = recipe.train;
    let model = architecture.random(tokenizer.size(), context, recipe.seed, &device.clone().autodiff());
    let windows = Windows::new(tokens.to_vec(), context);
    let windows = match architecture.kind {
        Kind::Decoder => windows,
        Kind::EncoderDecoder => windows.with_prompts(recipe.seed),
    };
    let loader = Loader::new(windows, batch, micro_batch, recipe.seed)?;
    let optimizer = AdamW { beta2: 0.98, weight_decay, ..AdamW::default() };
    let schedule = Schedule { learning_rate, warmup: warmup.min(steps), decay: Decay::Cosine, total: steps };
    let mut fit = Fit::new(model, Vec::new(), Feed::new(loader), optimizer, schedule)?;
    let rhythm = Rhythm::default();
    let label = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut progress = Progress::new(&format!("pretrain {label}"), 0, steps, global.quiet);
    let ending = training::run(&mut fit, steps, dir, "the same command", &rhythm, &mut progress)?;
    if ending == Ending::Stopped {
        progress.say("stopped early; the model is saved as it is");
    }
    progress.finish();
    write(&fit.model(), tokenizer, dir)?;
    Ok(ending)
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
fn stream(documents: &[String], tokenizer: &TextTokenizer) -> Result<Vec<u32>> {
    let mut tokens = Vec::new();
    for document in documents {
        tokens.extend(tokenizer.text(document)?);
        tokens.push(0);
    }
    Ok(tokens)
}

impl Architecture {
    fn random(&self, rows: usize, context: usize, seed: u64, device: &Device) -> LanguageModel {
        match self.kind {
            Kind::Decoder => Decoder::random(self.decoder(rows, context), seed, device).into(),
            Kind::EncoderDecoder => EncoderDecoder::random(self.encoder_decoder(rows), seed, device).into(),
        }
    }

    fn decoder(&self, rows: usize, context: usize) -> DecoderConfig {
        DecoderConfig {
            vocab_size: rows,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.layers,
            num_attention_heads: self.heads,
            num_key_value_heads: self.groups.unwrap_or(self.heads),
            head_dim: self.hidden_size / self.heads,
            max_position_embeddings: context,
            tie_word_embeddings: true,
            bos_token_id: Some(0),
            eos_token_ids: vec![0],
            pad_token_id: Some(0),
            ..DecoderConfig::default()
        }
    }

    /// T5 v1.0 with the gated feed-forward layer of v1.1: one table of tokens, as the decoder has.
    fn encoder_decoder(&self, rows: usize) -> T5Config {
        T5Config {
            model_type: ModelType::T5,
            vocab_size: rows,
            d_model: self.hidden_size,
            d_kv: self.hidden_size / self.heads,
            d_ff: self.intermediate_size,
            num_layers: self.layers,
            num_decoder_layers: self.layers,
            num_heads: self.heads,
            relative_attention_num_buckets: 32,
            relative_attention_max_distance: 128,
            dropout_rate: 0.0,
            layer_norm_epsilon: 1e-6,
            initializer_factor: 1.0,
            feed_forward_proj: FeedForwardProj::GatedGelu,
            tie_word_embeddings: true,
            scale_decoder_outputs: true,
            decoder_start_token_id: 0,
            eos_token_ids: vec![0],
            pad_token_id: Some(0),
        }
    }
}

fn write(model: &LanguageModel, tokenizer: &TextTokenizer, dir: &Path) -> Result<()> {
    model.save(dir, Dtype::Bf16, &Extension::default())?;
    Speech::new(model, tokenizer.tokenizer().clone(), ChatTemplate::chatml()?, None, None)?.save(tokenizer, dir)
}

//! T5, mT5, flan-T5 and mT0: an encoder reads the prompt, a decoder writes the answer.
//!
//! Raffel et al. 2019 (T5, arXiv 1910.10683), Xue et al. 2020 (mT5, arXiv 2010.11934), Chung et al. 2022 (flan-T5,
//! arXiv 2210.11416), Muennighoff et al. 2022 (mT0, arXiv 2211.01786). With norm(x) = g ∘ x / √(mean(x²) + ε), a block is
//!
//! ```text
//! x ← x + softmax(q kᵀ + b) v                  over its own stack: b is a row of a learnt table for every relative position
//! x ← x + softmax(q kᵀ) v                      the decoder alone, over the encoder's result
//! x ← x + wo relu(wi x)                        T5 v1.0
//! x ← x + wo (gelu(wi_0 x) ∘ wi_1 x)           T5 v1.1, flan-T5, mT5, mT0
//! ```
//!
//! with norm(x) for x on the right of each arrow, no biases, and no division by √K. The first block of a stack owns the table,
//! the others share its b; the encoder has buckets for both sides, the decoder for what stands before
//! (section 2.1 of the T5 paper). Both stacks end with a norm, after which T5 v1.0 multiplies by d_model^−½ and takes the
//! embedding for the output layer; the others have an output layer of their own.
//!
//! The T5 papers train with dropout; this crate does not.

mod config;
mod files;
mod layer;
mod position;
mod rows;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use orbit_core::hook::ParamKind;
use orbit_core::kernel::Bias;
use orbit_core::{Change, Input, Model, Sites, Trace, pick};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub use config::{FeedForwardProj, ModelType, T5Config};
use layer::{DecoderBlock, EncoderBlock, LayerNorm, View};
use position::{Buckets, Direction};
use rows::{Answers, Place, Prompts, sight, up_to};

use crate::cache::KeysValues;
use crate::generate::Incremental;
use crate::linear::{Linear, Source};
use crate::lora;
use crate::tokens::{NEW_TOKENS, NewTokens, draw, embed, scores};

/// A T5 with its language-modelling head.
///
/// Its parameters have the names of the Hugging Face checkpoint, and new tokens are parameters of their own beside it.
///
/// As a [`Model`] it reads rows of prompts and answers: what stands before [`Input::answers`] goes to the encoder, the rest to
/// the decoder after the start token. [`Model::hidden`] has the decoder's state that guesses a token where a decoder-only model
/// has it, in the column before that token, so training, scoring and beam search are the same for both.
#[derive(Module, Debug)]
pub struct EncoderDecoder {
    shared: Linear,
    encoder: Encoder,
    decoder: Decoder,
    /// None when the embedding is the output layer too.
    lm_head: Option<Linear>,
    new_tokens: Option<NewTokens>,
    #[module(skip)]
    config: T5Config,
    /// Whether it has an adapter, which then is all that is trained.
    adapted: bool,
    /// How many adapters its rows choose from.
    bank: usize,
    /// What is changed in every pass.
    #[module(skip)]
    steering: Vec<Change>,
}

#[derive(Module, Debug)]
struct Encoder {
    block: Vec<EncoderBlock>,
    final_layer_norm: LayerNorm,
}

#[derive(Module, Debug)]
struct Decoder {
    block: Vec<DecoderBlock>,
    final_layer_norm: LayerNorm,
}

/// What [`EncoderDecoder::hidden_after`](Incremental::hidden_after) keeps: of the prompt the keys and values of every
/// cross-attention, computed once; of the answer those of every self-attention, which grow.
#[derive(Debug, Default)]
pub struct Cache {
    memory: Option<Memory>,
    own: Vec<Option<KeysValues>>,
    /// Where the tokens stand that the decoder has read, a list a row.
    places: Vec<Vec<Place>>,
    /// Columns of the inputs so far.
    width: usize,
}

/// The prompt, as the decoder sees it.
#[derive(Debug)]
struct Memory {
    /// One pair a block.
    layers: Vec<KeysValues>,
    /// Tokens of each row that are not padding.
    lengths: Vec<usize>,
    /// Tokens a row.
    width: usize,
}

impl EncoderDecoder {
    /// A model whose weights come from `source` by name and shape.
    fn from_source(config: T5Config, source: &mut Source<'_>, device: &Device) -> Self {
        let shared = Linear::new(source, "shared", config.vocab_size, config.d_model, device);
        let encoder = Encoder {
            block: (0..config.num_layers)
                .map(|i| EncoderBlock::new(source, &format!("encoder.block.{i}"), &config, i == 0, device))
                .collect(),
            final_layer_norm: LayerNorm::new(source, "encoder.final_layer_norm", &config, device),
        };
        let decoder = Decoder {
            block: (0..config.num_decoder_layers)
                .map(|i| DecoderBlock::new(source, &format!("decoder.block.{i}"), &config, i == 0, device))
                .collect(),
            final_layer_norm: LayerNorm::new(source, "decoder.final_layer_norm", &config, device),
        };
        let lm_head = (!config.tie_word_embeddings)
            .then(|| Linear::new(source, "lm_head", config.vocab_size, config.d_model, device));
        Self {
            shared,
            encoder,
            decoder,
            lm_head,
            new_tokens: None,
            config,
            adapted: false,
            bank: 0,
            steering: Vec::new(),
        }
    }

    /// A model with fresh weights, as T5 makes them: normal, with standard deviations that keep the variance of what a weight
    /// is applied to, √K smaller for queries because scores are not divided by it; norms at 1. All times
    /// `initializer_factor`.
    pub fn random(config: T5Config, seed: u64, device: &Device) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let factor = config.initializer_factor;
        let (d, k) = (config.d_model as f64, config.d_kv as f64);
        let inner = k * config.num_heads as f64;
        let wide = config.d_ff as f64;
        let mut source = |name: &str, shape: &[usize]| {
            let entries = shape.iter().product();
            let part = name.trim_end_matches(".weight").rsplit('.').next().unwrap_or_default();
            let variance = match part {
                "layer_norm" | "final_layer_norm" => return vec![factor as f32; entries],
                "shared" | "lm_head" => 1.0,
                "q" => 1.0 / (d * k),
                "o" => 1.0 / inner,
                "wo" => 1.0 / wide,
                _ => 1.0 / d,
            };
            draw(&mut rng, 0.0, (factor * variance.sqrt()) as f32, entries)
        };
        Self::from_source(config.clone(), &mut source, device)
    }

    /// Keeps the first `rows` rows of the tables of tokens: an embedding may have rows that no token has.
    pub(crate) fn keep_rows(mut self, rows: usize) -> Self {
        std::iter::once(&mut self.shared).chain(&mut self.lm_head).for_each(|table| table.keep_rows(rows));
        self.config.vocab_size = self.config.vocab_size.min(rows);
        self
    }

    /// Adds `count` tokens after those the model was loaded with, in place of any added before. Input and output rows are each
    /// drawn from the normal distribution that fits the rows there are, column by column.
    pub fn with_new_tokens(mut self, count: usize, seed: u64) -> Self {
        let input = self.shared.weight.val();
        let output = self.lm_head.as_ref().map_or_else(|| input.clone(), |head| head.weight.val());
        self.new_tokens = Some(NewTokens::fitted(input, output, count, seed));
        self
    }

    /// How many tokens were added.
    pub fn new_token_count(&self) -> usize {
        self.new_tokens.as_ref().map_or(0, NewTokens::count)
    }

    /// The shape of the model as it was loaded, without new tokens.
    pub fn config(&self) -> &T5Config {
        &self.config
    }

    /// The model with an adapter put on it by `change`, or several that rows choose from.
    pub(crate) fn map_adapted(self, bank: usize, change: impl FnOnce(Self) -> Self) -> Self {
        Self { adapted: true, bank, ..change(self) }
    }

    /// What the output projection of an encoder layer makes of what its heads have found.
    pub(crate) fn project(&self, layer: usize, found: Tensor<3>, input: &Input) -> Tensor<3> {
        self.encoder.block[layer].layer.0.SelfAttention.project(found, input)
    }

    /// Makes changes in every pass, before those that the pass is asked for.
    pub(crate) fn steered(mut self, changes: Vec<Change>) -> Self {
        self.steering = changes;
        self
    }

    pub(crate) fn adapted(&self) -> bool {
        self.adapted
    }

    fn embed(&self, tokens: &[u32], width: usize) -> Tensor<3> {
        let rows = tokens.len() / width.max(1);
        embed(self.shared.weight.val(), self.new_tokens.as_ref(), tokens).reshape([rows, width, self.config.d_model])
    }

    fn buckets(&self, direction: Direction) -> Buckets {
        Buckets {
            direction,
            count: self.config.relative_attention_num_buckets,
            max_distance: self.config.relative_attention_max_distance,
        }
    }

    /// What the decoder needs of the prompts.
    fn remember(&self, prompts: Prompts, input: &Input, trace: &mut Trace) -> Memory {
        let Prompts { width, tokens, lengths } = prompts;
        trace.begin(self.sites(), lengths.len(), width, lengths.iter().map(|length| length.checked_sub(1)));
        let x_bsd = self.embed(&tokens, width);
        let positions = vec![(0..width as i64).collect::<Vec<_>>(); lengths.len()];
        let bias = bias(self.encoder.positions(), &self.buckets(Direction::Both), &positions, &positions);
        let encoded = self.encoder.forward(x_bsd, &View::new(up_to(&lengths, width, width), bias), input, trace);
        let layers = self.decoder.block.iter().map(|block| block.memory(encoded.clone(), input)).collect();
        Memory { layers, lengths, width }
    }

    /// The decoder's hidden states for the answers, `[B, T, D]`.
    fn decode(&self, input: &Input, answers: &Answers, cache: &mut Cache, memory: &Memory) -> Tensor<3> {
        cache.places.resize(answers.places.len(), Vec::new());
        for (places, new) in cache.places.iter_mut().zip(&answers.places) {
            places.extend(new);
        }
        let x_btd = self.embed(&answers.tokens, answers.width);
        let mask = sight(input, cache.width, &answers.places, &cache.places);
        let positions = |places: &[Vec<Place>]| -> Vec<Vec<i64>> {
            places.iter().map(|row| row.iter().map(|place| place.position).collect()).collect()
        };
        let (queries, keys) = (positions(&answers.places), positions(&cache.places));
        let bias = bias(self.decoder.positions(), &self.buckets(Direction::Back), &queries, &keys);
        self.decoder.forward(x_btd, &View::new(mask, bias), (&mut cache.own, memory), input)
    }
}

impl Encoder {
    /// The table of relative positions.
    fn positions(&self) -> Option<&Linear> {
        self.block.first().and_then(|block| block.layer.0.SelfAttention.relative_attention_bias.as_ref())
    }

    fn forward(&self, mut x_btd: Tensor<3>, view: &View, input: &Input, trace: &mut Trace) -> Tensor<3> {
        for (index, block) in self.block.iter().enumerate() {
            trace.layer(index);
            x_btd = block.forward(x_btd, view, input, trace);
        }
        self.final_layer_norm.forward(x_btd)
    }
}

impl Decoder {
    /// The table of relative positions.
    fn positions(&self) -> Option<&Linear> {
        self.block.first().and_then(|block| block.layer.0.SelfAttention.relative_attention_bias.as_ref())
    }

    fn forward(
        &self,
        mut x_btd: Tensor<3>,
        view: &View,
        (own, memory): (&mut Vec<Option<KeysValues>>, &Memory),
        input: &Input,
    ) -> Tensor<3> {
        let [_, width, _] = x_btd.dims();
        let of_memory = View::new(up_to(&memory.lengths, width, memory.width), Bias::None);
        own.resize(self.block.len(), None);
        for ((block, own), kept) in self.block.iter().zip(own).zip(&memory.layers) {
            x_btd = block.forward(x_btd, (own, view), (kept.clone(), &of_memory), input);
        }
        self.final_layer_norm.forward(x_btd)
    }
}

/// What positions add to the scores of a stack's own attention, computed once for all blocks.
fn bias(table: Option<&Linear>, buckets: &Buckets, queries: &[Vec<i64>], keys: &[Vec<i64>]) -> Bias {
    match table {
        Some(table) => Bias::Learned(buckets.bias(table.weight.val(), queries, keys)),
        None => Bias::None,
    }
}

impl Incremental for EncoderDecoder {
    type Cache = Cache;

    fn hidden_after(&self, input: &Input, cache: &mut Cache) -> Tensor<3> {
        self.run(input, cache, &mut Trace::new(Vec::new(), self.steering.clone()))
    }
}

impl EncoderDecoder {
    fn run(&self, input: &Input, cache: &mut Cache, trace: &mut Trace) -> Tensor<3> {
        let (memory, answers) = match cache.memory.take() {
            Some(memory) => (memory, Answers::next(input, cache.width)),
            None => {
                let prompts = Prompts::of(input);
                let answers = Answers::first(input, &prompts, self.config.decoder_start_token_id);
                (self.remember(prompts, input, trace), answers)
            }
        };
        let hidden_btd = self.decode(input, &answers, cache, &memory);
        let columns = answers.columns(input, cache.width);
        cache.memory = Some(memory);
        cache.width += input.width;
        let [b, t, d] = hidden_btd.dims();
        let nothing = Tensor::zeros([1, d], &hidden_btd.device());
        let states = Tensor::cat(vec![hidden_btd.reshape([b * t, d]), nothing], 0);
        pick(states, &columns).reshape([input.rows, input.width, d])
    }
}

impl Model for EncoderDecoder {
    fn hidden(&self, input: &Input) -> Tensor<3> {
        self.hidden_after(input, &mut Cache::default())
    }

    fn traced(&self, input: &Input, trace: &mut Trace) -> Tensor<3> {
        trace.after(&self.steering);
        self.run(input, &mut Cache::default(), trace)
    }

    fn sites(&self) -> Sites {
        let config = &self.config;
        Sites { layers: config.num_layers, heads: config.num_heads, head_width: config.d_kv, width: config.d_model }
    }

    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let head = self.lm_head.as_ref().unwrap_or(&self.shared);
        let by = self.config.output_scale();
        let hidden = if by == 1.0 { hidden } else { hidden.mul_scalar(by) };
        scores(hidden, head.weight.val(), self.new_tokens.as_ref())
    }

    fn base_vocabulary(&self) -> usize {
        self.config.vocab_size
    }

    fn vocabulary(&self) -> usize {
        self.config.vocab_size + self.new_token_count()
    }

    fn kind(&self, parameter: &str) -> ParamKind {
        if parameter.starts_with(NEW_TOKENS) { ParamKind::New } else { ParamKind::Base }
    }

    fn trains(&self, parameter: &str) -> bool {
        !self.adapted || lora::trains(parameter)
    }

    fn adapters(&self) -> usize {
        self.bank
    }
}

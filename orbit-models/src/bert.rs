//! BERT as an encoder of sentences, such as all-MiniLM-L6-v2: what makes item embeddings of titles.
//!
//! Shapes: B rows, T tokens, D hidden, H heads, K head. Weights keep the names and the layout of the checkpoint.

use std::path::Path;

use burn::module::{Module, Param};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Tensor, TensorData};
use orbit_core::kernel::{attend, pick, split_heads};
use orbit_core::{Error as InputError, Input, check_tokens};
use serde::Deserialize;

use crate::config::{MAX_LAYERS, MAX_SIZE, check_directory};
use crate::layer_norm::LayerNorm;
use crate::linear::{Linear, Source};
use crate::weights::Weights;
use crate::{Error, Result, atomic};

const CONFIG_FILE: &str = "config.json";

/// The keys of `config.json` that matter here.
#[derive(Clone, Debug, Deserialize)]
pub struct BertConfig {
    /// Tokens.
    pub vocab_size: usize,
    /// D.
    pub hidden_size: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// H.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Tokens a text, at most.
    pub max_position_embeddings: usize,
    /// Kinds of segments; texts are of the first.
    pub type_vocab_size: usize,
    /// Added to the variance in norms.
    pub layer_norm_eps: f64,
    /// `gelu` is the only one that is read.
    pub hidden_act: String,
}

/// A post-norm block: norm(x + attention(x)), then norm(x + feed-forward(x)).
#[derive(Module, Debug)]
struct Block {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
    heads: usize,
}

/// The encoder.
#[derive(Module, Debug)]
pub struct Bert {
    /// `[vocabulary, D]`.
    words: Param<Tensor<2>>,
    /// `[positions, D]`, with the embedding of the first segment added in.
    places: Param<Tensor<2>>,
    norm: LayerNorm,
    blocks: Vec<Block>,
}

impl Bert {
    /// Loads a model directory of Hugging Face's `BertModel`, or of one with heads on it, which are left out.
    ///
    /// # Errors
    /// When a file is missing, is no BERT, or its tensors do not fit the config.
    pub fn load(dir: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let dir = dir.as_ref();
        check_directory(dir)?;
        let config: BertConfig = atomic::read_json(&dir.join(CONFIG_FILE))?;
        config.check(dir)?;
        let mut weights = Weights::read(dir)?;
        let stripped = std::mem::take(&mut weights.tensors).into_iter();
        weights.tensors = stripped.map(|(name, array)| (name.trim_start_matches("bert.").to_owned(), array)).collect();
        let headless = |name: &str| name.starts_with("embeddings.") || name.starts_with("encoder.");
        weights.tensors.retain(|name, _| headless(name));
        weights.check_size(dir, config.parameter_count())?;
        let mut reader = weights.into_reader(dir);
        let model = Self::from_source(&config, &mut |name, shape| reader.tensor(name, shape), device);
        reader.finish(&[])?;
        Ok(model)
    }

    fn from_source(config: &BertConfig, source: &mut Source<'_>, device: &Device) -> Self {
        let (d, epsilon) = (config.hidden_size, config.layer_norm_eps);
        let words = source("embeddings.word_embeddings.weight", &[config.vocab_size, d]);
        let mut places = source("embeddings.position_embeddings.weight", &[config.max_position_embeddings, d]);
        let segments = source("embeddings.token_type_embeddings.weight", &[config.type_vocab_size, d]);
        for place in places.chunks_mut(d) {
            place.iter_mut().zip(&segments).for_each(|(place, segment)| *place += segment);
        }
        let table = |entries: Vec<f32>, rows: usize| {
            let entries = if entries.is_empty() { vec![0.0; rows * d] } else { entries };
            Param::from_tensor(Tensor::from_data(TensorData::new(entries, [rows, d]), device))
        };
        Self {
            words: table(words, config.vocab_size),
            places: table(places, config.max_position_embeddings),
            norm: LayerNorm::new(source, "embeddings.LayerNorm", d, epsilon, device),
            blocks: (0..config.num_hidden_layers).map(|layer| Block::new(source, layer, config, device)).collect(),
        }
    }

    /// Tokens a text, at most.
    pub fn longest_text(&self) -> usize {
        self.places.val().dims()[0]
    }

    /// The last hidden states of texts, `[B, T, D]`; rows are padded at the end, and what stands there means nothing.
    ///
    /// # Errors
    /// For a text without tokens or with too many, and a token that is not in the vocabulary.
    pub fn hidden(&self, texts: &[&[u32]]) -> orbit_core::Result<Tensor<3>> {
        let (rows, width) = (texts.len(), texts.iter().map(|text| text.len()).max().unwrap_or(0));
        let [vocabulary, d] = self.words.val().dims();
        for (row, text) in texts.iter().enumerate() {
            if text.is_empty() || text.len() > self.longest_text() {
                let (has, reads) = (text.len(), self.longest_text());
                let reason = format!("text {row} has {has} tokens, and the encoder reads 1 to {reads}");
                return Err(InputError::Input(reason));
            }
            check_tokens(text, vocabulary)?;
        }
        let tokens: Vec<u32> = texts
            .iter()
            .flat_map(|text| text.iter().copied().chain(std::iter::repeat_n(0, width - text.len())))
            .collect();
        let input = Input::rows(tokens, rows, width).with_mask(|row, _, key| key < texts[row].len());
        let found = pick(self.words.val(), &input.tokens) + pick(self.places.val(), &input.positions);
        let mut x_btd = self.norm.forward(found.reshape([rows, width, d]));
        for block in &self.blocks {
            x_btd = block.forward(x_btd, &input);
        }
        Ok(x_btd)
    }
}

impl BertConfig {
    /// How many parameters the encoder has, without the biases and norms, which are few beside the rest.
    fn parameter_count(&self) -> usize {
        let (d, f) = (self.hidden_size, self.intermediate_size);
        let rows = self.vocab_size + self.max_position_embeddings + self.type_vocab_size;
        rows * d + self.num_hidden_layers * (4 * d * d + 2 * d * f)
    }

    fn check(&self, dir: &Path) -> Result<()> {
        if self.hidden_act != "gelu" {
            let reason = format!("is {:?}, and gelu is the only one that is read", self.hidden_act);
            return Err(Error::config(dir.join(CONFIG_FILE), "hidden_act", reason));
        }
        let sizes = [
            ("vocab_size", self.vocab_size, MAX_SIZE),
            ("hidden_size", self.hidden_size, MAX_SIZE),
            ("num_hidden_layers", self.num_hidden_layers, MAX_LAYERS),
            ("intermediate_size", self.intermediate_size, MAX_SIZE),
            ("max_position_embeddings", self.max_position_embeddings, MAX_SIZE),
            ("type_vocab_size", self.type_vocab_size, MAX_SIZE),
        ];
        if let Some((key, size, most)) = sizes.into_iter().find(|(_, size, most)| *size == 0 || size > most) {
            return Err(Error::config(dir.join(CONFIG_FILE), key, format!("{size} is not between 1 and {most}")));
        }
        if self.num_attention_heads == 0 || !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let reason =
                format!("is {}, which does not divide hidden_size, {}", self.num_attention_heads, self.hidden_size);
            return Err(Error::config(dir.join(CONFIG_FILE), "num_attention_heads", reason));
        }
        Ok(())
    }
}

impl Block {
    fn new(source: &mut Source<'_>, layer: usize, config: &BertConfig, device: &Device) -> Self {
        let (d, wide, epsilon) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let mut linear = |part: &str, out, input| Linear::with_bias(source, &name(part), out, input, device);
        let [query, key, value] = ["query", "key", "value"].map(|part| linear(&format!("attention.self.{part}"), d, d));
        let attention_output = linear("attention.output.dense", d, d);
        let (intermediate, output) = (linear("intermediate.dense", wide, d), linear("output.dense", d, wide));
        let mut norm = |part: &str| LayerNorm::new(source, &name(part), d, epsilon, device);
        let (attention_norm, output_norm) = (norm("attention.output.LayerNorm"), norm("output.LayerNorm"));
        let heads = config.num_attention_heads;
        Self { query, key, value, attention_output, attention_norm, intermediate, output, output_norm, heads }
    }

    fn forward(&self, x_btd: Tensor<3>, input: &Input) -> Tensor<3> {
        let split = |part: &Linear| split_heads(part.forward(x_btd.clone(), input), self.heads, None);
        let (q, k, v) = (split(&self.query), split(&self.key), split(&self.value));
        let found = self.attention_output.forward(attend(q, k, v, &input.mask), input);
        let x_btd = self.attention_norm.forward(x_btd + found);
        let fed = self.output.forward(gelu(self.intermediate.forward(x_btd.clone(), input)), input);
        self.output_norm.forward(x_btd + fed)
    }
}

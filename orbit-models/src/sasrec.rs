//! SASRec (arXiv 1808.09781), the recommender that semantic IDs have to be measured against: a small causal transformer whose
//! tokens are the items themselves.
//!
//! Trained here as language models are, by the cross-entropy over the whole catalogue at every position. The paper's own loss, one
//! negative by binary cross-entropy, is what makes it look weak in most tables. Our choices where it is silent: weights normal
//! with deviation 0.02, embeddings as the output layer, a norm before each part of a block as the authors' code has it.
//!
//! Shapes: B rows, T items, D width.

use std::path::Path;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use orbit_core::hook::ParamKind;
use orbit_core::kernel::{attend, dropout, pick, relu, split_heads};
use orbit_core::{Error, Input, Model, Result, check_tokens};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::config::{Fault, MAX_LAYERS, MAX_SIZE};
use crate::files::arrays;
use crate::layer_norm::LayerNorm;
use crate::linear::{Linear, Source};
use crate::tokens::draw;
use crate::weights::{Dtype, Weights};

const DEVIATION: f32 = 0.02;
const EPSILON: f64 = 1e-8;

const CONFIG_FILE: &str = "config.json";
const MODEL_TYPE: &str = "sasrec";

/// What `config.json` says.
#[derive(Serialize, Deserialize)]
struct Saved {
    model_type: String,
    items: usize,
    shape: SasRecConfig,
}

impl Saved {
    /// That there can be such a model; a file may say anything.
    fn check(&self) -> std::result::Result<(), Fault> {
        let SasRecConfig { width, layers, heads, max_history, dropout } = self.shape;
        let sizes = [
            ("items", self.items, u32::MAX as usize),
            ("width", width, MAX_SIZE),
            ("layers", layers, MAX_LAYERS),
            ("heads", heads, MAX_SIZE),
            ("max_history", max_history, MAX_SIZE),
        ];
        if let Some((key, size, most)) = sizes.into_iter().find(|(_, size, most)| *size == 0 || size > most) {
            return Err((key, format!("{size} is not between 1 and {most}")));
        }
        if !width.is_multiple_of(heads) {
            return Err(("heads", format!("{heads} do not divide a width of {width}")));
        }
        if !(0.0..1.0).contains(&dropout) {
            return Err(("dropout", format!("{dropout} is not at least 0 and below 1")));
        }
        Ok(())
    }

    /// How many parameters the model has, without the biases and norms, which are few beside the rest.
    fn parameter_count(&self) -> usize {
        let SasRecConfig { width, layers, max_history, .. } = self.shape;
        (self.items + max_history) * width + layers * 6 * width * width
    }
}

/// The shape of a [`SasRec`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SasRecConfig {
    /// Numbers an item's embedding has; a multiple of `heads`. Default: 64, or the next multiple of `heads`.
    pub width: usize,
    /// Blocks. Default: 2.
    pub layers: usize,
    /// Attention heads of a block. Default: 2, or 1 where `width` is odd.
    pub heads: usize,
    /// The last items of a history that are read. Default: 50.
    pub max_history: usize,
    /// The share of activations that training sets to 0, in [0, 1). Default: 0.5.
    pub dropout: f64,
}

impl Default for SasRecConfig {
    fn default() -> Self {
        Self { width: 64, layers: 2, heads: 2, max_history: 50, dropout: 0.5 }
    }
}

/// Attention, then two layers with a ReLU between, each behind a norm and beside what it reads.
#[derive(Module, Debug)]
struct Block {
    attention_norm: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    feed_forward_norm: LayerNorm,
    inner: Linear,
    outer: Linear,
    heads: usize,
    dropout: f64,
}

/// Item and position embeddings, blocks, a norm; the scores of items are inner products with their embeddings.
///
/// ```
/// use orbit_core::{Input, Model};
/// use orbit_models::sasrec::{SasRec, SasRecConfig};
///
/// let config = SasRecConfig { width: 8, max_history: 4, ..SasRecConfig::default() };
/// let model = SasRec::random(config, 10, 1, &orbit_core::device("flex")?);
/// let scores = model.scores(&[&[3, 7, 2], &[9]])?;
/// assert_eq!(scores.dims(), [2, 10]);
/// # Ok::<(), orbit_core::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct SasRec {
    /// `[items, D]`.
    items: Param<Tensor<2>>,
    /// `[max history, D]`.
    positions: Param<Tensor<2>>,
    blocks: Vec<Block>,
    norm: LayerNorm,
    dropout: f64,
}

impl SasRec {
    /// A model of a catalogue of `items` with fresh weights.
    pub fn random(config: SasRecConfig, items: usize, seed: u64, device: &Device) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut source = |name: &str, shape: &[usize]| {
            let entries = shape.iter().product();
            match shape {
                [_] if name.ends_with(".weight") => vec![1.0; entries],
                [_] => vec![0.0; entries],
                _ => draw(&mut rng, 0.0, DEVIATION, entries),
            }
        };
        Self::from_source(config, items, &mut source, device)
    }

    fn from_source(config: SasRecConfig, items: usize, source: &mut Source<'_>, device: &Device) -> Self {
        let SasRecConfig { width, layers, max_history, dropout, .. } = config;
        let mut table = |name: &str, rows: usize| {
            let data = TensorData::new(source(name, &[rows, width]), [rows, width]);
            Param::from_tensor(Tensor::from_data(data, device))
        };
        let (items, positions) = (table("items", items), table("positions", max_history));
        let blocks = (0..layers).map(|layer| Block::new(source, layer, &config, device)).collect();
        Self { items, positions, blocks, norm: LayerNorm::new(source, "norm", width, EPSILON, device), dropout }
    }

    /// Saves the model into `dir`, which must be there: `config.json` and `model.safetensors`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn save(&self, dir: impl AsRef<Path>, config: &SasRecConfig) -> crate::Result<()> {
        let dir = dir.as_ref();
        let saved = Saved { model_type: MODEL_TYPE.into(), items: self.base_vocabulary(), shape: config.clone() };
        atomic::write_json(&dir.join(CONFIG_FILE), &saved)?;
        arrays(self).write(dir, Dtype::F32, None)
    }

    /// Reads what [`SasRec::save`] wrote.
    ///
    /// # Errors
    /// When a file is missing, is of another model, or the tensors do not fit.
    pub fn load(dir: impl AsRef<Path>, device: &Device) -> crate::Result<Self> {
        let dir = dir.as_ref();
        let saved: Saved = atomic::read_json(&dir.join(CONFIG_FILE))?;
        if saved.model_type != MODEL_TYPE {
            let reason = format!("is {:?}, not {MODEL_TYPE:?}", saved.model_type);
            return Err(crate::Error::config(dir.join(CONFIG_FILE), "model_type", reason));
        }
        let fault = |(key, reason): Fault| crate::Error::config(dir.join(CONFIG_FILE), key, reason);
        saved.check().map_err(fault)?;
        let weights = Weights::read(dir)?;
        weights.check_size(dir, saved.parameter_count())?;
        let mut reader = weights.into_reader(dir);
        let model = Self::from_source(saved.shape, saved.items, &mut |name, shape| reader.tensor(name, shape), device);
        reader.finish(&[])?;
        Ok(model)
    }

    /// The last items of a history that are read.
    pub fn max_history(&self) -> usize {
        self.positions.val().dims()[0]
    }

    /// The score of every item as the next of each history, `[histories, items]`. Reads the last [`SasRec::max_history`] items of
    /// each.
    ///
    /// # Errors
    /// For an empty history, or an item that is not in the catalogue.
    pub fn scores(&self, histories: &[&[u32]]) -> Result<Tensor<2>> {
        let read: Vec<&[u32]> =
            histories.iter().map(|history| &history[history.len().saturating_sub(self.max_history())..]).collect();
        if let Some(row) = read.iter().position(|history| history.is_empty()) {
            return Err(Error::Input(format!("history {row} is empty: there is nothing to go on")));
        }
        let width = read.iter().map(|history| history.len()).max().unwrap_or(1);
        let mut tokens = Vec::with_capacity(read.len() * width);
        for history in &read {
            check_tokens(history, self.vocabulary())?;
            tokens.extend_from_slice(history);
            // No item sees what stands after it.
            tokens.resize(tokens.len() + width - history.len(), 0);
        }
        let hidden = self.hidden(&Input::rows(tokens, read.len(), width));
        let last: Vec<u32> = read.iter().enumerate().map(|(row, read)| (row * width + read.len() - 1) as u32).collect();
        let [b, t, d] = hidden.dims();
        Ok(self.logits(pick(hidden.reshape([b * t, d]), &last)))
    }
}

impl Block {
    fn new(source: &mut Source<'_>, layer: usize, config: &SasRecConfig, device: &Device) -> Self {
        let (d, heads, dropout) = (config.width, config.heads, config.dropout);
        let mut norm = |part: &str| LayerNorm::new(source, &format!("blocks.{layer}.{part}"), d, EPSILON, device);
        let (attention_norm, feed_forward_norm) = (norm("attention_norm"), norm("feed_forward_norm"));
        let mut linear = |part: &str| Linear::with_bias(source, &format!("blocks.{layer}.{part}"), d, d, device);
        let [query, key, value, output, inner, outer] =
            ["query", "key", "value", "output", "inner", "outer"].map(&mut linear);
        Self { attention_norm, query, key, value, output, feed_forward_norm, inner, outer, heads, dropout }
    }

    fn forward(&self, x_btd: Tensor<3>, input: &Input, noise: Option<u64>) -> Tensor<3> {
        let normed = self.attention_norm.forward(x_btd.clone());
        let [q, k, v] = [&self.query, &self.key, &self.value]
            .map(|part| split_heads(part.forward(normed.clone(), input), self.heads, None));
        let found = self.output.forward(attend(q, k, v, &input.mask), input);
        let x_btd = x_btd + dropped(found, self.dropout, noise);
        let inner = relu(self.inner.forward(self.feed_forward_norm.forward(x_btd.clone()), input));
        let inner = dropped(inner, self.dropout, noise.map(|noise| noise.wrapping_add(1)));
        let fed = self.outer.forward(inner, input);
        x_btd + dropped(fed, self.dropout, noise.map(|noise| noise.wrapping_add(2)))
    }
}

/// Dropout, where there is noise.
fn dropped(x_btd: Tensor<3>, share: f64, noise: Option<u64>) -> Tensor<3> {
    let Some(noise) = noise.filter(|_| share > 0.0) else { return x_btd };
    let [b, t, d] = x_btd.dims();
    // Streams of neighbouring seeds are those of neighbouring entries: keep them far apart.
    dropout(x_btd.reshape([b * t, d]), share, noise.wrapping_mul(0x9e37_79b9_7f4a_7c15)).reshape([b, t, d])
}

impl Model for SasRec {
    fn hidden(&self, input: &Input) -> Tensor<3> {
        let (b, t) = (input.rows, input.width);
        let items = pick(self.items.val(), &input.tokens);
        let places = pick(self.positions.val(), &input.positions);
        let [_, d] = items.dims();
        let mut x_btd = dropped((items + places).reshape([b, t, d]), self.dropout, input.noise);
        for (layer, block) in (1u64..).zip(&self.blocks) {
            x_btd = block.forward(x_btd, input, input.noise.map(|noise| noise.wrapping_add(3 * layer)));
        }
        self.norm.forward(x_btd)
    }

    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        orbit_core::kernel::linear(hidden, self.items.val())
    }

    fn base_vocabulary(&self) -> usize {
        self.items.val().dims()[0]
    }

    fn kind(&self, _: &str) -> ParamKind {
        ParamKind::Base
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn fault(items: usize, shape: SasRecConfig) -> &'static str {
        Saved { model_type: MODEL_TYPE.into(), items, shape }.check().unwrap_err().0
    }

    #[test]
    fn a_shape_that_no_model_has_is_refused_by_key() {
        let usual = SasRecConfig::default;
        Saved { model_type: MODEL_TYPE.into(), items: 10, shape: usual() }.check().unwrap();
        assert_eq!(fault(0, usual()), "items");
        assert_eq!(fault(10, SasRecConfig { width: 1 << 40, ..usual() }), "width");
        assert_eq!(fault(10, SasRecConfig { layers: 1 << 20, ..usual() }), "layers");
        assert_eq!(fault(10, SasRecConfig { heads: 3, ..usual() }), "heads");
        assert_eq!(fault(10, SasRecConfig { dropout: 1.0, ..usual() }), "dropout");
    }
}

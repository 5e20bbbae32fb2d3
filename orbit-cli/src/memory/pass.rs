//! What a forward pass keeps for the backward pass: in each layer the inputs of norms and activations, queries, keys and values,
//! the weights of attention, and the inputs of the products whose weights are trained.

use anyhow::Result;
use orbit_core::hook::{Param, ParamKind};
use orbit_models::lora::{Adapter, LoraConfig};
use orbit_models::{DecoderConfig, Family};

use super::F32;
use super::texts::Texts;

/// Queries whose scores are computed together, for the keys up to the last one's.
const QUERIES_A_BLOCK: usize = 64;

/// The shape of the largest forward pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Batch {
    /// Rows at once.
    pub(super) rows: usize,
    /// Tokens of the longest row.
    pub(super) width: usize,
    /// Tokens of all rows that are learned.
    pub(super) answers: f64,
}

/// What is trained of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Trained {
    /// All of it.
    Whole,
    /// A low-rank adapter.
    Adapter {
        /// Numbers in its factors.
        entries: usize,
        /// Numbers that its products keep of every token, over all layers.
        kept: usize,
        /// Numbers in the weights that it is for.
        weights: usize,
    },
}

/// What a product reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// The residual stream, normed for attention.
    Stream,
    /// What heads have found.
    Found,
    /// The residual stream, normed for the feed-forward layer.
    StreamAgain,
    /// The inside of the feed-forward layer.
    Inside,
}

/// A product of a layer with a weight `[out, in]`.
struct Product {
    name: &'static str,
    reads: Reads,
    out: usize,
}

impl Batch {
    pub(super) fn new(rows: usize, texts: Texts) -> Self {
        Self { rows, width: texts.width, answers: rows as f64 * texts.answer as f64 }
    }

    pub(super) fn tokens(&self) -> f64 {
        self.rows as f64 * self.width as f64
    }
}

impl Trained {
    /// An adapter on a model.
    ///
    /// # Errors
    /// When a target names no layer.
    pub(super) fn adapter(config: &DecoderConfig, lora: &LoraConfig) -> Result<Self> {
        let products = products(config);
        let layers = 0..config.num_hidden_layers;
        let places: Vec<(usize, &Product)> =
            layers.flat_map(|layer| products.iter().map(move |product| (layer, product))).collect();
        let name = |layer: usize, product: &Product| match config.family {
            Family::Llama => format!("model.layers.{layer}.{}", product.name),
            Family::Bloom => format!("transformer.h.{layer}.{}", product.name),
        };
        let param = |&(layer, product): &(usize, &Product)| Param {
            name: format!("{}.weight", name(layer, product)),
            shape: vec![product.out, product.reads.width(config)],
            kind: ParamKind::Base,
        };
        let params: Vec<Param> = places.iter().map(param).collect();
        let adapter = Adapter::fresh(&params, lora, config.family.query_and_value(), 0)?;
        let (mut entries, mut kept, mut weights) = (0, 0, 0);
        let mut held: Vec<(usize, Reads)> = Vec::new();
        for (layer, product) in places {
            if !adapter.factors.contains_key(&name(layer, product)) {
                continue;
            }
            let input = product.reads.width(config);
            entries += lora.rank * (input + product.out);
            weights += input * product.out;
            kept += lora.rank;
            if lora.dropout > 0.0 {
                // Each has an input of its own, and the mask that it was made with.
                kept += 2 * input;
            } else if !held.contains(&(layer, product.reads)) {
                held.push((layer, product.reads));
                kept += input;
            }
        }
        Ok(Self::Adapter { entries, kept, weights })
    }

    /// Numbers of the weights that merging an adapter makes anew.
    pub(super) fn merged(&self) -> f64 {
        match self {
            Self::Whole => 0.0,
            Self::Adapter { weights, .. } => *weights as f64,
        }
    }
}

impl Reads {
    const ALL: [Self; 4] = [Self::Stream, Self::Found, Self::StreamAgain, Self::Inside];

    fn width(self, config: &DecoderConfig) -> usize {
        match self {
            Self::Stream | Self::StreamAgain => config.hidden_size,
            Self::Found => config.num_attention_heads * config.head_dim,
            Self::Inside => config.intermediate_size,
        }
    }
}

fn products(config: &DecoderConfig) -> Vec<Product> {
    let (d, wide) = (config.hidden_size, config.intermediate_size);
    let (q, k) = (config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim);
    let product = |(name, reads, out)| Product { name, reads, out };
    match config.family {
        Family::Llama => [
            ("self_attn.q_proj", Reads::Stream, q),
            ("self_attn.k_proj", Reads::Stream, k),
            ("self_attn.v_proj", Reads::Stream, k),
            ("self_attn.o_proj", Reads::Found, d),
            ("mlp.gate_proj", Reads::StreamAgain, wide),
            ("mlp.up_proj", Reads::StreamAgain, wide),
            ("mlp.down_proj", Reads::Inside, d),
        ]
        .map(product)
        .into(),
        Family::Bloom => [
            ("self_attention.query_key_value", Reads::Stream, 3 * d),
            ("self_attention.dense", Reads::Found, d),
            ("mlp.dense_h_to_4h", Reads::StreamAgain, wide),
            ("mlp.dense_4h_to_h", Reads::Inside, d),
        ]
        .map(product)
        .into(),
    }
}

/// Bytes that a pass keeps, with the logits of the learned tokens and their gradient.
pub(super) fn kept(config: &DecoderConfig, trained: &Trained, batch: &Batch, vocabulary: usize) -> f64 {
    let layers = config.num_hidden_layers as f64;
    let inputs = match trained {
        Trained::Whole => layers * Reads::ALL.map(|reads| reads.width(config)).iter().sum::<usize>() as f64,
        Trained::Adapter { kept, .. } => *kept as f64,
    };
    let heads = config.num_attention_heads + 2 * config.num_key_value_heads;
    let always = (2 * config.hidden_size + heads * config.head_dim + gates(config) * config.intermediate_size) as f64
        + config.num_attention_heads as f64 * keys_a_query(batch.width);
    F32 * (batch.tokens() * (inputs + layers * always) + 2.0 * batch.answers * vocabulary as f64)
}

/// Bytes that a pass without a gradient needs at once: what one layer computes.
pub(super) fn passing(config: &DecoderConfig, rows: usize, width: usize) -> f64 {
    let heads = 2 * (config.num_attention_heads + 2 * config.num_key_value_heads);
    let inside = (gates(config) + 1) * config.intermediate_size;
    let a_token = (4 * config.hidden_size + heads * config.head_dim + inside) as f64;
    // The mask is there once more.
    let scores = (config.num_attention_heads + 1) as f64 * width as f64;
    F32 * rows as f64 * width as f64 * (a_token + scores)
}

/// What the activation of the feed-forward layer reads, times its width.
fn gates(config: &DecoderConfig) -> usize {
    if config.family == Family::Llama { 2 } else { 1 }
}

/// Keys that are scored for a query of a row, on average: none stands behind its block.
fn keys_a_query(width: usize) -> f64 {
    let blocks = width / QUERIES_A_BLOCK;
    let (whole, block) = (blocks as f64, QUERIES_A_BLOCK as f64);
    let rest = (width % QUERIES_A_BLOCK) as f64;
    let scores = block * block * whole * (whole + 1.0) / 2.0 + rest * width as f64;
    scores / width.max(1) as f64
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Two layers of two heads in one group.
    fn config() -> DecoderConfig {
        DecoderConfig {
            vocab_size: 100,
            hidden_size: 8,
            intermediate_size: 16,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            num_key_value_heads: 1,
            head_dim: 4,
            ..DecoderConfig::default()
        }
    }

    #[test]
    fn a_block_of_queries_is_scored_as_far_as_its_last_one_sees() {
        assert!((keys_a_query(64) - 64.0).abs() < 1e-9);
        assert!((keys_a_query(10) - 10.0).abs() < 1e-9);
        // 64 queries see 64 keys, 64 see 128, and 2 see 130.
        assert!((130.0 * keys_a_query(130) - (64.0 * 64.0 + 64.0 * 128.0 + 2.0 * 130.0)).abs() < 1e-9);
    }

    #[test]
    fn what_a_pass_keeps_is_what_can_be_counted_by_hand() {
        let batch = Batch::new(3, Texts { width: 70, answer: 5 });
        // A token keeps in each layer 8 + 8 + 8 + 16 inputs of products; 8 + 8 inputs of norms, 4 vectors of 4 as queries, keys
        // and values, and 16 + 16 at the gate. A head of a row keeps 64 x 64 + 6 x 70 weights.
        let numbers = 3 * 70 * 2 * (40 + 16 + 16 + 32) + 3 * 2 * 2 * (64 * 64 + 6 * 70) + 2 * 3 * 5 * 100;
        let bytes = kept(&config(), &Trained::Whole, &batch, 100);
        assert!((bytes - 4.0 * f64::from(numbers)).abs() < 1e-6, "{bytes}");
    }

    #[test]
    fn adapters_keep_their_inputs_once() {
        let adapter = |lora: LoraConfig| Trained::adapter(&config(), &LoraConfig { rank: 3, ..lora });
        let targets = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        // Queries are 8 of 8, values 4 of 8; both read the same.
        let usual = Trained::Adapter { entries: 2 * 3 * (16 + 12), kept: 2 * (8 + 3 + 3), weights: 2 * (64 + 32) };
        assert_eq!(adapter(LoraConfig::default()).unwrap(), usual);
        // With dropout each reads what is left of it, and has the mask.
        let dropped = Trained::Adapter { entries: 168, kept: 2 * 2 * (2 * 8 + 3), weights: 192 };
        assert_eq!(adapter(LoraConfig { dropout: 0.1, ..LoraConfig::default() }).unwrap(), dropped);
        let down = Trained::Adapter { entries: 3 * (16 + 8), kept: 16 + 3, weights: 128 };
        let one = LoraConfig { targets: targets(&["model.layers.1.mlp.down_proj"]), ..LoraConfig::default() };
        assert_eq!(adapter(one).unwrap(), down);
        assert!(adapter(LoraConfig { targets: targets(&["nothing"]), ..LoraConfig::default() }).is_err());
    }
}

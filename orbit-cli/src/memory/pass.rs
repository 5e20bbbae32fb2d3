//! What a forward pass keeps for the backward pass: in each layer the inputs of norms and activations, queries, keys and values,
//! the weights of attention, and the inputs of the products whose weights are trained.

use anyhow::Result;
use orbit_core::hook::{Param, ParamKind};
use orbit_core::kernel::QUERIES_A_BLOCK;
use orbit_models::lora::{Adapter, LoraConfig};

use super::F32;
use super::shape::{Attention, PerToken, Product, Shape, Tokens};
use super::texts::Texts;

/// The shape of the largest forward pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Batch {
    /// Rows at once.
    pub(super) rows: usize,
    /// Tokens of the longest row.
    pub(super) width: usize,
    /// Tokens of a row that are learned, at most.
    pub(super) answer: usize,
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
        /// Numbers that its products keep, over all layers.
        kept: PerToken,
        /// Numbers in the weights that it is for.
        weights: usize,
    },
}

impl Batch {
    pub(super) fn new(rows: usize, texts: Texts) -> Self {
        Self { rows, width: texts.width, answer: texts.answer }
    }

    /// Tokens of all rows.
    pub(super) fn tokens(&self) -> f64 {
        self.rows as f64 * self.width as f64
    }

    /// Tokens of all rows that are learned.
    pub(super) fn answers(&self) -> f64 {
        self.rows as f64 * self.answer as f64
    }

    /// Tokens of a row.
    fn of_row(&self, tokens: Tokens) -> usize {
        match tokens {
            Tokens::All => self.width,
            Tokens::Prompt => self.width.saturating_sub(self.answer).max(1),
            // The one that begins it comes first.
            Tokens::Answer => self.answer.saturating_add(1),
        }
    }

    /// Numbers that are kept of all rows.
    fn numbers(&self, kept: PerToken) -> f64 {
        let of = |(tokens, numbers)| self.of_row(tokens) as f64 * numbers as f64;
        self.rows as f64 * kept.each().map(of).iter().sum::<f64>()
    }

    /// Scores of a head, of all rows.
    fn scores(&self, attention: &Attention) -> f64 {
        let queries = self.of_row(attention.queries);
        let keys = match attention.queries {
            Tokens::All => keys_a_query(queries),
            _ => self.of_row(attention.keys) as f64,
        };
        self.rows as f64 * queries as f64 * keys
    }
}

impl Trained {
    /// An adapter on a model.
    ///
    /// # Errors
    /// When a target names no layer.
    pub(super) fn adapter(shape: &Shape, lora: &LoraConfig) -> Result<Self> {
        let param = |product: &Product| Param {
            name: format!("{}.weight", product.name),
            shape: vec![product.out, product.input],
            kind: ParamKind::Base,
        };
        let params: Vec<Param> = shape.products.iter().map(param).collect();
        let (_, layers) = Adapter::layers(&params, lora, shape.query_and_value)?;
        let (mut entries, mut kept, mut weights) = (0, PerToken::default(), 0);
        let mut held = Vec::new();
        let adapted = |product: &&Product| layers.iter().any(|(layer, _)| *layer == product.name);
        for product in shape.products.iter().filter(adapted) {
            let input = product.input;
            entries = lora.rank.saturating_mul(input + product.out).saturating_add(entries);
            weights += input * product.out;
            kept.add(product.tokens, lora.rank);
            if lora.dropout > 0.0 {
                // Each has an input of its own, and the mask that it was made with.
                kept.add(product.tokens, 2 * input);
            } else if !held.contains(&product.reads) {
                held.push(product.reads);
                kept.add(product.tokens, input);
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

/// Bytes that a pass keeps, with the logits of the learned tokens and their gradient.
pub(super) fn kept(shape: &Shape, trained: &Trained, batch: &Batch, vocabulary: usize) -> f64 {
    let inputs = match trained {
        Trained::Whole => shape.inputs(),
        Trained::Adapter { kept, .. } => *kept,
    };
    let scores: f64 = shape.attention.iter().map(|attention| batch.scores(attention)).sum();
    F32 * (batch.numbers(inputs)
        + batch.numbers(shape.kept)
        + shape.heads as f64 * scores
        + 2.0 * batch.answers() * vocabulary as f64)
}

/// Bytes that a pass without a gradient needs at once: what one layer computes.
pub(super) fn passing(shape: &Shape, rows: usize, width: usize) -> f64 {
    let heads = 2 * (shape.heads + 2 * shape.groups);
    let inside = (shape.gates + 1) * shape.inside;
    let a_token = (4 * shape.width + heads * shape.head_width + inside) as f64;
    // The mask is there once more.
    let scores = (shape.heads + 1) as f64 * width as f64;
    F32 * rows as f64 * width as f64 * (a_token + scores)
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
    use orbit_models::{DecoderConfig, T5Config};

    use super::*;

    /// Two layers of two heads in one group.
    fn shape() -> Shape {
        Shape::from(&DecoderConfig {
            vocab_size: 100,
            hidden_size: 8,
            intermediate_size: 16,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            num_key_value_heads: 1,
            head_dim: 4,
            ..DecoderConfig::default()
        })
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
        let bytes = kept(&shape(), &Trained::Whole, &batch, 100);
        assert!((bytes - 4.0 * f64::from(numbers)).abs() < 1e-6, "{bytes}");
    }

    /// One block each, of three heads of 4, which are wider than the stream of 8.
    #[test]
    fn so_it_is_where_prompts_and_answers_are_apart() {
        let shape = Shape::from(&T5Config {
            vocab_size: 100,
            d_model: 8,
            d_kv: 4,
            d_ff: 16,
            num_layers: 1,
            num_decoder_layers: 1,
            num_heads: 3,
            ..T5Config::default()
        });
        let batch = Batch::new(2, Texts { width: 12, answer: 5 });
        // Seven tokens of the prompt: what products read, norms, queries, keys and values, the activation; and for the decoder
        // the end with its keys and values.
        let prompt = 7 * ((8 + 12 + 8 + 16) + 16 + 36 + 16 + (8 + 24));
        let answer = 6 * ((8 + 12 + 8 + 12 + 8 + 16) + 24 + 48 + 16);
        let numbers = 2 * (prompt + answer) + 3 * 2 * (7 * 7 + 6 * 6 + 6 * 7) + 2 * 2 * 5 * 100;
        let bytes = kept(&shape, &Trained::Whole, &batch, 100);
        assert!((bytes - 4.0 * f64::from(numbers)).abs() < 1e-6, "{bytes}");
    }

    #[test]
    fn adapters_keep_their_inputs_once() {
        let adapter = |lora: LoraConfig| Trained::adapter(&shape(), &LoraConfig { rank: 3, ..lora });
        let targets = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let all = |numbers| PerToken::of(Tokens::All, numbers);
        // Queries are 8 of 8, values 4 of 8; both read the same.
        let usual = Trained::Adapter { entries: 2 * 3 * (16 + 12), kept: all(2 * (8 + 3 + 3)), weights: 2 * (64 + 32) };
        assert_eq!(adapter(LoraConfig::default()).unwrap(), usual);
        // With dropout each reads what is left of it, and has the mask.
        let dropped = Trained::Adapter { entries: 168, kept: all(2 * 2 * (2 * 8 + 3)), weights: 192 };
        assert_eq!(adapter(LoraConfig { dropout: 0.1, ..LoraConfig::default() }).unwrap(), dropped);
        let down = Trained::Adapter { entries: 3 * (16 + 8), kept: all(16 + 3), weights: 128 };
        let one = LoraConfig { targets: targets(&["model.layers.1.mlp.down_proj"]), ..LoraConfig::default() };
        assert_eq!(adapter(one).unwrap(), down);
        assert!(adapter(LoraConfig { targets: targets(&["nothing"]), ..LoraConfig::default() }).is_err());
    }
}

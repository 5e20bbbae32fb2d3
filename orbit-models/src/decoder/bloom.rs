//! The stack of BLOOM and BLOOMZ, and what it is made of.
//!
//! Shapes: B rows, T tokens, S keys seen, D hidden, H heads, K head. Weights keep the layout of the checkpoint, `[out, in]`, and
//! the fields its names.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use orbit_core::kernel::{Alibi, Bias, Scores, attend_scored, gelu, split_part};
use orbit_core::{Input, Trace};

use super::{Pass, Stack};
use crate::DecoderConfig;
use crate::cache::{KeysValues, append};
use crate::layer_norm::LayerNorm;
use crate::linear::{Linear, Source};

/// Attention with linear biases, whose queries, keys and values come from one layer.
#[derive(Module, Debug)]
struct Attention {
    /// `[H · 3 · K, D]`: the query, key and value of the first head, then those of the next.
    query_key_value: Linear,
    dense: Linear,
    heads: usize,
}

impl Attention {
    fn new(source: &mut Source<'_>, name: &str, config: &DecoderConfig, device: &Device) -> Self {
        let d = config.hidden_size;
        Self {
            query_key_value: Linear::with_bias(source, &format!("{name}.query_key_value"), 3 * d, d, device),
            dense: Linear::with_bias(source, &format!("{name}.dense"), d, d, device),
            heads: config.num_attention_heads,
        }
    }

    fn forward(
        &self,
        x_btd: Tensor<3>,
        alibi: &Alibi,
        input: &Input,
        (cache, trace): (Option<&mut Option<KeysValues>>, &mut Trace),
    ) -> Tensor<3> {
        let joined = self.query_key_value.forward(x_btd, input);
        let [q_bhtk, k_bhtk, v_bhtk] = [0, 1, 2].map(|part| split_part(joined.clone(), self.heads, part, 3));
        let (k_bhsk, v_bhsk) = append(cache, (k_bhtk, v_bhtk));
        let [_, _, _, k] = q_bhtk.dims();
        let scores = Scores { scale: (k as f32).sqrt().recip(), bias: Bias::Alibi(alibi.clone()) };
        let found = trace.heads(attend_scored(q_bhtk, k_bhsk, v_bhsk, &input.mask, &scores));
        trace.attn_out(self.dense.forward(found, input))
    }
}

/// The feed-forward layer.
#[derive(Module, Debug)]
struct FeedForward {
    dense_h_to_4h: Linear,
    dense_4h_to_h: Linear,
}

impl FeedForward {
    fn new(source: &mut Source<'_>, name: &str, config: &DecoderConfig, device: &Device) -> Self {
        let (d, wide) = (config.hidden_size, config.intermediate_size);
        Self {
            dense_h_to_4h: Linear::with_bias(source, &format!("{name}.dense_h_to_4h"), wide, d, device),
            dense_4h_to_h: Linear::with_bias(source, &format!("{name}.dense_4h_to_h"), d, wide, device),
        }
    }

    fn forward(&self, x_btd: Tensor<3>, input: &Input) -> Tensor<3> {
        self.dense_4h_to_h.forward(gelu(self.dense_h_to_4h.forward(x_btd, input)), input)
    }
}

/// A pre-norm block: x + attention(norm(x)), then x + feed-forward(norm(x)).
#[derive(Module, Debug)]
struct Block {
    input_layernorm: LayerNorm,
    self_attention: Attention,
    post_attention_layernorm: LayerNorm,
    mlp: FeedForward,
}

impl Block {
    fn new(source: &mut Source<'_>, name: &str, config: &DecoderConfig, device: &Device) -> Self {
        let (d, epsilon) = (config.hidden_size, config.norm_eps);
        let after = format!("{name}.post_attention_layernorm");
        Self {
            input_layernorm: LayerNorm::new(source, &format!("{name}.input_layernorm"), d, epsilon, device),
            self_attention: Attention::new(source, &format!("{name}.self_attention"), config, device),
            post_attention_layernorm: LayerNorm::new(source, &after, d, epsilon, device),
            mlp: FeedForward::new(source, &format!("{name}.mlp"), config, device),
        }
    }

    fn forward(
        &self,
        x_btd: Tensor<3>,
        alibi: &Alibi,
        input: &Input,
        (cache, trace): (Option<&mut Option<KeysValues>>, &mut Trace),
    ) -> Tensor<3> {
        let normed = self.input_layernorm.forward(x_btd.clone());
        let x_btd = x_btd + self.self_attention.forward(normed, alibi, input, (cache, &mut *trace));
        let fed = self.mlp.forward(self.post_attention_layernorm.forward(x_btd.clone()), input);
        trace.out(x_btd + fed)
    }
}

/// Token embedding and its norm, blocks, and a norm.
#[derive(Module, Debug)]
pub(super) struct Bloom {
    word_embeddings: Linear,
    word_embeddings_layernorm: LayerNorm,
    h: Vec<Block>,
    ln_f: LayerNorm,
    heads: usize,
}

impl Bloom {
    pub(super) fn new(source: &mut Source<'_>, config: &DecoderConfig, device: &Device) -> Self {
        let (rows, d, epsilon) = (config.vocab_size, config.hidden_size, config.norm_eps);
        let embedding_norm = "transformer.word_embeddings_layernorm";
        Self {
            word_embeddings: Linear::new(source, "transformer.word_embeddings", rows, d, device),
            word_embeddings_layernorm: LayerNorm::new(source, embedding_norm, d, epsilon, device),
            h: (0..config.num_hidden_layers)
                .map(|layer| Block::new(source, &format!("transformer.h.{layer}"), config, device))
                .collect(),
            ln_f: LayerNorm::new(source, "transformer.ln_f", d, epsilon, device),
            heads: config.num_attention_heads,
        }
    }

    pub(super) fn embedding_mut(&mut self) -> &mut Linear {
        &mut self.word_embeddings
    }
}

impl Stack for Bloom {
    fn embedding(&self) -> &Linear {
        &self.word_embeddings
    }

    fn begin(&self, x_btd: Tensor<3>) -> Tensor<3> {
        self.word_embeddings_layernorm.forward(x_btd)
    }

    fn blocks(&self, layers: Range<usize>, mut x_btd: Tensor<3>, input: &Input, pass: Pass<'_>) -> Tensor<3> {
        let Pass { mut cache, trace } = pass;
        let keys = cache.as_ref().map(|cache| cache.positions());
        let alibi = Alibi::new(self.heads, &input.positions, keys.as_ref().unwrap_or(&input.positions));
        for index in layers {
            trace.layer(index);
            let kept = cache.as_mut().map(|cache| cache.layer(index));
            x_btd = self.h[index].forward(x_btd, &alibi, input, (kept, &mut *trace));
        }
        x_btd
    }

    fn project(&self, layer: usize, found: Tensor<3>, input: &Input) -> Tensor<3> {
        self.h[layer].self_attention.dense.forward(found, input)
    }

    fn end(&self, x_btd: Tensor<3>) -> Tensor<3> {
        self.ln_f.forward(x_btd)
    }
}

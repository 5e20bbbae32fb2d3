//! The blocks of both stacks, and what they are made of.
//!
//! Shapes: B rows, T queries, S keys seen, D model, H heads, K head. Weights keep the layout of the checkpoint, `[out, in]`,
//! and the fields its names.

#![allow(non_snake_case, reason = "fields have the checkpoint's names")]

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use orbit_core::kernel::{Bias, Mask, Scores, attend_scored, geglu, relu, rms_norm, split_heads};
use orbit_core::{Input, Trace};

use super::config::{FeedForwardProj, T5Config};
use crate::cache::{KeysValues, append};
use crate::linear::{Linear, Source};

/// [`rms_norm`] with its weight: no mean is taken off, and there is no bias.
#[derive(Module, Debug)]
pub(super) struct LayerNorm {
    weight: Param<Tensor<1>>,
    epsilon: f32,
}

impl LayerNorm {
    pub(super) fn new(source: &mut Source<'_>, name: &str, config: &T5Config, device: &Device) -> Self {
        let shape = [config.d_model];
        let data = TensorData::new(source(&format!("{name}.weight"), &shape), shape);
        Self { weight: Param::from_tensor(Tensor::from_data(data, device)), epsilon: config.layer_norm_epsilon as f32 }
    }

    pub(super) fn forward(&self, x_btd: Tensor<3>) -> Tensor<3> {
        rms_norm(x_btd, self.weight.val(), self.epsilon)
    }
}

/// What the queries of a stack see of some keys, and how relative positions score them.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) mask: Mask,
    /// Scores are not divided by √K, which the weights are made for.
    pub(super) scores: Scores,
}

impl View {
    pub(super) fn new(mask: Mask, bias: Bias) -> Self {
        Self { mask, scores: Scores { scale: 1.0, bias } }
    }
}

/// softmax(q kᵀ + bias) v, heads joined.
#[derive(Module, Debug)]
pub(super) struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    /// `[buckets, H]`; in the first block of a stack, which lends it to the others.
    pub(super) relative_attention_bias: Option<Linear>,
    heads: usize,
}

impl Attention {
    fn new(source: &mut Source<'_>, name: &str, config: &T5Config, positions: bool, device: &Device) -> Self {
        let (d, heads) = (config.d_model, config.num_heads);
        let (inner, buckets) = (heads * config.d_kv, config.relative_attention_num_buckets);
        let mut linear = |part: &str, out, input| Linear::new(source, &format!("{name}.{part}"), out, input, device);
        Self {
            q: linear("q", inner, d),
            k: linear("k", inner, d),
            v: linear("v", inner, d),
            o: linear("o", d, inner),
            relative_attention_bias: positions.then(|| linear("relative_attention_bias", buckets, heads)),
            heads,
        }
    }

    /// `[B, H, S, K]` each.
    fn keys_values(&self, x_bsd: Tensor<3>, input: &Input) -> KeysValues {
        let split = |x| split_heads(x, self.heads, None);
        (split(self.k.forward(x_bsd.clone(), input)), split(self.v.forward(x_bsd, input)))
    }

    pub(super) fn project(&self, found: Tensor<3>, input: &Input) -> Tensor<3> {
        self.o.forward(found, input)
    }

    fn forward(
        &self,
        x_btd: Tensor<3>,
        (k_bhsk, v_bhsk): KeysValues,
        view: &View,
        input: &Input,
        trace: &mut Trace,
    ) -> Tensor<3> {
        let q_bhtk = split_heads(self.q.forward(x_btd, input), self.heads, None);
        let found = trace.heads(attend_scored(q_bhtk, k_bhsk, v_bhsk, &view.mask, &view.scores));
        trace.attn_out(self.project(found, input))
    }
}

/// x + attention(norm(x)) over the stack's own tokens.
#[derive(Module, Debug)]
pub(super) struct SelfAttention {
    pub(super) SelfAttention: Attention,
    layer_norm: LayerNorm,
}

impl SelfAttention {
    fn new(source: &mut Source<'_>, name: &str, config: &T5Config, positions: bool, device: &Device) -> Self {
        Self {
            SelfAttention: Attention::new(source, &format!("{name}.SelfAttention"), config, positions, device),
            layer_norm: LayerNorm::new(source, &format!("{name}.layer_norm"), config, device),
        }
    }

    /// Puts the keys and values of the tokens behind those in `cache`.
    fn forward(
        &self,
        x_btd: Tensor<3>,
        view: &View,
        (cache, trace): (Option<&mut Option<KeysValues>>, &mut Trace),
        input: &Input,
    ) -> Tensor<3> {
        let normed = self.layer_norm.forward(x_btd.clone());
        let keys_values = append(cache, self.SelfAttention.keys_values(normed.clone(), input));
        x_btd + self.SelfAttention.forward(normed, keys_values, view, input, trace)
    }
}

/// x + attention(norm(x)) over what the encoder has made of the prompt.
#[derive(Module, Debug)]
pub(super) struct CrossAttention {
    EncDecAttention: Attention,
    layer_norm: LayerNorm,
}

impl CrossAttention {
    fn new(source: &mut Source<'_>, name: &str, config: &T5Config, device: &Device) -> Self {
        Self {
            EncDecAttention: Attention::new(source, &format!("{name}.EncDecAttention"), config, false, device),
            layer_norm: LayerNorm::new(source, &format!("{name}.layer_norm"), config, device),
        }
    }

    fn forward(&self, x_btd: Tensor<3>, memory: KeysValues, view: &View, input: &Input) -> Tensor<3> {
        let normed = self.layer_norm.forward(x_btd.clone());
        x_btd + self.EncDecAttention.forward(normed, memory, view, input, &mut Trace::default())
    }
}

/// The feed-forward layer in either form, see [`FeedForwardProj`].
#[derive(Module, Debug)]
struct Dense {
    wi: Option<Linear>,
    wi_0: Option<Linear>,
    wi_1: Option<Linear>,
    wo: Linear,
}

impl Dense {
    fn new(source: &mut Source<'_>, name: &str, config: &T5Config, device: &Device) -> Self {
        let (d, wide) = (config.d_model, config.d_ff);
        let gated = config.feed_forward_proj == FeedForwardProj::GatedGelu;
        let mut linear = |part: &str, out, input| Linear::new(source, &format!("{name}.{part}"), out, input, device);
        Self {
            wi: (!gated).then(|| linear("wi", wide, d)),
            wi_0: gated.then(|| linear("wi_0", wide, d)),
            wi_1: gated.then(|| linear("wi_1", wide, d)),
            wo: linear("wo", d, wide),
        }
    }

    fn forward(&self, x_btd: Tensor<3>, input: &Input) -> Tensor<3> {
        let inner = match (&self.wi, &self.wi_0, &self.wi_1) {
            (Some(wi), ..) => relu(wi.forward(x_btd, input)),
            (None, Some(gate), Some(up)) => geglu(gate.forward(x_btd.clone(), input), up.forward(x_btd, input)),
            _ => unreachable!("a feed-forward layer is made in one of two forms"),
        };
        self.wo.forward(inner, input)
    }
}

/// x + feed-forward(norm(x)).
#[derive(Module, Debug)]
pub(super) struct FeedForward {
    DenseReluDense: Dense,
    layer_norm: LayerNorm,
}

impl FeedForward {
    fn new(source: &mut Source<'_>, name: &str, config: &T5Config, device: &Device) -> Self {
        Self {
            DenseReluDense: Dense::new(source, &format!("{name}.DenseReluDense"), config, device),
            layer_norm: LayerNorm::new(source, &format!("{name}.layer_norm"), config, device),
        }
    }

    fn forward(&self, x_btd: Tensor<3>, input: &Input) -> Tensor<3> {
        x_btd.clone() + self.DenseReluDense.forward(self.layer_norm.forward(x_btd), input)
    }
}

/// A block of the encoder.
#[derive(Module, Debug)]
pub(super) struct EncoderBlock {
    pub(super) layer: (SelfAttention, FeedForward),
}

impl EncoderBlock {
    pub(super) fn new(
        source: &mut Source<'_>,
        name: &str,
        config: &T5Config,
        positions: bool,
        device: &Device,
    ) -> Self {
        let attention = SelfAttention::new(source, &format!("{name}.layer.0"), config, positions, device);
        Self { layer: (attention, FeedForward::new(source, &format!("{name}.layer.1"), config, device)) }
    }

    pub(super) fn forward(&self, x_btd: Tensor<3>, view: &View, input: &Input, trace: &mut Trace) -> Tensor<3> {
        let (attention, feed_forward) = &self.layer;
        let x_btd = attention.forward(x_btd, view, (None, &mut *trace), input);
        trace.out(feed_forward.forward(x_btd, input))
    }
}

/// A block of the decoder.
#[derive(Module, Debug)]
pub(super) struct DecoderBlock {
    pub(super) layer: (SelfAttention, CrossAttention, FeedForward),
}

impl DecoderBlock {
    pub(super) fn new(
        source: &mut Source<'_>,
        name: &str,
        config: &T5Config,
        positions: bool,
        device: &Device,
    ) -> Self {
        let attention = SelfAttention::new(source, &format!("{name}.layer.0"), config, positions, device);
        let cross = CrossAttention::new(source, &format!("{name}.layer.1"), config, device);
        Self { layer: (attention, cross, FeedForward::new(source, &format!("{name}.layer.2"), config, device)) }
    }

    /// The keys and values that this block's cross-attention takes from the encoder's result.
    pub(super) fn memory(&self, encoded_bsd: Tensor<3>, input: &Input) -> KeysValues {
        self.layer.1.EncDecAttention.keys_values(encoded_bsd, input)
    }

    pub(super) fn forward(
        &self,
        x_btd: Tensor<3>,
        (own, own_view): (&mut Option<KeysValues>, &View),
        (memory, memory_view): (KeysValues, &View),
        input: &Input,
    ) -> Tensor<3> {
        let (attention, cross, feed_forward) = &self.layer;
        let x_btd = attention.forward(x_btd, own_view, (Some(own), &mut Trace::default()), input);
        feed_forward.forward(cross.forward(x_btd, memory, memory_view, input), input)
    }
}

//! The stack of the Llama family, and what it is made of.
//!
//! Shapes: B rows, T tokens, S keys seen, D hidden, H heads, G groups, K head. Weights keep the layout of the checkpoint,
//! `[out, in]`, and the fields its names.

use std::ops::Range;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use orbit_core::kernel::{Rope, attend, rms_norm, split_heads, swiglu};
use orbit_core::{Input, Trace};

use super::{Pass, Stack};
use crate::DecoderConfig;
use crate::cache::{KeysValues, append};
use crate::linear::{Linear, Source};

/// [`rms_norm`] with its weight.
#[derive(Module, Debug)]
struct RmsNorm {
    weight: Param<Tensor<1>>,
    epsilon: f32,
}

impl RmsNorm {
    fn new(source: &mut Source<'_>, name: &str, config: &DecoderConfig, device: &Device) -> Self {
        let shape = [config.hidden_size];
        let data = TensorData::new(source(&format!("{name}.weight"), &shape), shape);
        Self { weight: Param::from_tensor(Tensor::from_data(data, device)), epsilon: config.norm_eps as f32 }
    }

    fn forward(&self, x_btd: Tensor<3>) -> Tensor<3> {
        rms_norm(x_btd, self.weight.val(), self.epsilon)
    }
}

/// Grouped-query attention with rotary positions.
#[derive(Module, Debug)]
struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    heads: usize,
    groups: usize,
}

impl Attention {
    fn new(source: &mut Source<'_>, name: &str, config: &DecoderConfig, device: &Device) -> Self {
        let (d, k) = (config.hidden_size, config.head_dim);
        let (heads, groups) = (config.num_attention_heads, config.num_key_value_heads);
        Self {
            q_proj: Linear::new(source, &format!("{name}.q_proj"), heads * k, d, device),
            k_proj: Linear::new(source, &format!("{name}.k_proj"), groups * k, d, device),
            v_proj: Linear::new(source, &format!("{name}.v_proj"), groups * k, d, device),
            o_proj: Linear::new(source, &format!("{name}.o_proj"), d, heads * k, device),
            heads,
            groups,
        }
    }

    fn forward(
        &self,
        x_btd: Tensor<3>,
        rope: &Rope,
        input: &Input,
        (cache, trace): (Option<&mut Option<KeysValues>>, &mut Trace),
    ) -> Tensor<3> {
        let q_bhtk = split_heads(self.q_proj.forward(x_btd.clone(), input), self.heads, Some(rope));
        let k_bgtk = split_heads(self.k_proj.forward(x_btd.clone(), input), self.groups, Some(rope));
        let v_bgtk = split_heads(self.v_proj.forward(x_btd, input), self.groups, None);
        let (k_bgsk, v_bgsk) = append(cache, (k_bgtk, v_bgtk));
        let found = trace.heads(attend(q_bhtk, k_bgsk, v_bgsk, &input.mask));
        trace.attn_out(self.o_proj.forward(found, input))
    }
}

/// The gated feed-forward layer.
#[derive(Module, Debug)]
struct FeedForward {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

impl FeedForward {
    fn new(source: &mut Source<'_>, name: &str, config: &DecoderConfig, device: &Device) -> Self {
        let (d, wide) = (config.hidden_size, config.intermediate_size);
        Self {
            gate_proj: Linear::new(source, &format!("{name}.gate_proj"), wide, d, device),
            up_proj: Linear::new(source, &format!("{name}.up_proj"), wide, d, device),
            down_proj: Linear::new(source, &format!("{name}.down_proj"), d, wide, device),
        }
    }

    fn forward(&self, x_btd: Tensor<3>, input: &Input) -> Tensor<3> {
        let (gate, up) = (self.gate_proj.forward(x_btd.clone(), input), self.up_proj.forward(x_btd, input));
        self.down_proj.forward(swiglu(gate, up), input)
    }
}

/// A pre-norm block: x + attention(norm(x)), then x + feed-forward(norm(x)).
#[derive(Module, Debug)]
struct Layer {
    self_attn: Attention,
    mlp: FeedForward,
    input_layernorm: RmsNorm,
    post_attention_layernorm: RmsNorm,
}

impl Layer {
    fn new(source: &mut Source<'_>, name: &str, config: &DecoderConfig, device: &Device) -> Self {
        Self {
            self_attn: Attention::new(source, &format!("{name}.self_attn"), config, device),
            mlp: FeedForward::new(source, &format!("{name}.mlp"), config, device),
            input_layernorm: RmsNorm::new(source, &format!("{name}.input_layernorm"), config, device),
            post_attention_layernorm: RmsNorm::new(source, &format!("{name}.post_attention_layernorm"), config, device),
        }
    }

    fn forward(
        &self,
        x_btd: Tensor<3>,
        rope: &Rope,
        input: &Input,
        (cache, trace): (Option<&mut Option<KeysValues>>, &mut Trace),
    ) -> Tensor<3> {
        let normed = self.input_layernorm.forward(x_btd.clone());
        let x_btd = x_btd + self.self_attn.forward(normed, rope, input, (cache, &mut *trace));
        let fed = self.mlp.forward(self.post_attention_layernorm.forward(x_btd.clone()), input);
        trace.out(x_btd + fed)
    }
}

/// Token embedding, blocks, and a norm.
#[derive(Module, Debug)]
pub(super) struct Llama {
    embed_tokens: Linear,
    layers: Vec<Layer>,
    norm: RmsNorm,
    head_dim: usize,
    rope_theta: f64,
}

impl Llama {
    pub(super) fn new(source: &mut Source<'_>, config: &DecoderConfig, device: &Device) -> Self {
        Self {
            embed_tokens: Linear::new(source, "model.embed_tokens", config.vocab_size, config.hidden_size, device),
            layers: (0..config.num_hidden_layers)
                .map(|layer| Layer::new(source, &format!("model.layers.{layer}"), config, device))
                .collect(),
            norm: RmsNorm::new(source, "model.norm", config, device),
            head_dim: config.head_dim,
            rope_theta: config.rope_theta,
        }
    }

    pub(super) fn embedding_mut(&mut self) -> &mut Linear {
        &mut self.embed_tokens
    }
}

impl Stack for Llama {
    fn embedding(&self) -> &Linear {
        &self.embed_tokens
    }

    fn begin(&self, x_btd: Tensor<3>) -> Tensor<3> {
        x_btd
    }

    fn blocks(&self, layers: Range<usize>, mut x_btd: Tensor<3>, input: &Input, pass: Pass<'_>) -> Tensor<3> {
        let Pass { mut cache, trace } = pass;
        let rope = Rope::new(&input.positions, self.head_dim, self.rope_theta);
        for index in layers {
            trace.layer(index);
            let kept = cache.as_mut().map(|cache| cache.layer(index));
            x_btd = self.layers[index].forward(x_btd, &rope, input, (kept, &mut *trace));
        }
        x_btd
    }

    fn project(&self, layer: usize, found: Tensor<3>, input: &Input) -> Tensor<3> {
        self.layers[layer].self_attn.o_proj.forward(found, input)
    }

    fn end(&self, x_btd: Tensor<3>) -> Tensor<3> {
        self.norm.forward(x_btd)
    }
}

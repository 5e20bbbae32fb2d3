//! What a prompt's answer is worth with one head's finding replaced, for every head, at little more than the cost of reading the
//! prompt.
//!
//! A change at the prompt's last token reaches that token from its layer on, and what comes after it; nothing before. So the
//! tokens before are read once and their keys and values kept. The last token and the answer, the *suffix*, stand behind them
//! once as they are and once for every head: variants in one row, which do not see each other. A variant begins at the layer
//! of its head, from the residual stream of the suffix as it is.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use orbit_core::kernel::{Mask, log_likelihood};
use orbit_core::{At, Input, Model, Trace};

use super::{Cache, Decoder, Pass};
use crate::instruction_vector::HeadMeans;
use crate::instruction_vector::effect::{per_row, replacement};

/// Tokens a row, at most, but at least one variant: the mask grows with their square.
const WIDEST: usize = 512;

/// log P of each token of the answer.
pub(crate) struct Replaced {
    pub(crate) clean: Vec<f64>,
    /// Layer by layer, head by head.
    pub(crate) replaced: Vec<Vec<f64>>,
    /// Tokens times layers that were computed, over the layers.
    pub(crate) token_forwards: f64,
}

/// The tokens that all variants share, and where the variants stand.
struct Prefix {
    cache: Cache,
    length: usize,
    /// Tokens of the prompt's end and of the answer but its last.
    suffix: usize,
}

impl Decoder {
    /// The answer's log-likelihoods with ā(l, h) in the place of what head h of layer l has found at the prompt's last token, for
    /// every head. The prompt has two tokens at least. What the model is steered by is left out.
    pub(crate) fn with_each_head_replaced(&self, prompt: &[u32], answer: &[u32], means: &HeadMeans) -> Replaced {
        let (layers, heads) = (self.config.num_hidden_layers, self.config.num_attention_heads);
        let (before, end) = prompt.split_at(prompt.len() - 1);
        let suffix = [end, &answer[..answer.len() - 1]].concat();
        let mut cache = Cache::default();
        let first = Input::rows(before.to_vec(), 1, before.len()).with_answers(vec![0]);
        self.run(&first, Some(&mut cache), &mut Trace::default());
        let prefix = Prefix { cache, length: before.len(), suffix: suffix.len() };
        let streams = self.streams(&prefix, &suffix);
        let clean = self.answer_scores(streams[layers].clone(), answer);
        let mut token_forwards = (before.len() + suffix.len()) as f64;
        let all: Vec<(usize, usize)> = (0..layers).flat_map(|l| (0..heads).map(move |h| (l, h))).collect();
        let mut replaced = Vec::with_capacity(all.len());
        for some in all.chunks((WIDEST / suffix.len()).max(1)) {
            let steps: usize = some.iter().map(|(layer, _)| layers - layer).sum();
            token_forwards += (steps * suffix.len()) as f64 / layers as f64;
            replaced.extend(self.answer_scores(self.variants(&prefix, &streams, some, means), answer));
        }
        Replaced { clean: clean.concat(), replaced, token_forwards }
    }

    /// The residual stream of the suffix before every layer, and behind the last.
    fn streams(&self, prefix: &Prefix, suffix: &[u32]) -> Vec<Tensor<3>> {
        let input = Input { tokens: suffix.to_vec(), ..prefix.input(1) };
        let mut streams = vec![self.stack().begin(self.embed(&input))];
        for layer in 0..self.config.num_hidden_layers {
            streams.push(self.layer_behind(prefix, layer, streams[layer].clone(), 1, &mut Trace::default()));
        }
        streams
    }

    /// The residual stream behind the last layer of variants in which the given heads, in order, are replaced.
    fn variants(
        &self,
        prefix: &Prefix,
        streams: &[Tensor<3>],
        heads: &[(usize, usize)],
        means: &HeadMeans,
    ) -> Tensor<3> {
        let device = streams[0].device();
        let (mut x, mut begun): (Option<Tensor<3>>, usize) = (None, 0);
        let first = heads[0].0;
        let layers = self.config.num_hidden_layers;
        for (layer, stream) in streams.iter().enumerate().take(layers).skip(first) {
            let new: Vec<usize> = heads.iter().filter(|(l, _)| *l == layer).map(|(_, head)| *head).collect();
            let fresh = vec![stream.clone(); new.len()];
            let joined: Vec<Tensor<3>> = x.into_iter().chain(fresh).collect();
            let mut trace = self.replacing(prefix, layer, (&new, begun), means, &device);
            begun += new.len();
            x = Some(self.layer_behind(prefix, layer, Tensor::cat(joined, 1), begun, &mut trace));
        }
        x.unwrap_or_else(|| streams[0].clone())
    }

    /// A trace that replaces heads of a layer, each in a variant of its own, of which `begun` stand before.
    fn replacing(
        &self,
        prefix: &Prefix,
        layer: usize,
        (heads, begun): (&[usize], usize),
        means: &HeadMeans,
        device: &Device,
    ) -> Trace {
        let change = |(at, &head): (usize, &usize)| {
            let place = ((begun + at) * prefix.suffix) as u32;
            replacement(means, layer, head, At::Tokens(vec![place]), device)
        };
        Trace::new(Vec::new(), heads.iter().enumerate().map(change).collect())
    }

    /// A layer over variants that stand behind the prefix.
    fn layer_behind(
        &self,
        prefix: &Prefix,
        layer: usize,
        x_btd: Tensor<3>,
        variants: usize,
        trace: &mut Trace,
    ) -> Tensor<3> {
        let input = prefix.input(variants);
        let mut cache = Cache::default();
        *cache.layer(layer) = prefix.cache.layers.get(layer).cloned().flatten();
        cache.positions = prefix.cache.positions.clone();
        cache.expect(&input);
        trace.begin(self.sites(), 1, input.width, std::iter::once(None));
        let pass = Pass { cache: Some(&mut cache), trace };
        self.stack().blocks(layer..layer + 1, x_btd, &input, pass)
    }

    fn answer_scores(&self, stream: Tensor<3>, answer: &[u32]) -> Vec<Vec<f64>> {
        let hidden = self.stack().end(stream);
        let [_, tokens, d] = hidden.dims();
        let logits = self.logits(hidden.reshape([tokens, d]));
        per_row(log_likelihood(logits, &answer.repeat(tokens / answer.len())), answer.len())
    }
}

impl Prefix {
    /// So many variants behind the prefix, each of which sees the prefix and itself.
    fn input(&self, variants: usize) -> Input {
        let (width, keys) = (variants * self.suffix, self.length + variants * self.suffix);
        let mut mask = vec![f32::NEG_INFINITY; width * keys];
        for (token, row) in mask.chunks_exact_mut(keys).enumerate() {
            let own = self.length + token / self.suffix * self.suffix;
            row[..self.length].fill(0.0);
            row[own..=self.length + token].fill(0.0);
        }
        let positions = (0..width).map(|token| (self.length + token % self.suffix) as u32).collect();
        Input {
            positions,
            mask: Mask::Additive(Arc::from(mask)),
            ..Input::rows(Vec::new(), 1, width).with_answers(vec![0])
        }
    }
}

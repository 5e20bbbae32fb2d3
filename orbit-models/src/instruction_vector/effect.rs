//! What each head does for the right answer.

use burn::tensor::{Device, Tensor, TensorData};
use orbit_core::hook::Site;
use orbit_core::kernel::log_likelihood;
use orbit_core::{At, Change, Error, Input, Model, Result, Sites, Trace, pick};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::means::check;
use super::{HeadMeans, Prompt};
use crate::LanguageModel;

/// What counts as an effect of putting ā(l, h) in a head's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// By how much the probability of the answer's first token rises (Todd et al.; with labels shuffled in the prompts).
    #[default]
    Probability,
    /// By how much the log-likelihood of the whole answer rises, in nats (the successor; with prompts that show no example).
    LogLikelihood,
}

/// Means over prompts.
#[derive(Clone, Debug, PartialEq)]
pub struct Effects {
    /// `[layers][heads]`.
    pub heads: Vec<Vec<f64>>,
    /// Tokens times layers that were computed, over the layers: what a pass over so many tokens costs.
    pub token_forwards: f64,
}

impl Effect {
    /// The tokens of an answer that count.
    fn counted(self, answer: &[u32]) -> &[u32] {
        match self {
            Self::Probability => &answer[..1],
            Self::LogLikelihood => answer,
        }
    }

    /// From the log-likelihoods of the answer's tokens.
    fn score(self, tokens: &[f64]) -> f64 {
        let sum: f64 = tokens.iter().sum();
        match self {
            Self::Probability => sum.exp(),
            Self::LogLikelihood => sum,
        }
    }
}

/// The mean effect of every head.
///
/// Of a decoder, the tokens before the prompt's last are computed once, and for a head of layer l the last token and the answer
/// are computed again from layer l on, all heads together in one row: exact, for a causal model does not let the tokens before
/// see the change. An encoder does, so there every head costs a pass over the whole prompt.
///
/// # Errors
/// As [`head_means`](super::head_means).
pub fn effects(model: &LanguageModel, prompts: &[Prompt], means: &HeadMeans, effect: Effect) -> Result<Effects> {
    let LanguageModel::Decoder(decoder) = model else {
        return effects_by_full_passes(model, prompts, means, effect, 16);
    };
    let sites = check(model, prompts)?;
    let mut sums = Sums::new(&sites);
    for prompt in prompts {
        let answer = effect.counted(&prompt.answer);
        let scores = decoder.with_each_head_replaced(&prompt.tokens, answer, means);
        sums.token_forwards += scores.token_forwards;
        let clean = effect.score(&scores.clean);
        sums.add(scores.replaced.iter().map(|tokens| effect.score(tokens) - clean));
    }
    Ok(sums.mean(prompts.len()))
}

/// As [`effects`], by a forward pass over the whole prompt for every head, `batch` of them at a time: what is done for an
/// encoder, and what the other way is tested against.
///
/// # Errors
/// As [`effects`].
pub fn effects_by_full_passes(
    model: &impl Model,
    prompts: &[Prompt],
    means: &HeadMeans,
    effect: Effect,
    batch: usize,
) -> Result<Effects> {
    let sites = check(model, prompts)?;
    let heads: Vec<(usize, usize)> =
        (0..sites.layers).flat_map(|layer| (0..sites.heads).map(move |head| (layer, head))).collect();
    let mut sums = Sums::new(&sites);
    let device = model.devices().into_iter().next().ok_or_else(|| Error::Input("the model has no parameter".into()))?;
    for prompt in prompts {
        let answer = effect.counted(&prompt.answer);
        let clean = effect.score(&answer_scores(model, prompt, answer, Vec::new(), 1)[0]);
        sums.token_forwards += (prompt.tokens.len() + answer.len() - 1) as f64 * (1 + heads.len()) as f64;
        let mut found = Vec::new();
        for heads in heads.chunks(batch.max(1)) {
            let change = |(row, &(layer, head)): (usize, &(usize, usize))| {
                replacement(means, layer, head, At::PromptEnd(row), &device)
            };
            let changes = heads.iter().enumerate().map(change).collect();
            let tokens = answer_scores(model, prompt, answer, changes, heads.len());
            found.extend(tokens.iter().map(|tokens| effect.score(tokens) - clean));
        }
        sums.add(found.into_iter());
    }
    Ok(sums.mean(prompts.len()))
}

/// ā(l, h) in the place of what a head has found.
pub(crate) fn replacement(means: &HeadMeans, layer: usize, head: usize, at: At, device: &Device) -> Change {
    let mean = means.head(layer, head).to_vec();
    let length = mean.len();
    let vector = Tensor::from_data(TensorData::new(mean, [length]), device);
    Change { site: Site::Head(layer, head), at, keep: 0.0, vector }
}

/// log P of each token of the answer, in `rows` rows of the same prompt and answer.
fn answer_scores(
    model: &impl Model,
    prompt: &Prompt,
    answer: &[u32],
    changes: Vec<Change>,
    rows: usize,
) -> Vec<Vec<f64>> {
    let row = [&prompt.tokens[..], answer].concat();
    let width = row.len();
    let input = Input::rows(row.repeat(rows), rows, width).with_answers(vec![prompt.tokens.len(); rows]);
    let hidden = model.traced(&input, &mut Trace::new(Vec::new(), changes));
    let [_, _, d] = hidden.dims();
    let predictors = |row: usize| row * width + prompt.tokens.len() - 1..(row + 1) * width - 1;
    let positions: Vec<u32> = (0..rows).flat_map(predictors).map(|at| at as u32).collect();
    let logits = model.logits(pick(hidden.reshape([rows * width, d]), &positions));
    per_row(log_likelihood(logits, &answer.repeat(rows)), answer.len())
}

/// Numbers of a device, so many a row.
pub(crate) fn per_row(scores: Tensor<1>, each: usize) -> Vec<Vec<f64>> {
    let scores: Vec<f32> = scores.into_data().convert::<f32>().try_into_vec().unwrap_or_default();
    scores.chunks(each.max(1)).map(|row| row.iter().map(|&x| f64::from(x)).collect()).collect()
}

/// Sums over prompts.
struct Sums {
    heads: Vec<Vec<f64>>,
    token_forwards: f64,
}

impl Sums {
    fn new(sites: &Sites) -> Self {
        Self { heads: vec![vec![0.0; sites.heads]; sites.layers], token_forwards: 0.0 }
    }

    /// The effects of all heads in one prompt, layer by layer.
    fn add(&mut self, effects: impl Iterator<Item = f64>) {
        self.heads.iter_mut().flatten().zip(effects).for_each(|(sum, effect)| *sum += effect);
    }

    fn mean(mut self, prompts: usize) -> Effects {
        self.heads.iter_mut().flatten().for_each(|sum| *sum /= prompts as f64);
        Effects { heads: self.heads, token_forwards: self.token_forwards }
    }
}

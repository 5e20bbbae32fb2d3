//! What heads find at the end of a prompt.

use burn::tensor::{Int, Tensor, TensorData};
use orbit_core::hook::Site;
use orbit_core::{Error, Model, Result, Sites, Trace, check_tokens, pick};

use super::Prompt;
use crate::generate::prompt_rows;

/// ā(l, h) for every head.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadMeans {
    /// `[layers][heads · head width]`.
    pub layers: Vec<Vec<f32>>,
    /// Entries of a head.
    pub head_width: usize,
}

impl HeadMeans {
    /// ā(l, h).
    pub fn head(&self, layer: usize, head: usize) -> &[f32] {
        &self.layers[layer][head * self.head_width..][..self.head_width]
    }
}

/// What a model is about to do at the ends of prompts.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptEnds {
    /// What its heads have found there.
    pub means: HeadMeans,
    /// For each prompt, how many tokens are likelier than the answer's first: 0 where the model would write that.
    pub ranks: Vec<usize>,
}

/// The mean over prompts of what each head has found at the last token, before the output projection. A forward pass over the
/// prompts, `batch` rows at a time; sums are in f64.
///
/// # Errors
/// Without prompts, for an empty one, or a model whose heads cannot be seen.
pub fn head_means(model: &impl Model, prompts: &[Prompt], batch: usize) -> Result<HeadMeans> {
    Ok(prompt_ends(model, prompts, batch)?.means)
}

/// As [`head_means`], and how likely the model is to answer rightly, from the same passes.
///
/// # Errors
/// As [`head_means`].
pub fn prompt_ends(model: &impl Model, prompts: &[Prompt], batch: usize) -> Result<PromptEnds> {
    let sites = check(model, prompts)?;
    let mut sums = vec![vec![0.0_f64; sites.heads * sites.head_width]; sites.layers];
    let mut ranks = vec![0; prompts.len()];
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by_key(|&at| prompts[at].tokens.len());
    for batch in order.chunks(batch.max(1)) {
        let rows: Vec<&[u32]> = batch.iter().map(|&at| prompts[at].tokens.as_slice()).collect();
        let mut trace = Trace::new((0..sites.layers).map(Site::Heads).collect(), Vec::new());
        let hidden = model.traced(&prompt_rows(&rows), &mut trace);
        for (layer, sums) in sums.iter_mut().enumerate() {
            let found = trace.kept(Site::Heads(layer)).ok_or_else(|| unseen(layer))?;
            for row in at_ends(found, &trace).chunks_exact(sums.len()) {
                sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
            }
        }
        let [count, width, entries] = hidden.dims();
        let last: Vec<u32> = rows.iter().enumerate().map(|(at, row)| (at * width + row.len() - 1) as u32).collect();
        let logits = model.logits(pick(hidden.reshape([count * width, entries]), &last));
        let right: Vec<i32> = batch.iter().map(|&at| prompts[at].answer[0] as i32).collect();
        let right = Tensor::<2, Int>::from_data(TensorData::new(right, [count, 1]), &logits.device());
        let likelier = logits.clone().greater(logits.gather(1, right)).int().sum_dim(1);
        for (&at, rank) in batch.iter().zip(likelier.into_data().convert::<i64>().iter::<i64>()) {
            ranks[at] = rank as usize;
        }
    }
    let mean = |sum: f64| (sum / prompts.len() as f64) as f32;
    let layers = sums.into_iter().map(|sums| sums.into_iter().map(mean).collect()).collect();
    Ok(PromptEnds { means: HeadMeans { layers, head_width: sites.head_width }, ranks })
}

fn unseen(layer: usize) -> Error {
    Error::Input(format!("the model does not show what is at {}", Site::Heads(layer)))
}

/// The activation at the end of every prompt, row by row.
fn at_ends(kept: Tensor<3>, trace: &Trace) -> Vec<f32> {
    let [rows, width, entries] = kept.dims();
    let found = pick(kept.reshape([rows * width, entries]), &trace.ends());
    found.into_data().convert::<f32>().try_into_vec().unwrap_or_default()
}

/// Whether prompts and model can be used; the model's sites.
pub(super) fn check(model: &impl Model, prompts: &[Prompt]) -> Result<Sites> {
    let sites = model.sites();
    if sites.layers == 0 {
        return Err(Error::Input("the model does not show its heads".into()));
    }
    if prompts.is_empty() {
        return Err(Error::Input("there is no prompt to look at".into()));
    }
    for (at, prompt) in prompts.iter().enumerate() {
        if prompt.tokens.len() < 2 || prompt.answer.is_empty() {
            return Err(Error::Input(format!("prompt {at} has fewer than two tokens, or its answer has none")));
        }
        check_tokens(&prompt.tokens, model.vocabulary())?;
        check_tokens(&prompt.answer, model.vocabulary())?;
    }
    Ok(sites)
}

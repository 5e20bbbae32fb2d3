//! Writing: beam search over a fixed set of token sequences, and free answers token by token.

mod answer;
mod beam;
mod cores;
mod select;

use burn::tensor::Tensor;
use orbit_core::{Error, Input, Model, Result, check_tokens};

pub use answer::{Answering, answers};
pub use beam::{CPU_PROMPTS, Ranked, beam_search};

/// A model that can go on from tokens it has seen.
pub trait Incremental: Model {
    /// What it keeps of the tokens seen. Starts empty and grows with every call it is given to.
    type Cache: Default;

    /// [`Model::hidden`] of tokens that follow those in `cache`; the input's mask covers both.
    ///
    /// An encoder-decoder takes the prompts with the first call, as the input's answers say, and decoder tokens alone with
    /// the calls that follow.
    fn hidden_after(&self, input: &Input, cache: &mut Self::Cache) -> Tensor<3>;
}

fn width(prompts: &[impl AsRef<[u32]>]) -> usize {
    prompts.iter().map(|prompt| prompt.as_ref().len()).max().unwrap_or(0)
}

pub(crate) fn prompt_rows(prompts: &[impl AsRef<[u32]>]) -> Input {
    let width = width(prompts);
    let padded = |prompt: &[u32]| prompt.iter().copied().chain(std::iter::repeat(0)).take(width).collect::<Vec<_>>();
    let lengths: Vec<usize> = prompts.iter().map(|prompt| prompt.as_ref().len()).collect();
    let tokens = prompts.iter().flat_map(|prompt| padded(prompt.as_ref())).collect();
    Input::rows(tokens, prompts.len(), width).with_answers(lengths.clone()).with_lengths(lengths)
}

fn check_prompts(model: &impl Model, prompts: &[impl AsRef<[u32]>]) -> Result<()> {
    if let Some(at) = prompts.iter().position(|prompt| prompt.as_ref().is_empty()) {
        return Err(Error::Input(format!("prompt {at} is empty")));
    }
    prompts.iter().try_for_each(|prompt| check_tokens(prompt.as_ref(), model.vocabulary()))
}

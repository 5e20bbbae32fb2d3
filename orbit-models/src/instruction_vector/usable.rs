//! Which prompts a skill can be read off.

use orbit_core::score::{Choices, choices};
use orbit_core::{Error, Model, Result};

use super::{Prompt, prompt_ends};

/// An answer whose first token has so many likelier ones is none that the model would give.
const FAR: usize = 10;
/// Tokens scored at a time.
const BATCH_TOKENS: usize = 4096;

/// The places of at most `count` prompts after which the model does well, the likeliest answer first: what heads find where it
/// fails is not the skill.
///
/// Of the `count` prompts with the likeliest answers, whole answers by their log-likelihood, those whose answer begins with one
/// of the ten likeliest tokens; if that is less than half of `count`, filled up to it with the next of the others. That is
/// the filter of arXiv 2502.11019's code, which has 200 prompts and a `count` of 100. Two forward passes over the prompts,
/// `batch` at a time in the first.
///
/// # Errors
/// Where none of the answers begins so, and as [`head_means`](super::head_means).
pub fn usable(model: &impl Model, prompts: &[Prompt], count: usize, batch: usize) -> Result<Vec<usize>> {
    let ranks = prompt_ends(model, prompts, batch)?.ranks;
    let item = |prompt: &Prompt| Choices {
        context: prompt.tokens.clone(),
        continuations: vec![prompt.answer.clone()],
        adapter: None,
    };
    let items: Vec<Choices> = prompts.iter().map(item).collect();
    let likelihoods = choices(model, &items, BATCH_TOKENS, &mut |_| {})?.concat();
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by(|&a, &b| likelihoods[b].total_cmp(&likelihoods[a]));
    order.truncate(count);
    let (mut chosen, others): (Vec<usize>, Vec<usize>) = order.into_iter().partition(|&at| ranks[at] < FAR);
    if chosen.is_empty() {
        return Err(Error::Input(format!(
            "no prompt is usable: of {} none is answered with one of the {FAR} likeliest tokens: the model does not have this \
             skill, or needs more examples shown",
            prompts.len()
        )));
    }
    chosen.extend(others.into_iter().take((count / 2).saturating_sub(chosen.len())));
    Ok(chosen)
}

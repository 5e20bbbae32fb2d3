use std::sync::Arc;

use burn::tensor::Tensor;
use orbit_core::kernel::Mask;
use orbit_core::{Error, Input, Result, pick};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Incremental, check_prompts, prompt_rows, width};

/// How answers are written.
#[derive(Clone, Copy, Debug)]
pub struct Answering<'a> {
    /// The tokens that end an answer; they are not part of it.
    pub ends: &'a [u32],
    /// Tokens an answer, at most.
    pub longest: usize,
    /// Rows a forward pass, at most. Answers do not depend on it beyond the rounding of matrix products.
    pub batch: usize,
    /// Seeds drawing tokens from the model's own distribution; none takes the most likely one each time.
    pub draw: Option<u64>,
}

/// An answer to every prompt, token by token until one ends it. The most likely token is the first of those that tie.
///
/// `adapters` says which of the model's adapters answers each prompt, as [`Input::adapters`]; empty for a model without.
/// Prompts of different adapters share their forward passes.
///
/// Cost: one pass over the prompts, then a token a row a pass, until the longest answer of a batch ends. Prompts of like
/// length go together.
pub fn answers(
    model: &impl Incremental,
    prompts: &[Vec<u32>],
    adapters: &[Option<usize>],
    how: Answering<'_>,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<u32>>> {
    check_prompts(model, prompts)?;
    if !adapters.is_empty() && adapters.len() != prompts.len() {
        return Err(Error::Input(format!("{} adapters for {} prompts", adapters.len(), prompts.len())));
    }
    let there = model.adapters();
    if let Some(adapter) = adapters.iter().flatten().find(|&&adapter| adapter >= there) {
        return Err(Error::Input(format!("adapter {adapter} is asked for, and the model has {there} to choose from")));
    }
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by_key(|&at| prompts[at].len());
    let mut answers = vec![Vec::new(); prompts.len()];
    for batch in order.chunks_mut(how.batch.max(1)) {
        // Neighbours with the same adapter go through it at once.
        batch.sort_by_key(|&at| adapters.get(at));
        let rows: Vec<&[u32]> = batch.iter().map(|&at| prompts[at].as_slice()).collect();
        let chosen = if adapters.is_empty() { Vec::new() } else { batch.iter().map(|&at| adapters[at]).collect() };
        for (&at, answer) in batch.iter().zip(answer_rows(model, &rows, (batch, chosen), how)) {
            answers[at] = answer;
        }
        progress(batch.len());
    }
    Ok(answers)
}

fn answer_rows(
    model: &impl Incremental,
    prompts: &[&[u32]],
    (places, adapters): (&[usize], Vec<Option<usize>>),
    how: Answering<'_>,
) -> Vec<Vec<u32>> {
    let mut answers = vec![Vec::new(); prompts.len()];
    let mut open = vec![true; prompts.len()];
    let mut cache = Default::default();
    let mut input = Input { adapters, ..prompt_rows(prompts) };
    let mut last: Vec<usize> = prompts.iter().map(|prompt| prompt.len() - 1).collect();
    for written in 0..how.longest {
        let rows = next_logits(model, model.hidden_after(&input, &mut cache), &last);
        let choose = |(row, &place): (&Vec<f32>, &usize)| match how.draw {
            None => first_largest(row),
            Some(seed) => drawn(row, uniform(seed, place, written)),
        };
        let next: Vec<u32> = rows.iter().zip(places).map(choose).collect();
        for ((answer, open), &token) in answers.iter_mut().zip(&mut open).zip(&next) {
            *open &= !how.ends.contains(&token);
            if *open {
                answer.push(token);
            }
        }
        if !open.contains(&true) {
            break;
        }
        input = next_tokens(prompts, next, written, input.adapters);
        last.fill(0);
    }
    answers
}

/// One token a row, behind the prompts and what was written. A row that has ended goes on unread.
fn next_tokens(prompts: &[&[u32]], tokens: Vec<u32>, written: usize, adapters: Vec<Option<usize>>) -> Input {
    let (rows, prompted) = (prompts.len(), width(prompts));
    let keys = prompted + written + 1;
    let mut mask = vec![0.0; rows * keys];
    for (prompt, mask) in prompts.iter().zip(mask.chunks_exact_mut(keys)) {
        mask[prompt.len()..prompted].fill(f32::NEG_INFINITY);
    }
    Input {
        positions: prompts.iter().map(|prompt| (prompt.len() + written) as u32).collect(),
        mask: Mask::Additive(Arc::from(mask)),
        adapters,
        ..Input::rows(tokens, rows, 1).with_answers(vec![0; rows])
    }
}

/// The scores of every token after each row's column `last`.
fn next_logits(model: &impl Incremental, hidden: Tensor<3>, last: &[usize]) -> Vec<Vec<f32>> {
    let [rows, width, d] = hidden.dims();
    let at: Vec<u32> = last.iter().enumerate().map(|(row, column)| (row * width + column) as u32).collect();
    let logits = model.logits(pick(hidden.reshape([rows * width, d]), &at));
    let [_, vocabulary] = logits.dims();
    let logits: Vec<f32> = logits.into_data().convert::<f32>().try_into_vec().unwrap_or_default();
    logits.chunks_exact(vocabulary).map(<[f32]>::to_vec).collect()
}

fn first_largest(row: &[f32]) -> u32 {
    let better = |best: usize, (at, &x): (usize, &f32)| if x > row[best] { at } else { best };
    row.iter().enumerate().fold(0, better) as u32
}

/// The token below which a share `at` of the probability lies, in the order of the vocabulary.
fn drawn(row: &[f32], at: f64) -> u32 {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |x: &f32| f64::from(x - largest).exp();
    let mut left = at * row.iter().map(weight).sum::<f64>();
    let end = row.iter().position(|x| {
        left -= weight(x);
        left < 0.0
    });
    end.unwrap_or(row.len().saturating_sub(1)) as u32
}

/// A number in [0, 1) for a token of an answer, whatever the batches.
fn uniform(seed: u64, place: usize, written: usize) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(place as u64);
    rng.set_word_pos(2 * written as u128);
    rng.random()
}

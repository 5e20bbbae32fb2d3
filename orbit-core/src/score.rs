//! Log-likelihoods of texts, for evaluation. Nothing here keeps a gradient.
//!
//! Padding and the other rows of a batch never reach a row's numbers, so results do not depend on the batch size beyond the
//! rounding of matrix products.

use burn::tensor::Tensor;

use crate::arithmetic::read;
use crate::kernel::{kl_divergence, log_likelihood, pick};
use crate::model::check_tokens;
use crate::{Error, Input, MicroBatch, Model, Result};

/// A text and its possible continuations, in tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    /// At least one token.
    pub context: Vec<u32>,
    /// At least one token each.
    pub continuations: Vec<Vec<u32>>,
    /// The adapter that it goes through, as [`Input::adapters`]; none for a model without.
    pub adapter: Option<usize>,
}

impl Choices {
    fn len(&self) -> usize {
        self.context.len() + self.continuations.iter().map(Vec::len).sum::<usize>()
    }
}

/// Rows of logits computed at a time: enough to keep the cores busy, few enough to stay small beside the weights.
pub const LOGIT_ROWS: usize = 512;

/// What a continuation came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// log P(continuation | context) in nats: the sum over the continuation's tokens.
    pub log_likelihood: f64,
    /// Whether each of its tokens is the likeliest one: whether greedy decoding would write it.
    pub greedy: bool,
}

/// log P(continuation | context) for every continuation of every item, in nats: the sum over the continuation's tokens.
///
/// The context of an item is computed once: its continuations stand behind it in one row and do not see each other. A batch
/// has at most `batch_tokens` tokens, padding included, but at least one row. `progress` is told of every item done.
///
/// # Errors
/// For an empty context or continuation, a token that the model does not have, and a result that is not finite.
pub fn choices<M: Model>(
    model: &M,
    items: &[Choices],
    batch_tokens: usize,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<f64>>> {
    let scores = score(model, items, batch_tokens, false, progress)?;
    Ok(scores.into_iter().map(|scores| scores.into_iter().map(|scored| scored.log_likelihood).collect()).collect())
}

/// As [`choices`], and whether greedy decoding would write each continuation, which costs a pass over the logits.
///
/// # Errors
/// As [`choices`].
pub fn greedy_choices<M: Model>(
    model: &M,
    items: &[Choices],
    batch_tokens: usize,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<Scored>>> {
    score(model, items, batch_tokens, true, progress)
}

fn score<M: Model>(
    model: &M,
    items: &[Choices],
    batch_tokens: usize,
    greedy: bool,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<Scored>>> {
    if let Some(at) =
        items.iter().position(|item| item.context.is_empty() || item.continuations.iter().any(Vec::is_empty))
    {
        return Err(Error::Input(format!("item {at} has an empty context or an empty choice")));
    }
    for item in items {
        check_tokens(&item.context, model.vocabulary())?;
        item.continuations.iter().try_for_each(|tokens| check_tokens(tokens, model.vocabulary()))?;
    }
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&at| items[at].len());
    let mut scores = vec![Vec::new(); items.len()];
    let mut rest = order.as_slice();
    while !rest.is_empty() {
        let fits = (1..=rest.len()).take_while(|&rows| rows == 1 || rows * items[rest[rows - 1]].len() <= batch_tokens);
        let (batch, after) = rest.split_at(fits.last().unwrap_or(1));
        tracing::debug!(rows = batch.len(), "language batch");
        let rows: Vec<&Choices> = batch.iter().map(|&at| &items[at]).collect();
        for (&at, scored) in batch.iter().zip(score_rows(model, &rows, greedy)) {
            if let Some((choice, scored)) = (0..).zip(&scored).find(|(_, scored)| !scored.log_likelihood.is_finite()) {
                return Err(Error::Score { item: at, choice, value: scored.log_likelihood });
            }
            scores[at] = scored;
        }
        progress(batch.len());
        rest = after;
    }
    Ok(scores)
}

/// −log P of each token of `tokens` but the first of a window, in windows of `window` tokens that do not overlap: a sum and a
/// count for every window. A last window of one token is left out.
///
/// # Errors
/// For a token that the model does not have, and a result that is not finite.
pub fn windows<M: Model>(
    model: &M,
    tokens: &[u32],
    window: usize,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<(f64, usize)>> {
    let windows = tokens.chunks(window.max(2)).filter(|window| window.len() > 1);
    let rows = windows.map(|window| window.split_at(1)).collect::<Vec<_>>();
    let scores = continuations(model, &rows, progress)?;
    Ok(scores.into_iter().zip(rows).map(|(score, (_, scored))| (-score, scored.len())).collect())
}

/// log P(continuation | context) of long texts, each a row of its own: pairs of a context and a continuation of at least one token
/// each. What [`choices`] gives, without a mask that grows with the square of the tokens.
///
/// # Errors
/// As [`choices`].
pub fn continuations<M: Model>(
    model: &M,
    rows: &[(&[u32], &[u32])],
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<f64>> {
    let scores = rows.iter().enumerate().map(|(item, (context, continuation))| {
        if context.is_empty() || continuation.is_empty() {
            return Err(Error::Input(format!("item {item} has an empty context or an empty continuation")));
        }
        let row = [*context, *continuation].concat();
        check_tokens(&row, model.vocabulary())?;
        let from = context.len() as u32 - 1;
        let predictors: Vec<u32> = (from..).take(continuation.len()).collect();
        let width = row.len();
        let input = Input::rows(row, 1, width).with_answers(vec![context.len()]);
        let value: f64 = token_scores(model, &input, &predictors, continuation, false)
            .iter()
            .map(|token| token.log_likelihood)
            .sum();
        progress(1);
        if value.is_finite() { Ok(value) } else { Err(Error::Score { item, choice: 0, value }) }
    });
    scores.collect()
}

/// The mean over answer tokens of KL(from ‖ to), over the tokens that both models have, in nats: how far `to` has gone from what
/// `from` says of these examples. Two forward passes and the logits of both.
pub fn divergence<M: Model>(from: &M, to: &M, examples: &[MicroBatch]) -> Result<f64> {
    let (mut sum, mut count) = (0.0, 0);
    let shared = from.vocabulary().min(to.vocabulary());
    for batch in examples {
        batch.check()?;
        check_tokens(&batch.tokens, shared)?;
        let input = Input::from(batch);
        let (positions, _) = batch.answer_positions();
        let hidden = [from, to].map(|model| {
            let hidden = model.hidden(&input);
            let [rows, width, d] = hidden.dims();
            hidden.reshape([rows * width, d])
        });
        for positions in positions.chunks(LOGIT_ROWS) {
            let [p, q] = [(from, &hidden[0]), (to, &hidden[1])]
                .map(|(model, hidden)| model.logits(pick(hidden.clone(), positions)).narrow(1, 0, shared));
            sum += read(kl_divergence(p, q, 1.0)).first().copied().map_or(f64::NAN, f64::from);
            count += positions.len();
        }
    }
    Ok(sum / count.max(1) as f64)
}

/// Scores the continuations of a few items in one forward pass.
fn score_rows<M: Model>(model: &M, items: &[&Choices], greedy: bool) -> Vec<Vec<Scored>> {
    let width = items.iter().map(|item| item.len()).max().unwrap_or(0);
    let mut layout = Layout::new(items, width);
    let input = Input {
        positions: std::mem::take(&mut layout.positions),
        answers: items.iter().map(|item| item.context.len()).collect(),
        lengths: items.iter().map(|item| item.len()).collect(),
        adapters: items.iter().map(|item| item.adapter).collect(),
        ..Input::rows(std::mem::take(&mut layout.tokens), items.len(), width)
    };
    // A token sees itself, and what stands before it in the context or in its own branch.
    let branches = &layout.branches;
    let input = input.with_mask(|row, token, key| {
        let (own, other) = (branches[row * width + token], branches[row * width + key]);
        key == token || (key < token && (other == CONTEXT || other == own) && own != PADDING)
    });
    let mut tokens = token_scores(model, &input, &layout.predictors, &layout.targets, greedy).into_iter();
    let mut whole = |length: usize| {
        let all = Scored { log_likelihood: 0.0, greedy: true };
        tokens.by_ref().take(length).fold(all, |all, token| Scored {
            log_likelihood: all.log_likelihood + token.log_likelihood,
            greedy: all.greedy && token.greedy,
        })
    };
    items.iter().map(|item| item.continuations.iter().map(|tokens| whole(tokens.len())).collect()).collect()
}

/// The branch of a context's tokens, and of padding; continuations count from 0.
const CONTEXT: u32 = u32::MAX;
const PADDING: u32 = u32::MAX - 1;

/// Rows of contexts with their continuations behind them.
struct Layout {
    tokens: Vec<u32>,
    positions: Vec<u32>,
    branches: Vec<u32>,
    /// The positions in the flattened batch that predict the continuations' tokens, and these tokens.
    predictors: Vec<u32>,
    targets: Vec<u32>,
}

impl Layout {
    fn new(items: &[&Choices], width: usize) -> Self {
        let entries = items.len() * width;
        let mut layout = Self {
            tokens: Vec::with_capacity(entries),
            positions: Vec::with_capacity(entries),
            branches: Vec::with_capacity(entries),
            predictors: Vec::new(),
            targets: Vec::new(),
        };
        for (row, item) in items.iter().enumerate() {
            layout.push(&item.context, 0, CONTEXT);
            let fork = layout.tokens.len() as u32 - 1;
            for (branch, continuation) in item.continuations.iter().enumerate() {
                let start = layout.tokens.len() as u32;
                layout.predictors.push(fork);
                layout.predictors.extend(start..start + continuation.len() as u32 - 1);
                layout.targets.extend(continuation);
                layout.push(continuation, item.context.len(), branch as u32);
            }
            let padding = (row + 1) * width - layout.tokens.len();
            layout.push(&vec![0; padding], 0, PADDING);
        }
        layout
    }

    fn push(&mut self, tokens: &[u32], from: usize, branch: u32) {
        self.tokens.extend(tokens);
        self.positions.extend((from as u32..).take(tokens.len()));
        self.branches.extend(std::iter::repeat_n(branch, tokens.len()));
    }
}

/// Each position of the flattened input as a continuation of one token. Without `greedy` none is found to be the likeliest.
fn token_scores<M: Model>(model: &M, input: &Input, positions: &[u32], targets: &[u32], greedy: bool) -> Vec<Scored> {
    let hidden = model.hidden(input);
    let [rows, width, d] = hidden.dims();
    let hidden = hidden.reshape([rows * width, d]);
    let chunks = positions.chunks(LOGIT_ROWS).zip(targets.chunks(LOGIT_ROWS));
    let scored = chunks.flat_map(|(positions, targets)| {
        let logits = model.logits(pick(hidden.clone(), positions));
        let likeliest = if greedy { likeliest(logits.clone()) } else { vec![None; targets.len()] };
        let scores = read(log_likelihood(logits, targets)).into_iter();
        let scored = scores.zip(targets).zip(likeliest).map(|((score, target), likeliest)| Scored {
            log_likelihood: f64::from(score),
            greedy: likeliest == Some(*target),
        });
        scored.collect::<Vec<_>>()
    });
    scored.collect()
}

/// The token of the highest score in each row of `[n, vocabulary]`; of equals the first.
fn likeliest(logits: Tensor<2>) -> Vec<Option<u32>> {
    let [_, vocabulary] = logits.dims();
    let better = |best: usize, (at, x): (usize, &f32), row: &[f32]| if *x > row[best] { at } else { best };
    let of_row = |row: &[f32]| Some(row.iter().enumerate().fold(0, |best, next| better(best, next, row)) as u32);
    read(logits.reshape([-1])).chunks_exact(vocabulary).map(of_row).collect()
}

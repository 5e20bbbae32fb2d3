//! Writing: beam search over a fixed set of token sequences, and free answers token by token.

mod answer;
mod cores;

use std::cmp::Reverse;
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use orbit_core::kernel::{Mask, log_likelihood};
use orbit_core::{Error, Input, Model, Result, check_tokens, is_cpu, pick};

pub use answer::{Answering, answers};
use cores::side_by_side;

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

/// The sequences that may be written, as a tree to walk.
pub trait Constraint {
    /// Where every sequence begins.
    fn root(&self) -> u32;
    /// The tokens that may follow a node, and the node of the first; the others' nodes count up from it.
    fn children(&self, node: u32) -> (&[u32], u32);
    /// The item at a sequence's end.
    fn item(&self, node: u32) -> Option<u32>;
}

/// An item, and the model's log-probability of its sequence after the prompt, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// The item.
    pub item: u32,
    /// log P(sequence | prompt) over the whole vocabulary.
    pub log_probability: f64,
}

/// The `beams` best items for every prompt, best first, each with the log-probability of its sequence.
///
/// Only sequences of `constraint` are written: the constraint is the last thing that touches the scores, and they are not
/// normalised over it, so a score is the model's own. Exact when `beams` is at least the widest level of the tree.
///
/// Cost: one pass over the prompts and the tokens that every sequence begins with, then one token a beam a level. The prompt's keys are kept once, not once a beam: the beams
/// of a prompt are a tree of tokens behind it, and a token sees its own ancestors. On a CPU a few prompts at a time, of like
/// lengths, are searched side by side, whatever the number of cores, so that results do not depend on it.
pub fn beam_search<M: Incremental>(
    model: &M,
    prompts: &[Vec<u32>],
    constraint: &(impl Constraint + Sync),
    beams: usize,
) -> Result<Vec<Vec<Ranked>>> {
    check_prompts(model, prompts)?;
    let at_once = if model.devices().iter().all(is_cpu) { CPU_PROMPTS } else { prompts.len().max(1) };
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    // The longest first: no core waits long for the last piece of another.
    order.sort_by_key(|&at| Reverse(prompts[at].len()));
    // A clone shares its weights; a model may go to another thread, and need not be seen by two.
    let pieces: Vec<(M, &[usize])> = order.chunks(at_once).map(|piece| (model.clone(), piece)).collect();
    let found = side_by_side(pieces, |(model, piece)| {
        let prompts: Vec<&[u32]> = piece.iter().map(|&at| prompts[at].as_slice()).collect();
        search(&model, &prompts, constraint, beams)
    });
    let found = found.into_iter().collect::<Result<Vec<_>>>()?.concat();
    let mut found: Vec<_> = order.into_iter().zip(found).collect();
    found.sort_unstable_by_key(|(at, _)| *at);
    Ok(found.into_iter().map(|(_, ranked)| ranked).collect())
}

/// Prompts searched at once on a CPU: with twenty beams their keys and values still fit a core's cache.
const CPU_PROMPTS: usize = 8;

/// The search over prompts that go through the model together.
fn search(
    model: &impl Incremental,
    prompts: &[&[u32]],
    constraint: &impl Constraint,
    beams: usize,
) -> Result<Vec<Vec<Ranked>>> {
    let opening = Opening::of(constraint, model.vocabulary())?;
    let mut cache = Default::default();
    let mut hidden = model.hidden_after(&opening.after(prompts), &mut cache);
    let mut search = Search::start(prompts, &opening, &opening.scores(model, hidden.clone(), prompts));
    while let Some(input) = search.extend(&LogScores::new(model, hidden, &search), constraint, beams)? {
        hidden = model.hidden_after(&input, &mut cache);
    }
    Ok(search.rows.into_iter().map(|row| row.ranked(beams)).collect())
}

/// What every sequence begins with.
struct Opening {
    tokens: Vec<u32>,
    /// The first node that has a choice, or an item.
    node: u32,
}

impl Opening {
    fn of(constraint: &impl Constraint, vocabulary: usize) -> Result<Self> {
        let mut opening = Self { tokens: Vec::new(), node: constraint.root() };
        while let (&[token], child) = constraint.children(opening.node)
            && constraint.item(child).is_none()
        {
            check_tokens(&[token], vocabulary)?;
            opening.tokens.push(token);
            opening.node = child;
        }
        Ok(opening)
    }

    /// The prompts, each with the opening behind it.
    fn after(&self, prompts: &[&[u32]]) -> Input {
        let opened: Vec<Vec<u32>> = prompts.iter().map(|prompt| [prompt, self.tokens.as_slice()].concat()).collect();
        prompt_rows(&opened).with_answers(prompts.iter().map(|prompt| prompt.len()).collect())
    }

    /// log P of the opening after every prompt, given the hidden states of both.
    fn scores(&self, model: &impl Model, hidden: Tensor<3>, prompts: &[&[u32]]) -> Vec<f64> {
        let [rows, width, d] = hidden.dims();
        let count = self.tokens.len();
        if count == 0 {
            return vec![0.0; rows];
        }
        let before = |(row, prompt): (usize, &&[u32])| {
            let last = (row * width + prompt.len() - 1) as u32;
            last..last + count as u32
        };
        let predictors: Vec<u32> = prompts.iter().enumerate().flat_map(before).collect();
        let logits = model.logits(pick(hidden.reshape([rows * width, d]), &predictors));
        let scores = on_host(log_likelihood(logits, &self.tokens.repeat(rows)).into_data());
        scores.chunks_exact(count).map(|row| row.iter().copied().map(f64::from).sum()).collect()
    }
}

fn on_host(data: TensorData) -> Vec<f32> {
    data.convert::<f32>().try_into_vec().unwrap_or_default()
}

/// A sequence half written.
struct Beam {
    node: u32,
    score: f64,
    /// Columns of the cache, beyond those that all beams see, that hold this beam's tokens.
    path: Vec<usize>,
    /// Its last token, and where in the row that token's hidden state is.
    column: usize,
}

/// A continuation: its score and node, the place of the beam that it continues, and its token.
type Candidate = (f64, u32, usize, u32);

struct Row {
    /// Columns that all its beams see: the prompt, and what every sequence begins with.
    begun: usize,
    live: Vec<Beam>,
    done: Vec<Ranked>,
}

/// The beams of all prompts.
struct Search {
    rows: Vec<Row>,
    /// Tokens a row in the cache.
    seen: usize,
    depth: u32,
    /// Tokens a row in the last forward pass.
    width: usize,
}

/// log softmax of every live beam's next token, row by row.
struct LogScores {
    logits: Vec<f32>,
    vocabulary: usize,
    log_totals: Vec<f32>,
}

impl LogScores {
    fn new(model: &impl Incremental, hidden: Tensor<3>, search: &Search) -> Self {
        let [rows, width, d] = hidden.dims();
        let last: Vec<u32> = (search.rows.iter().enumerate())
            .flat_map(|(row, beams)| beams.live.iter().map(move |beam| (row * width + beam.column) as u32))
            .collect();
        let logits = model.logits(pick(hidden.reshape([rows * width, d]), &last));
        let [beams, vocabulary] = logits.dims();
        // log P of any one token says what the logits of its row are to be taken from.
        let firsts = on_host(log_likelihood(logits.clone(), &vec![0; beams]).into_data());
        let logits = on_host(logits.into_data());
        let log_totals = logits.chunks_exact(vocabulary).zip(firsts).map(|(row, first)| row[0] - first).collect();
        Self { logits, vocabulary, log_totals }
    }

    fn of(&self, beam: usize, token: u32) -> f64 {
        f64::from(self.logits[beam * self.vocabulary + token as usize]) - f64::from(self.log_totals[beam])
    }
}

impl Search {
    fn start(prompts: &[&[u32]], opening: &Opening, scores: &[f64]) -> Self {
        let rows = prompts.iter().zip(scores).map(|(prompt, &score)| {
            let begun = prompt.len() + opening.tokens.len();
            let beam = Beam { node: opening.node, score, path: Vec::new(), column: begun - 1 };
            Row { begun, live: vec![beam], done: Vec::new() }
        });
        let width = width(prompts) + opening.tokens.len();
        Self { rows: rows.collect(), seen: width, depth: 0, width }
    }

    /// Keeps the best continuations of every row; the tokens to run next, or none when all sequences have ended.
    fn extend(&mut self, scores: &LogScores, constraint: &impl Constraint, beams: usize) -> Result<Option<Input>> {
        let mut tokens = Vec::with_capacity(self.rows.len());
        let mut first = 0;
        for row in &mut self.rows {
            let count = row.live.len();
            tokens.push(row.extend(first, scores, constraint, beams, self.seen)?);
            first += count;
        }
        self.width = tokens.iter().map(Vec::len).max().unwrap_or(0);
        Ok((self.width > 0).then(|| self.input(&tokens)))
    }

    /// The rows' next tokens as one input that follows the cache.
    fn input(&mut self, tokens: &[Vec<u32>]) -> Input {
        let (rows, width) = (self.rows.len(), self.width);
        let keys = self.seen + width;
        let mut mask = vec![f32::NEG_INFINITY; rows * width * keys];
        let mut input =
            Input { positions: Vec::new(), ..Input::rows(Vec::new(), rows, width).with_answers(vec![0; rows]) };
        for (index, (row, tokens)) in self.rows.iter().zip(tokens).enumerate() {
            for column in 0..width {
                let mask = &mut mask[(index * width + column) * keys..][..keys];
                mask[self.seen + column] = 0.0;
                let Some(beam) = row.live.get(column) else { continue };
                mask[..row.begun].fill(0.0);
                beam.path.iter().for_each(|&seen| mask[seen] = 0.0);
            }
            input.tokens.extend(tokens.iter().copied().chain(std::iter::repeat(0)).take(width));
            input.positions.extend(std::iter::repeat_n(row.begun as u32 + self.depth, width));
        }
        input.mask = Mask::Additive(Arc::from(mask));
        self.seen = keys;
        self.depth += 1;
        input
    }
}

impl Row {
    /// Replaces the live beams by their best continuations, and gives these beams' tokens in order. Sequences that have ended
    /// leave. `first` is the index of this row's first beam among the scores, `seen` the cache's width before the next pass.
    fn extend(
        &mut self,
        first: usize,
        scores: &LogScores,
        constraint: &impl Constraint,
        beams: usize,
        seen: usize,
    ) -> Result<Vec<u32>> {
        let mut candidates: Vec<Candidate> = Vec::new();
        for (index, beam) in self.live.iter().enumerate() {
            let (tokens, child) = constraint.children(beam.node);
            check_tokens(tokens, scores.vocabulary)?;
            for (&token, node) in tokens.iter().zip(child..) {
                candidates.push((beam.score + scores.of(first + index, token), node, index, token));
            }
        }
        let best_first = |a: &Candidate, b: &Candidate| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if candidates.len() > beams {
            candidates.select_nth_unstable_by(beams, best_first);
            candidates.truncate(beams);
        }
        candidates.sort_unstable_by(best_first);
        let (mut live, mut next) = (Vec::new(), Vec::new());
        for (score, node, parent, token) in candidates {
            if let Some(item) = constraint.item(node) {
                self.done.push(Ranked { item, log_probability: score });
                continue;
            }
            let column = live.len();
            let mut path = self.live[parent].path.clone();
            path.push(seen + column);
            live.push(Beam { node, score, path, column });
            next.push(token);
        }
        self.live = live;
        Ok(next)
    }

    fn ranked(mut self, beams: usize) -> Vec<Ranked> {
        self.done.sort_by(|a, b| b.log_probability.total_cmp(&a.log_probability).then(a.item.cmp(&b.item)));
        self.done.truncate(beams);
        self.done
    }
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

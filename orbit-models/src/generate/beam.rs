//! Beam search over a trie.

use std::cmp::Reverse;
use std::sync::Arc;

use burn::tensor::Tensor;
use orbit_core::kernel::{Mask, log_likelihood};
use orbit_core::{Input, Model, Result, check_tokens, is_cpu, pick};
use orbit_data::Trie;

use super::cores::side_by_side;
use super::select::{Continuation, Live, Question, Selector, on_host};
use super::{Incremental, check_prompts, prompt_rows, width};

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
/// Only sequences of the trie are written: it is the last thing that touches the scores, and they are not normalised over it, so a
/// score is the model's own. Exact when `beams` is at least the widest level of the trie.
///
/// Cost: one pass over the prompts and the tokens that every sequence begins with, then one token a beam a level. The prompt's
/// keys are kept once, not once a beam: the beams of a prompt are a tree of tokens behind it, and a token sees its own ancestors.
/// On a CPU a few prompts at a time, of like lengths, are searched side by side, whatever the number of cores, so that results do
/// not depend on it. Elsewhere all prompts go together, the trie lies on the device, and only what is chosen leaves it.
pub fn beam_search<M: Incremental>(
    model: &M,
    prompts: &[Vec<u32>],
    trie: &Trie,
    beams: usize,
) -> Result<Vec<Vec<Ranked>>> {
    check_prompts(model, prompts)?;
    check_tokens(trie.tokens(), model.vocabulary())?;
    let at_once = if model.devices().iter().all(is_cpu) { CPU_PROMPTS } else { prompts.len().max(1) };
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    // The longest first: no core waits long for the last piece of another.
    order.sort_by_key(|&at| Reverse(prompts[at].len()));
    // A clone shares its weights; a model may go to another thread, and need not be seen by two.
    let pieces: Vec<(M, &[usize])> = order.chunks(at_once).map(|piece| (model.clone(), piece)).collect();
    let found = side_by_side(pieces, |(model, piece)| {
        let prompts: Vec<&[u32]> = piece.iter().map(|&at| prompts[at].as_slice()).collect();
        search(&model, &prompts, trie, beams, &Selector::of(&model, trie))
    });
    let found = found.into_iter().collect::<Result<Vec<_>>>()?.concat();
    let mut found: Vec<_> = order.into_iter().zip(found).collect();
    found.sort_unstable_by_key(|(at, _)| *at);
    Ok(found.into_iter().map(|(_, ranked)| ranked).collect())
}

/// Prompts searched at once on a CPU: with twenty beams their keys and values still fit a core's cache.
pub const CPU_PROMPTS: usize = 8;

/// The search over prompts that go through the model together.
fn search(
    model: &impl Incremental,
    prompts: &[&[u32]],
    trie: &Trie,
    beams: usize,
    selector: &Selector,
) -> Result<Vec<Vec<Ranked>>> {
    let opening = Opening::of(trie);
    let mut cache = Default::default();
    let mut hidden = model.hidden_after(&opening.after(prompts), &mut cache);
    let mut search = Search::start(prompts, &opening, &opening.scores(model, hidden.clone(), prompts));
    loop {
        let best = selector.best(model, Question { hidden, live: &search.live(), trie, beams });
        let Some(input) = search.extend(best, trie) else { break };
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
    fn of(trie: &Trie) -> Self {
        let mut opening = Self { tokens: Vec::new(), node: trie.root() };
        while let (&[token], child) = trie.children(opening.node)
            && trie.item(child).is_none()
        {
            opening.tokens.push(token);
            opening.node = child;
        }
        opening
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
        let scores = on_host(log_likelihood(logits, &self.tokens.repeat(rows)));
        scores.chunks_exact(count).map(|row| row.iter().copied().map(f64::from).sum()).collect()
    }
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

    /// The beams that are not at their end, row by row.
    fn live(&self) -> Vec<Vec<Live>> {
        let live = |beam: &Beam| Live { node: beam.node, score: beam.score, column: beam.column };
        self.rows.iter().map(|row| row.live.iter().map(live).collect()).collect()
    }

    /// Keeps these continuations of every row; the tokens to run next, or none when all sequences have ended.
    fn extend(&mut self, best: Vec<Vec<Continuation>>, trie: &Trie) -> Option<Input> {
        let extended = self.rows.iter_mut().zip(best).map(|(row, best)| row.extend(best, trie, self.seen));
        let tokens: Vec<Vec<u32>> = extended.collect();
        self.width = tokens.iter().map(Vec::len).max().unwrap_or(0);
        (self.width > 0).then(|| self.input(&tokens))
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
    /// Replaces the live beams by continuations of them, and gives these beams' tokens in order. Sequences that have ended leave.
    /// `seen` is the cache's width before the next pass.
    fn extend(&mut self, best: Vec<Continuation>, trie: &Trie, seen: usize) -> Vec<u32> {
        let (mut live, mut next) = (Vec::new(), Vec::new());
        for Continuation { score, node, parent, token } in best {
            if let Some(item) = trie.item(node) {
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
        next
    }

    fn ranked(mut self, beams: usize) -> Vec<Ranked> {
        self.done.sort_by(|a, b| b.log_probability.total_cmp(&a.log_probability).then(a.item.cmp(&b.item)));
        self.done.truncate(beams);
        self.done
    }
}

#[cfg(all(test, feature = "flex"))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Decoder, DecoderConfig};

    fn model() -> Decoder {
        let config = DecoderConfig {
            vocab_size: 40,
            hidden_size: 16,
            intermediate_size: 24,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: 4,
            ..DecoderConfig::default()
        };
        Decoder::random(config, 5, &orbit_core::device("flex").unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        /// What a GPU does finds what a CPU does, sequences of unequal lengths and rows of unequal beams included.
        #[test]
        fn a_search_whose_trie_is_on_the_device_finds_the_same(
            set in prop::collection::btree_set(prop::collection::vec(0_u32..40, 1..4), 1..60),
            prompts in prop::collection::vec(prop::collection::vec(0_u32..40, 1..9), 1..5),
            beams in 1..30_usize,
        ) {
            let begins = |short: &Vec<u32>| set.iter().any(|long| long != short && long.starts_with(short));
            let sequences: Vec<&[u32]> = set.iter().filter(|one| !begins(one)).map(Vec::as_slice).collect();
            let (trie, model) = (Trie::new(sequences).unwrap(), model());
            let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
            let there = Selector::on_device(&trie, &orbit_core::device("flex").unwrap());
            let [here, there] = [Selector::Host, there]
                .map(|selector| search(&model, &prompts, &trie, beams, &selector).unwrap());
            for (here, there) in here.iter().zip(&there) {
                prop_assert_eq!(here.len(), there.len());
                for (a, b) in here.iter().zip(there) {
                    prop_assert!((a.log_probability - b.log_probability).abs() < 1e-5, "{a:?} {b:?}");
                    prop_assert!(a.item == b.item || (a.log_probability - b.log_probability).abs() < 1e-6);
                }
            }
        }
    }
}

//! The best continuations of every row's beams.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use orbit_core::kernel::log_likelihood;
use orbit_core::{Model, is_cpu, pick};
use orbit_data::Trie;

/// A beam to be continued.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    pub(super) node: u32,
    pub(super) score: f64,
    /// Where in its row the hidden state of its last token is.
    pub(super) column: usize,
}

/// A beam with one token more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Continuation {
    pub(super) score: f64,
    pub(super) node: u32,
    /// The place of the beam that it continues among those of its row.
    pub(super) parent: usize,
    pub(super) token: u32,
}

/// What the best continuations are asked for.
pub(super) struct Question<'a> {
    /// The hidden states of the last pass, `[rows, width, d]`.
    pub(super) hidden: Tensor<3>,
    /// The beams of each row.
    pub(super) live: &'a [Vec<Live>],
    pub(super) trie: &'a Trie,
    /// Continuations a row, at most.
    pub(super) beams: usize,
}

/// Where it is decided what is best.
pub(super) enum Selector {
    /// On a CPU's cores, in plain memory.
    Host,
    /// Where the model is, so that its logits need not leave.
    Device(Box<Arrays>),
}

/// The trie's arrays on a device.
pub(super) struct Arrays {
    tokens: Tensor<1, Int>,
    /// Where each node's children begin, and where the last one's end.
    first_child: Tensor<1, Int>,
}

impl Selector {
    /// What suits the device of a model.
    pub(super) fn of(model: &impl Model, trie: &Trie) -> Self {
        match model.devices().iter().find(|device| !is_cpu(device)) {
            Some(device) => Self::on_device(trie, device),
            None => Self::Host,
        }
    }

    pub(super) fn on_device(trie: &Trie, device: &Device) -> Self {
        Self::Device(Box::new(Arrays {
            tokens: ints(trie.tokens(), device),
            first_child: ints(trie.first_child(), device),
        }))
    }

    /// The best continuations of each row, best first.
    pub(super) fn best(&self, model: &impl Model, question: Question<'_>) -> Vec<Vec<Continuation>> {
        match self {
            Self::Host => best_on_host(model, question),
            Self::Device(arrays) => arrays.best(model, question),
        }
    }
}

fn best_on_host(model: &impl Model, question: Question<'_>) -> Vec<Vec<Continuation>> {
    let Question { hidden, live, trie, beams } = question;
    let [_, width, _] = hidden.dims();
    let places: Vec<u32> = (live.iter().enumerate())
        .flat_map(|(row, beams)| beams.iter().map(move |beam| (row * width + beam.column) as u32))
        .collect();
    let logits = logits(model, hidden, &places);
    let [count, vocabulary] = logits.dims();
    // log P of any one token says what the logits of its row are to be taken from.
    let firsts = on_host(log_likelihood(logits.clone(), &vec![0; count]));
    let logits = on_host(logits);
    let mut scores = logits.chunks_exact(vocabulary.max(1)).zip(firsts).map(|(row, first)| (row, row[0] - first));
    let row = |beams_of_row: &Vec<Live>| {
        let mut all = Vec::new();
        for ((parent, beam), (logits, log_total)) in beams_of_row.iter().enumerate().zip(&mut scores) {
            let (tokens, child) = trie.children(beam.node);
            for (&token, node) in tokens.iter().zip(child..) {
                let log_p = f64::from(logits[token as usize]) - f64::from(log_total);
                all.push(Continuation { score: beam.score + log_p, node, parent, token });
            }
        }
        let best_first = |a: &Continuation, b: &Continuation| b.score.total_cmp(&a.score).then(a.node.cmp(&b.node));
        if all.len() > beams {
            all.select_nth_unstable_by(beams, best_first);
            all.truncate(beams);
        }
        all.sort_unstable_by(best_first);
        all
    };
    live.iter().map(row).collect()
}

impl Arrays {
    /// Rows with fewer beams than others are filled with beams that cannot win. What comes back are `beams` places and as many
    /// numbers a row; scores are added up here, in f64.
    fn best(&self, model: &impl Model, question: Question<'_>) -> Vec<Vec<Continuation>> {
        let Question { hidden, live, trie, beams } = question;
        let [rows, width, _] = hidden.dims();
        let device = hidden.device();
        let a_row = live.iter().map(Vec::len).max().unwrap_or(0);
        let children = |beam: &Live| trie.children(beam.node).0.len();
        let widest = live.iter().flatten().map(children).max().unwrap_or(0);
        if widest == 0 {
            return vec![Vec::new(); rows];
        }
        let nobody = Live { node: 0, score: f64::NEG_INFINITY, column: 0 };
        let filled: Vec<Live> =
            (live.iter()).flat_map(|row| row.iter().copied().chain(std::iter::repeat(nobody)).take(a_row)).collect();
        let places: Vec<u32> =
            filled.iter().enumerate().map(|(at, beam)| (at / a_row * width + beam.column) as u32).collect();
        let logits = logits(model, hidden, &places);
        let scores: Vec<f32> = filled.iter().map(|beam| beam.score as f32).collect();
        let nodes: Vec<u32> = filled.iter().map(|beam| beam.node).collect();
        let (tokens, missing) = self.children(&nodes, widest);
        let log_p = log_probabilities(logits, tokens);
        let before = Tensor::<1>::from_data(TensorData::new(scores, [nodes.len()]), &device).reshape([nodes.len(), 1]);
        let scores = (log_p.clone() + before).mask_fill(missing, f32::NEG_INFINITY);
        let places = largest(scores.reshape([rows, a_row * widest]), beams);
        let log_p = on_host(log_p.reshape([rows, a_row * widest]).gather(1, places.clone()));
        let places: Vec<i64> = places.into_data().convert::<i64>().try_into_vec().unwrap_or_default();

        let kept = places.len() / rows;
        let row = |(row, live): (usize, &Vec<Live>)| {
            // A row with fewer continuations than that has them all among its first.
            let there: usize = live.iter().map(children).sum();
            let chosen = (row * kept..(row + 1) * kept).take(there);
            let mut best: Vec<Continuation> = chosen
                .filter_map(|at| {
                    let (parent, offset) = (places[at] as usize / widest, places[at] as usize % widest);
                    let beam = live.get(parent)?;
                    let (tokens, child) = trie.children(beam.node);
                    let token = *tokens.get(offset)?;
                    let score = beam.score + f64::from(log_p[at]);
                    Some(Continuation { score, node: child + offset as u32, parent, token })
                })
                .collect();
            best.sort_by(|a, b| b.score.total_cmp(&a.score));
            best
        };
        live.iter().enumerate().map(row).collect()
    }

    /// The tokens of each node's children, `[nodes, widest]`, and which are missing because it has fewer; there the root stands.
    fn children(&self, nodes: &[u32], widest: usize) -> (Tensor<2, Int>, Tensor<2, Bool>) {
        let device = self.tokens.device();
        let count = nodes.len();
        let nodes = ints(nodes, &device);
        let first = self.first_child.clone().select(0, nodes.clone()).reshape([count, 1]);
        let end = self.first_child.clone().select(0, nodes + 1).reshape([count, 1]).expand([count, widest]);
        let child = first + Tensor::<1, Int>::arange(0..widest as i64, &device).reshape([1, widest]);
        let missing = child.clone().greater_equal(end);
        let child = child.mask_fill(missing.clone(), 0).reshape([count * widest]);
        (self.tokens.clone().select(0, child).reshape([count, widest]), missing)
    }
}

/// log softmax of logits at some tokens of each row.
fn log_probabilities(logits: Tensor<2>, tokens: Tensor<2, Int>) -> Tensor<2> {
    let [count, _] = logits.dims();
    // log P of any one token says what the logits of its row are to be taken from.
    let firsts = log_likelihood(logits.clone(), &vec![0; count]).reshape([count, 1]);
    let log_total = logits.clone().narrow(1, 0, 1) - firsts;
    logits.gather(1, tokens) - log_total
}

/// Where in each row the `count` largest are, the largest first: one pass over the rows for each, and no sorting, for which burn
/// would fetch them from a GPU.
fn largest(mut scores: Tensor<2>, count: usize) -> Tensor<2, Int> {
    let [rows, width] = scores.dims();
    let columns = Tensor::<1, Int>::arange(0..width as i64, &scores.device()).reshape([1, width]).expand([rows, width]);
    let places: Vec<Tensor<2, Int>> = (0..count.min(width))
        .map(|_| {
            let place = scores.clone().argmax(1);
            let taken = columns.clone().equal(place.clone().expand([rows, width]));
            scores = scores.clone().mask_fill(taken, f32::NEG_INFINITY);
            place
        })
        .collect();
    Tensor::cat(places, 1)
}

/// The logits after some of the hidden states, one after the other.
fn logits(model: &impl Model, hidden: Tensor<3>, places: &[u32]) -> Tensor<2> {
    let [rows, width, d] = hidden.dims();
    model.logits(pick(hidden.reshape([rows * width, d]), places))
}

/// The numbers of a tensor in plain memory, row-major.
pub(super) fn on_host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().unwrap_or_default()
}

fn ints(numbers: &[u32], device: &Device) -> Tensor<1, Int> {
    let numbers: Vec<i32> = numbers.iter().map(|&number| number as i32).collect();
    let count = numbers.len();
    Tensor::from_data(TensorData::new(numbers, [count]), device)
}

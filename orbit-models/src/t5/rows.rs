//! How rows of prompts and answers meet an encoder and a decoder.
//!
//! A row is the prompt p₁ .. pₙ and the answer a₁ .. aₘ. The encoder reads the prompt. The decoder reads a start token and
//! a₁ .. aₘ₋₁, and guesses a₁ .. aₘ: its first token stands in the column of pₙ, from which a decoder-only model guesses a₁,
//! and its others in their own. So a mask or position that an [`Input`] gives a column means the same to both kinds of model.

use orbit_core::Input;
use orbit_core::kernel::Mask;

/// A token that the decoder has read: where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Its column, counted from the first call on; none where a row has fewer tokens than others.
    column: Option<usize>,
    pub(super) position: i64,
}

/// Prompts, padded on the right.
pub(super) struct Prompts {
    pub(super) width: usize,
    pub(super) tokens: Vec<u32>,
    pub(super) lengths: Vec<usize>,
}

/// What the decoder is to read in one call: as many tokens in every row.
pub(super) struct Answers {
    pub(super) width: usize,
    pub(super) tokens: Vec<u32>,
    /// A list a row.
    pub(super) places: Vec<Vec<Place>>,
}

impl Prompts {
    /// The prompts of a first call. Every prompt has a token at least.
    pub(super) fn of(input: &Input) -> Self {
        let lengths: Vec<usize> = input.answers.iter().map(|&answer| answer.min(input.width).max(1)).collect();
        let width = lengths.iter().copied().max().unwrap_or(0).min(input.width);
        let row = |(row, &length): (&[u32], &usize)| {
            row.iter().copied().take(length).chain(std::iter::repeat(0)).take(width).collect::<Vec<_>>()
        };
        let tokens = input.tokens.chunks(input.width.max(1)).zip(&lengths).flat_map(row).collect();
        Self { width, tokens, lengths }
    }
}

impl Answers {
    /// What follows the prompts of a first call, after `start`.
    pub(super) fn first(input: &Input, prompts: &Prompts, start: u32) -> Self {
        let answers = input.lengths.iter().zip(&prompts.lengths).map(|(length, prompt)| length.saturating_sub(*prompt));
        let width = answers.max().unwrap_or(0) + 1;
        let mut answers = Self { width, tokens: Vec::with_capacity(input.rows * width), places: Vec::new() };
        for (row, &prompt) in prompts.lengths.iter().enumerate() {
            let at = |column: usize| row * input.width + column;
            let first = input.positions.get(at(prompt - 1)).copied().map_or(0, i64::from);
            let place = |offset: usize| match Some(prompt - 1 + offset).filter(|&column| column < input.width) {
                Some(column) => Place { column: Some(column), position: i64::from(input.positions[at(column)]) },
                None => Place { column: None, position: first + offset as i64 },
            };
            let places: Vec<Place> = (0..width).map(place).collect();
            let token = |place: &Place| place.column.map_or(0, |column| input.tokens[at(column)]);
            answers.tokens.extend(places.iter().enumerate().map(|(i, p)| if i == 0 { start } else { token(p) }));
            answers.places.push(places);
        }
        answers
    }

    /// Tokens that follow `past` columns of earlier calls.
    pub(super) fn next(input: &Input, past: usize) -> Self {
        let place =
            |(column, &position): (usize, &u32)| Place { column: Some(past + column), position: i64::from(position) };
        let rows = input.positions.chunks(input.width.max(1));
        let places = rows.map(|positions| positions.iter().enumerate().map(place).collect()).collect();
        Self { width: input.width, tokens: input.tokens.clone(), places }
    }

    /// For every column of the input, the index of its hidden state among the decoder's `[rows · width]`; for the columns of
    /// prompts, the index after the last.
    pub(super) fn columns(&self, input: &Input, past: usize) -> Vec<u32> {
        let mut index = vec![(self.places.len() * self.width) as u32; input.rows * input.width];
        for (row, places) in self.places.iter().enumerate() {
            for (at, place) in places.iter().enumerate() {
                if let Some(column) = place.column {
                    index[row * input.width + column - past] = (row * self.width + at) as u32;
                }
            }
        }
        index
    }
}

/// What each of the `queries` in a row sees of the `keys`, of which they are the last; `past` columns stand before the input's.
pub(super) fn sight(input: &Input, past: usize, queries: &[Vec<Place>], keys: &[Vec<Place>]) -> Mask {
    let (t, s) = (queries.first().map_or(0, Vec::len), keys.first().map_or(0, Vec::len));
    let entry = |row: usize, query: usize, key: usize| {
        let seen = match (queries[row][query].column, keys[row][key].column) {
            (Some(from), Some(to)) => return by_mask(input, past, row, from - past, to),
            (Some(_), None) => false,
            (None, _) => key <= s - t + query,
        };
        if seen { 0.0 } else { f32::NEG_INFINITY }
    };
    Mask::Additive((0..queries.len() * t * s).map(|at| entry(at / s / t, at / s % t, at % s)).collect())
}

/// Lets each of a row's `queries` see the first `lengths` of its keys.
pub(super) fn up_to(lengths: &[usize], queries: usize, keys: usize) -> Mask {
    let query = |length: usize| (0..keys).map(move |key| if key < length { 0.0 } else { f32::NEG_INFINITY });
    let row = |&length: &usize| (0..queries).flat_map(move |_| query(length));
    Mask::Additive(lengths.iter().flat_map(row).collect())
}

/// The input's mask for its token in column `from` and key column `to`.
fn by_mask(input: &Input, past: usize, row: usize, from: usize, to: usize) -> f32 {
    match &input.mask {
        Mask::Causal { past } if to <= past + from => 0.0,
        Mask::Causal { .. } => f32::NEG_INFINITY,
        Mask::Additive(mask) => mask[(row * input.width + from) * (past + input.width) + to],
    }
}

//! Training examples: tokens, and where the answer starts.

mod drawn;
mod form;
mod mixed;
mod next_item;
mod pairs;
mod replay;
mod source;
#[cfg(test)]
mod tests;

use drawn::Drawn;
pub use form::{ItemForm, Turns};
pub use mixed::Mixed;
pub use next_item::{NextItem, NextItems};
pub use pairs::{Direction, Pairs};
pub use replay::Replay;
pub use source::ExampleSource;

use crate::permutation::{PREFIX, Permutation};

/// A sequence of tokens of which the part from `answer` on is learned.
///
/// ```
/// use orbit_data::Example;
/// let example = Example { tokens: vec![1, 2, 3, 9, 8], answer: 3 };
/// assert_eq!(example.prompt(), [1, 2, 3]);
/// assert_eq!(example.learned(), [9, 8]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// Index of the first token of the answer. At least 1, because the first token has nothing to be predicted from.
    pub answer: usize,
}

impl Example {
    /// The tokens before the answer.
    pub fn prompt(&self) -> &[u32] {
        &self.tokens[..self.answer]
    }

    /// The tokens of the answer.
    pub fn learned(&self) -> &[u32] {
        &self.tokens[self.answer..]
    }
}

/// A stream of tokens cut into windows, for language modelling: every token but the first of the stream is learned once.
///
/// Windows of `context + 1` tokens overlap by one, so that each predicts `context` tokens; what is left at the end, less
/// than a window, is not used.
///
/// ```
/// use orbit_data::example::{ExampleSource, Windows};
/// let windows = Windows::new(vec![10, 11, 12, 13, 14, 15], 2);
/// assert_eq!(windows.len(), 2);
/// assert_eq!(windows.get(1).tokens, [12, 13, 14]);
/// assert_eq!(windows.get(1).answer, 1);
/// ```
#[derive(Debug, Clone)]
pub struct Windows {
    tokens: Vec<u32>,
    context: usize,
    /// Seeds where prompts end, where windows have one.
    prompts: Option<u64>,
}

impl Windows {
    /// Cuts `tokens` into windows that predict `context` tokens each.
    pub fn new(tokens: Vec<u32>, context: usize) -> Self {
        Self { tokens, context: context.max(1), prompts: None }
    }

    /// Makes the beginning of every window a prompt, of one token to half the window, by a seeded draw: prefix language modelling
    /// (Raffel et al., arXiv 1910.10683, section 3.2), for a model that reads prompts with an encoder. Only the rest is learned.
    ///
    /// ```
    /// use orbit_data::example::{ExampleSource, Windows};
    /// let windows = Windows::new((0..41).collect(), 8).with_prompts(1);
    /// assert!((0..windows.len()).all(|index| (1..=4).contains(&windows.get(index).answer)));
    /// ```
    #[must_use]
    pub fn with_prompts(self, seed: u64) -> Self {
        Self { prompts: Some(seed), ..self }
    }
}

impl ExampleSource for Windows {
    fn len(&self) -> usize {
        self.tokens.len().saturating_sub(1) / self.context
    }

    fn length(&self, _: usize) -> usize {
        self.context + 1
    }

    fn get(&self, index: usize) -> Example {
        let start = index * self.context;
        let half = (self.context as u64 / 2).max(1);
        let answer =
            self.prompts.map_or(1, |seed| 1 + Permutation::new(half, [seed, index as u64, PREFIX]).at(0) as usize);
        Example { tokens: self.tokens[start..=start + self.context].to_vec(), answer }
    }
}

//! Examples padded to one width.

use crate::Example;

/// The rows that go through the model at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// How many examples.
    pub rows: usize,
    /// The length of the longest.
    pub width: usize,
    /// Token ids, `[rows, width]` row by row, padded on the right.
    pub tokens: Vec<u32>,
    /// The tokens of each row that are not padding, `[rows]`.
    pub lengths: Vec<usize>,
    /// Where each row's answer starts, `[rows]`.
    pub answers: Vec<usize>,
    /// Which example each row is, by its index in the source, `[rows]`.
    pub examples: Vec<usize>,
}

impl Batch {
    /// Pads `examples` with `pad`.
    ///
    /// ```
    /// use orbit_data::{Batch, Example};
    /// let short = Example { tokens: vec![1, 2], answer: 1 };
    /// let long = Example { tokens: vec![3, 4, 5, 6], answer: 2 };
    /// let batch = Batch::new(&[short, long], 0);
    /// assert_eq!(batch.tokens, [1, 2, 0, 0, 3, 4, 5, 6]);
    /// assert_eq!((batch.padding_share(), batch.learned()), (0.25, 3));
    /// ```
    pub fn new(examples: &[Example], pad: u32) -> Self {
        let lengths: Vec<usize> = examples.iter().map(|example| example.tokens.len()).collect();
        let width = lengths.iter().copied().max().unwrap_or(0);
        let mut tokens = vec![pad; examples.len() * width];
        for (row, example) in examples.iter().enumerate() {
            tokens[row * width..][..example.tokens.len()].copy_from_slice(&example.tokens);
        }
        let answers = examples.iter().map(|example| example.answer).collect();
        Self { rows: examples.len(), width, tokens, lengths, answers, examples: (0..examples.len()).collect() }
    }

    /// How many tokens are learned. The loss of a step is the mean over those of all its micro-batches.
    pub fn learned(&self) -> usize {
        self.lengths.iter().zip(&self.answers).map(|(length, answer)| length.saturating_sub(*answer)).sum()
    }

    /// The share of the tokens that is padding.
    pub fn padding_share(&self) -> f64 {
        let real: usize = self.lengths.iter().sum();
        1.0 - real as f64 / self.tokens.len().max(1) as f64
    }
}

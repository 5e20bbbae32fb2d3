use crate::{Error, Result};

/// Rows of tokens for one forward and backward pass, padded on the right to one width.
///
/// Padding never reaches a loss: attention is causal, and the loss is taken over answers only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MicroBatch {
    /// Number of rows.
    pub rows: usize,
    /// Tokens a row, padding included.
    pub width: usize,
    /// `[rows, width]`, row-major.
    pub tokens: Vec<u32>,
    /// The tokens of each row that are not padding.
    pub lengths: Vec<usize>,
    /// Where each row's answer begins; the loss is over the answer's tokens. 1 trains on the whole row.
    pub answers: Vec<usize>,
    /// The example each row was made from, for error messages.
    pub examples: Vec<usize>,
}

impl MicroBatch {
    /// Checks extents: lengths within the width, answers after the first token and before the end.
    pub fn check(&self) -> Result<()> {
        let sized = self.tokens.len() == self.rows * self.width
            && [self.lengths.len(), self.answers.len(), self.examples.len()] == [self.rows; 3];
        if !sized || self.rows == 0 {
            return Err(Error::Input(format!(
                "a batch of {} x {} has {} tokens and {} rows of lengths",
                self.rows,
                self.width,
                self.tokens.len(),
                self.lengths.len()
            )));
        }
        for row in 0..self.rows {
            let (length, answer) = (self.lengths[row], self.answers[row]);
            if length > self.width || answer == 0 || answer >= length {
                return Err(Error::Input(format!(
                    "example {}: its answer begins at token {answer} of {length}, in a batch {} wide",
                    self.examples[row], self.width
                )));
            }
        }
        Ok(())
    }

    /// Positions in the flattened batch whose next token is part of an answer, and those next tokens.
    pub fn answer_positions(&self) -> (Vec<u32>, Vec<u32>) {
        let positions = (0..self.rows).flat_map(|row| {
            let start = row * self.width;
            start + self.answers[row] - 1..start + self.lengths[row] - 1
        });
        positions.map(|position| (position as u32, self.tokens[position + 1])).unzip()
    }

    /// Positions in the flattened batch of each prompt's last token.
    pub fn prompt_ends(&self) -> Vec<u32> {
        (0..self.rows).map(|row| (row * self.width + self.answers[row] - 1) as u32).collect()
    }

    /// Positions in the flattened batch that are not padding.
    pub fn token_positions(&self) -> Vec<u32> {
        (0..self.rows)
            .flat_map(|row| (row * self.width) as u32..(row * self.width + self.lengths[row]) as u32)
            .collect()
    }

    /// One row as a batch of its own, without padding.
    pub fn row(&self, row: usize) -> Self {
        let width = self.lengths[row];
        Self {
            rows: 1,
            width,
            tokens: self.tokens[row * self.width..][..width].to_vec(),
            lengths: vec![width],
            answers: vec![self.answers[row]],
            examples: vec![self.examples[row]],
        }
    }

    /// Tokens that the loss is taken over.
    pub fn answer_tokens(&self) -> usize {
        self.lengths.iter().zip(&self.answers).map(|(length, answer)| length - answer).sum()
    }
}

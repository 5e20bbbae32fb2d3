use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use orbit_hook::ParamKind;

use crate::kernel::Mask;
use crate::{Error, MicroBatch, Result, Sites, Trace};

/// A language model, as training and evaluation see it.
///
/// The names of its parameters are the names in its checkpoint; `burn`'s derive makes them from the fields.
pub trait Model: Module {
    /// The last hidden state of every token, `[rows, width, d]`, ready for [`Model::logits`]: that of token t is what the model
    /// guesses token t + 1 from. An encoder-decoder guesses nothing within the prompt and has zeros there.
    fn hidden(&self, input: &Input) -> Tensor<3>;

    /// [`Model::hidden`], with activations kept and changed on the way as `trace` says. For a model without sites it is
    /// [`Model::hidden`] alone.
    fn traced(&self, input: &Input, trace: &mut Trace) -> Tensor<3> {
        let _ = trace;
        self.hidden(input)
    }

    /// What [`Model::traced`] gives, from the residual stream before layer `from` on; none if the model cannot begin there.
    fn traced_from(&self, from: usize, stream: Tensor<3>, input: &Input, trace: &mut Trace) -> Option<Tensor<3>> {
        let _ = (from, stream, input, trace);
        None
    }

    /// The sites that [`Model::traced`] shows.
    fn sites(&self) -> Sites {
        Sites::default()
    }

    /// Scores over the vocabulary for rows of hidden states: `[n, d]` → `[n, vocabulary]`.
    fn logits(&self, hidden: Tensor<2>) -> Tensor<2>;

    /// Tokens that the model was loaded with. New tokens stand after them.
    fn base_vocabulary(&self) -> usize;

    /// All tokens, new ones included.
    fn vocabulary(&self) -> usize {
        self.base_vocabulary()
    }

    /// Whether a parameter was loaded with the model or added for this run.
    fn kind(&self, parameter: &str) -> ParamKind;

    /// Whether training changes a parameter. One that it does not is in no vector of a hook, and has no gradient, no moments and
    /// no origin: it costs its own memory and nothing more.
    fn trains(&self, _parameter: &str) -> bool {
        true
    }

    /// How many adapters a row of an input may choose from, see [`Input::adapters`].
    fn adapters(&self) -> usize {
        0
    }
}

/// Tokens for one forward pass.
#[derive(Clone, Debug)]
pub struct Input {
    /// Number of rows.
    pub rows: usize,
    /// Tokens a row.
    pub width: usize,
    /// `[rows, width]`, row-major.
    pub tokens: Vec<u32>,
    /// Each token's position in its text, `[rows, width]`.
    pub positions: Vec<u32>,
    /// Which tokens each token sees.
    pub mask: Mask,
    /// Where each row's answer begins; what stands before is the prompt. A decoder takes no notice; an encoder-decoder gives
    /// the prompt to its encoder and the answer to its decoder. 0 where the row goes on with an answer already begun.
    pub answers: Vec<usize>,
    /// The tokens of each row that are not padding. A decoder takes no notice; an encoder-decoder reads no further.
    pub lengths: Vec<usize>,
    /// What seeds the dropout of this pass; none outside of training.
    pub noise: Option<u64>,
    /// The adapter that each row goes through, by its number, or none for the model as it is. Empty where no row has one.
    pub adapters: Vec<Option<usize>>,
}

impl Input {
    /// Rows of plain text: token t stands at position t and sees those before it. All but the first token is answer, none is
    /// padding.
    pub fn rows(tokens: Vec<u32>, rows: usize, width: usize) -> Self {
        let positions = (0..rows).flat_map(|_| 0..width as u32).collect();
        Self {
            rows,
            width,
            tokens,
            positions,
            mask: Mask::Causal { past: 0 },
            answers: vec![1; rows],
            lengths: vec![width; rows],
            noise: None,
            adapters: Vec::new(),
        }
    }

    /// Rows whose answers begin at the given tokens.
    pub fn with_answers(mut self, answers: Vec<usize>) -> Self {
        self.answers = answers;
        self
    }

    /// Rows that end before the given tokens; the rest of each is padding.
    pub fn with_lengths(mut self, lengths: Vec<usize>) -> Self {
        self.lengths = lengths;
        self
    }

    /// Rows in which `visible(row, token, key)` says what each token sees.
    pub fn with_mask(mut self, visible: impl Fn(usize, usize, usize) -> bool) -> Self {
        let (rows, width) = (self.rows, self.width);
        let mask: Vec<f32> = (0..rows * width * width)
            .map(|i| {
                let (row, token, key) = (i / (width * width), i / width % width, i % width);
                if visible(row, token, key) { 0.0 } else { f32::NEG_INFINITY }
            })
            .collect();
        self.mask = Mask::Additive(Arc::from(mask));
        self
    }

    /// The column of each row's last prompt token; none where the row goes on with an answer already begun.
    pub fn prompt_ends(&self) -> impl Iterator<Item = Option<usize>> {
        self.answers.iter().map(|answer| answer.checked_sub(1).filter(|column| *column < self.width))
    }

    /// The tokens on a device, `[rows, width]`.
    pub fn ids(&self, device: &Device) -> Tensor<2, Int> {
        let ids: Vec<i32> = self.tokens.iter().map(|&token| token as i32).collect();
        Tensor::from_data(TensorData::new(ids, [self.rows, self.width]), device)
    }
}

impl From<&MicroBatch> for Input {
    fn from(batch: &MicroBatch) -> Self {
        Self::rows(batch.tokens.clone(), batch.rows, batch.width)
            .with_answers(batch.answers.clone())
            .with_lengths(batch.lengths.clone())
    }
}

/// An error for a token that a vocabulary of this size does not have: a device would read beside the table.
pub fn check_tokens(tokens: &[u32], vocabulary: usize) -> Result<()> {
    match tokens.iter().find(|&&token| token as usize >= vocabulary) {
        Some(token) => Err(Error::Input(format!("token {token} is not in the model's vocabulary of {vocabulary}"))),
        None => Ok(()),
    }
}

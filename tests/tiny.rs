//! A model, a language and a hook, each as small as a test can bear.

use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use orbit_core::hook::{Hook, Param, Phases, Result, Space, Step, Vector};
use orbit_core::{AdamW, Batches, Decay, Entry, Fit, Input, MicroBatch, Model, Schedule, StepReport, device};
use orbit_models::{Decoder, DecoderConfig, load};

pub(crate) fn flex() -> Device {
    device("flex").unwrap()
}

/// tiny-llama of `testdata/models`: 96 tokens, 2 layers, 4 heads in 2 groups.
pub(crate) fn llama(device: &Device) -> Decoder {
    load(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/models/tiny-llama")), device).unwrap()
}

/// How many tokens the model and the language have.
pub(crate) const VOCABULARY: u32 = 16;

/// A fresh decoder of two layers, ready for training.
pub(crate) fn decoder() -> Decoder {
    decoder_on(&flex())
}

pub(crate) fn decoder_on(device: &Device) -> Decoder {
    let config = DecoderConfig {
        vocab_size: VOCABULARY as usize,
        hidden_size: 20,
        intermediate_size: 36,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 6,
        tie_word_embeddings: true,
        initializer_range: 0.3,
        ..DecoderConfig::default()
    };
    Decoder::random(config, 7, &device.clone().autodiff())
}

/// Rows of (tokens, where the answer begins), padded to the longest.
pub(crate) fn micro_batch(rows: &[(Vec<u32>, usize)]) -> MicroBatch {
    let width = rows.iter().map(|(tokens, _)| tokens.len()).max().unwrap();
    let padded = |tokens: &Vec<u32>| tokens.iter().copied().chain(std::iter::repeat(0)).take(width).collect::<Vec<_>>();
    MicroBatch {
        rows: rows.len(),
        width,
        tokens: rows.iter().flat_map(|(tokens, _)| padded(tokens)).collect(),
        lengths: rows.iter().map(|(tokens, _)| tokens.len()).collect(),
        answers: rows.iter().map(|(_, answer)| *answer).collect(),
        examples: (100..100 + rows.len()).collect(),
    }
}

/// A language in which every token says what follows: 5 x + 3, modulo the vocabulary.
pub(crate) struct Language {
    /// Rows of a micro-batch; a batch has eight rows.
    pub(crate) micro: usize,
}

impl Language {
    /// The rows of a step, of lengths 4 to 9, with answers at 1 to 3.
    pub(crate) fn rows(step: u64) -> Vec<(Vec<u32>, usize)> {
        let row = |row: u64| {
            let seed = 31 * step + 7 * row;
            let text = std::iter::successors(Some((seed % 16) as u32), |x| Some((5 * x + 3) % VOCABULARY));
            (text.take(4 + (seed / 3 % 6) as usize).collect(), 1 + (row % 3) as usize)
        };
        (0..8).map(row).collect()
    }
}

impl Batches for Language {
    fn batch(&mut self, step: u64) -> orbit_core::Result<Option<Vec<MicroBatch>>> {
        Ok(Some(Self::rows(step).chunks(self.micro).map(micro_batch).collect()))
    }
}

/// A learning rate that stays.
pub(crate) fn constant(learning_rate: f64, total: u64) -> Schedule {
    Schedule { learning_rate, warmup: 0, decay: Decay::Constant, total }
}

/// A run of the decoder on the language at a learning rate of 0.01.
pub(crate) fn fit(hooks: Vec<Entry>, total: u64) -> Fit<Decoder, Language> {
    Fit::new(decoder(), hooks, Language { micro: 4 }, AdamW::default(), constant(1e-2, total)).unwrap()
}

/// Takes every step there is, and ends the run.
pub(crate) fn finish<M: Model, B: Batches>(fit: &mut Fit<M, B>) -> Vec<StepReport> {
    std::iter::from_fn(|| fit.step().unwrap()).collect()
}

/// A hook that runs a closure with the phase, the step's number and the space; [`Phases::NONE`] is `attach`.
struct Scripted<F> {
    name: &'static str,
    phases: Phases,
    act: F,
}

impl<F: FnMut(Phases, u64, &mut dyn Space) -> Result<()> + Send> Hook for Scripted<F> {
    fn name(&self) -> &str {
        self.name
    }
    fn phases(&self) -> Phases {
        self.phases
    }
    fn attach(&mut self, space: &mut dyn Space) -> Result<()> {
        (self.act)(Phases::NONE, 0, space)
    }
    fn gradients(&mut self, step: &Step, space: &mut dyn Space) -> Result<()> {
        (self.act)(Phases::GRADIENTS, step.number, space)
    }
    fn weights(&mut self, step: &Step, space: &mut dyn Space) -> Result<()> {
        (self.act)(Phases::WEIGHTS, step.number, space)
    }
    fn finish(&mut self, space: &mut dyn Space) -> Result<()> {
        (self.act)(Phases::FINISH, 0, space)
    }
}

/// An entry whose hook runs `act` in `phases` and in `attach`.
pub(crate) fn scripted(
    name: &'static str,
    phases: Phases,
    act: impl FnMut(Phases, u64, &mut dyn Space) -> Result<()> + Send + 'static,
) -> Entry {
    Entry::new(Box::new(Scripted { name, phases, act }))
}

/// A vector's entries, parameter by parameter, with their names.
pub(crate) fn contents(space: &mut dyn Space, vector: Vector) -> Vec<(String, Vec<f32>)> {
    let mut found = Vec::new();
    space.visit(vector, &mut |Param { name, .. }, entries| found.push((name.clone(), entries.to_vec()))).unwrap();
    found
}

/// Log-probabilities over the vocabulary at every position of one text, in double precision.
pub(crate) fn log_softmax(model: &Decoder, tokens: &[u32]) -> Vec<Vec<f64>> {
    let hidden = model.hidden(&Input::rows(tokens.to_vec(), 1, tokens.len()));
    let [_, width, d] = hidden.dims();
    let logits = model.logits(hidden.reshape([width, d]));
    let [_, vocabulary] = logits.dims();
    let normalised = |row: &[f32]| {
        let largest = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let total = row.iter().map(|&x| (f64::from(x) - largest).exp()).sum::<f64>().ln() + largest;
        row.iter().map(|&x| f64::from(x) - total).collect()
    };
    values(logits).chunks(vocabulary).map(normalised).collect()
}

/// A tensor's entries.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// A tensor of the given entries.
pub(crate) fn tensor(entries: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(entries.to_vec(), [entries.len()]), device)
}

/// Numbers between −2 and 2 without a pattern that a mistake could hide behind.
pub(crate) fn noise(count: usize, seed: u32) -> Vec<f32> {
    (0..count as u32).map(|i| 2.0 * (f64::from(i) * 12.9898 + f64::from(seed) * 78.233).sin() as f32).collect()
}

/// The largest difference of two lists; NaN where only one is.
pub(crate) fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let difference = |(a, b): (&f32, &f32)| if a.to_bits() == b.to_bits() { 0.0 } else { (a - b).abs() };
    let differences = found.iter().zip(expected).map(difference);
    // A NaN must not get lost in max.
    differences.fold(0.0, |worst, d| if d <= worst || worst.is_nan() { worst } else { d })
}

/// The largest difference of two lists, over the largest entry of the second.
pub(crate) fn relative_difference(found: &[f32], expected: &[f32]) -> f32 {
    largest_difference(found, expected) / expected.iter().fold(f32::MIN_POSITIVE, |largest, x| largest.max(x.abs()))
}

//! What a run takes of the machine's memory, by arithmetic on the model's shape: for `orbit explain`, and to refuse up front
//! what cannot fit.
//!
//! A run does several things one after the other, and its peak is that of the greediest. In a training step activations go as
//! gradients come, so only the larger of the two counts. `tests/memory.rs` holds the sum to 15% of what the system counts.
//!
//! Bytes are `f64` here: a run file may ask for more than 64 bits can count.

mod base;
mod evaluation;
mod fits;
mod hooks;
mod pass;
mod shape;
mod texts;

use std::path::Path;

use anyhow::Result;
use orbit_data::semantic_id::Collisions;
use orbit_data::{Corpus, SemanticIds as Ids, Split};
use orbit_regularizers::HookEntry;

use crate::config::{Adapters, IdMethod, RunFile, SequenceFile, Train};
use crate::pipeline;
pub(crate) use base::Base;
pub(crate) use fits::{check_run, check_sequence};
use pass::{Batch, Trained};
use texts::Texts;

/// Bytes of a number; everything is f32.
const F32: f64 = 4.0;
const MIB: f64 = (1 << 20) as f64;
/// The program itself, with its libraries.
const PROGRAM: f64 = 24.0 * MIB;
/// Bytes of a word in a tokenizer, with its merges.
const A_WORD: f64 = 720.0;
/// Codes of the level that tells apart items with the same codes, roughly.
const CODES_APART: usize = 16;

/// Something in memory, and its bytes.
type Part = (String, f64);

/// What a run takes.
pub(crate) struct Needs {
    parameters: usize,
    batch: Batch,
    /// What is there at the height of a training step.
    step: Vec<Part>,
    /// The other things that a run does, and what each takes in all.
    others: Vec<Part>,
}

/// Whether data are read to see how long texts really are, or the run file's limits are taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    Read,
    Unread,
}

/// What a run of a model alone, or of a sequence, trains.
struct Training<'a> {
    base: &'a Base,
    train: &'a Train,
    hooks: &'a [HookEntry],
    trained: Trained,
    batch: Batch,
    /// Rows of tokens that are added to the model, in each of its two tables.
    new_tokens: usize,
    /// Whether the model of the beginning stays beside the one in training.
    base_stays: bool,
    /// Bytes of the data.
    data: f64,
}

/// The needs of a run whose paths are absolute.
///
/// # Errors
/// When the model cannot be read.
pub(crate) fn of_run(run: &RunFile, data: Data) -> Result<Needs> {
    let base = Base::of(run)?;
    let corpus = (data == Data::Read).then(|| pipeline::read(&run.corpus).ok()).flatten().map(|data| data.corpus);
    let codes = codes_per_level(run, corpus.as_ref());
    let longest = corpus.as_ref().and_then(longest_history).unwrap_or(run.examples.max_history);
    let texts = Texts::of_run(run, &base, &codes, longest);
    let training = Training {
        base: &base,
        train: &run.train,
        hooks: &run.hooks,
        trained: Trained::Whole,
        batch: Batch::new(run.train.micro_batch(), texts),
        // Two tokens stand around each ID.
        new_tokens: codes.iter().sum::<usize>() + 2,
        base_stays: false,
        data: run.corpus.clone().data_paths().map(|path| in_memory(path)).sum(),
    };
    let evaluation = evaluation::of_run(&run.evaluate, &base.shape, texts, (codes.len(), longest));
    // When the model is measured only the model is left, and the data.
    let model: f64 = training.standing().iter().take(3).map(|(_, bytes)| bytes).sum();
    Ok(training.needs(vec![("evaluation".into(), model + evaluation)]))
}

/// The needs of a sequence whose paths are absolute.
///
/// # Errors
/// As [`of_run`], and when an adapter does not suit the model.
pub(crate) fn of_sequence(run: &SequenceFile, data: Data) -> Result<Needs> {
    let base = Base::read(&run.model.path)?;
    let texts = Texts::of_sequence(run, &base, data);
    let training = Training {
        trained: match &run.lora {
            Some(lora) => Trained::adapter(&base.shape, lora)?,
            None => Trained::Whole,
        },
        base: &base,
        train: &run.train,
        hooks: &run.hooks,
        batch: Batch::new(run.train.micro_batch(), texts),
        new_tokens: 0,
        base_stays: run.lora.is_none(),
        data: 0.0,
    };
    // The training of a stage stays for the next one while its outcome is measured and saved.
    let standing: f64 = training.standing().iter().map(|(_, bytes)| bytes).sum();
    let evaluation = evaluation::of_sequence(&run.evaluate, &base.shape, texts);
    let mut others = vec![("evaluation".into(), standing + evaluation)];
    if run.sequence.adapters != Adapters::PerTask {
        let merged = training.trained.merged() * F32;
        others.push(("saving the model".into(), standing + merged + base.shape.weights() + base.shape.largest()));
    }
    Ok(training.needs(others))
}

/// Bytes that a file of data takes when it is read, roughly: packed text comes to four times its size and then twice that in
/// pieces, embeddings to f32.
fn in_memory(path: &Path) -> f64 {
    let size = path.metadata().map_or(0.0, |file| file.len() as f64);
    match path.extension().and_then(|end| end.to_str()) {
        Some("gz") => 8.0 * size,
        Some("npy") => 4.0 * size,
        _ => 2.0 * size,
    }
}

/// Codes of each level, as far as they are known before the IDs are made: items that share their codes get a level more.
pub(crate) fn codes_per_level(run: &RunFile, corpus: Option<&Corpus>) -> Vec<usize> {
    let ids = &run.semantic_ids;
    if let Some(ids) = ids.file.as_ref().and_then(|file| Ids::load(file).ok()) {
        return ids.codes_per_level().to_vec();
    }
    let mut codes = vec![ids.codes; ids.levels];
    match ids.method {
        // A code an item, as far as they are known.
        IdMethod::Atomic => {
            let made = run.corpus.generated.as_ref().map(|catalogue| catalogue.items);
            return vec![corpus.map(|corpus| corpus.items.len()).or(made).unwrap_or(ids.codes)];
        }
        _ if ids.collisions == Collisions::ExtraLevel => codes.push(CODES_APART),
        _ => {}
    }
    codes
}

/// The items of the longest history that has a next item to learn.
fn longest_history(corpus: &Corpus) -> Option<usize> {
    Split::leave_one_out(corpus).users().iter().map(|user| user.train().len().saturating_sub(1)).max()
}

impl Training<'_> {
    /// What is there all the time: the program, the data and the model first.
    fn standing(&self) -> Vec<Part> {
        let base = self.base.shape.weights();
        let new = 2.0 * self.new_tokens as f64 * self.base.shape.width as f64 * F32;
        let trained = self.trained(new);
        let mut parts = vec![("the program".to_owned(), self.base.program()), ("the data".to_owned(), self.data)];
        parts.push(("weights".to_owned(), base + new));
        let origin = match &self.trained {
            Trained::Whole => base,
            Trained::Adapter { .. } => {
                parts.push(("adapter".to_owned(), trained));
                trained
            }
        };
        if self.base_stays {
            parts.push(("the model before".to_owned(), base));
        }
        parts.extend([("origin".to_owned(), origin), ("moments of AdamW".to_owned(), 2.0 * trained)]);
        parts.extend(hooks::vectors(self.hooks, &self.base.shape, trained));
        parts
    }

    /// Bytes of what is trained, `new` being those of the rows of new tokens.
    fn trained(&self, new: f64) -> f64 {
        match &self.trained {
            Trained::Whole => self.base.shape.weights() + new,
            Trained::Adapter { entries, .. } => *entries as f64 * F32,
        }
    }

    /// What a training step adds, and beside it what else a run does.
    fn needs(&self, others: Vec<Part>) -> Needs {
        let shape = &self.base.shape;
        let new = 2.0 * self.new_tokens as f64 * shape.width as f64 * F32;
        let gradients = self.trained(new);
        let vocabulary = shape.vocabulary + self.new_tokens;
        let mut step = self.standing();
        if self.train.micro_batch() < self.train.batch {
            step.push(("gradients so far".to_owned(), gradients));
        }
        step.extend(hooks::terms(self.hooks, &self.batch, vocabulary));
        // The output layer's gradient is there before the first activation goes; where the embedding is the output layer too
        // it has two gradients at the end, until they are added.
        let table = if matches!(self.trained, Trained::Whole) { self.base.shape.table() } else { 0.0 };
        let activations = pass::kept(shape, &self.trained, &self.batch, vocabulary);
        let tied = if shape.tied { table } else { 0.0 };
        step.push(if activations + table > gradients + tied {
            ("activations".to_owned(), activations + table)
        } else {
            ("gradients".to_owned(), gradients + tied)
        });
        // The allocator seldom finds a hole for it among what smaller tensors have left.
        step.push(("gaps of the largest tensor".to_owned(), self.base.shape.largest()));
        // A file is read whole, and its numbers are then made f32.
        let read = self.base.program() + self.base.shape.weights() + self.base.file;
        let reading = (self.base.file > 0.0).then(|| ("reading the model".to_owned(), read));
        let others = reading.into_iter().chain(others).collect();
        Needs { parameters: shape.parameters, batch: self.batch, step, others }
    }
}

impl Needs {
    /// The bytes of a training step.
    fn training(&self) -> f64 {
        self.step.iter().map(|(_, bytes)| bytes).sum()
    }

    /// The most bytes that are there at once.
    pub(crate) fn peak(&self) -> f64 {
        self.others.iter().map(|(_, bytes)| *bytes).fold(self.training(), f64::max)
    }

    /// The arithmetic, a line a part.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "memory, roughly, for {:.1} M parameters and forward passes of {} x {} tokens\n",
            self.parameters as f64 / 1e6,
            self.batch.rows,
            self.batch.width
        );
        let sums =
            [[("a training step, in all".to_owned(), self.training())].as_slice(), self.others.as_slice()].concat();
        let parts = self.step.iter().filter(|(_, bytes)| *bytes > 0.0).chain(&sums);
        for (name, bytes) in parts.chain([&("at the peak".to_owned(), self.peak())]) {
            text.push_str(&format!("  {name:<28}{:>8.0} MiB\n", bytes / MIB));
        }
        text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

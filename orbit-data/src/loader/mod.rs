//! Seeded batches, the same from any starting step.

mod batch;
#[cfg(test)]
mod tests;

pub use batch::Batch;

use crate::example::ExampleSource;
use crate::permutation::Permutation;
use crate::{Error, Result};

/// How many batches are bucketed by length together. More means less padding, and batches that are less random: at 64,
/// neighbours in length are still drawn from 64 batches' worth of random examples.
const WINDOW: u64 = 64;

/// Cuts the examples of a source into batches whose order is a pure function of the seed, the epoch and the step.
///
/// An epoch is a fresh permutation of all examples. Of each window of 64 batches' worth of it, the examples are sorted by
/// length and cut into batches, so that a batch has little padding; the batches of a window are then taken in random
/// order. What is left of an epoch when less than a batch remains is dropped; the next epoch drops others.
///
/// ```
/// use orbit_data::{Example, Loader};
/// let examples: Vec<Example> = (1..=10).map(|n| Example { tokens: vec![n; n as usize], answer: 1 }).collect();
/// let loader = Loader::new(examples, 4, 2, 0)?;
/// assert_eq!(loader.steps_per_epoch(), 2);
/// let micro_batches = loader.batch_at(1000);
/// assert_eq!(micro_batches.iter().map(|batch| batch.rows).collect::<Vec<_>>(), [2, 2]);
/// assert_eq!(loader.batches(1000).next(), Some(micro_batches));
/// # Ok::<(), orbit_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Loader<S> {
    source: S,
    batch: u64,
    micro_batch: usize,
    seed: u64,
    pad: u32,
}

impl<S: ExampleSource> Loader<S> {
    /// Batches of `batch` examples, each given as micro-batches of `micro_batch` (the last may be smaller), padded with
    /// token 0.
    ///
    /// # Errors
    /// When a size is 0 or there are fewer examples than one batch takes.
    pub fn new(source: S, batch: usize, micro_batch: usize, seed: u64) -> Result<Self> {
        if batch == 0 || micro_batch == 0 {
            return Err(Error::Invalid("batch and micro_batch must be at least 1".into()));
        }
        if source.len() < batch {
            let reason = format!("{} examples do not fill one batch of {batch}: take a smaller batch", source.len());
            return Err(Error::Invalid(reason));
        }
        Ok(Self { source, batch: batch as u64, micro_batch, seed, pad: 0 })
    }

    /// Pads with `pad` instead of 0. Padding is never learned, but must be a token the model has.
    #[must_use]
    pub fn with_pad(self, pad: u32) -> Self {
        Self { pad, ..self }
    }

    /// The examples.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Steps until all examples were seen once, up to the dropped rest.
    pub fn steps_per_epoch(&self) -> u64 {
        self.source.len() as u64 / self.batch
    }

    /// The micro-batches of step `step`, from 0. Costs planning a window, which is sorting 64 batches' worth of lengths,
    /// whatever the step; [`batches`](Self::batches) plans each window once.
    pub fn batch_at(&self, step: u64) -> Vec<Batch> {
        let (epoch, window, place) = self.locate(step);
        self.build(epoch, &self.plan(epoch, window), place)
    }

    /// The micro-batches of step `from` and of all steps after it, without end.
    pub fn batches(&self, from: u64) -> Batches<'_, S> {
        Batches { loader: self, step: from, plan: Vec::new() }
    }

    /// The epoch of a step, its window in the epoch, and its place in the window.
    fn locate(&self, step: u64) -> (u64, u64, usize) {
        let (epoch, step) = (step / self.steps_per_epoch(), step % self.steps_per_epoch());
        (epoch, step / WINDOW, (step % WINDOW) as usize)
    }

    /// The examples of a window in the order in which its steps take them.
    fn plan(&self, epoch: u64, window: u64) -> Vec<usize> {
        let first = window * WINDOW;
        let steps = WINDOW.min(self.steps_per_epoch() - first);
        // Window 0 names the epoch's own permutation, so the windows' are counted from 1.
        let examples = Permutation::new(self.source.len() as u64, [self.seed, epoch, 0]);
        let mut bucket: Vec<usize> =
            (first * self.batch..(first + steps) * self.batch).map(|at| examples.at(at) as usize).collect();
        // A stable sort keeps equal lengths in random order: else a source of one window would have the same batches
        // in every epoch.
        bucket.sort_by_cached_key(|&index| self.source.length_in(epoch, index));
        let order = Permutation::new(steps, [self.seed, epoch, window + 1]);
        let chunk = |place| bucket.chunks_exact(self.batch as usize).nth(order.at(place) as usize).unwrap_or_default();
        (0..steps).flat_map(chunk).copied().collect()
    }

    fn build(&self, epoch: u64, plan: &[usize], place: usize) -> Vec<Batch> {
        let batch = self.batch as usize;
        let rows = &plan[place * batch..][..batch];
        let micro_batch = |indices: &[usize]| {
            let examples: Vec<_> = indices.iter().map(|&index| self.source.get_in(epoch, index)).collect();
            Batch { examples: indices.to_vec(), ..Batch::new(&examples, self.pad) }
        };
        rows.chunks(self.micro_batch).map(micro_batch).collect()
    }
}

/// Iterates over the steps of a [`Loader`].
#[derive(Debug)]
pub struct Batches<'a, S> {
    loader: &'a Loader<S>,
    step: u64,
    plan: Vec<usize>,
}

impl<S: ExampleSource> Iterator for Batches<'_, S> {
    type Item = Vec<Batch>;

    fn next(&mut self) -> Option<Vec<Batch>> {
        let (epoch, window, place) = self.loader.locate(self.step);
        if place == 0 || self.plan.is_empty() {
            self.plan = self.loader.plan(epoch, window);
        }
        self.step += 1;
        Some(self.loader.build(epoch, &self.plan, place))
    }
}

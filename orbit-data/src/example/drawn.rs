//! So many examples of a source an epoch.

use super::{Example, ExampleSource};
use crate::permutation::{Permutation, REPLAY};

/// `an_epoch` examples of a source in every epoch, drawn in a seeded order: none twice until all were used, then in another
/// order; the draws go on from epoch to epoch. Every draw is a function of the seed, the epoch and the place.
#[derive(Debug, Clone)]
pub(super) struct Drawn<S> {
    source: S,
    an_epoch: usize,
    seed: u64,
}

impl<S: ExampleSource> Drawn<S> {
    /// Of a source that is not empty, unless none are drawn.
    pub(super) fn new(source: S, an_epoch: usize, seed: u64) -> Self {
        Self { source, an_epoch, seed }
    }

    /// Which example is draw `draw` of an epoch.
    fn at(&self, epoch: u64, draw: usize) -> usize {
        let count = self.source.len() as u64;
        // The epoch may be any number, and its product with theirs too large.
        let draw = u128::from(epoch) * self.an_epoch as u128 + draw as u128;
        let (round, place) = (draw / u128::from(count), draw % u128::from(count));
        Permutation::new(count, [self.seed, round as u64, REPLAY]).at(place as u64) as usize
    }
}

impl<S: ExampleSource> ExampleSource for Drawn<S> {
    fn len(&self) -> usize {
        self.an_epoch
    }

    fn length(&self, index: usize) -> usize {
        self.length_in(0, index)
    }

    fn get(&self, index: usize) -> Example {
        self.get_in(0, index)
    }

    fn length_in(&self, epoch: u64, index: usize) -> usize {
        self.source.length(self.at(epoch, index))
    }

    fn get_in(&self, epoch: u64, index: usize) -> Example {
        self.source.get(self.at(epoch, index))
    }
}

//! What a loader takes examples from.

use super::Example;

/// Examples by index. Batches are planned from the lengths alone, so that only the examples of a batch are ever built.
pub trait ExampleSource {
    /// How many examples there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of tokens of example `index`, without building it.
    fn length(&self, index: usize) -> usize;

    /// Example `index`, below [`len`](Self::len).
    fn get(&self, index: usize) -> Example;

    /// [`length`](Self::length) in an epoch, from 0. Differs from it only where epochs do not have the same examples.
    fn length_in(&self, _epoch: u64, index: usize) -> usize {
        self.length(index)
    }

    /// [`get`](Self::get) in an epoch, from 0. Differs from it only where epochs do not have the same examples; then the
    /// others are those of epoch 0.
    fn get_in(&self, _epoch: u64, index: usize) -> Example {
        self.get(index)
    }
}

impl ExampleSource for Vec<Example> {
    fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn length(&self, index: usize) -> usize {
        self[index].tokens.len()
    }

    fn get(&self, index: usize) -> Example {
        self[index].clone()
    }
}

/// Of a kind that is known at run time only.
impl<S: ExampleSource + ?Sized> ExampleSource for Box<S> {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn length(&self, index: usize) -> usize {
        (**self).length(index)
    }

    fn get(&self, index: usize) -> Example {
        (**self).get(index)
    }

    fn length_in(&self, epoch: u64, index: usize) -> usize {
        (**self).length_in(epoch, index)
    }

    fn get_in(&self, epoch: u64, index: usize) -> Example {
        (**self).get_in(epoch, index)
    }
}

//! Examples of several kinds, by weight.

use super::{Drawn, Example, ExampleSource};
use crate::{Error, Result};

/// Examples of several kinds, mixed by weight: with a weight of 1 every example comes once an epoch, with 2 twice, with 0.5 half
/// of them in one epoch and the other half in the next.
///
/// ```
/// use orbit_data::example::{ExampleSource, Mixed};
/// use orbit_data::Example;
/// let kind = |token: u32, count: usize| -> Box<dyn ExampleSource> {
///     Box::new(vec![Example { tokens: vec![token, 1], answer: 1 }; count])
/// };
/// let mixed = Mixed::new(vec![(kind(7, 10), 1.0), (kind(8, 10), 0.5)], 0)?;
/// assert_eq!(mixed.len(), 15);
/// assert_eq!((mixed.get(9).tokens[0], mixed.get(10).tokens[0]), (7, 8));
/// # Ok::<(), orbit_data::Error>(())
/// ```
pub struct Mixed(Vec<Drawn<Box<dyn ExampleSource>>>);

impl Mixed {
    /// Kinds with their weights, in the order that `seed` names. A kind of weight 0 is left out.
    ///
    /// # Errors
    /// For a weight that is negative or not finite, and for one above 0 of a kind without examples.
    pub fn new(kinds: Vec<(Box<dyn ExampleSource>, f64)>, seed: u64) -> Result<Self> {
        let mut parts = Vec::new();
        for (kind, weight) in kinds {
            if !weight.is_finite() || weight < 0.0 {
                return Err(Error::Invalid(format!("{weight} is no weight of examples: it must be at least 0")));
            }
            if weight > 0.0 && kind.is_empty() {
                return Err(Error::Invalid(format!("there is no example to give the weight {weight}")));
            }
            if weight > 0.0 {
                // One at least: what has a weight is there.
                let an_epoch = (kind.len() as f64 * weight).round().max(1.0) as usize;
                parts.push(Drawn::new(kind, an_epoch, seed));
            }
        }
        Ok(Self(parts))
    }

    /// The kind of an example, and its place among those of the kind.
    fn place(&self, mut index: usize) -> (&Drawn<Box<dyn ExampleSource>>, usize) {
        for part in &self.0 {
            match index.checked_sub(part.len()) {
                None => return (part, index),
                Some(rest) => index = rest,
            }
        }
        unreachable!("an index is below the length")
    }
}

impl ExampleSource for Mixed {
    fn len(&self) -> usize {
        self.0.iter().map(ExampleSource::len).sum()
    }

    fn length(&self, index: usize) -> usize {
        self.length_in(0, index)
    }

    fn get(&self, index: usize) -> Example {
        self.get_in(0, index)
    }

    fn length_in(&self, epoch: u64, index: usize) -> usize {
        let (part, at) = self.place(index);
        part.length_in(epoch, at)
    }

    fn get_in(&self, epoch: u64, index: usize) -> Example {
        let (part, at) = self.place(index);
        part.get_in(epoch, at)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn kind(first: u32, count: u32) -> Box<dyn ExampleSource> {
        let example = |token| Example { tokens: vec![token; 2 + token as usize % 3], answer: 1 };
        Box::new((first..first + count).map(example).collect::<Vec<_>>())
    }

    #[test]
    fn weights_are_how_often_an_example_comes() {
        let mixed = Mixed::new(vec![(kind(0, 7), 1.0), (kind(100, 6), 0.5), (kind(200, 5), 2.0)], 3).unwrap();
        assert_eq!(mixed.len(), 7 + 3 + 10);
        let mut seen = BTreeMap::<u32, usize>::new();
        for (epoch, at) in (0..4).flat_map(|epoch| (0..mixed.len()).map(move |at| (epoch, at))) {
            let example = mixed.get_in(epoch, at);
            assert_eq!(example.tokens.len(), mixed.length_in(epoch, at));
            *seen.entry(example.tokens[0]).or_default() += 1;
        }
        let often = |first: u32| seen.range(first..first + 100).map(|(_, &count)| count).collect::<Vec<_>>();
        assert_eq!((often(0), often(100), often(200)), (vec![4; 7], vec![2; 6], vec![8; 5]));
    }

    #[test]
    fn kinds_without_weight_are_left_out_and_without_examples_refused() {
        assert_eq!(Mixed::new(vec![(kind(0, 2), 1.0), (kind(9, 0), 0.0)], 0).unwrap().len(), 2);
        assert_eq!(Mixed::new(vec![(kind(0, 2), 1e-6)], 0).unwrap().len(), 1);
        for (count, weight) in [(0, 1.0), (2, -1.0), (2, f64::NAN), (2, f64::INFINITY)] {
            assert!(Mixed::new(vec![(kind(0, count), weight)], 0).is_err(), "{count} {weight}");
        }
    }
}

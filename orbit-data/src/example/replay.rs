//! New examples among which some old ones are mixed.

use super::{Drawn, Example, ExampleSource};
use crate::{Error, Result};

/// Examples to learn, mixed with `share` of old ones to remember: experience replay.
///
/// An epoch has every new example once, and `n * share / (1 - share)` old ones for `n` new, to the nearest whole number and
/// at least one, so that `share` of all are old. The old ones are drawn in a seeded order, none twice until all were used,
/// then in another order; the draws go on from epoch to epoch, so that small shares see more of the old examples than one
/// epoch holds. Every draw is a function of the seed, the epoch and the place: what a [`Loader`](crate::Loader) makes of it
/// is the same from any starting step. With a share of 0 it is the new examples, exactly.
///
/// Old examples may be the training parts of past tasks, text that is cut into [`Windows`](super::Windows), or what the
/// model itself wrote before it was tuned. Two kinds at once are one `Replay` around another: the outer share is of all.
///
/// Shares that others use: 0.25% to 1% of past tasks (Scialom et al., arXiv 2205.12393); 10% of every past task (TRACE,
/// arXiv 2310.06762, which replays them after each task and not among it); 1% of pre-training text (arXiv 2502.06042);
/// what the model generated itself (arXiv 2605.26097).
///
/// ```
/// use orbit_data::example::{ExampleSource, Replay, Windows};
/// use orbit_data::{Example, Loader};
/// let new: Vec<Example> = (0..9).map(|token| Example { tokens: vec![100, token], answer: 1 }).collect();
/// let text = Windows::new((200..230).collect(), 4);
/// let mixed = Replay::new(new, text, 0.25, 0)?;
/// // 3 old ones beside 9 new are a quarter of all.
/// assert_eq!((mixed.len(), mixed.old_an_epoch()), (12, 3));
/// assert!(mixed.get(8).tokens[0] == 100 && mixed.get(9).tokens[0] >= 200);
/// assert_ne!(mixed.get_in(0, 9), mixed.get_in(1, 9));
/// assert_eq!(Loader::new(mixed, 4, 4, 0)?.steps_per_epoch(), 3);
/// # Ok::<(), orbit_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Replay<N, O> {
    new: N,
    old: Drawn<O>,
}

impl<N: ExampleSource, O: ExampleSource> Replay<N, O> {
    /// Mixes `share` of `old` examples among the `new` ones, in the order that `seed` names.
    ///
    /// # Errors
    /// A share outside `[0, 1)`, or above 0 without old examples, or so close to 1 that an epoch would have more than 2^32
    /// old ones.
    pub fn new(new: N, old: O, share: f64, seed: u64) -> Result<Self> {
        if !(0.0..1.0).contains(&share) {
            return Err(Error::Invalid(format!(
                "a replay share of {share} is not in [0, 1): it is the part of all examples that are old"
            )));
        }
        if share > 0.0 && old.is_empty() {
            return Err(Error::Invalid(format!(
                "there is no old example to replay, and {share} of all should be old: give some, or a share of 0"
            )));
        }
        let old_an_epoch = (new.len() as f64 * share / (1.0 - share)).round().max(f64::from(u8::from(share > 0.0)));
        if old_an_epoch > f64::from(u32::MAX) {
            return Err(Error::Invalid(format!(
                "a replay share of {share} takes {old_an_epoch} old examples an epoch"
            )));
        }
        Ok(Self { new, old: Drawn::new(old, old_an_epoch as usize, seed) })
    }

    /// How many of the examples of an epoch are old.
    pub fn old_an_epoch(&self) -> usize {
        self.old.len()
    }
}

impl<N: ExampleSource, O: ExampleSource> ExampleSource for Replay<N, O> {
    /// New and old examples of an epoch, the new ones first.
    fn len(&self) -> usize {
        self.new.len() + self.old.len()
    }

    fn length(&self, index: usize) -> usize {
        self.length_in(0, index)
    }

    fn get(&self, index: usize) -> Example {
        self.get_in(0, index)
    }

    fn length_in(&self, epoch: u64, index: usize) -> usize {
        match index.checked_sub(self.new.len()) {
            None => self.new.length_in(epoch, index),
            Some(draw) => self.old.length_in(epoch, draw),
        }
    }

    fn get_in(&self, epoch: u64, index: usize) -> Example {
        match index.checked_sub(self.new.len()) {
            None => self.new.get_in(epoch, index),
            Some(draw) => self.old.get_in(epoch, draw),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::Loader;
    use crate::example::Windows;

    /// Example `i` is the token `first + i`, repeated more often the larger `i` is.
    fn examples(first: u32, count: usize) -> Vec<Example> {
        (0..count).map(|i| Example { tokens: vec![first + i as u32; 2 + i % 7], answer: 1 }).collect()
    }

    const OLD: u32 = 1_000_000;

    proptest! {
        #[test]
        fn an_epoch_has_the_new_examples_once_and_the_share_of_old_ones(
            new in 1usize..300, old in 1usize..300, share in 0.0f64..0.9, epoch in 0u64..50, seed in any::<u64>(),
        ) {
            let mixed = Replay::new(examples(0, new), examples(OLD, old), share, seed).unwrap();
            let drawn: Vec<u32> = (0..mixed.len()).map(|at| mixed.get_in(epoch, at).tokens[0]).collect();
            prop_assert_eq!(&drawn[..new], &(0..new as u32).collect::<Vec<_>>()[..]);
            prop_assert!(drawn[new..].iter().all(|&token| token >= OLD));
            // Half an example of rounding, or the one that there is at least.
            let wanted = share * mixed.len() as f64;
            prop_assert!((mixed.old_an_epoch() as f64 - wanted).abs() <= 1.0, "{} {}", mixed.old_an_epoch(), wanted);
            for at in 0..mixed.len() {
                prop_assert_eq!(mixed.length_in(epoch, at), mixed.get_in(epoch, at).tokens.len());
            }
        }

        #[test]
        fn old_examples_come_again_when_all_were_used(
            new in 1usize..60, old in 1usize..60, share in 0.01f64..0.9, seed in any::<u64>(),
        ) {
            let mixed = Replay::new(examples(0, new), examples(OLD, old), share, seed).unwrap();
            let mut seen = BTreeMap::<u32, usize>::new();
            for draw in 0..10 * mixed.old_an_epoch() {
                let (epoch, at) = (draw / mixed.old_an_epoch(), draw % mixed.old_an_epoch());
                *seen.entry(mixed.get_in(epoch as u64, new + at).tokens[0]).or_default() += 1;
                let (least, most) = (seen.values().min().unwrap(), seen.values().max().unwrap());
                let least = if seen.len() < old { 0 } else { *least };
                prop_assert!(most - least <= 1);
            }
        }

        #[test]
        fn a_loader_can_start_anywhere(
            new in 4usize..100, share in 0.0f64..0.9, from in 0u64..300, seed in any::<u64>(),
        ) {
            let text = Windows::new((OLD..OLD + 100).collect(), 6);
            let loader = Loader::new(Replay::new(examples(0, new), text, share, seed).unwrap(), 4, 2, seed).unwrap();
            for (step, batches) in (from..).zip(loader.batches(from)).take(60) {
                prop_assert_eq!(loader.batch_at(step), batches);
            }
        }
    }

    #[test]
    fn a_share_of_nothing_changes_nothing() {
        let new = examples(0, 40);
        let plain = Loader::new(new.clone(), 4, 4, 3).unwrap();
        let mixed = Loader::new(Replay::new(new.clone(), examples(OLD, 5), 0.0, 9).unwrap(), 4, 4, 3).unwrap();
        assert!(plain.batches(0).zip(mixed.batches(0)).take(35).all(|(plain, mixed)| plain == mixed));
        assert_eq!(Replay::new(new, Vec::new(), 0.0, 9).unwrap().len(), 40);
    }

    #[test]
    fn seeds_and_rounds_differ() {
        let order = |seed, epoch| {
            let mixed = Replay::new(examples(0, 50), examples(OLD, 50), 0.5, seed).unwrap();
            (50..100).map(|at| mixed.get_in(epoch, at).tokens[0]).collect::<Vec<_>>()
        };
        assert_eq!(order(1, 0), order(1, 0));
        assert_ne!(order(1, 0), order(2, 0));
        assert_ne!(order(1, 0), order(1, 1));
    }

    #[test]
    fn two_kinds_of_old_examples_have_their_shares() {
        let past = Replay::new(examples(0, 80), examples(OLD, 30), 0.1, 0).unwrap();
        assert_eq!(past.old_an_epoch(), 9);
        let text: Box<dyn ExampleSource> = Box::new(Windows::new((2 * OLD..2 * OLD + 100).collect(), 9));
        let both = Replay::new(past, text, 0.01, 0).unwrap();
        assert_eq!((both.len(), both.old_an_epoch()), (90, 1));
        assert_ne!(both.get_in(0, 80), both.get_in(1, 80), "the inner draws go on too");
        assert!(both.get(89).tokens[0] >= 2 * OLD);
    }

    #[test]
    fn what_cannot_be_mixed_is_an_error() {
        for share in [-0.1, 1.0, f64::NAN] {
            let message = Replay::new(examples(0, 3), examples(OLD, 3), share, 0).unwrap_err().to_string();
            assert!(message.contains("is not in [0, 1)"), "{message}");
        }
        let message = Replay::new(examples(0, 3), Vec::new(), 0.1, 0).unwrap_err().to_string();
        assert!(message.contains("no old example to replay"), "{message}");
        assert!(Replay::new(examples(0, 3), examples(OLD, 3), 1.0 - 1e-15, 0).is_err());
        // No epoch is too late.
        Replay::new(examples(0, 3), examples(OLD, 3), 0.5, 0).unwrap().get_in(u64::MAX, 5);
    }
}

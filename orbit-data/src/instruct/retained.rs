//! The few examples of a task that are kept when it is over.

use crate::permutation::{Permutation, RETAINED};

/// Which of `len` training examples of a task are kept for training the switch that tells tasks apart, by their indices in
/// the order drawn: `len * share` of them to the nearest whole number, at least one, without repetition. SwitchCIT (arXiv
/// 2407.11780) keeps 0.01% of each task.
///
/// A function of its arguments alone. What is kept at a small share is the beginning of what is kept at a larger one with
/// the same seed, so that shares can be compared. A share above 1 keeps all, one below 0 or not a number keeps one; of no
/// examples none are kept. Costs time and memory for what is kept only.
///
/// ```
/// use orbit_data::instruct::retained;
/// assert_eq!(retained(100_000, 0.0001, 0).len(), 10);
/// assert_eq!(retained(200, 0.0001, 0).len(), 1);
/// assert!(retained(200, 0.5, 7).starts_with(&retained(200, 0.1, 7)));
/// ```
pub fn retained(len: usize, share: f64, seed: u64) -> Vec<usize> {
    // What is not a number becomes 0.
    let kept = ((len as f64 * share).round() as usize).max(1).min(len);
    let order = Permutation::new(len as u64, [seed, 0, RETAINED]);
    (0..kept as u64).map(|place| order.at(place) as usize).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_index_comes_twice_and_smaller_shares_are_nested(
            len in 0usize..2000, small in 0.0f64..1.0, large in 0.0f64..1.0, seed in any::<u64>(),
        ) {
            let (small, large) = (retained(len, small.min(large), seed), retained(len, small.max(large), seed));
            prop_assert!(large.starts_with(&small));
            let distinct: BTreeSet<usize> = large.iter().copied().collect();
            prop_assert_eq!(distinct.len(), large.len());
            prop_assert!(distinct.iter().all(|&index| index < len));
        }
    }

    #[test]
    fn counts_are_rounded_and_at_least_one() {
        let count = |len, share| retained(len, share, 0).len();
        assert_eq!([count(1000, 0.0015), count(1000, 0.0014), count(1000, 0.0)], [2, 1, 1]);
        assert_eq!(
            [count(10, 1.0), count(10, 7.0), count(10, -1.0), count(10, f64::NAN), count(0, 1.0)],
            [10, 10, 1, 1, 0]
        );
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(retained(1000, 0.01, 0), retained(1000, 0.01, 1));
    }
}

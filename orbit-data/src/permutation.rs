//! A permutation of `0..n` that is evaluated entry by entry.
//!
//! Keys are three words, of which the first is a seed that its user chose. The last tells apart what permutes with the same
//! seed: the loader takes it from 0 up, all others from `u64::MAX` down.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// With three rounds a Feistel network of random functions is a pseudo-random permutation (Luby and Rackoff, 1988); ours
/// are cheap mixers, so there are twice as many.
const ROUNDS: usize = 6;

/// Halves of fewer bits have too few functions to make a random permutation; a small `n` walks longer instead.
const LEAST_HALF_BITS: u32 = 4;

/// A seeded permutation of `0..n` that needs no table: a Feistel network over the smallest square of a power of two that
/// holds `n`, walked along its cycle until it lands below `n` (Black and Rogaway, *Ciphers with Arbitrary Finite Domains*,
/// 2002). That square is at most `4 n` from `n = 64` on, so an entry costs up to four networks on average.
#[derive(Debug, Clone)]
pub(crate) struct Permutation {
    n: u64,
    half_bits: u32,
    keys: [u64; ROUNDS],
}

/// Last word of the keys of [`Replay`](crate::example::Replay) and [`Mixed`](crate::example::Mixed).
pub(crate) const REPLAY: u64 = u64::MAX;

/// Last word of the keys of [`retained`](crate::instruct::retained).
pub(crate) const RETAINED: u64 = u64::MAX - 1;

/// Last word of the keys of [`Windows::with_prompts`](crate::example::Windows::with_prompts).
pub(crate) const PREFIX: u64 = u64::MAX - 2;

/// Last word of the keys of the sample of [`compare`](crate::semantic_id::compare).
pub(crate) const NEIGHBOURS: u64 = u64::MAX - 3;

/// Last word of the keys of the queries that [`DocumentCorpus::read_cranfield`](crate::DocumentCorpus) holds out.
pub(crate) const HELD_OUT: u64 = u64::MAX - 4;

impl Permutation {
    /// The permutation of `0..n` named by `key`.
    pub(crate) fn new(n: u64, key: [u64; 3]) -> Self {
        let bits = u64::BITS - n.saturating_sub(1).leading_zeros();
        let mut random = ChaCha8Rng::from_seed(seed(key));
        Self { n, half_bits: bits.div_ceil(2).max(LEAST_HALF_BITS), keys: std::array::from_fn(|_| random.next_u64()) }
    }

    /// Entry `index`, which must be below `n`: otherwise the walk may not end.
    pub(crate) fn at(&self, index: u64) -> u64 {
        debug_assert!(index < self.n);
        let mut value = self.network(index);
        while value >= self.n {
            value = self.network(value);
        }
        value
    }

    fn network(&self, value: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        left << self.half_bits | right
    }
}

fn seed(key: [u64; 3]) -> [u8; 32] {
    let mut seed = [0; 32];
    for (bytes, word) in seed.chunks_exact_mut(8).zip(key) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    seed
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_bijection(n in 1u64..3000, key in any::<[u64; 3]>()) {
            let permutation = Permutation::new(n, key);
            let mut seen = vec![false; n as usize];
            for index in 0..n {
                let value = permutation.at(index) as usize;
                prop_assert!(!std::mem::replace(&mut seen[value], true));
            }
        }

        #[test]
        fn stays_below_any_n(n in 1u64..1 << 60, index in any::<u64>(), key in any::<[u64; 3]>()) {
            prop_assert!(Permutation::new(n, key).at(index % n) < n);
        }
    }

    /// Chi-squared over the 24 orders of four entries: 23 degrees of freedom, 49.7 at p = 0.001.
    #[test]
    fn orders_are_equally_likely() {
        let mut counts = std::collections::BTreeMap::<Vec<u64>, f64>::new();
        let trials = 24_000;
        for key in 0..trials {
            let permutation = Permutation::new(4, [key, 0, 0]);
            *counts.entry((0..4).map(|index| permutation.at(index)).collect()).or_default() += 1.0;
        }
        assert_eq!(counts.len(), 24);
        let expected = trials as f64 / 24.0;
        let chi: f64 = counts.values().map(|count| (count - expected).powi(2) / expected).sum();
        assert!(chi < 49.7, "{chi}");
    }

    #[test]
    fn keys_differ_in_every_word() {
        let order = |key| (0..100).map(|index| Permutation::new(100, key).at(index)).collect::<Vec<_>>();
        let base = order([1, 2, 3]);
        assert!([[2, 2, 3], [1, 3, 3], [1, 2, 4]].into_iter().all(|key| order(key) != base));
    }
}

//! Python's `random.Random(seed).sample`, so that examples are those that lm-evaluation-harness draws.

use rand_mt::Mt;

/// A source of samples that is a function of its seed. Each sample goes on where the one before it ended.
pub(super) struct Sampler(Mt);

impl Sampler {
    /// As `random.Random(seed)`.
    pub(super) fn new(seed: u64) -> Self {
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        let key = if high == 0 { vec![low] } else { vec![low, high] };
        Self(Mt::new_with_key(key))
    }

    /// As `random.sample(range(size), count)`, for a size below 2³²: `count` different numbers below `size`, or all
    /// when there are fewer.
    pub(super) fn sample(&mut self, size: usize, count: usize) -> Vec<usize> {
        let count = count.min(size);
        if size <= most_for_pool(count) { self.by_shuffle(size, count) } else { self.by_rejection(size, count) }
    }

    /// A shuffle that stops after `count` numbers.
    fn by_shuffle(&mut self, size: usize, count: usize) -> Vec<usize> {
        let mut pool: Vec<usize> = (0..size).collect();
        (0..count)
            .map(|drawn| {
                let last = size - drawn - 1;
                let at = self.below(last + 1);
                let number = pool[at];
                pool[at] = pool[last];
                number
            })
            .collect()
    }

    /// Numbers that were drawn before are drawn again.
    fn by_rejection(&mut self, size: usize, count: usize) -> Vec<usize> {
        let mut drawn = Vec::with_capacity(count);
        let mut seen = std::collections::HashSet::new();
        while drawn.len() < count {
            let number = self.below(size);
            if seen.insert(number) {
                drawn.push(number);
            }
        }
        drawn
    }

    /// A number below `limit`, which is from 1 to 2³² − 1.
    fn below(&mut self, limit: usize) -> usize {
        let bits = usize::BITS - limit.leading_zeros();
        loop {
            let number = (self.0.next_u32() >> (u32::BITS - bits)) as usize;
            if number < limit {
                return number;
            }
        }
    }
}

/// Up to which size Python samples from a pool: where the pool takes less memory than the set of what was drawn.
fn most_for_pool(count: usize) -> usize {
    let set = |count: usize| (1..).map(|power| 4_usize.saturating_pow(power)).find(|&size| size >= 3 * count);
    21 + if count > 5 { set(count).unwrap_or(0) } else { 0 }
}

//! Counts of n-grams.

use std::collections::BTreeMap;

/// How often each run of `n` words occurs. In order, so that sums over them are the same to the last bit in every run.
#[derive(Debug, Default)]
pub(super) struct NGrams<'a>(pub(super) BTreeMap<&'a [String], usize>);

impl<'a> NGrams<'a> {
    pub(super) fn new(words: &'a [String], n: usize) -> Self {
        let mut counts = BTreeMap::new();
        for gram in words.windows(n) {
            *counts.entry(gram).or_default() += 1;
        }
        Self(counts)
    }

    pub(super) fn count(&self, gram: &[String]) -> usize {
        self.0.get(gram).copied().unwrap_or(0)
    }

    pub(super) fn total(&self) -> usize {
        self.0.values().sum()
    }

    /// Adds the counts of `other`.
    pub(super) fn add(&mut self, other: &Self) {
        for (&gram, count) in &other.0 {
            *self.0.entry(gram).or_default() += count;
        }
    }

    /// Raises each count to that of `other` where it is larger.
    pub(super) fn raise(&mut self, other: &Self) {
        for (&gram, &count) in &other.0 {
            let own = self.0.entry(gram).or_default();
            *own = count.max(*own);
        }
    }

    /// How many of these n-grams `other` has too, each counted as often as in the one that has fewer.
    pub(super) fn shared(&self, other: &Self) -> usize {
        self.0.iter().map(|(gram, &count)| count.min(other.count(gram))).sum()
    }
}

use std::sync::Arc;

/// Attention with linear biases (Press et al., arXiv 2108.12409): head h adds slope(h) · (p − t) to the score that a query at
/// position t gives a key at position p. It depends on positions alone, so keys may stand in any column of a row.
///
/// BLOOM's own code adds slope(h) · p, which softmax cannot tell from this; here what matters most, the biases of near keys,
/// is smallest, and so is its rounding.
#[derive(Clone, Debug)]
pub struct Alibi {
    /// `[heads]`.
    slopes: Arc<[f32]>,
    /// Positions, `[rows, width]` and `[rows, keys]`; whole numbers, which f32 holds exactly.
    queries: Arc<[f32]>,
    keys: Arc<[f32]>,
}

impl Alibi {
    /// The biases of this many heads for queries at the positions `queries` (row-major, `rows · width`) and keys at the
    /// positions `keys` (`rows · keys`).
    pub fn new(heads: usize, queries: &[u32], keys: &[u32]) -> Self {
        let exact = |positions: &[u32]| positions.iter().map(|&position| position as f32).collect();
        Self { slopes: Self::slopes(heads).into(), queries: exact(queries), keys: exact(keys) }
    }

    /// The slopes of a number of heads: of a power of two n, 2^(−8/n), 2^(−16/n), .. 2^−8; of another number, those of the
    /// power of two n below it and then every other one of 2 n.
    pub fn slopes(heads: usize) -> Vec<f32> {
        let below = heads.checked_ilog2().map_or(0, |log| 1 << log);
        let slope = |step: usize, of: usize| (-8.0 * step as f64 / of as f64).exp2() as f32;
        let own = (1..=below).map(|step| slope(step, below));
        own.chain((0..heads - below).map(|step| slope(2 * step + 1, 2 * below))).collect()
    }

    /// What is added to all scores, `[rows, heads, width, keys]`.
    pub(super) fn table(&self, rows: usize) -> Vec<f32> {
        let (width, seen) = (self.queries.len() / rows.max(1), self.keys.len() / rows.max(1));
        let mut table = Vec::with_capacity(rows * self.slopes.len() * width * seen);
        for row in 0..rows {
            for slope in self.slopes.iter() {
                for query in &self.queries[row * width..][..width] {
                    table.extend(self.keys[row * seen..][..seen].iter().map(|key| slope * (key - query)));
                }
            }
        }
        table
    }

    /// Makes products of one query into scores: `scale` times the product, and the bias. `query` is its index among all
    /// rows' queries, `first` that of its row's first key.
    #[cfg(feature = "flex")]
    #[inline(always)]
    pub(super) fn add_to(&self, scores: &mut [f32], scale: f32, head: usize, query: usize, first: usize) {
        let (slope, query) = (self.slopes[head], self.queries[query]);
        for (score, key) in scores.iter_mut().zip(&self.keys[first..]) {
            *score = *score * scale + slope * (key - query);
        }
    }
}

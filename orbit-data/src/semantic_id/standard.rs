//! Standardisation: each dimension of the embeddings with mean 0 and variance 1.

use serde::{Deserialize, Serialize};

use crate::ItemEmbeddings;

/// A dimension that varies by less than this share of its mean varies by the rounding of f32 alone.
const ROUNDING: f64 = 1e-6;

/// The mean of each dimension, and one over its standard deviation; 0 for a dimension that does not vary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standard {
    mean: Vec<f32>,
    scale: Vec<f32>,
}

impl Standard {
    /// Measured on the embeddings as they are, in f64.
    pub fn of(embeddings: &ItemEmbeddings) -> Self {
        let count = embeddings.len().max(1) as f64;
        let sum = |of: &dyn Fn(usize, f64) -> f64| {
            let mut sums = vec![0_f64; embeddings.dim()];
            for row in embeddings.rows().chunks_exact(embeddings.dim()) {
                (0..).zip(&mut sums).zip(row).for_each(|((d, sum), &x)| *sum += of(d, f64::from(x)));
            }
            sums
        };
        let mean: Vec<f64> = sum(&|_, x| x).into_iter().map(|sum| sum / count).collect();
        let variance = sum(&|d, x| (x - mean[d]).powi(2));
        let scale = |(mean, variance): (&f64, f64)| {
            let deviation = (variance / count).sqrt();
            if deviation > ROUNDING * mean.abs() { (1.0 / deviation) as f32 } else { 0.0 }
        };
        Self {
            scale: mean.iter().zip(variance).map(scale).collect(),
            mean: mean.iter().map(|&mean| mean as f32).collect(),
        }
    }

    /// Standardises the rows of a matrix with as many columns.
    pub fn apply(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.mean.len()) {
            row.iter_mut().zip(&self.mean).zip(&self.scale).for_each(|((x, mean), scale)| *x = (*x - mean) * scale);
        }
    }

    /// All its numbers.
    pub(super) fn values(&self) -> impl Iterator<Item = &f32> {
        self.mean.iter().chain(&self.scale)
    }

    /// How many dimensions it is of; none when it is of two numbers at once.
    pub(super) fn dim(&self) -> Option<usize> {
        (self.mean.len() == self.scale.len()).then_some(self.mean.len())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn dimensions_get_mean_0_and_variance_1_or_vanish() {
        // Of length one already: 0.6 and 0.8 beside each other, and a dimension that is always 0.
        let embeddings = ItemEmbeddings::new(3, vec![0.6, 0.8, 0.0, 0.8, 0.6, 0.0]).unwrap();
        let standard = Standard::of(&embeddings);
        let mut rows = embeddings.rows().to_vec();
        standard.apply(&mut rows);
        let expected = [-1.0, 1.0, 0.0, 1.0, -1.0, 0.0];
        assert!(rows.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-5), "{rows:?}");
    }
}

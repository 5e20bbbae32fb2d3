//! Residual k-means: each level clusters what the levels before left over.

use serde::{Deserialize, Serialize};

use super::kmeans::KMeans;
use crate::{Error, ItemEmbeddings, Result};

/// Residuals of unit vectors below this length are rounding errors, whose direction means nothing.
const NOTHING_LEFT: f32 = 1e-6;

/// Settings of residual k-means. The defaults are TIGER's three levels of 256 codes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResidualKMeans {
    /// How many levels, from 1.
    pub levels: usize,
    /// How many codes a level has, 1 to 65,536.
    pub codes: usize,
    /// At most this many rounds of Lloyd's algorithm a level; fewer when a round moves no item.
    pub iterations: usize,
    /// Seeds the choice of the first centroids.
    pub seed: u64,
    /// Whether what a level leaves over is scaled to length one before the next level codes it.
    ///
    /// Without, items near their centroid leave little over and crowd into one code of each later level: on Amazon
    /// Beauty the third level then works like 47 codes instead of 235 of 256, and 25% of the items collide, not 19%.
    pub normalize_residuals: bool,
}

impl Default for ResidualKMeans {
    fn default() -> Self {
        Self { levels: 3, codes: 256, iterations: 25, seed: 0, normalize_residuals: true }
    }
}

impl ResidualKMeans {
    /// `levels` codes for each item.
    pub(super) fn quantise(&self, embeddings: &ItemEmbeddings) -> Result<Vec<Vec<u16>>> {
        if self.levels == 0 || self.codes == 0 || self.codes > usize::from(u16::MAX) + 1 {
            let reason = format!(
                "{} levels of {} codes; there must be 1 or more levels of 1 to 65,536 codes",
                self.levels, self.codes
            );
            return Err(Error::Invalid(reason));
        }
        let mut residuals = embeddings.rows().to_vec();
        let mut codes = vec![Vec::with_capacity(self.levels + 1); embeddings.len()];
        for level in 0..self.levels {
            let seed = self.seed.wrapping_add(level as u64);
            let clusters =
                KMeans { codes: self.codes, iterations: self.iterations, seed }.fit(&residuals, embeddings.dim());
            for ((residual, &code), id) in
                residuals.chunks_exact_mut(embeddings.dim()).zip(&clusters.assignment).zip(&mut codes)
            {
                self.subtract(residual, clusters.centroid(code));
                id.push(code);
            }
        }
        Ok(codes)
    }

    /// What `centroid` leaves over of `residual`.
    fn subtract(&self, residual: &mut [f32], centroid: &[f32]) {
        residual.iter_mut().zip(centroid).for_each(|(x, c)| *x -= c);
        let norm = residual.iter().map(|x| x * x).sum::<f32>().sqrt();
        if self.normalize_residuals && norm > NOTHING_LEFT {
            residual.iter_mut().for_each(|x| *x /= norm);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_over(normalize_residuals: bool, centroid: [f32; 2]) -> [f32; 2] {
        let mut residual = [0.8, 0.6];
        ResidualKMeans { normalize_residuals, ..ResidualKMeans::default() }.subtract(&mut residual, &centroid);
        residual
    }

    #[test]
    fn what_is_left_has_length_one_unless_asked_otherwise_or_nothing_is_left() {
        assert_eq!(left_over(true, [0.8, 0.5]), [0.0, 1.0]);
        assert_eq!(left_over(false, [0.8, 0.5]), [0.0, 0.6 - 0.5]);
        assert_eq!(left_over(true, [0.8, 0.6]), [0.0, 0.0]);
    }
}

//! The centroids behind semantic IDs, which can code items that were not there when they were made.
//!
//! An embedding is standardised, then encoded, each where that was asked for, and what comes out is coded level by level.

use serde::{Deserialize, Serialize};

use super::encoder::Encoder;
use super::kmeans::{Clusters, nearest, squared_distance};
use super::standard::Standard;
use crate::{Error, ItemEmbeddings, Result};

/// Residuals of unit vectors below this length are rounding errors, whose direction means nothing.
const NOTHING_LEFT: f32 = 1e-6;

/// What a residual quantiser is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) levels: usize,
    pub(super) codes: usize,
    pub(super) normalize_residuals: bool,
    pub(super) standardize: bool,
}

/// The centroids of each level, and how an embedding comes to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Codebooks {
    /// Values of an embedding.
    pub(super) dim: usize,
    standard: Option<Standard>,
    /// Absent where the levels code embeddings themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoder: Option<Encoder>,
    normalize_residuals: bool,
    /// A row-major matrix a level.
    centroids: Vec<Vec<f32>>,
}

impl Codebooks {
    /// Clusters what each level leaves over by `cluster`, and answers with the codes of each item too.
    pub(super) fn train(
        embeddings: &ItemEmbeddings,
        shape: Shape,
        cluster: impl Fn(usize, &[f32]) -> Clusters,
    ) -> Result<(Self, Vec<Vec<u16>>)> {
        check_size(shape.levels, shape.codes)?;
        let mut books = Self {
            dim: embeddings.dim(),
            standard: shape.standardize.then(|| Standard::of(embeddings)),
            encoder: None,
            normalize_residuals: shape.normalize_residuals,
            centroids: Vec::with_capacity(shape.levels),
        };
        let mut residuals = books.start(embeddings);
        let mut codes = vec![Vec::with_capacity(shape.levels + 1); embeddings.len()];
        for level in 0..shape.levels {
            let clusters = cluster(level, &residuals);
            books.centroids.push(clusters.centroids);
            codes.iter_mut().zip(clusters.assignment).for_each(|(id, code)| id.push(code));
            books.subtract(level, &mut residuals, &codes);
        }
        Ok((books, codes))
    }

    /// What a network learned, of which the shapes fit.
    pub(super) fn learned(dim: usize, standard: Option<Standard>, encoder: Encoder, centroids: Vec<Vec<f32>>) -> Self {
        Self { dim, standard, encoder: Some(encoder), normalize_residuals: false, centroids }
    }

    /// Values of a centroid, and of what a level leaves over.
    pub(super) fn width(&self) -> usize {
        self.encoder.as_ref().map_or(self.dim, Encoder::width)
    }

    /// The codes of the nearest centroids, level by level.
    pub(super) fn encode(&self, embeddings: &ItemEmbeddings) -> Vec<Vec<u16>> {
        let mut residuals = self.start(embeddings);
        let mut codes = vec![Vec::with_capacity(self.centroids.len() + 1); embeddings.len()];
        for (level, centroids) in self.centroids.iter().enumerate() {
            let nearest = nearest(&residuals, centroids, self.width());
            codes.iter_mut().zip(nearest).for_each(|(id, code)| id.push(code));
            self.subtract(level, &mut residuals, &codes);
        }
        codes
    }

    /// What all levels but the last leave over of each embedding with these codes.
    pub(super) fn before_last(&self, embeddings: &ItemEmbeddings, codes: &[Vec<u16>]) -> Vec<f32> {
        let mut residuals = self.start(embeddings);
        (0..self.centroids.len().saturating_sub(1)).for_each(|level| self.subtract(level, &mut residuals, codes));
        residuals
    }

    /// The squared distances of a residual from the centroids of the last level.
    pub(super) fn last_distances(&self, residual: &[f32]) -> Vec<f32> {
        let centroids = self.centroids.last().map_or(&[][..], Vec::as_slice);
        centroids.chunks_exact(self.width()).map(|centroid| squared_distance(residual, centroid)).collect()
    }

    /// The embeddings as the first level sees them.
    pub(super) fn start(&self, embeddings: &ItemEmbeddings) -> Vec<f32> {
        let rows = self.inputs(embeddings);
        match &self.encoder {
            Some(encoder) => encoder.apply(&rows, self.dim),
            None => rows,
        }
    }

    /// The embeddings as the encoder sees them, and without one the first level.
    pub(super) fn inputs(&self, embeddings: &ItemEmbeddings) -> Vec<f32> {
        let mut rows = embeddings.rows().to_vec();
        if let Some(standard) = &self.standard {
            standard.apply(&mut rows);
        }
        rows
    }

    /// That codes of these levels can be looked up; a file may say anything.
    pub(super) fn check(&self, codes_per_level: &[usize], codes: &[Vec<u16>]) -> Result<(), String> {
        if self.dim == 0 || self.standard.as_ref().is_some_and(|standard| standard.dim() != Some(self.dim)) {
            return Err(format!("its codebooks have {} dimensions, which do not fit their own parts", self.dim));
        }
        self.encoder.as_ref().map_or(Ok(()), |encoder| encoder.check(self.dim))?;
        let standard = self.standard.iter().flat_map(Standard::values);
        if !self.centroids.iter().flatten().chain(standard).all(|x| x.is_finite()) {
            return Err("its codebooks have values that are not finite".to_owned());
        }
        let width = self.width();
        if self.centroids.len() != codes_per_level.len() {
            return Err(format!("it has codebooks of {} levels for {}", self.centroids.len(), codes_per_level.len()));
        }
        for (level, centroids) in self.centroids.iter().enumerate() {
            let rows = centroids.len() / width;
            let used = codes.iter().map(|id| usize::from(id[level]) + 1).max().unwrap_or(0);
            if centroids.len() % width != 0 || rows > codes_per_level[level] || rows < used {
                return Err(format!(
                    "its codebook of level {level} has {} values, which fit no codes",
                    centroids.len()
                ));
            }
        }
        Ok(())
    }

    /// Takes each item's centroid of `level` off its residual.
    fn subtract(&self, level: usize, residuals: &mut [f32], codes: &[Vec<u16>]) {
        let width = self.width();
        for (residual, id) in residuals.chunks_exact_mut(width).zip(codes) {
            let centroid = &self.centroids[level][usize::from(id[level]) * width..][..width];
            left_over(residual, centroid, self.normalize_residuals);
        }
    }
}

/// That IDs of this many levels and codes can be made.
pub(super) fn check_size(levels: usize, codes: usize) -> Result<()> {
    if levels == 0 || codes == 0 || codes > usize::from(u16::MAX) + 1 {
        let reason = format!("{levels} levels of {codes} codes; there must be 1 or more levels of 1 to 65,536 codes");
        return Err(Error::Invalid(reason));
    }
    Ok(())
}

/// What `centroid` leaves over of `residual`, scaled to length one if asked to.
fn left_over(residual: &mut [f32], centroid: &[f32], normalize: bool) {
    residual.iter_mut().zip(centroid).for_each(|(x, c)| *x -= c);
    let norm = residual.iter().map(|x| x * x).sum::<f32>().sqrt();
    if normalize && norm > NOTHING_LEFT {
        residual.iter_mut().for_each(|x| *x /= norm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(normalize: bool, centroid: [f32; 2]) -> [f32; 2] {
        let mut residual = [0.8, 0.6];
        left_over(&mut residual, &centroid, normalize);
        residual
    }

    #[test]
    fn what_is_left_has_length_one_unless_asked_otherwise_or_nothing_is_left() {
        assert_eq!(left(true, [0.8, 0.5]), [0.0, 1.0]);
        assert_eq!(left(false, [0.8, 0.5]), [0.0, 0.6 - 0.5]);
        assert_eq!(left(true, [0.8, 0.6]), [0.0, 0.0]);
    }
}

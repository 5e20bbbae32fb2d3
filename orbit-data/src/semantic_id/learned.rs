//! IDs from a quantiser that a network learned, such as TIGER's RQ-VAE.

use super::codebooks::{Codebooks, check_size};
use super::encoder::{Encoder, Layer};
use super::{Collisions, SemanticIds, Standard};
use crate::{Error, ItemEmbeddings, Result};

/// What a network has learned about coding embeddings of D values: they are standardised if it was trained so, encoded to
/// Z values, and coded level by level by the nearest of K centroids, each level coding what the ones before left over.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantiser {
    /// What came before the encoder in training; none where it saw the embeddings as they are.
    pub standard: Option<Standard>,
    /// From D to Z values: linear layers with a ReLU between, none after the last.
    pub encoder: Vec<Layer>,
    /// The centroids of each level, row-major, `[K, Z]`.
    pub codebooks: Vec<Vec<f32>>,
}

impl SemanticIds {
    /// The codes that `quantiser` gives to `embeddings`, completed by what `collisions` says. The quantiser is saved with
    /// the IDs, so that [`SemanticIds::assign_new`] codes later items without training.
    ///
    /// ```
    /// use orbit_data::semantic_id::{Collisions, Layer, Quantiser};
    /// use orbit_data::{ItemEmbeddings, SemanticIds};
    ///
    /// // The encoder takes the first of two values; it is coded as -1 or 1, and what is left as -0.2, 0 or 0.2.
    /// let encoder = vec![Layer { weight: vec![1.0, 0.0], bias: vec![0.0] }];
    /// let quantiser = Quantiser { standard: None, encoder, codebooks: vec![vec![-1.0, 1.0], vec![-0.2, 0.0, 0.2]] };
    /// let embeddings = ItemEmbeddings::new(2, vec![1.0, 0.0, -0.8, 0.6, 0.8, 0.6])?;
    /// let ids = SemanticIds::from_quantiser(quantiser, &embeddings, Collisions::None)?;
    /// assert_eq!(ids.iter().collect::<Vec<_>>(), [[1, 1], [0, 2], [1, 0]]);
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for layers or codebooks that do not follow each other or do not fit the embeddings, for values
    /// that are not finite, and without any items or levels.
    pub fn from_quantiser(quantiser: Quantiser, embeddings: &ItemEmbeddings, collisions: Collisions) -> Result<Self> {
        let Quantiser { standard, encoder, codebooks } = quantiser;
        let (encoder, dim) = (Encoder(encoder), embeddings.dim());
        if standard.as_ref().is_some_and(|standard| standard.dim() != Some(dim)) {
            let reason =
                format!("the quantiser standardises other embeddings than these, which have {dim} values each");
            return Err(Error::Invalid(reason));
        }
        encoder.check(dim).map_err(Error::Invalid)?;
        let rows = codebooks.iter().enumerate().map(|(level, centroids)| rows(level, centroids, encoder.width()));
        let codes_per_level = rows.collect::<Result<Vec<_>>>()?;
        let codebooks = Codebooks::learned(dim, standard, encoder, codebooks);
        let prefixes = codebooks.encode(embeddings);
        Self::with_codebooks(codes_per_level, prefixes, collisions, codebooks, embeddings)
    }
}

/// How many centroids of `width` values a level has.
fn rows(level: usize, centroids: &[f32], width: usize) -> Result<usize> {
    if centroids.is_empty() || !centroids.len().is_multiple_of(width) {
        let values = centroids.len();
        let reason = format!("the codebook of level {level} has {values} values, which are no centroids of {width}");
        return Err(Error::Invalid(reason));
    }
    if !centroids.iter().all(|x| x.is_finite()) {
        return Err(Error::Invalid(format!("the codebook of level {level} has values that are not finite")));
    }
    let rows = centroids.len() / width;
    check_size(level + 1, rows)?;
    Ok(rows)
}

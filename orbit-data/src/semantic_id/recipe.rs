//! How semantic IDs are made: a method, and what to do about collisions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BalancedKMeans, Collisions, RandomCodes, ResidualKMeans, SemanticIds};
use crate::{ItemEmbeddings, Result};

/// What makes the codes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Method {
    /// Residual k-means, TIGER's quantiser without its autoencoder.
    #[serde(rename = "residual_kmeans")]
    ResidualKMeans(ResidualKMeans),
    /// Residual k-means with evenly used codes.
    #[serde(rename = "balanced_kmeans")]
    BalancedKMeans(BalancedKMeans),
    /// Codes without meaning, as a control.
    #[serde(rename = "random")]
    Random(RandomCodes),
}

impl Default for Method {
    fn default() -> Self {
        Self::ResidualKMeans(ResidualKMeans::default())
    }
}

/// All that decides which ID an item gets.
///
/// ```
/// use orbit_data::catalogue::Catalogue;
/// use orbit_data::semantic_id::{Collisions, Method, Recipe, ResidualKMeans};
///
/// let (_, embeddings) = Catalogue { items: 60, users: 1, ..Catalogue::default() }.generate();
/// let method = Method::ResidualKMeans(ResidualKMeans { levels: 2, codes: 16, ..ResidualKMeans::default() });
/// let ids = Recipe { method, collisions: Collisions::Sinkhorn, standardize: true }.assign(&embeddings)?;
/// assert_eq!(ids.codes_per_level(), [16, 16]);
/// assert_eq!(ids.item_of(ids.codes(7)), Some(7));
/// # Ok::<(), orbit_data::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// What makes the codes.
    pub method: Method,
    /// What is done about items with the same codes.
    pub collisions: Collisions,
    /// Whether each dimension of the embeddings is scaled to mean 0 and variance 1 first. It tells apart items whose
    /// embeddings nearly agree, on which codebooks collapse; it also gives dimensions of noise the weight of all others.
    pub standardize: bool,
}

impl Recipe {
    /// Makes the IDs: the same embeddings and settings give the same IDs, for any number of threads.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) for settings out of range, without any items, and for random codes with
    /// [`Collisions::Sinkhorn`], which needs centroids.
    pub fn assign(&self, embeddings: &ItemEmbeddings) -> Result<SemanticIds> {
        let (codes_per_level, (codebooks, prefixes)) = match &self.method {
            Method::ResidualKMeans(method) => {
                (vec![method.codes; method.levels], method.quantise(embeddings, self.standardize)?)
            }
            Method::BalancedKMeans(method) => {
                (vec![method.codes; method.levels], method.quantise(embeddings, self.standardize)?)
            }
            Method::Random(method) => {
                let prefixes = method.draw(embeddings.len())?;
                return SemanticIds::without_codebooks(vec![method.codes; method.levels], prefixes, self.collisions);
            }
        };
        SemanticIds::with_codebooks(codes_per_level, prefixes, self.collisions, codebooks, embeddings)
    }
}

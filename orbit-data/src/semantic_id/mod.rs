//! Semantic IDs: a short tuple of codes for each item, such that items alike share leading codes.
//!
//! TIGER (arXiv 2305.05065) quantises an item's embedding level by level, each level coding what the ones before left
//! over. Items that end up with the same codes are told apart by one more code, their index in the group.

mod file;
mod health;
mod kmeans;
mod residual;

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::corpus::hex;
use crate::{Error, ItemEmbeddings, Result};

pub use health::{Health, LevelHealth};
pub use residual::ResidualKMeans;

/// One semantic ID an item, all of the same length, no two alike.
///
/// ```
/// use orbit_data::SemanticIds;
/// use orbit_data::catalogue::Catalogue;
/// use orbit_data::semantic_id::ResidualKMeans;
///
/// let (_, embeddings) = Catalogue { items: 60, users: 1, ..Catalogue::default() }.generate();
/// let ids = SemanticIds::assign(&embeddings, &ResidualKMeans { codes: 8, ..ResidualKMeans::default() })?;
/// assert_eq!(ids.item_of(ids.codes(7)), Some(7));
/// # Ok::<(), orbit_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SemanticIds {
    codes_per_level: Vec<usize>,
    codes: Vec<Vec<u16>>,
    health: Health,
    digest: String,
    item_of: HashMap<Vec<u16>, u32>,
}

impl SemanticIds {
    /// Assigns IDs by residual k-means over `embeddings`: the same embeddings and settings give the same IDs, for any
    /// number of threads.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for settings out of range, or without any items.
    pub fn assign(embeddings: &ItemEmbeddings, method: &ResidualKMeans) -> Result<Self> {
        Self::from_prefixes(vec![method.codes; method.levels], method.quantise(embeddings)?)
    }

    /// Completes what a quantiser made (`codes_per_level[l]` codes at level `l`, `prefixes[i]` for item `i`): when items
    /// share a prefix, a level is added that numbers each group from 0, in item order.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] without any items, for a prefix of another length, for a code out of range, or for more than
    /// 65,536 items with one prefix.
    pub fn from_prefixes(mut codes_per_level: Vec<usize>, prefixes: Vec<Vec<u16>>) -> Result<Self> {
        check_range(&codes_per_level, &prefixes)?;
        let health = Health::of(&codes_per_level, &prefixes);
        let mut codes = prefixes;
        if health.largest_group > 1 {
            number_groups(&mut codes, health.largest_group)?;
            codes_per_level.push(health.largest_group);
        }
        Self::new(codes_per_level, codes, health)
    }

    fn new(codes_per_level: Vec<usize>, codes: Vec<Vec<u16>>, health: Health) -> Result<Self> {
        check_range(&codes_per_level, &codes)?;
        let mut item_of = HashMap::with_capacity(codes.len());
        for (item, id) in (0_u32..).zip(&codes) {
            if let Some(first) = item_of.insert(id.clone(), item) {
                return Err(Error::Invalid(format!("items {first} and {item} have the same semantic ID {id:?}")));
            }
        }
        let digest = digest(&codes_per_level, &codes);
        Ok(Self { codes_per_level, codes, health, digest, item_of })
    }

    /// How many codes each level has, the added level included: `[256, 256, 256, 24]`.
    pub fn codes_per_level(&self) -> &[usize] {
        &self.codes_per_level
    }

    /// How many codes an ID has.
    pub fn levels(&self) -> usize {
        self.codes_per_level.len()
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there are no items; never so for IDs that were made by this crate.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The ID of item `item`.
    ///
    /// # Panics
    ///
    /// If there is no such item, as indexing does.
    pub fn codes(&self, item: u32) -> &[u16] {
        &self.codes[item as usize]
    }

    /// The IDs in item order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u16]> {
        self.codes.iter().map(Vec::as_slice)
    }

    /// The item with this ID.
    pub fn item_of(&self, codes: &[u16]) -> Option<u32> {
        self.item_of.get(codes).copied()
    }

    /// How well the codes are used, before the added level.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// SHA-256 of the IDs as 64 hex digits. A model trained on these IDs repeats it.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// That there are items, and that each has a code in range at every level.
fn check_range(codes_per_level: &[usize], codes: &[Vec<u16>]) -> Result<()> {
    if codes.is_empty() || codes_per_level.is_empty() {
        return Err(Error::Invalid("semantic IDs need at least one item and one level".to_owned()));
    }
    for (item, id) in codes.iter().enumerate() {
        if id.len() != codes_per_level.len() {
            let reason = format!("item {item} has {} codes, but there are {} levels", id.len(), codes_per_level.len());
            return Err(Error::Invalid(reason));
        }
        for (level, (&code, &size)) in id.iter().zip(codes_per_level).enumerate() {
            if usize::from(code) >= size {
                return Err(Error::Invalid(format!("item {item} has code {code} at level {level}, which has {size}")));
            }
        }
    }
    Ok(())
}

/// Appends to each ID its index among the items with the same codes.
fn number_groups(codes: &mut [Vec<u16>], largest: usize) -> Result<()> {
    if largest > usize::from(u16::MAX) + 1 {
        return Err(Error::Invalid(format!("{largest} items share one semantic ID; use more codes or levels")));
    }
    let mut next: HashMap<Vec<u16>, u16> = HashMap::new();
    for id in codes {
        let index = next.entry(id.clone()).or_default();
        id.push(*index);
        *index = index.wrapping_add(1);
    }
    Ok(())
}

fn digest(codes_per_level: &[usize], codes: &[Vec<u16>]) -> String {
    let mut hash = Sha256::new();
    hash.update((codes_per_level.len() as u64).to_le_bytes());
    codes_per_level.iter().for_each(|&size| hash.update((size as u64).to_le_bytes()));
    codes.iter().flatten().for_each(|code| hash.update(code.to_le_bytes()));
    hex(&hash.finalize())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

//! Semantic IDs: a short tuple of codes for each item, such that items alike share leading codes.
//!
//! TIGER (arXiv 2305.05065) quantises an item's embedding level by level, each level coding what the ones before left
//! over. Items that end up with the same codes are told apart by one more code, their index in the group.
//!
//! [`Recipe`] names the ways to make them ([`Method`]) and to treat items with the same codes ([`Collisions`]);
//! [`Health::verdict`] says whether they are fit to train on, [`compare`] shows several side by side, and
//! [`SemanticIds::assign_new`] codes items that come later. A quantiser that a network learned comes in by
//! [`SemanticIds::from_quantiser`].

mod balanced;
mod codebooks;
mod collisions;
mod comparison;
mod encoder;
mod file;
mod health;
mod kmeans;
mod learned;
mod new_items;
mod published;
mod random;
mod recipe;
mod residual;
mod sinkhorn;
mod standard;

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use self::codebooks::Codebooks;
use self::collisions::{number_groups, share_out};
use crate::corpus::hex;
use crate::{Error, ItemEmbeddings, Result};

pub use balanced::BalancedKMeans;
pub use collisions::Collisions;
pub use comparison::{Comparison, ComparisonRow, compare};
pub use encoder::Layer;
pub use health::{Health, LevelHealth, Verdict};
pub use kmeans::{Clusters, KMeans, nearest};
pub use learned::Quantiser;
pub use random::RandomCodes;
pub use recipe::{Method, Recipe};
pub use residual::ResidualKMeans;
pub use standard::Standard;

/// How many codes a level can have: they are `u16`.
const MOST_CODES: usize = 1 << 16;

/// One semantic ID an item, all of the same length. No two are alike, unless they were made with [`Collisions::None`].
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
    collisions: Collisions,
    /// Absent where codes did not come from centroids over the embeddings.
    codebooks: Option<Codebooks>,
    items_of: HashMap<Vec<u16>, Vec<u32>>,
}

impl SemanticIds {
    /// Assigns IDs by residual k-means over `embeddings`, with an added level against collisions; [`Recipe::assign`] has all
    /// the choices. The same embeddings and settings give the same IDs, for any number of threads.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for settings out of range, or without any items.
    pub fn assign(embeddings: &ItemEmbeddings, method: &ResidualKMeans) -> Result<Self> {
        Recipe { method: Method::ResidualKMeans(method.clone()), ..Recipe::default() }.assign(embeddings)
    }

    /// Completes what a quantiser made (`codes_per_level[l]` codes at level `l`, `prefixes[i]` for item `i`): when items
    /// share a prefix, a level is added that numbers each group from 0, in item order.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] without any items, for a prefix of another length, for a code out of range, or for more than
    /// 65,536 items with one prefix.
    pub fn from_prefixes(codes_per_level: Vec<usize>, prefixes: Vec<Vec<u16>>) -> Result<Self> {
        Self::without_codebooks(codes_per_level, prefixes, Collisions::ExtraLevel)
    }

    /// An ID of one code for each item, without meaning: the atomic identifiers of DSI (arXiv 2202.06991).
    ///
    /// ```
    /// let ids = orbit_data::SemanticIds::atomic(3)?;
    /// assert_eq!((ids.codes_per_level(), ids.codes(2)), (&[3][..], &[2][..]));
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] without any items, or for more than 65,536.
    pub fn atomic(items: usize) -> Result<Self> {
        let code =
            |item| u16::try_from(item).map_err(|_| Error::Invalid(format!("{items} items are too many for one code")));
        let codes = (0..items).map(|item| Ok(vec![code(item)?])).collect::<Result<_>>()?;
        Self::without_codebooks(vec![items], codes, Collisions::None)
    }

    /// Completes codes that did not come from centroids.
    fn without_codebooks(codes_per_level: Vec<usize>, prefixes: Vec<Vec<u16>>, collisions: Collisions) -> Result<Self> {
        if collisions == Collisions::Sinkhorn {
            let reason = "codes without centroids cannot be shared out by Sinkhorn; use `extra_level` or `none`";
            return Err(Error::Invalid(reason.to_owned()));
        }
        check_range(&codes_per_level, &prefixes)?;
        let health = Health::of(&codes_per_level, &prefixes);
        Self::complete(codes_per_level, prefixes, collisions, health)
    }

    /// Completes the codes that `codebooks` gave to `embeddings`.
    fn with_codebooks(
        codes_per_level: Vec<usize>,
        mut prefixes: Vec<Vec<u16>>,
        collisions: Collisions,
        codebooks: Codebooks,
        embeddings: &ItemEmbeddings,
    ) -> Result<Self> {
        check_range(&codes_per_level, &prefixes)?;
        let moved = match collisions {
            Collisions::Sinkhorn => share_out(&codebooks, embeddings, &mut prefixes),
            Collisions::ExtraLevel | Collisions::None => 0,
        };
        let spread = health::spread(&codebooks.inputs(embeddings), embeddings.dim());
        let health = Health { moved, spread: Some(spread), ..Health::of(&codes_per_level, &prefixes) };
        let ids = Self::complete(codes_per_level, prefixes, collisions, health)?;
        Ok(Self { codebooks: Some(codebooks), ..ids })
    }

    /// Adds a level where items still collide and may not.
    fn complete(
        mut codes_per_level: Vec<usize>,
        mut codes: Vec<Vec<u16>>,
        collisions: Collisions,
        health: Health,
    ) -> Result<Self> {
        if health.largest_group > 1 && collisions != Collisions::None {
            number_groups(&mut codes, health.largest_group)?;
            codes_per_level.push(health.largest_group);
        }
        Self::new(codes_per_level, codes, health, collisions)
    }

    fn new(codes_per_level: Vec<usize>, codes: Vec<Vec<u16>>, health: Health, collisions: Collisions) -> Result<Self> {
        check_range(&codes_per_level, &codes)?;
        let mut items_of: HashMap<Vec<u16>, Vec<u32>> = HashMap::with_capacity(codes.len());
        for (item, id) in (0_u32..).zip(&codes) {
            items_of.entry(id.clone()).or_default().push(item);
        }
        let digest = digest(&codes_per_level, &codes);
        let ids = Self { codes_per_level, codes, health, digest, collisions, codebooks: None, items_of };
        if collisions != Collisions::None {
            ids.check_unique()?;
        }
        Ok(ids)
    }

    /// That no two items have the same ID, as decoding to items and a [`Trie`](crate::Trie) need. It can only fail for IDs
    /// made with [`Collisions::None`].
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] with the first two items that share an ID.
    pub fn check_unique(&self) -> Result<()> {
        let first = self.items_of.iter().filter(|(_, items)| items.len() > 1).min_by_key(|(_, items)| items[0]);
        match first {
            None => Ok(()),
            Some((id, items)) => Err(Error::Invalid(format!(
                "items {} and {} have the same semantic ID {id:?}; make IDs with `extra_level` or `sinkhorn` to tell them \
                 apart",
                items[0], items[1]
            ))),
        }
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

    /// The one item with this ID: none when no item has it, or, with [`Collisions::None`], when several do.
    pub fn item_of(&self, codes: &[u16]) -> Option<u32> {
        match self.items_of(codes) {
            &[item] => Some(item),
            _ => None,
        }
    }

    /// All items with this ID, ascending.
    pub fn items_of(&self, codes: &[u16]) -> &[u32] {
        self.items_of.get(codes).map_or(&[], Vec::as_slice)
    }

    /// What was done about items with the same codes.
    pub fn collisions(&self) -> Collisions {
        self.collisions
    }

    /// Whether [`SemanticIds::assign_new`] can code new items: whether the IDs came from centroids, which are saved with
    /// them.
    pub fn has_codebooks(&self) -> bool {
        self.codebooks.is_some()
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
    if let Some(size) = codes_per_level.iter().find(|&&size| size > MOST_CODES) {
        return Err(Error::Invalid(format!("a level of {size} codes; there may be 1 to 65,536")));
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

//! IDs for items that came later, from the codebooks as they are.

use super::codebooks::Codebooks;
use super::{Collisions, Health, SemanticIds};
use crate::{Error, ItemEmbeddings, Result};

impl SemanticIds {
    /// Gives each row of `new` an ID and appends it: the new items are numbered from [`SemanticIds::len`] on, in row order.
    /// Old items keep their IDs, and no level gets more codes, so that a model trained on the old IDs can name the new
    /// ones.
    ///
    /// A new item gets the codes of the nearest centroids. Where an old or an earlier new item has them, it gets the
    /// lowest free code of the added level, and where there is none, the next nearest code of the last level that has
    /// room. With [`Collisions::None`] it shares the ID. One by one or all at once comes to the same.
    ///
    /// ```
    /// use orbit_data::semantic_id::ResidualKMeans;
    /// use orbit_data::{ItemEmbeddings, SemanticIds};
    ///
    /// let old = ItemEmbeddings::new(2, vec![1.0, 0.0, 1.0, 0.1, 0.0, 1.0, -1.0, 0.2])?;
    /// let ids = SemanticIds::assign(&old, &ResidualKMeans { levels: 2, codes: 3, ..ResidualKMeans::default() })?;
    /// let more = ids.assign_new(&ItemEmbeddings::new(2, vec![0.1, 0.9])?)?;
    /// assert_eq!(more.codes(4)[0], ids.codes(2)[0]);
    /// assert!((0..4).all(|item| more.codes(item) == ids.codes(item)));
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for IDs without codebooks, for embeddings of another length, and for an item for which no ID that
    /// begins like its own is free.
    pub fn assign_new(&self, new: &ItemEmbeddings) -> Result<Self> {
        let codebooks = self.codebooks.as_ref().ok_or_else(|| {
            let reason = "these IDs have no codebooks, so new items cannot get IDs like them; random and published IDs never \
                          have any, others need to be made anew by this build";
            Error::Invalid(reason.to_owned())
        })?;
        if new.dim() != codebooks.dim {
            let reason = format!(
                "the new embeddings have {} values each, the codebooks {}; embed new items by the same model",
                new.dim(),
                codebooks.dim
            );
            return Err(Error::Invalid(reason));
        }
        let mut ids = self.clone();
        let nearest = codebooks.encode(new);
        let residuals = codebooks.before_last(new, &nearest);
        for (prefix, residual) in nearest.into_iter().zip(residuals.chunks_exact(codebooks.width())) {
            let id = ids.free_id(prefix, residual, codebooks)?;
            ids.items_of.entry(id.clone()).or_default().push(ids.codes.len() as u32);
            ids.codes.push(id);
        }
        let quantised = self.health.levels.len();
        let prefixes: Vec<Vec<u16>> = ids.codes.iter().map(|id| id[..quantised].to_vec()).collect();
        let Health { moved, spread, .. } = self.health;
        ids.health = Health { moved, spread, ..Health::of(&self.codes_per_level[..quantised], &prefixes) };
        ids.digest = super::digest(&ids.codes_per_level, &ids.codes);
        Ok(ids)
    }

    /// The ID of an item with these nearest codes, of which the last is that of `residual`.
    fn free_id(&self, prefix: Vec<u16>, residual: &[f32], codebooks: &Codebooks) -> Result<Vec<u16>> {
        if self.collisions == Collisions::None {
            return Ok(prefix);
        }
        if let Some(id) = self.free_below(&prefix) {
            return Ok(id);
        }
        let mut others: Vec<(f32, u16)> = codebooks.last_distances(residual).into_iter().zip(0..=u16::MAX).collect();
        others.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let before = &prefix[..prefix.len() - 1];
        let free = others.into_iter().find_map(|(_, code)| self.free_below(&[before, &[code]].concat()));
        free.ok_or_else(|| {
            let reason = format!(
                "no ID that begins with {before:?} is free for new item {}; make all IDs anew, with more codes or levels",
                self.len()
            );
            Error::Invalid(reason)
        })
    }

    /// The lowest ID with this prefix that no item has: the prefix itself where no level was added.
    fn free_below(&self, prefix: &[u16]) -> Option<Vec<u16>> {
        let is_free = |id: &Vec<u16>| !self.items_of.contains_key(id);
        match self.codes_per_level.get(prefix.len()) {
            None => Some(prefix.to_vec()).filter(is_free),
            Some(&size) => (0..=u16::MAX).take(size).map(|code| [prefix, &[code]].concat()).find(is_free),
        }
    }
}

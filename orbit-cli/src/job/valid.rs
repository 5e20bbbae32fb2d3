use anyhow::Result;
use orbit_data::{SemanticIds, Trie, Vocabulary};
use orbit_models::generate::Constraint;

/// A [`Trie`] as decoding wants it.
pub(crate) struct ValidIds(Trie);

impl ValidIds {
    /// Of all items that have an ID.
    pub(crate) fn new(ids: &SemanticIds, vocabulary: &Vocabulary) -> Result<Self> {
        let sequences = ids.iter().map(|codes| vocabulary.sid(codes)).collect::<orbit_data::Result<Vec<_>>>()?;
        Ok(Self(Trie::new(sequences.iter().map(Vec::as_slice))?))
    }
}

impl Constraint for ValidIds {
    fn root(&self) -> u32 {
        self.0.root()
    }
    fn children(&self, node: u32) -> (&[u32], u32) {
        self.0.children(node)
    }
    fn item(&self, node: u32) -> Option<u32> {
        self.0.item(node)
    }
}

//! Document retrieval: texts to be found, and queries that say which of them are right.
//!
//! A generative model names a document by its semantic ID (DSI, arXiv 2202.06991); [`Bm25`] is what it has to beat. Three
//! forms are read, plain or compressed: Cranfield ([`DocumentCorpus::read_cranfield`]), BoolQ
//! ([`DocumentCorpus::read_boolq`]) and JSON lines ([`DocumentCorpus::read_jsonl`]).

mod bm25;
mod boolq;
mod cranfield;
mod jsonl;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::corpus::{hex, update};

pub use bm25::Bm25;

/// Something that can be found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The id it has in its source, unique in the corpus.
    pub id: String,
    /// What it says; never empty in a corpus that was read.
    pub text: String,
}

/// A query and the documents that answer it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// The id it has in its source.
    pub id: String,
    /// What is asked.
    pub text: String,
    /// Indices into [`DocumentCorpus::documents`], ascending; at least one in a corpus that was read.
    pub relevant: Vec<u32>,
}

/// Documents and queries. A document is named by its index in `documents` everywhere but in files.
///
/// ```
/// use orbit_data::DocumentCorpus;
/// use orbit_data::document::{Bm25, Document, Query};
/// use orbit_data::retrieval::Ranks;
///
/// let texts = ["Wings in a slipstream.", "Heat flow in a slab.", "Flow past a heated wing."];
/// let document = |text: &&str| Document { id: text[..4].to_owned(), text: (*text).to_owned() };
/// let query = Query { id: "1".into(), text: "Why do heated wings flutter?".into(), relevant: vec![2] };
/// let corpus = DocumentCorpus { documents: texts.iter().map(document).collect(), train: vec![], test: vec![query] };
///
/// let bm25 = Bm25::fit(&corpus.documents);
/// let mut ranks = Ranks::default();
/// corpus.test.iter().for_each(|query| ranks.push_any(&bm25.rank(&query.text, 10), &query.relevant));
/// assert_eq!(ranks.recall(1), 1.0);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentCorpus {
    /// The documents; row `i` of [`ItemEmbeddings`](crate::ItemEmbeddings) belongs to `documents[i]`.
    pub documents: Vec<Document>,
    /// Queries to learn from.
    pub train: Vec<Query>,
    /// Queries to be scored on.
    pub test: Vec<Query>,
}

impl DocumentCorpus {
    /// SHA-256 of the contents as 64 hex digits: documents and queries in order, whatever files they came from.
    ///
    /// ```
    /// use orbit_data::DocumentCorpus;
    /// use orbit_data::document::Document;
    /// let corpus = |text: &str| DocumentCorpus {
    ///     documents: vec![Document { id: "1".into(), text: text.into() }],
    ///     ..DocumentCorpus::default()
    /// };
    /// assert_ne!(corpus("wings").digest(), corpus("slabs").digest());
    /// ```
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        update(&mut hash, self.documents.iter().flat_map(|document| [&document.id, &document.text]));
        for queries in [&self.train, &self.test] {
            hash.update((queries.len() as u64).to_le_bytes());
            for query in queries {
                update(&mut hash, [&query.id, &query.text]);
                hash.update((query.relevant.len() as u64).to_le_bytes());
                query.relevant.iter().for_each(|document| hash.update(document.to_le_bytes()));
            }
        }
        hex(&hash.finalize())
    }
}

/// Indices in rising order, each once.
fn ascending(mut indices: Vec<u32>) -> Vec<u32> {
    indices.sort_unstable();
    indices.dedup();
    indices
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

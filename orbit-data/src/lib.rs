//! Corpora, semantic IDs, examples, batches and metrics: everything of orbit that is not a tensor.
//!
//! Data flows one way, and each name is a value that can be printed and saved:
//!
//! ```text
//! prepare::Source ─► Corpus
//! Corpus ─► ItemEmbeddings ─► SemanticIds ─► Vocabulary ─► Example ─► Loader ─► Batch
//! DocumentCorpus ─► ItemEmbeddings ─► SemanticIds ─► ..., its queries in place of users
//! TaskSource ─► Task ─► TaskSequence ─► Prompts ───────────┘
//! ```

pub mod baseline;
pub mod catalogue;
pub mod chat;
pub mod continual;
pub mod corpus;
pub mod document;
pub mod embedding;
mod error;
pub mod example;
mod input;
pub mod instruct;
pub mod loader;
pub mod metric;
mod permutation;
pub mod prepare;
pub mod retrieval;
pub mod semantic_id;
pub mod split;
pub mod statistics;
pub mod text;
pub mod tokenizer;
pub mod trie;
pub mod vocabulary;

pub use corpus::{Corpus, Item, OnBadRow, User};
pub use document::DocumentCorpus;
pub use embedding::ItemEmbeddings;
pub use error::{Error, Result};
pub use example::Example;
pub use input::read_file;
pub use loader::{Batch, Loader};
pub use semantic_id::SemanticIds;
pub use split::Split;
pub use tokenizer::TextTokenizer;
pub use trie::Trie;
pub use vocabulary::Vocabulary;

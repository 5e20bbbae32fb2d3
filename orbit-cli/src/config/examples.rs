use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::range::{self, Fault, fault};

/// What becomes an example. Weights say how often the examples of a kind come in an epoch: 1 is each once.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Examples {
    /// How many of a user's last items a prompt holds. Default: 12.
    pub max_history: usize,
    /// The weight of titles as questions for their items, beside the histories (LC-Rec, arXiv 2311.09049). Default: 0.
    pub title_to_id: f64,
    /// The weight of items as questions for their titles. Default: 0.
    pub id_to_title: f64,
    /// The weight of documents as questions for themselves, which is how they are learned (DSI, arXiv 2202.06991). Default: 1.
    pub indexing: f64,
    /// The weight of training queries as questions for their documents. Default: 1.
    pub queries: f64,
    /// Tokens of a title, document or query, at most. Default: 64.
    pub text_tokens: usize,
}

impl Default for Examples {
    fn default() -> Self {
        Self { max_history: 12, title_to_id: 0.0, id_to_title: 0.0, indexing: 1.0, queries: 1.0, text_tokens: 64 }
    }
}

impl Examples {
    /// Whether items are to be learned by their titles too.
    pub(crate) fn has_titles(&self) -> bool {
        self.title_to_id > 0.0 || self.id_to_title > 0.0
    }

    pub(super) fn check(&self, documents: bool) -> Result<(), Fault> {
        range::at_least_one("examples.max_history", self.max_history)?;
        range::at_least_one("examples.text_tokens", self.text_tokens)?;
        for (key, weight) in [
            ("examples.title_to_id", self.title_to_id),
            ("examples.id_to_title", self.id_to_title),
            ("examples.indexing", self.indexing),
            ("examples.queries", self.queries),
        ] {
            range::finite(key, weight)?;
            if weight < 0.0 {
                return fault(key, format!("must be 0 or above, got {weight}"));
            }
        }
        match documents {
            true if self.has_titles() => fault("examples.title_to_id", "is of items, and the corpus has documents"),
            true if self.indexing + self.queries == 0.0 => fault("examples.indexing", "and `queries` leave no example"),
            _ => Ok(()),
        }
    }
}

//! What a recommender's directory says of its items, so that it can be asked without the corpus.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use orbit_data::read_file;
use serde::{Deserialize, Serialize};

use crate::usage::Usage;

/// Letters of a document that it is called by.
const TITLE: usize = 80;
/// The file in the model directory.
const FILE: &str = "catalogue.json";

/// The items in the order of their semantic IDs.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Catalogue {
    /// How many of a user's last items a prompt holds; 0 where queries are asked.
    pub(crate) max_history: usize,
    /// Tokens of a query, at most; none where histories are asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) query_tokens: Option<usize>,
    pub(crate) items: Vec<Entry>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) title: String,
}

impl Catalogue {
    /// Items by id and title.
    pub(crate) fn of<'a>(items: impl Iterator<Item = (&'a str, &'a str)>, max_history: usize) -> Self {
        let entry = |(id, title): (&str, &str)| Entry { id: id.to_owned(), title: title.to_owned() };
        Self { max_history, query_tokens: None, items: items.map(entry).collect() }
    }

    /// Documents by id and text, of which the beginning is kept.
    pub(crate) fn of_documents<'a>(documents: impl Iterator<Item = (&'a str, &'a str)>, query_tokens: usize) -> Self {
        let beginning = |text: &str| text.chars().take(TITLE).collect();
        let entry = |(id, text): (&str, &str)| Entry { id: id.to_owned(), title: beginning(text) };
        Self { max_history: 0, query_tokens: Some(query_tokens), items: documents.map(entry).collect() }
    }

    /// Whether both have the same ids in the same order.
    pub(crate) fn has_items_of(&self, other: &Self) -> bool {
        self.items.iter().map(|item| &item.id).eq(other.items.iter().map(|item| &item.id))
    }

    pub(crate) fn save(&self, dir: &Path) -> Result<()> {
        let path = dir.join(FILE);
        fs::write(&path, serde_json::to_vec(self)?).with_context(|| path.display().to_string())
    }

    /// # Errors
    /// [`Usage`], when the directory has none.
    pub(crate) fn load(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        if !path.exists() {
            return Err(Usage::new(format!(
                "{} is no recommender: it has no {FILE}. Give the directory `model` of a run of `orbit train`",
                dir.display()
            ))
            .into());
        }
        let text = read_file(&path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| path.display().to_string())
    }

    /// The items with these ids, by index.
    ///
    /// # Errors
    /// [`Usage`], for an id that is not in the catalogue; the message names all of them.
    pub(crate) fn indices(&self, ids: &[impl AsRef<str>]) -> Result<Vec<u32>> {
        let find = |id: &str| self.items.iter().position(|entry| entry.id == id).ok_or_else(|| id.to_owned());
        let (found, unknown): (Vec<_>, Vec<_>) = ids.iter().map(|id| find(id.as_ref())).partition(Result::is_ok);
        let unknown: Vec<String> = unknown.into_iter().filter_map(Result::err).collect();
        if !unknown.is_empty() {
            let (unknown, items) = (unknown.join(", "), self.items.len());
            return Err(Usage::new(format!("not in the catalogue of {items} items: {unknown}")).into());
        }
        found.into_iter().flatten().map(|index| Ok(u32::try_from(index)?)).collect()
    }
}

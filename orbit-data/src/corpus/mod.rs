//! Corpora: items and the users who met them, in time order.
//!
//! Two forms are read, and the second one is written:
//!
//! - **sequences** ([`Corpus::read_sequences`]): the text form of S3-Rec, a user a line, `user item item ...`, oldest
//!   first, with item ids counted from 1;
//! - **JSON lines** ([`Corpus::read_jsonl`]): an interaction a line, `{"user": "u1", "item": "B001", "time": 1400000000}`.
//!
//! Raw public data is brought into the second by [`prepare`](crate::prepare). Both take an item file of JSON lines,
//! `{"id": "B001", "title": "Green tea, 40 bags"}`.
//!
//! All readers of this crate keep to the same rules:
//!
//! - **files** are told by their first bytes: gzip, bzip2, zstd or plain, whatever their names; UTF-8 or UTF-16. A byte
//!   order
//!   mark, CRLF and blank lines do not matter. **Parquet** is read wherever JSON lines are.
//! - **ids** are strings or whole numbers in one form, [`normalized_id`]: `7`, `7.0` and `"7 "` are the same.
//! - **times** are numbers in any unit, with fractions, or dates of ISO 8601; nanoseconds and dates become seconds
//!   since 1970.
//! - **columns** are found without regard to case by their usual names, such as `user_id` or `reviewerID` for `user`.
//! - **nothing** is null, a blank text or an empty field, and as good as a column that is not there. Texts lose the
//!   blanks
//!   around them. Fields of an item file that are neither `id` nor `title` are kept if they are strings.

mod columns;
mod id;
mod json;
mod jsonl;
mod reader;
mod record;
mod sequences;
mod time;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub(crate) use columns::{Column, optional, required};
pub use id::{Id, normalized_id};
pub(crate) use id::{id, normal};
pub use json::json_lines;
pub(crate) use json::parse;
pub use jsonl::TimedCorpus;
pub use reader::{OnBadRow, ReadReport};
pub(crate) use record::{Record, text_of};
pub(crate) use sequences::number;
pub(crate) use time::{time, time_value};

/// Something that can be recommended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The id it has in its source, unique in the corpus.
    pub id: String,
    /// What it is called; empty where the source has no titles.
    #[serde(default)]
    pub title: String,
    /// Every other text field of the source, by name.
    #[serde(flatten)]
    pub fields: BTreeMap<String, String>,
}

/// A user and what they met.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The id it has in its source, unique in the corpus.
    pub id: String,
    /// Indices into [`Corpus::items`], oldest first.
    pub history: Vec<u32>,
}

/// Items and users. An item is named by its index in `items` everywhere but in files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corpus {
    /// The items; row `i` of [`ItemEmbeddings`](crate::ItemEmbeddings) belongs to `items[i]`.
    pub items: Vec<Item>,
    /// The users.
    pub users: Vec<User>,
}

impl Corpus {
    /// How many interactions all users have together.
    pub fn interactions(&self) -> usize {
        self.users.iter().map(|user| user.history.len()).sum()
    }

    /// SHA-256 of the contents as 64 hex digits: items and users in order, whatever files they came from.
    ///
    /// ```
    /// use orbit_data::{Corpus, Item};
    /// let tea = Corpus { items: vec![Item { id: "1".into(), title: "Tea".into(), ..Item::default() }], users: vec![] };
    /// let coffee = Corpus { items: vec![Item { id: "1".into(), title: "Coffee".into(), ..Item::default() }], users: vec![] };
    /// assert_eq!(tea.digest(), tea.clone().digest());
    /// assert_ne!(tea.digest(), coffee.digest());
    /// ```
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for item in &self.items {
            update(&mut hash, [&item.id, &item.title].into_iter().chain(item.fields.iter().flat_map(|(k, v)| [k, v])));
        }
        hash.update(b"users");
        for user in &self.users {
            update(&mut hash, [&user.id]);
            hash.update((user.history.len() as u64).to_le_bytes());
            user.history.iter().for_each(|item| hash.update(item.to_le_bytes()));
        }
        hex(&hash.finalize())
    }
}

/// Hashes strings with their count and lengths in front, so that no two lists share an encoding.
pub(crate) fn update<'a>(hash: &mut Sha256, strings: impl IntoIterator<Item = &'a String>) {
    let strings: Vec<_> = strings.into_iter().collect();
    hash.update((strings.len() as u64).to_le_bytes());
    for string in strings {
        hash.update((string.len() as u64).to_le_bytes());
        hash.update(string.as_bytes());
    }
}

/// Bytes as lowercase hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

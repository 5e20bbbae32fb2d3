//! What both corpus readers share: the policy for bad rows, and items.

use std::collections::HashMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Item;
use super::json::parse;
use super::record::Record;
use crate::input::{TextLines, lines, plain_lines};
use crate::{Error, Result};

/// What to do with a row that cannot be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBadRow {
    /// Stop, and name the file, the line and the reason.
    #[default]
    Fail,
    /// Leave it out, and count it in the [`ReadReport`].
    Skip,
}

/// What reading came to, over all files of a corpus.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadReport {
    /// Rows read, good and bad; blank lines do not count.
    pub rows: usize,
    /// Rows left out.
    pub skipped: usize,
    /// Why the first of them was left out, with its file and line.
    pub first: Option<String>,
}

impl ReadReport {
    /// Hands each line of JSON in `path` to `take`, which answers why a row is bad; `on_bad` says what follows from
    /// that.
    pub(crate) fn rows(
        &mut self,
        path: &Path,
        on_bad: OnBadRow,
        take: impl FnMut(&str) -> Result<(), String>,
    ) -> Result<()> {
        self.each(path, lines(path)?, on_bad, take)
    }

    /// As [`Self::rows`], of lines that are not JSON.
    pub(crate) fn plain_rows(
        &mut self,
        path: &Path,
        on_bad: OnBadRow,
        take: impl FnMut(&str) -> Result<(), String>,
    ) -> Result<()> {
        self.each(path, plain_lines(path)?, on_bad, take)
    }

    fn each(
        &mut self,
        path: &Path,
        lines: TextLines,
        on_bad: OnBadRow,
        mut take: impl FnMut(&str) -> Result<(), String>,
    ) -> Result<()> {
        for row in lines {
            let taken = row.and_then(|(line, text)| take(&text).map_err(|reason| Error::row(path, line, reason)));
            self.rows += 1;
            match taken {
                Ok(()) => {}
                Err(error @ Error::Row { .. }) if on_bad == OnBadRow::Skip => {
                    self.skipped += 1;
                    self.first.get_or_insert_with(|| error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Items by index, and their indices by id.
#[derive(Default)]
pub(super) struct Items {
    pub(super) list: Vec<Item>,
    index: HashMap<String, u32>,
}

impl Items {
    /// Reads an item file; `check` may refuse ids.
    pub(super) fn read(
        path: &Path,
        on_bad: OnBadRow,
        report: &mut ReadReport,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<Self> {
        let mut items = Self::default();
        report.rows(path, on_bad, |text| {
            let item = parse::<Record>(text)?.into_item()?;
            check(&item.id)?;
            items.push(item)
        })?;
        Ok(items)
    }

    /// Builds the index anew over a reordered list of distinct items.
    pub(super) fn sorted_by_key<K: Ord>(mut self, key: impl Fn(&Item) -> K) -> Self {
        self.list.sort_by_cached_key(key);
        self.index = (0..).zip(&self.list).map(|(index, item)| (item.id.clone(), index)).collect();
        self
    }

    fn push(&mut self, item: Item) -> Result<(), String> {
        if self.index.contains_key(&item.id) {
            return Err(format!("item id {:?} appears twice", item.id));
        }
        let index = u32::try_from(self.list.len()).map_err(|_| "more than 2^32 items".to_owned())?;
        self.index.insert(item.id.clone(), index);
        self.list.push(item);
        Ok(())
    }

    /// The index of the item with this id.
    pub(super) fn index_of(&self, id: &str) -> Result<u32, String> {
        self.index.get(id).copied().ok_or_else(|| format!("item {id:?} is not in the item file"))
    }
}

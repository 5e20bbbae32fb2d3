use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::movielens::Movielens;
use super::recbole;
use crate::{Error, Result};

/// Raw data: its kind and where it lies.
///
/// ```
/// use orbit_data::prepare::{Kind, Source};
/// let source = Source::new(Kind::Amazon2014, "reviews_Beauty_5.json.gz").items("meta_Beauty.json.gz");
/// assert_eq!(source.kind, Kind::Amazon2014);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The form of the data.
    pub kind: Kind,
    /// The file of interactions; for MovieLens the folder, for RecBole the folder or the `.inter` file.
    pub path: PathBuf,
    /// The file of items; without one, items have no titles but those of a column beside the interactions. MovieLens
    /// and a RecBole folder name their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<PathBuf>,
    /// What columns are called, for [`Kind::Jsonl`], [`Kind::Parquet`], [`Kind::Csv`] and [`Kind::Recbole`].
    #[serde(default)]
    pub columns: Columns,
}

/// The names of columns; one that is not given has the name that is usual for the kind of data.
///
/// The usual names are `user`, `item`, `time`, `rating` and `title`, or those that published data has for them, such as
/// `user_id`, `asin`, `timestamp`, `overall` and `name`, without regard to case. An item file may say `id` in place of
/// `item`. For RecBole the title may be the only column whose name ends with `title`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Columns {
    /// The user's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The item's id, with the interactions and in the item file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// When they met: a number of any unit, or a date of ISO 8601. Data that has no such column is in time order as it
    /// stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The rating, which need not be there unless a least rating is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<String>,
    /// The item's title, in the item file or else beside the interactions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// The files of a source.
pub(super) struct Files {
    pub(super) interactions: PathBuf,
    pub(super) items: Option<PathBuf>,
    /// Which MovieLens it is, if it is one.
    pub(super) movielens: Option<Movielens>,
}

impl Source {
    /// Data of `kind` at `path`, with the usual columns and no item file.
    pub fn new(kind: Kind, path: impl Into<PathBuf>) -> Self {
        Self { kind, path: path.into(), items: None, columns: Columns::default() }
    }

    /// This source with an item file.
    pub fn items(self, path: impl Into<PathBuf>) -> Self {
        Self { items: Some(path.into()), ..self }
    }

    /// How many bytes there are to read, which is where the progress of [`Source::prepare`] ends.
    ///
    /// # Errors
    ///
    /// A file that is not there.
    pub fn bytes(&self) -> Result<u64> {
        let files = self.files()?;
        let size = |path: &Path| Ok(fs::metadata(path).map_err(|source| Error::io(path, source))?.len());
        Ok(size(&files.interactions)? + files.item_file(self.kind).map_or(Ok(0), size)?)
    }

    /// Finds the files.
    pub(super) fn files(&self) -> Result<Files> {
        let mut files = match self.kind {
            Kind::Movielens => Movielens::find(&self.path)?,
            Kind::Recbole => recbole::find(&self.path)?,
            _ => Files { interactions: self.path.clone(), items: None, movielens: None },
        };
        files.items = self.items.clone().or(files.items);
        Ok(files)
    }
}

impl Files {
    /// The file that describes items: data of one's own may do so beside the interactions.
    pub(super) fn item_file(&self, kind: Kind) -> Option<&Path> {
        let own = matches!(kind, Kind::Jsonl | Kind::Parquet | Kind::Csv);
        self.items.as_deref().or_else(|| own.then_some(&self.interactions))
    }
}

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The form in which raw data comes.
///
/// ```
/// use orbit_data::prepare::Kind;
/// assert_eq!("amazon_2014".parse::<Kind>()?, Kind::Amazon2014);
/// assert_eq!(Kind::S3Rec.to_string(), "s3_rec");
/// # Ok::<(), orbit_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// Amazon reviews of 2014 or their 5-core: `reviews_*.json.gz`, and `meta_*.json.gz` with a Python literal a line.
    #[serde(rename = "amazon_2014")]
    Amazon2014,
    /// Amazon reviews of 2018: JSON lines, and an item file of JSON lines with `title`, `brand` and `category`.
    #[serde(rename = "amazon_2018")]
    Amazon2018,
    /// Amazon reviews of 2023: JSON lines with times in milliseconds, and an item file of JSON lines with `title`,
    /// `store` and `categories`.
    #[serde(rename = "amazon_2023")]
    Amazon2023,
    /// A folder of MovieLens: 100K (`u.data`, `u.item`), 1M and 10M (`ratings.dat`, `movies.dat`), or 20M and later
    /// (`ratings.csv`, `movies.csv`).
    #[serde(rename = "movielens")]
    Movielens,
    /// The atomic files of RecBole, `*.inter` and `*.item`: their folder, or the first of them.
    #[serde(rename = "recbole")]
    Recbole,
    /// The sequences of S3-Rec, a user a line, and an item file of JSON lines with `id`. Times are the positions.
    #[serde(rename = "s3_rec")]
    S3Rec,
    /// JSON lines with named columns.
    #[serde(rename = "jsonl")]
    Jsonl,
    /// A table of text with named columns between commas, semicolons, tabs or bars, as its first line has them.
    #[serde(rename = "csv")]
    Csv,
    /// Parquet with named columns. An item file, here and for the two kinds above, is Parquet, JSON lines or a table.
    #[serde(rename = "parquet")]
    Parquet,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Amazon2014,
        Self::Amazon2018,
        Self::Amazon2023,
        Self::Movielens,
        Self::Recbole,
        Self::S3Rec,
        Self::Jsonl,
        Self::Csv,
        Self::Parquet,
    ];

    /// The name it has in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amazon2014 => "amazon_2014",
            Self::Amazon2018 => "amazon_2018",
            Self::Amazon2023 => "amazon_2023",
            Self::Movielens => "movielens",
            Self::Recbole => "recbole",
            Self::S3Rec => "s3_rec",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::Invalid(format!("{name:?} is no kind of raw data; there are {names}"))
        })
    }
}

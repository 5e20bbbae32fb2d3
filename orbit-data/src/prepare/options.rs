use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, OnBadRow, Result};

/// What to keep of raw data, and in which order.
///
/// Steps are taken in the order of the fields: bad rows and low ratings go while reading; then duplicates, then
/// repeats, then what is outside the core. Ties are shuffled last.
///
/// ```
/// use orbit_data::prepare::{Options, Repeats};
/// let options: Options = serde_json::from_str(r#"{"core": 5, "repeats": "first"}"#)?;
/// assert_eq!(options, Options { core: 5, repeats: Repeats::First, ..Options::default() });
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What to do with a row that cannot be used.
    pub on_bad: OnBadRow,
    /// Interactions with a rating below this are left out; none keeps all, and asks for no ratings.
    pub min_rating: Option<f64>,
    /// How many units of the source's time are one moment. 1 takes times as they are; 86400 suits times in seconds that
    /// are only true to the day. Times are rounded down to it, also those that are written.
    pub moment: u32,
    /// What to do with an item that a user met before.
    pub repeats: Repeats,
    /// Every user and every item keeps at least this many interactions; users and items with fewer are left out, again
    /// and again until none has. 0 keeps all.
    pub core: u32,
    /// The seed by which a user's interactions at the same time are shuffled; none leaves them as they came. The order
    /// in which files list them is often that of the catalogue, and so tells which item comes next.
    pub ties: Option<u64>,
}

/// What to do with an item that a user met before, at another time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Repeats {
    /// Keep it.
    #[default]
    Keep,
    /// Keep the first of the pair of user and item.
    First,
}

impl Default for Options {
    fn default() -> Self {
        Self { on_bad: OnBadRow::Fail, min_rating: None, moment: 1, repeats: Repeats::Keep, core: 0, ties: Some(0) }
    }
}

impl Options {
    /// Says what does not make sense.
    pub(super) fn check(&self) -> Result<()> {
        if self.moment == 0 {
            return Err(Error::Invalid("moment must be at least 1: a moment of 0 units holds no time".to_owned()));
        }
        if self.min_rating.is_some_and(|rating| !rating.is_finite()) {
            return Err(Error::Invalid("min_rating must be a finite number".to_owned()));
        }
        Ok(())
    }
}

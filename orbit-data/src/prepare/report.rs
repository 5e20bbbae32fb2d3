use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Options, RawFile, Source};
use crate::corpus::ReadReport;

/// The version of `prepared.json` that is written.
pub const FORMAT: u32 = 1;

/// What preparing came to: `prepared.json`. Its [`Display`](fmt::Display) is the text to show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// The version of this file.
    pub format: u32,
    /// Where the data came from.
    pub source: Source,
    /// How it was prepared.
    pub options: Options,
    /// The raw files, with their digests.
    pub files: Vec<RawFile>,
    /// Their rows, and those that could not be used.
    pub read: ReadReport,
    /// What times are.
    pub times: Times,
    /// What was left out and what was kept.
    pub counts: Counts,
    /// SHA-256 of each file that was written, by its name.
    pub digests: BTreeMap<String, String>,
}

/// What the times of interactions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// Those of the source.
    Recorded,
    /// Those of the source, which are all at the start of a day in UTC, in seconds or in milliseconds.
    Days,
    /// Places in the user's history, for the source has no times: ties cannot be seen, and times of two users cannot be
    /// compared.
    Positions,
}

/// What was left out, in the order of the steps, and what was kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Interactions with a rating below the least.
    pub below_rating: u64,
    /// Interactions equal to another in user, item and time, or moment.
    pub duplicates: u64,
    /// Interactions with an item that the user had met before; 0 if these are kept.
    pub repeats: u64,
    /// Interactions outside the core.
    pub outside_core: u64,
    /// Users who are left out whole.
    pub users_left_out: u64,
    /// Items of interactions that are left out whole.
    pub items_left_out: u64,
    /// Users kept.
    pub users: u64,
    /// Items kept.
    pub items: u64,
    /// Interactions kept.
    pub interactions: u64,
    /// Of these, how many share user and time with another.
    pub tied: u64,
    /// Whether they were shuffled.
    pub shuffled: bool,
    /// Users kept with fewer than three interactions, of whom nothing can be held out.
    pub short_users: u64,
    /// Items kept that the item file does not have.
    pub unknown_items: u64,
    /// Items kept without a title.
    pub untitled_items: u64,
    /// Rows of the item file about items that are not kept.
    pub other_items: u64,
    /// Rows of the item file about an item that had one before.
    pub repeated_items: u64,
}

impl fmt::Display for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        writeln!(f, "users: {}, items: {}, interactions: {}", counts.users, counts.items, counts.interactions)?;
        for file in self.files.iter().filter(|file| !file.read_as.is_empty()) {
            writeln!(f, "{} was read as {}", file.path.display(), file.read_as.join(", "))?;
        }
        writeln!(f, "rows that cannot be used: {} of {}", self.read.skipped, self.read.rows)?;
        self.read.first.iter().try_for_each(|first| writeln!(f, "  the first is {first}"))?;
        for (count, what) in [
            (counts.below_rating, "interactions below the least rating"),
            (counts.duplicates, "duplicates"),
            (counts.repeats, "repeats"),
            (counts.outside_core, "interactions outside the core"),
            (counts.users_left_out, "users left out"),
            (counts.items_left_out, "items left out"),
            (counts.other_items, "items of the item file that nobody met or that are left out"),
            (counts.short_users, "users with fewer than three interactions, of whom nothing is held out"),
            (counts.untitled_items, "items without a title"),
        ] {
            if count > 0 {
                writeln!(f, "{what}: {count}")?;
            }
        }
        let times = match self.times {
            Times::Positions => return writeln!(f, "there are no times, so that ties cannot be seen"),
            Times::Days => " (times are only true to the day)",
            Times::Recorded => "",
        };
        let order = if counts.shuffled { "shuffled" } else { "as they came, which may leak" };
        writeln!(f, "interactions that tie with another of the user: {}{times}, {order}", counts.tied)
    }
}

//! From raw public data to the form that is read everywhere else.
//!
//! ```text
//! Source ─► interactions ─► without duplicates, repeats, small users and items ─► ties shuffled ─► a folder
//! ```
//!
//! The folder has `interactions.jsonl`, `{"user": "u1", "item": "B001", "time": 1400000000}`, ordered by user and time;
//! `items.jsonl`, `{"id": "B001", "title": "Green tea", ...}`; and `prepared.json`, a [`Prepared`]. The first two are
//! what [`Corpus::read_jsonl`](crate::Corpus::read_jsonl) reads.
//!
//! Ids are held once and an interaction takes 16 bytes, and as many again while it is sorted. Of the item file only the
//! texts of items that are kept are held.

mod amazon;
mod catalogue;
mod check;
mod event;
mod filter;
mod ids;
mod kind;
mod movielens;
mod options;
mod own;
pub(crate) mod python;
mod raw;
mod recbole;
mod report;
mod s3_rec;
mod source;
mod table;
mod ties;
mod write;

use std::path::Path;

use serde::Serialize;
use serde_json::Number;

use self::catalogue::Catalogue;
use self::raw::Raw;
use self::source::Files;
use self::table::{Interaction, Table};
use self::write::Folder;
use crate::{Error, Item, Result};

pub use check::{CheckReport, Leakage, Spread, TemporalLeakage, TextCoverage, Ties, check, check_corpus};
pub use kind::Kind;
pub use options::{Options, Repeats};
pub use raw::RawFile;
pub use report::{Counts, FORMAT, Prepared, Times};
pub use source::{Columns, Source};

/// Users with fewer interactions have nothing held out.
const SHORT: u32 = 3;

/// The file of interactions in a prepared folder.
pub const INTERACTIONS: &str = "interactions.jsonl";

/// The file of items in a prepared folder.
pub const ITEMS: &str = "items.jsonl";

/// The file of a [`Prepared`] in a prepared folder.
pub const PREPARED: &str = "prepared.json";

/// A line of `interactions.jsonl`.
#[derive(Serialize)]
struct Row<'a> {
    user: &'a str,
    item: &'a str,
    time: Number,
}

impl Source {
    /// Writes this data into the folder `out`, which must not be there or be empty. It appears when all is written.
    ///
    /// `progress` is told how many bytes of the raw files have been read, of [`Source::bytes`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use orbit_data::prepare::{INTERACTIONS, ITEMS, Kind, Options, Source};
    /// use orbit_data::{Corpus, OnBadRow};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let raw = folder.path().join("shop.csv");
    /// std::fs::write(&raw, "user,item,time,title\nann,7,30,Green tea\nann,8,20,Cup\nbob,7,10,Green tea\n")?;
    /// let out = folder.path().join("shop");
    /// let prepared = Source::new(Kind::Csv, &raw).prepare(&Options::default(), &out, &mut |_| {})?;
    /// assert_eq!((prepared.counts.users, prepared.counts.items, prepared.counts.interactions), (2, 2, 3));
    ///
    /// let (corpus, _) = Corpus::read_jsonl(&out.join(INTERACTIONS), &out.join(ITEMS), OnBadRow::Fail)?;
    /// let titles: Vec<_> = corpus.users[0].history.iter().map(|&item| &corpus.items[item as usize].title).collect();
    /// assert_eq!(titles, ["Cup", "Green tea"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A raw file that is not there, is cut off or has a line of 16 MiB; a row that cannot be used, unless it is to be
    /// skipped; a column that is not there; nothing left to write; a folder that holds something.
    pub fn prepare(&self, options: &Options, out: &Path, progress: &mut dyn FnMut(u64)) -> Result<Prepared> {
        options.check()?;
        let files = self.files()?;
        let folder = Folder::new(out)?;
        let mut raw = Raw::new(options.on_bad, progress);
        let mut table = Table::new(options);
        self.read_interactions(&files, &mut raw, &mut table)?;
        let mut counts = select(&mut table, options);
        if table.rows.is_empty() {
            return Err(nothing_left(&files.interactions, &raw, &counts));
        }
        let items = self.describe(&files, &mut raw, &table, &mut counts)?;
        let times = times(&table);
        let row = |row: &Interaction| Row {
            user: table.users.id(row.user),
            item: table.items.id(row.item),
            time: number(row.time),
        };
        let digests = [
            (INTERACTIONS.to_owned(), folder.lines(INTERACTIONS, table.rows.iter().map(row))?),
            (ITEMS.to_owned(), folder.lines(ITEMS, &items)?),
        ];
        let prepared = Prepared {
            format: FORMAT,
            source: self.clone(),
            options: options.clone(),
            files: raw.files,
            read: raw.report,
            times,
            counts,
            digests: digests.into(),
        };
        folder.value(PREPARED, &prepared)?;
        folder.finish()?;
        tracing::info!(out = %out.display(), interactions = prepared.counts.interactions, "prepared");
        Ok(prepared)
    }

    fn read_interactions(&self, files: &Files, raw: &mut Raw<'_>, table: &mut Table) -> Result<()> {
        let path = &files.interactions;
        if self.kind == Kind::Parquet {
            check_parquet(path)?;
        }
        match (self.kind, files.movielens) {
            (_, Some(movielens)) => movielens.interactions(path, raw, table),
            (Kind::Recbole, _) => recbole::interactions(path, &self.columns, raw, table),
            (Kind::S3Rec, _) => s3_rec::interactions(path, raw, table),
            (Kind::Jsonl | Kind::Parquet, _) => own::jsonl(path, &self.columns, raw, table),
            (Kind::Csv, _) => own::csv(path, &self.columns, raw, table),
            _ => amazon::interactions(self.kind, path, raw, table),
        }
    }

    fn read_items(&self, files: &Files, raw: &mut Raw<'_>, catalogue: &mut Catalogue<'_>) -> Result<()> {
        let Some(path) = files.item_file(self.kind) else { return Ok(()) };
        let beside = files.items.is_none();
        match (self.kind, files.movielens) {
            (_, Some(movielens)) => movielens.items(path, raw, catalogue),
            (Kind::Recbole, _) => recbole::items(path, &self.columns, raw, catalogue),
            (Kind::Jsonl | Kind::Parquet | Kind::Csv | Kind::S3Rec, _) => {
                // What an item file is, it says itself: that of a prepared folder goes with rows of any form.
                let json = if beside { self.kind != Kind::Csv } else { crate::input::is_json(path)? };
                let read = if json { own::jsonl_items } else { own::csv_items };
                read(path, &self.columns, beside, raw, catalogue)
            }
            _ => amazon::items(self.kind, path, raw, catalogue),
        }
    }

    /// The kept items with their texts, in the order in which users met them; those of S3-Rec by their number, as files
    /// of embeddings for it are laid out.
    fn describe(&self, files: &Files, raw: &mut Raw<'_>, table: &Table, counts: &mut Counts) -> Result<Vec<Item>> {
        let [_, of_item] = filter::counts(&table.rows, table.users.len(), table.items.len());
        let mut catalogue = Catalogue::new(&table.items, of_item.iter().map(|&count| count > 0).collect());
        if files.items.is_some() {
            self.read_items(files, raw, &mut catalogue)?;
            (counts.other_items, counts.repeated_items) = (catalogue.others, catalogue.repeated);
        } else {
            raw.again(|raw| self.read_items(files, raw, &mut catalogue))?;
        }
        let (mut items, unknown) = catalogue.finish();
        if self.kind == Kind::S3Rec {
            items.sort_by_cached_key(|item| crate::corpus::number(&item.id).unwrap_or_default());
        }
        counts.unknown_items = if files.items.is_some() { unknown } else { 0 };
        counts.untitled_items = items.iter().filter(|item| item.title.is_empty()).count() as u64;
        Ok(items)
    }
}

/// Refuses other data than Parquet under its name: the readers of JSON lines take either.
fn check_parquet(path: &Path) -> Result<()> {
    if crate::input::is_parquet(path)? {
        return Ok(());
    }
    Err(Error::file(path, "it is no Parquet file; for JSON lines give the kind `jsonl`, for a table of text `csv`"))
}

/// Orders the interactions and leaves out what the options say.
fn select(table: &mut Table, options: &Options) -> Counts {
    let (users, items) = (table.users.len(), table.items.len());
    let rows = &mut table.rows;
    // Stable, so that ties which are not shuffled keep the order of the file.
    rows.sort_by(|a, b| a.user.cmp(&b.user).then(a.time.total_cmp(&b.time)));
    let duplicates = filter::duplicates(rows, items);
    let repeats = if options.repeats == Repeats::First { filter::repeats(rows, items) } else { 0 };
    let before = rows.len();
    filter::core(rows, options.core, users, items);
    let outside_core = (before - rows.len()) as u64;
    if let Some(seed) = options.ties {
        ties::shuffle(rows, &table.users, &table.items, seed);
    }
    if table.timed == Some(false) {
        renumber(rows);
    }
    let [of_user, of_item] = filter::counts(rows, users, items);
    let with = |counts: &[u32], test: fn(u32) -> bool| counts.iter().filter(|&&count| test(count)).count() as u64;
    Counts {
        below_rating: table.below_rating,
        duplicates,
        repeats,
        outside_core,
        users_left_out: with(&of_user, |count| count == 0),
        items_left_out: with(&of_item, |count| count == 0),
        users: with(&of_user, |count| count > 0),
        items: with(&of_item, |count| count > 0),
        interactions: rows.len() as u64,
        tied: ties::count(rows),
        shuffled: options.ties.is_some(),
        short_users: with(&of_user, |count| (1..SHORT).contains(&count)),
        ..Counts::default()
    }
}

/// A time as it is written: whole if it is.
fn number(time: f64) -> Number {
    let whole = (time.fract() == 0.0).then(|| Number::from(time as i64));
    whole.or_else(|| Number::from_f64(time)).unwrap_or_else(|| Number::from(0))
}

/// Without times, a time is a place in the user's history.
fn renumber(rows: &mut [Interaction]) {
    for of_user in rows.chunk_by_mut(|a, b| a.user == b.user) {
        (0_u32..).zip(of_user).for_each(|(place, row)| row.time = f64::from(place));
    }
}

fn times(table: &Table) -> Times {
    const DAY: f64 = 86_400.0;
    match table.timed {
        Some(true) if table.rows.iter().all(|row| row.time % DAY == 0.0) => Times::Days,
        Some(true) => Times::Recorded,
        _ => Times::Positions,
    }
}

fn nothing_left(path: &Path, raw: &Raw<'_>, counts: &Counts) -> Error {
    let first = raw.report.first.as_ref().map_or_else(String::new, |first| format!(", the first for {first}"));
    let reason = format!(
        "no interaction is left of {} rows: {} skipped{first}; {} below the least rating; {} outside the core",
        raw.report.rows, raw.report.skipped, counts.below_rating, counts.outside_core
    );
    Error::file(path, reason)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod agreement_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod foreign_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

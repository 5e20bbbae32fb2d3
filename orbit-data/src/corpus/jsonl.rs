//! The JSON lines form: one interaction a line.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use super::reader::Items;
use super::{Column, Corpus, Item, OnBadRow, ReadReport, Record, User, parse, time_value};
use crate::{Error, Result};

#[derive(Serialize)]
struct Interaction<'a> {
    user: &'a str,
    item: &'a str,
}

/// A corpus whose interactions have times.
#[derive(Debug, Clone, PartialEq)]
pub struct TimedCorpus {
    /// The corpus.
    pub corpus: Corpus,
    /// For every user the times of their history, in rising order; none if the rows have no times.
    pub times: Option<Vec<Vec<f64>>>,
    /// What reading came to.
    pub report: ReadReport,
}

impl Corpus {
    /// Reads interactions, `{"user": "u1", "item": "B001", "time": 1400000000}`, and an item file.
    ///
    /// Items keep the order of their file, users that of their first interaction. A user's items are ordered by `time`,
    /// a number or a date; equal times keep the order of the file. Without `time` on any row the order of the rows is
    /// the order in time. The rules of [the module](crate::corpus) hold; either file may be Parquet.
    ///
    /// # Errors
    ///
    /// A file that cannot be read; and, unless `on_bad` is [`OnBadRow::Skip`], malformed JSON, an id that is neither
    /// string nor whole number, an item id that appears twice, an item that is not in the item file, a row that differs
    /// from the first good one in having a time.
    pub fn read_jsonl(interactions: &Path, items: &Path, on_bad: OnBadRow) -> Result<(Self, ReadReport)> {
        let TimedCorpus { corpus, report, .. } = Self::read_timed(interactions, items, on_bad)?;
        Ok((corpus, report))
    }

    /// [`Corpus::read_jsonl`] that keeps the times.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use orbit_data::{Corpus, OnBadRow};
    /// let folder = tempfile::tempdir()?;
    /// let [rows, items] = ["interactions.jsonl", "items.jsonl"].map(|name| folder.path().join(name));
    /// std::fs::write(&rows, "{\"user\": 1, \"item\": 7, \"time\": 9}\n{\"user\": 1, \"item\": 8, \"time\": 5}")?;
    /// std::fs::write(&items, "{\"id\": 7}\n{\"id\": 8}")?;
    /// let timed = Corpus::read_timed(&rows, &items, OnBadRow::Fail)?;
    /// assert_eq!(timed.corpus.users[0].history, [1, 0]);
    /// assert_eq!(timed.times, Some(vec![vec![5.0, 9.0]]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Corpus::read_jsonl`].
    pub fn read_timed(interactions: &Path, items: &Path, on_bad: OnBadRow) -> Result<TimedCorpus> {
        let mut report = ReadReport::default();
        let items = Items::read(items, on_bad, &mut report, |_| Ok(()))?;
        let mut timeline = Timeline::default();
        report.rows(interactions, on_bad, |text| timeline.push(&parse(text)?, &items))?;
        let timed = timeline.timed.unwrap_or_default();
        let (users, times) = timeline.into_users();
        Ok(TimedCorpus { corpus: Self { items: items.list, users }, times: timed.then_some(times), report })
    }

    /// Reads an item file alone, in the order of its lines.
    ///
    /// # Errors
    ///
    /// As [`Corpus::read_jsonl`] of items.
    pub fn read_items(path: &Path) -> Result<Vec<Item>> {
        Ok(Items::read(path, OnBadRow::Fail, &mut ReadReport::default(), |_| Ok(()))?.list)
    }

    /// Writes `interactions.jsonl` and `items.jsonl` into the folder `dir`, which is made if need be.
    ///
    /// [`Corpus::read_jsonl`] answers with an equal corpus, but for users without interactions, which this form cannot
    /// hold.
    ///
    /// # Errors
    ///
    /// A file that cannot be written, or a history that names an item which is not there.
    pub fn write_jsonl(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).map_err(|source| Error::io(dir, source))?;
        write_lines(&dir.join("items.jsonl"), self.items.iter())?;
        let mut rows = Vec::with_capacity(self.interactions());
        for user in &self.users {
            for &index in &user.history {
                let item = self.items.get(index as usize).ok_or_else(|| {
                    Error::Invalid(format!("user {:?} has item {index} of {} items", user.id, self.items.len()))
                })?;
                rows.push(Interaction { user: &user.id, item: &item.id });
            }
        }
        write_lines(&dir.join("interactions.jsonl"), rows)
    }
}

/// Interactions by user, users in order of appearance.
#[derive(Default)]
struct Timeline {
    users: Vec<(String, Vec<(f64, u32)>)>,
    index: HashMap<String, usize>,
    timed: Option<bool>,
}

impl Timeline {
    fn push(&mut self, row: &Record, items: &Items) -> Result<(), String> {
        let user = row.id(Column::User, None, "user")?;
        let item = items.index_of(&row.id(Column::Item, None, "item")?)?;
        let time = row.get(Column::Time, None)?.map(time_value).transpose()?;
        if *self.timed.get_or_insert(time.is_some()) != time.is_some() {
            return Err("`time` must be on every row or on none".to_owned());
        }
        let slot = *self.index.entry(user).or_insert_with_key(|user| {
            self.users.push((user.clone(), Vec::new()));
            self.users.len() - 1
        });
        self.users[slot].1.push((time.unwrap_or_default(), item));
        Ok(())
    }

    /// The users, and the times of each.
    fn into_users(self) -> (Vec<User>, Vec<Vec<f64>>) {
        let sort = |(id, mut events): (String, Vec<(f64, u32)>)| {
            events.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (times, history) = events.into_iter().unzip();
            (User { id, history }, times)
        };
        self.users.into_iter().map(sort).unzip()
    }
}

fn write_lines<T: Serialize>(path: &Path, rows: impl IntoIterator<Item = T>) -> Result<()> {
    let write = || -> io::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        for row in rows {
            serde_json::to_writer(&mut out, &row)?;
            out.write_all(b"\n")?;
        }
        out.flush()
    };
    write().map_err(|source| Error::io(path, source))
}

//! Data of one's own: JSON lines and CSV with named columns.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::catalogue::{Catalogue, line};
use super::event::{Event, rating, rating_value, time, time_value};
use super::raw::{Encoding, Form, Raw};
use super::source::Columns;
use super::table::Table;
use crate::Result;
use crate::corpus::{id, parse};

impl Columns {
    fn user(&self) -> &str {
        self.user.as_deref().unwrap_or("user")
    }

    fn item(&self) -> &str {
        self.item.as_deref().unwrap_or("item")
    }

    fn time(&self) -> &str {
        self.time.as_deref().unwrap_or("time")
    }

    fn rating(&self) -> &str {
        self.rating.as_deref().unwrap_or("rating")
    }

    fn title(&self) -> &str {
        self.title.as_deref().unwrap_or("title")
    }
}

/// A value that is there; null is as good as missing.
fn value<'a>(row: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    row.get(name).filter(|value| !value.is_null())
}

fn value_id(row: &Map<String, Value>, name: &str, what: &str) -> Result<String, String> {
    id(row.get(name).ok_or_else(|| format!("missing field `{name}`"))?, what)
}

pub(super) fn jsonl(path: &Path, columns: &Columns, raw: &mut Raw<'_>, table: &mut Table) -> Result<()> {
    raw.lines(path, Encoding::Utf8, |text| {
        let row: Map<String, Value> = parse(text)?;
        let (user, item) = (value_id(&row, columns.user(), "user")?, value_id(&row, columns.item(), "item")?);
        let time = value(&row, columns.time()).map(time_value).transpose()?;
        if let (None, Some(name)) = (time, &columns.time) {
            return Err(format!("missing field `{name}`"));
        }
        let rating = value(&row, columns.rating()).map(rating_value).transpose()?;
        table.push(Event { user: &user, item: &item, time, rating })
    })
}

/// Describes items by rows of JSON; `beside` says that the rows are interactions, whose other columns are not the
/// item's.
pub(super) fn jsonl_items(
    path: &Path,
    columns: &Columns,
    beside: bool,
    raw: &mut Raw<'_>,
    catalogue: &mut Catalogue<'_>,
) -> Result<()> {
    raw.lines(path, Encoding::Utf8, |text| {
        let mut row: Map<String, Value> = parse(text)?;
        let key = if !beside && columns.item.is_none() && !row.contains_key("item") { "id" } else { columns.item() };
        let id = value_id(&row, key, "item")?;
        let title = row.remove(columns.title());
        catalogue.put(&id, || {
            let title = match title {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(title)) => line(&title),
                Some(other) => return Err(format!("title must be a string, not {other}")),
            };
            let text = |(name, value): (String, Value)| Some((name, value.as_str().map(line)?));
            row.remove(key);
            let fields = if beside { BTreeMap::new() } else { row.into_iter().filter_map(text).collect() };
            Ok((title, fields))
        })
    })
}

/// Where columns are in a file of CSV.
struct Places {
    user: usize,
    item: usize,
    time: Option<usize>,
    rating: Option<usize>,
}

fn place(names: &[String], name: &str) -> Option<usize> {
    names.iter().position(|other| other == name)
}

fn required(names: &[String], name: &str) -> Result<usize, String> {
    place(names, name).ok_or_else(|| format!("no column `{name}` in its first line: {}", names.join(", ")))
}

/// The place of a column that must be there if its name was given.
fn optional(names: &[String], given: Option<&String>, usual: &str) -> Result<Option<usize>, String> {
    given.map_or_else(|| Ok(place(names, usual)), |name| required(names, name).map(Some))
}

pub(super) fn csv(path: &Path, columns: &Columns, raw: &mut Raw<'_>, table: &mut Table) -> Result<()> {
    let header = |names: &[String]| {
        Ok(Places {
            user: required(names, columns.user())?,
            item: required(names, columns.item())?,
            time: optional(names, columns.time.as_ref(), "time")?,
            rating: optional(names, columns.rating.as_ref(), "rating")?,
        })
    };
    raw.table(path, Form::Csv, header, |places, row| {
        let time = places.time.map(|place| time(&row[place])).transpose()?;
        // Not everybody rates: an empty field is no rating.
        let stars = places.rating.map(|place| row[place].trim()).filter(|stars| !stars.is_empty());
        let rating = stars.map(rating).transpose()?;
        table.push(Event { user: &row[places.user], item: &row[places.item], time, rating })
    })
}

/// Describes items by records of CSV; `beside` as for [`jsonl_items`].
pub(super) fn csv_items(
    path: &Path,
    columns: &Columns,
    beside: bool,
    raw: &mut Raw<'_>,
    catalogue: &mut Catalogue<'_>,
) -> Result<()> {
    let header = |names: &[String]| {
        let key =
            if !beside && columns.item.is_none() && place(names, "item").is_none() { "id" } else { columns.item() };
        let id = required(names, key)?;
        let title = optional(names, columns.title.as_ref(), "title")?;
        let other = |&(at, _): &(usize, &String)| !beside && at != id && Some(at) != title;
        let others = names.iter().enumerate().filter(other).map(|(at, name)| (at, name.clone()));
        Ok((id, title, others.collect::<Vec<_>>()))
    };
    raw.table(path, Form::Csv, header, |(id, title, others), row| {
        catalogue.put(&row[*id], || {
            let fields = others.iter().map(|(at, name)| (name.clone(), line(&row[*at]))).collect();
            Ok((title.map_or_else(String::new, |title| line(&row[title])), fields))
        })
    })
}

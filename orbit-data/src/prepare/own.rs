//! Data of one's own: JSON lines or Parquet, and CSV, with named columns.

use std::collections::BTreeMap;
use std::path::Path;

use super::catalogue::{Catalogue, line};
use super::event::{Event, rating, rating_value};
use super::raw::{Form, Raw};
use super::source::Columns;
use super::table::Table;
use crate::Result;
use crate::corpus::{Column, Record, optional, parse, required, text_of, time, time_value};

pub(super) fn jsonl(path: &Path, columns: &Columns, raw: &mut Raw<'_>, table: &mut Table) -> Result<()> {
    let Columns { user, item, time, rating, .. } = columns;
    raw.lines(path, |text| {
        let row: Record = parse(text)?;
        let user = row.id(Column::User, user.as_deref(), "user")?;
        let item = row.id(Column::Item, item.as_deref(), "item")?;
        let when = row.get(Column::Time, time.as_deref())?.map(time_value).transpose()?;
        if let (None, Some(name)) = (when, time) {
            return Err(format!("missing field `{name}`"));
        }
        let rating = row.get(Column::Rating, rating.as_deref())?.map(rating_value).transpose()?;
        table.push(Event { user: &user, item: &item, time: when, rating })
    })
}

/// The column of ids in a file that describes items; `beside` says that its rows are interactions.
fn key(beside: bool) -> Column {
    if beside { Column::Item } else { Column::Key }
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
    raw.lines(path, |text| {
        let mut row: Record = parse(text)?;
        let (key, item) = (key(beside), columns.item.as_deref());
        let id = row.id(key, item, "item")?;
        row.take(key, item)?;
        let title = row.take(Column::Title, columns.title.as_deref())?;
        catalogue.put(&id, || {
            let fields = row.0.into_iter().filter_map(|(name, value)| Some((name, value.as_str().map(line)?)));
            let fields = if beside { BTreeMap::new() } else { fields.collect() };
            Ok((line(&text_of(title)?), fields))
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

pub(super) fn csv(path: &Path, columns: &Columns, raw: &mut Raw<'_>, table: &mut Table) -> Result<()> {
    let header = |names: &[String]| {
        let names = names.iter().map(String::as_str);
        Ok(Places {
            user: required(names.clone(), Column::User, columns.user.as_deref())?,
            item: required(names.clone(), Column::Item, columns.item.as_deref())?,
            time: optional(names.clone(), Column::Time, columns.time.as_deref())?,
            rating: optional(names, Column::Rating, columns.rating.as_deref())?,
        })
    };
    raw.table(path, Form::Csv, header, |places, row| {
        let time = filled(row, places.time).map(time).transpose()?;
        let rating = filled(row, places.rating).map(rating).transpose()?;
        table.push(Event { user: &row[places.user], item: &row[places.item], time, rating })
    })
}

/// What stands in a column; an empty field is nothing.
pub(super) fn filled(row: &[String], place: Option<usize>) -> Option<&str> {
    place.map(|place| row[place].trim()).filter(|field| !field.is_empty())
}

/// Describes items by records of CSV; `beside` as for [`jsonl_items`].
pub(super) fn csv_items(
    path: &Path,
    columns: &Columns,
    beside: bool,
    raw: &mut Raw<'_>,
    catalogue: &mut Catalogue<'_>,
) -> Result<()> {
    let header = |all: &[String]| {
        let names = all.iter().map(String::as_str);
        let id = required(names.clone(), key(beside), columns.item.as_deref())?;
        let title = optional(names, Column::Title, columns.title.as_deref())?;
        let other = |&(at, _): &(usize, &String)| !beside && at != id && Some(at) != title;
        let others = all.iter().enumerate().filter(other).map(|(at, name)| (at, name.clone()));
        Ok((id, title, others.collect::<Vec<_>>()))
    };
    raw.table(path, Form::Csv, header, |(id, title, others), row| {
        catalogue.put(&row[*id], || {
            let fields = others.iter().map(|(at, name)| (name.clone(), line(&row[*at]))).collect();
            Ok((line(filled(row, *title).unwrap_or_default()), fields))
        })
    })
}

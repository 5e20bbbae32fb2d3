//! The atomic files of RecBole: tab separated, with the type of a column behind its name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::catalogue::{Catalogue, line};
use super::event::{Event, rating};
use super::own::filled;
use super::raw::{Form, Raw};
use super::source::{Columns, Files};
use super::table::Table;
use crate::corpus::{Column as Role, optional, required, time};
use crate::{Error, Result};

/// The `.inter` file at or in `path`, and the `.item` file beside it.
pub(super) fn find(path: &Path) -> Result<Files> {
    let interactions = if path.is_dir() { the_inter_file(path)? } else { path.to_owned() };
    let items = Some(interactions.with_extension("item")).filter(|items| items.is_file());
    Ok(Files { interactions, items, movielens: None })
}

fn the_inter_file(dir: &Path) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|source| Error::io(dir, source))? {
        let path = entry.map_err(|source| Error::io(dir, source))?.path();
        if path.extension().is_some_and(|extension| extension == "inter") {
            found.push(path);
        }
    }
    found.sort();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Error::file(dir, "no .inter file in it")),
        count => Err(Error::file(dir, format!("{count} .inter files in it; give the path of the one to read"))),
    }
}

/// A column and its type.
struct Column {
    place: usize,
    name: String,
    kind: String,
}

fn columns(names: &[String]) -> Result<Vec<Column>, String> {
    let column = |(place, typed): (usize, &String)| {
        let (name, kind) = typed.rsplit_once(':').ok_or_else(|| {
            format!("column {typed:?} has no type; the first line must name columns like user_id:token")
        })?;
        match kind {
            "token" | "token_seq" | "float" | "float_seq" => Ok(Column { place, name: name.into(), kind: kind.into() }),
            _ => Err(format!("column {typed:?} is of no type of RecBole: token, token_seq, float, float_seq")),
        }
    };
    names.iter().enumerate().map(column).collect()
}

fn names(columns: &[Column]) -> impl Iterator<Item = &str> + Clone {
    columns.iter().map(|column| column.name.as_str())
}

pub(super) fn interactions(path: &Path, named: &Columns, raw: &mut Raw<'_>, table: &mut Table) -> Result<()> {
    let header = |typed: &[String]| {
        let columns = columns(typed)?;
        let user = required(names(&columns), Role::User, named.user.as_deref())?;
        let item = required(names(&columns), Role::Item, named.item.as_deref())?;
        let when = optional(names(&columns), Role::Time, named.time.as_deref())?;
        let stars = optional(names(&columns), Role::Rating, named.rating.as_deref())?;
        Ok((user, item, when, stars))
    };
    raw.table(path, Form::Tabs, header, |&(user, item, when, stars), row| {
        let time = filled(row, when).map(time).transpose()?;
        let rating = filled(row, stars).map(rating).transpose()?;
        table.push(Event { user: &row[user], item: &row[item], time, rating })
    })
}

/// Keeps the title and the columns of tokens.
pub(super) fn items(path: &Path, named: &Columns, raw: &mut Raw<'_>, catalogue: &mut Catalogue<'_>) -> Result<()> {
    let header = |typed: &[String]| {
        let columns = columns(typed)?;
        let id = required(names(&columns), Role::Key, named.item.as_deref())?;
        let title = optional(names(&columns), Role::Title, named.title.as_deref())?.or_else(|| only_title(&columns));
        let text =
            |column: &Column| column.kind.starts_with("token") && ![Some(id), title].contains(&Some(column.place));
        Ok((id, title, columns.into_iter().filter(text).collect::<Vec<_>>()))
    };
    raw.table(path, Form::Tabs, header, |(id, title, others), row| {
        catalogue.put(&row[*id], || {
            let field = |column: &Column| (column.name.clone(), line(&row[column.place]));
            let fields: BTreeMap<_, _> = others.iter().map(field).collect();
            Ok((title.map_or_else(String::new, |title| line(&row[title])), fields))
        })
    })
}

/// The column whose name ends with `title`, like `movie_title`, if there is one such.
fn only_title(columns: &[Column]) -> Option<usize> {
    let mut titles = columns.iter().filter(|column| column.name.ends_with("title")).map(|column| column.place);
    titles.next().filter(|_| titles.next().is_none())
}

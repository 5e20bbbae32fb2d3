//! MovieLens in its three forms.

use std::collections::BTreeMap;
use std::path::Path;

use super::catalogue::{Catalogue, line};
use super::event::{Event, rating};
use super::own::filled;
use super::raw::{Form, Raw};
use super::source::Files;
use super::table::Table;
use crate::corpus::{Column, required, time};
use crate::{Error, Result};

/// The flags that end a row of `u.item`.
const GENRES: [&str; 19] = [
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
];

/// Which MovieLens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Movielens {
    /// 100K: `u.data` with tabs, `u.item` with bars.
    Hundred,
    /// 1M and 10M: `ratings.dat` and `movies.dat` with double colons.
    Colons,
    /// 20M and later: `ratings.csv` and `movies.csv`.
    Csv,
}

impl Movielens {
    /// Which of them lies in `dir`, by the names of the files.
    pub(super) fn find(dir: &Path) -> Result<Files> {
        let forms = [
            (Self::Hundred, "u.data", "u.item"),
            (Self::Colons, "ratings.dat", "movies.dat"),
            (Self::Csv, "ratings.csv", "movies.csv"),
        ];
        let found = forms.into_iter().find(|(_, ratings, _)| dir.join(ratings).is_file());
        let (form, ratings, movies) = found.ok_or_else(|| {
            Error::file(dir, "no u.data, ratings.dat or ratings.csv in it; give the folder that the archive unpacks to")
        })?;
        let items = Some(dir.join(movies)).filter(|path| path.is_file());
        Ok(Files { interactions: dir.join(ratings), items, movielens: Some(form) })
    }

    pub(super) fn interactions(self, path: &Path, raw: &mut Raw<'_>, table: &mut Table) -> Result<()> {
        let push = |table: &mut Table, [user, item, stars, when]: [&str; 4]| {
            table.push(Event { user, item, time: Some(time(when)?), rating: Some(rating(stars)?) })
        };
        match self {
            Self::Hundred => raw.plain_lines(path, |text| push(table, fields(text, "\t")?)),
            Self::Colons => raw.plain_lines(path, |text| push(table, fields(text, "::")?)),
            Self::Csv => raw.table(
                path,
                Form::Csv,
                |names| places(names, [Column::User, Column::Item, Column::Rating, Column::Time]),
                |places, fields| push(table, places.map(|place| fields[place].as_str())),
            ),
        }
    }

    pub(super) fn items(self, path: &Path, raw: &mut Raw<'_>, catalogue: &mut Catalogue<'_>) -> Result<()> {
        let put = |catalogue: &mut Catalogue<'_>, id: &str, title: &str, genres: String| {
            catalogue.put(id, || Ok((line(title), BTreeMap::from([("genres".to_owned(), genres)]))))
        };
        match self {
            Self::Hundred => raw.plain_lines(path, |text| {
                let fields: [&str; 24] = fields(text, "|")?;
                put(catalogue, fields[0], fields[1], flags(&fields[5..]))
            }),
            Self::Colons => raw.plain_lines(path, |text| {
                let [id, title, genres] = fields(text, "::")?;
                put(catalogue, id, title, genres.replace('|', ", "))
            }),
            Self::Csv => raw.table(
                path,
                Form::Csv,
                |names| {
                    let genres = names.iter().position(|name| name.eq_ignore_ascii_case("genres"));
                    Ok((places(names, [Column::Key, Column::Title])?, genres))
                },
                |&([id, title], genres), row| {
                    let genres = filled(row, genres).unwrap_or_default().replace('|', ", ");
                    put(catalogue, &row[id], &row[title], genres)
                },
            ),
        }
    }
}

fn flags(flags: &[&str]) -> String {
    let set = GENRES.iter().zip(flags).filter(|(_, flag)| flag.trim() == "1");
    set.map(|(genre, _)| *genre).collect::<Vec<_>>().join(", ")
}

fn fields<'a, const N: usize>(text: &'a str, separator: &str) -> Result<[&'a str; N], String> {
    let fields: Vec<_> = text.split(separator).collect();
    let count = fields.len();
    fields.try_into().map_err(|_| format!("{count} fields where {N} are expected, with {separator:?} between them"))
}

/// Where these columns are.
fn places<const N: usize>(names: &[String], wanted: [Column; N]) -> Result<[usize; N], String> {
    let mut places = [0; N];
    for (place, wanted) in places.iter_mut().zip(wanted) {
        *place = required(names.iter().map(String::as_str), wanted, None)?;
    }
    Ok(places)
}

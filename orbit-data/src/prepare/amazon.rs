//! The three releases of Amazon reviews.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::catalogue::{Catalogue, line};
use super::event::{Event, rating_value};
use super::raw::Raw;
use super::table::Table;
use super::{Kind, python};
use crate::Result;
use crate::corpus::{id, parse, time_value};

/// A review; the names are those of 2014 and 2018, the aliases those of 2023.
#[derive(Deserialize)]
struct Review {
    #[serde(rename = "reviewerID", alias = "user_id")]
    user: Value,
    /// 2023 has also `asin`, the variant of the product that its item file does not list.
    parent_asin: Option<Value>,
    asin: Option<Value>,
    #[serde(rename = "unixReviewTime", alias = "timestamp")]
    time: Value,
    #[serde(rename = "overall", alias = "rating")]
    rating: Option<Value>,
}

impl Review {
    fn push(&self, table: &mut Table) -> Result<(), String> {
        let item = self.parent_asin.as_ref().or(self.asin.as_ref()).ok_or("missing field `asin`")?;
        let (user, item) = (id(&self.user, "user")?, id(item, "item")?);
        let rating = self.rating.as_ref().map(rating_value).transpose()?;
        table.push(Event { user: &user, item: &item, time: Some(time_value(&self.time)?), rating })
    }
}

pub(super) fn interactions(kind: Kind, path: &Path, raw: &mut Raw<'_>, table: &mut Table) -> Result<()> {
    raw.lines(path, |text| {
        let review: Review = match parse(text) {
            Ok(review) => review,
            // The full files of 2014 are Python literals, too; what is neither is reported as JSON.
            Err(reason) if kind == Kind::Amazon2014 && !reason.starts_with("missing field") => {
                let value = python::parse(text).map_err(|_| reason)?;
                Review::deserialize(value).map_err(|error| error.to_string())?
            }
            Err(reason) => return Err(reason),
        };
        review.push(table)
    })
}

/// Keeps the title, the brand (2023: the store) and the category, from the widest to the narrowest.
pub(super) fn items(kind: Kind, path: &Path, raw: &mut Raw<'_>, catalogue: &mut Catalogue<'_>) -> Result<()> {
    raw.lines(path, |text| {
        let row = row(kind, text)?;
        let id_of = ["parent_asin", "asin"].iter().find_map(|name| row.get(*name)).ok_or("missing field `asin`")?;
        catalogue.put(&id(id_of, "item")?, || Ok((title(&row)?, fields(&row))))
    })
}

fn row(kind: Kind, text: &str) -> Result<Map<String, Value>, String> {
    if kind != Kind::Amazon2014 {
        return parse(text);
    }
    match python::parse(text).or_else(|reason| parse(text).map_err(|_| reason))? {
        Value::Object(row) => Ok(row),
        _ => Err("a dict is expected".to_owned()),
    }
}

fn title(row: &Map<String, Value>) -> Result<String, String> {
    match row.get("title") {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(title)) => Ok(page_text(title)),
        Some(other) => Err(format!("title must be a string, not {other}")),
    }
}

fn fields(row: &Map<String, Value>) -> BTreeMap<String, String> {
    let text = |names: [&str; 2]| names.iter().find_map(|name| row.get(*name).and_then(words));
    let fields = [("brand", text(["brand", "store"])), ("category", text(["categories", "category"]))];
    fields.into_iter().filter_map(|(name, text)| Some((name.to_owned(), page_text(&text?)))).collect()
}

/// A string, or a list of strings; of a list of lists the first.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(list) => match list.first()? {
            first @ Value::Array(_) => words(first),
            _ => Some(list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" > ")),
        },
        _ => None,
    }
}

/// Titles were taken from web pages, some with their entities. Each is read once: `&amp;eacute;` is `&eacute;`.
fn page_text(text: &str) -> String {
    line(&htmlize::unescape(text))
}

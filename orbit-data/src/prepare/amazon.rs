//! The three releases of Amazon reviews.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::catalogue::{Catalogue, line};
use super::event::{Event, rating_value, time_value};
use super::raw::{Encoding, Raw};
use super::table::Table;
use super::{Kind, python};
use crate::Result;
use crate::corpus::parse;

/// A review; the names are those of 2014 and 2018, the aliases those of 2023.
#[derive(Deserialize)]
struct Review<'a> {
    #[serde(rename = "reviewerID", alias = "user_id", borrow)]
    user: Cow<'a, str>,
    /// 2023 has also `asin`, the variant of the product that its item file does not list.
    #[serde(borrow)]
    parent_asin: Option<Cow<'a, str>>,
    #[serde(borrow)]
    asin: Option<Cow<'a, str>>,
    #[serde(rename = "unixReviewTime", alias = "timestamp")]
    time: Value,
    #[serde(rename = "overall", alias = "rating")]
    rating: Option<Value>,
}

impl Review<'_> {
    fn push(&self, table: &mut Table) -> Result<(), String> {
        let item = self.parent_asin.as_ref().or(self.asin.as_ref()).ok_or("missing field `asin`")?;
        let rating = self.rating.as_ref().map(rating_value).transpose()?;
        table.push(Event { user: &self.user, item, time: Some(time_value(&self.time)?), rating })
    }
}

pub(super) fn interactions(kind: Kind, path: &Path, raw: &mut Raw<'_>, table: &mut Table) -> Result<()> {
    raw.lines(path, Encoding::Utf8, |text| match json(text) {
        Ok(review) => review.push(table),
        // The full files of 2014 are Python literals, too; what is neither is reported as JSON.
        Err(reason) if kind == Kind::Amazon2014 => {
            let value = python::parse(text).map_err(|_| reason)?;
            review(&value)?.push(table)
        }
        Err(reason) => Err(reason),
    })
}

fn json(text: &str) -> Result<Review<'_>, String> {
    serde_json::from_str(text).map_err(|error| format!("malformed JSON: {error}"))
}

fn review(value: &Value) -> Result<Review<'_>, String> {
    Review::deserialize(value).map_err(|error| error.to_string())
}

/// Keeps the title, the brand (2023: the store) and the category, from the widest to the narrowest.
pub(super) fn items(kind: Kind, path: &Path, raw: &mut Raw<'_>, catalogue: &mut Catalogue<'_>) -> Result<()> {
    raw.lines(path, Encoding::Utf8, |text| {
        let row = row(kind, text)?;
        let id = ["parent_asin", "asin"].iter().find_map(|name| row.get(*name)?.as_str());
        catalogue.put(id.ok_or("missing field `asin`")?, || Ok((title(&row)?, fields(&row))))
    })
}

fn row(kind: Kind, text: &str) -> Result<Map<String, Value>, String> {
    if kind != Kind::Amazon2014 {
        return parse(text);
    }
    match python::parse(text).or_else(|reason| serde_json::from_str(text).map_err(|_| reason))? {
        Value::Object(row) => Ok(row),
        _ => Err("a dict is expected".to_owned()),
    }
}

fn title(row: &Map<String, Value>) -> Result<String, String> {
    match row.get("title") {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(title)) => Ok(line(&unescape(title))),
        Some(other) => Err(format!("title must be a string, not {other}")),
    }
}

fn fields(row: &Map<String, Value>) -> BTreeMap<String, String> {
    let text = |names: [&str; 2]| names.iter().find_map(|name| row.get(*name).and_then(words));
    let fields = [("brand", text(["brand", "store"])), ("category", text(["categories", "category"]))];
    fields.into_iter().filter_map(|(name, text)| Some((name.to_owned(), line(&unescape(&text?))))).collect()
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

/// Titles were taken from web pages, some with their entities.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return text.into();
    }
    let entities = [("&quot;", "\""), ("&#39;", "'"), ("&#34;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", " ")];
    let text = entities.iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain));
    text.replace("&amp;", "&").into()
}

//! A row of JSON by its columns.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Item;
use super::columns::{self, Column};
use super::id::id;

/// An object of JSON. Null and blank text are as good as nothing, whichever the column.
#[derive(Deserialize)]
pub(crate) struct Record(pub(crate) Map<String, Value>);

impl Record {
    /// What stands in a column, by the name that is `given` for it or else by its usual ones.
    pub(crate) fn get(&self, column: Column, given: Option<&str>) -> Result<Option<&Value>, String> {
        let place = columns::find(self.0.keys().map(String::as_str), column, given)?;
        Ok(place.and_then(|place| self.0.values().nth(place)).filter(|value| !is_nothing(value)))
    }

    /// The id in a column that must be there; `what` it is the id of.
    pub(crate) fn id(&self, column: Column, given: Option<&str>, what: &str) -> Result<String, String> {
        let place = columns::required(self.0.keys().map(String::as_str), column, given)?;
        id(self.0.values().nth(place).unwrap_or(&Value::Null), what)
    }

    /// Takes a column out.
    pub(crate) fn take(&mut self, column: Column, given: Option<&str>) -> Result<Option<Value>, String> {
        let place = columns::find(self.0.keys().map(String::as_str), column, given)?;
        let name = place.and_then(|place| self.0.keys().nth(place).cloned());
        Ok(name.and_then(|name| self.0.remove(&name)).filter(|value| !is_nothing(value)))
    }

    /// The item that a row of an item file is about. Texts come without blanks around them, and empty ones not at all;
    /// what is neither text nor null is left out, but for a title.
    pub(crate) fn into_item(mut self) -> Result<Item, String> {
        let id = self.id(Column::Key, None, "item")?;
        self.take(Column::Key, None)?;
        let title = text_of(self.take(Column::Title, None)?)?;
        let text = |(name, value): (String, Value)| Some((name, value.as_str()?.trim().to_owned()));
        let fields: BTreeMap<_, _> = self.0.into_iter().filter_map(text).filter(|(_, text)| !text.is_empty()).collect();
        Ok(Item { id, title, fields })
    }
}

/// A title without blanks around it; none is empty.
pub(crate) fn text_of(title: Option<Value>) -> Result<String, String> {
    match title {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(title)) => Ok(title.trim().to_owned()),
        Some(other) => Err(format!("title must be a string, not {other}")),
    }
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

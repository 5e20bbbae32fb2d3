//! A row of a file of JSON lines.

use std::fmt;
use std::path::Path;

use serde_json::{Map, Value};

use super::answer::Answer;
use crate::corpus::parse;
use crate::input;
use crate::{Error, Result};

/// Keys of a row that an error names.
const KEYS: usize = 12;

/// An object of a file of JSON lines, and where it stands.
pub(super) struct Row<'a> {
    path: &'a Path,
    line: usize,
    fields: Map<String, Value>,
    /// What a row of its kind has, in words.
    form: &'static str,
}

/// The rows of a file. `form` says in words which keys are expected.
pub(super) fn rows<'a>(path: &'a Path, form: &'static str) -> Result<impl Iterator<Item = Result<Row<'a>>>> {
    Ok(input::lines(path)?.map(move |line| {
        let (line, text) = line?;
        let bad = |found: &str| Error::row(path, line, format!("{found}. Expected a JSON object a line with {form}"));
        match parse(&text) {
            Ok(fields) => Ok(Row { path, line, fields, form }),
            Err(reason) => Err(bad(&reason)),
        }
    }))
}

/// Whether a line is that of a file of JSON lines, and no text.
pub(super) fn is_json(line: &str) -> bool {
    line.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with(['"', '}']))
}

impl<'a> Row<'a> {
    /// The value of a key; none for `null`.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.fields.get(key).filter(|value| !value.is_null())
    }

    /// The value of a key that must be a string.
    pub(super) fn text(&self, key: &str) -> Result<&str> {
        self.string(key, self.get(key))
    }

    /// A value that must be a string; `key` says where it stands.
    pub(super) fn string<'v>(&self, key: &str, value: Option<&'v Value>) -> Result<&'v str> {
        match value {
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(self.error(format!("`{key}` is {}, and must be a string", kind(other)))),
            None => Err(self.missing(key)),
        }
    }

    /// The value of a key that must be a list of strings.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<&str>> {
        match self.get(key) {
            Some(Value::Array(texts)) => texts.iter().map(|text| self.string(key, Some(text))).collect(),
            Some(other) => Err(self.error(format!("`{key}` is {}, and must be a list of strings", kind(other)))),
            None => Err(self.missing(key)),
        }
    }

    /// The answer under the first of some keys that the row has; none if it has none of them.
    pub(super) fn answer(&self, keys: &[&'static str]) -> Result<Option<Answer<'a>>> {
        let Some((key, value)) = keys.iter().find_map(|&key| Some((key, self.get(key)?))) else { return Ok(None) };
        let text = match value {
            Value::String(text) => text.trim().to_owned(),
            // Some exports have whole numbers as 1.0.
            Value::Number(number) => number.to_string().trim_end_matches(".0").to_owned(),
            Value::Bool(truth) => truth.to_string(),
            other => return Err(self.error(format!("`{key}` is {}, and must say which choice is right", kind(other)))),
        };
        Answer::new(self.path, self.line, format!("`{key}`"), text).map(Some)
    }

    /// The answer under the first of some keys that the row has, of which it must have one.
    pub(super) fn needed(&self, keys: &[&'static str]) -> Result<Answer<'a>> {
        self.answer(keys)?.ok_or_else(|| self.missing(keys.first().copied().unwrap_or_default()))
    }

    /// That a key is missing, which keys are expected, and which are there.
    pub(super) fn missing(&self, key: &str) -> Error {
        self.error(format!("missing field `{key}`. Expected {}; found {}", self.form, self.keys()))
    }

    /// What is wrong with this row.
    pub(super) fn error(&self, reason: impl Into<String>) -> Error {
        Error::row(self.path, self.line, reason)
    }

    /// The row in one form, whatever the order of its keys.
    pub(super) fn canonical(&self) -> String {
        let mut fields: Vec<_> = self.fields.iter().collect();
        fields.sort_by_key(|(key, _)| *key);
        fields.iter().map(|(key, value)| format!("{key:?}:{value}\n")).collect()
    }

    fn keys(&self) -> String {
        let mut keys: Vec<&String> = self.fields.keys().collect();
        keys.sort();
        let more = if keys.len() > KEYS { ", ..." } else { "" };
        let named = keys.iter().take(KEYS).map(|key| format!("`{}`", key.chars().take(40).collect::<String>()));
        let named = named.collect::<Vec<_>>().join(", ");
        if named.is_empty() { "no keys".to_owned() } else { named + more }
    }
}

/// Where it stands.
impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// What a value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

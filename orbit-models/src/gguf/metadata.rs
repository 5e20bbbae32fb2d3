//! Typed look-ups in a file's metadata. Faults are texts; the caller adds the file's name.

use std::collections::BTreeMap;

use super::container::Value;

/// The metadata of a file.
pub(super) struct Metadata<'a>(pub(super) &'a BTreeMap<String, Value>);

impl<'a> Metadata<'a> {
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, String> {
        self.get(key, "a string", |value| match value {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        })
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, String> {
        self.get(key, "a boolean", |value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })
    }

    pub(super) fn float(&self, key: &str) -> Result<Option<f64>, String> {
        self.get(key, "a float", |value| match value {
            Value::Float(x) => Some(*x),
            _ => None,
        })
    }

    pub(super) fn count(&self, key: &str) -> Result<Option<usize>, String> {
        self.get(key, "a count", |value| integer(value)?.try_into().ok())
    }

    pub(super) fn id(&self, key: &str) -> Result<Option<u32>, String> {
        self.get(key, "a token id", |value| integer(value)?.try_into().ok())
    }

    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<&'a str>>, String> {
        self.get(key, "an array of strings", |value| match value {
            Value::Array(items) => {
                items.iter().map(|item| if let Value::String(s) = item { Some(s.as_str()) } else { None }).collect()
            }
            _ => None,
        })
    }

    pub(super) fn floats(&self, key: &str) -> Result<Option<Vec<f64>>, String> {
        self.get(key, "an array of floats", |value| match value {
            Value::Array(items) => {
                items.iter().map(|item| if let Value::Float(x) = item { Some(*x) } else { None }).collect()
            }
            _ => None,
        })
    }

    pub(super) fn integers(&self, key: &str) -> Result<Option<Vec<i64>>, String> {
        self.get(key, "an array of integers", |value| match value {
            Value::Array(items) => items.iter().map(integer).collect(),
            _ => None,
        })
    }

    fn get<T>(&self, key: &str, what: &str, convert: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>, String> {
        let Some(value) = self.0.get(key) else { return Ok(None) };
        convert(value).map(Some).ok_or_else(|| format!("{key} is not {what}"))
    }
}

/// The value, or a text that says that `key` is not there.
pub(super) fn needed<T>(key: &str, value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| format!("metadata key {key} is not there"))
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Unsigned(n) => i64::try_from(*n).ok(),
        Value::Signed(n) => Some(*n),
        _ => None,
    }
}

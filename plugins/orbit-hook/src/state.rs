use std::collections::BTreeMap;

use crate::{Error, ErrorKind, Result};

/// What a hook keeps across a restart: named scalars and lists. Ordered by name, so that it always saves to the same bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State(BTreeMap<String, Entry>);

/// One saved value.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A count.
    Count(u64),
    /// A number, kept to the bit.
    Number(f64),
    /// A list of single-precision numbers.
    Floats(Vec<f32>),
    /// A text.
    Text(String),
    /// Bytes in a form that only the hook knows.
    Bytes(Vec<u8>),
}

impl State {
    /// Nothing saved.
    pub fn new() -> Self {
        Self::default()
    }

    /// Saves a value under a name; the last one put counts.
    pub fn put(&mut self, name: &str, entry: Entry) {
        self.0.insert(name.to_owned(), entry);
    }

    /// The value saved under a name.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.0.get(name)
    }

    /// The count saved under a name; an error of kind [`ErrorKind::State`] if it is missing or of another type.
    pub fn count(&self, name: &str) -> Result<u64> {
        match self.get(name) {
            Some(Entry::Count(value)) => Ok(*value),
            found => Err(mismatch(name, "a count", found)),
        }
    }

    /// The number saved under a name; an error of kind [`ErrorKind::State`] if it is missing or of another type.
    pub fn number(&self, name: &str) -> Result<f64> {
        match self.get(name) {
            Some(Entry::Number(value)) => Ok(*value),
            found => Err(mismatch(name, "a number", found)),
        }
    }

    /// All values by name, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// Whether nothing is saved.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn mismatch(name: &str, wanted: &str, found: Option<&Entry>) -> Error {
    let found = match found {
        None => "nothing",
        Some(Entry::Count(_)) => "a count",
        Some(Entry::Number(_)) => "a number",
        Some(Entry::Floats(_)) => "a list",
        Some(Entry::Text(_)) => "a text",
        Some(Entry::Bytes(_)) => "bytes",
    };
    Error::new(ErrorKind::State, format!("saved state has {found} under \"{name}\", this hook needs {wanted}"))
}

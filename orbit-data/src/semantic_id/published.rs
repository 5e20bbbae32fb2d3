//! IDs that somebody else made, from a field of an item file.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{Collisions, SemanticIds};
use crate::corpus::{OnBadRow, ReadReport, id, parse};
use crate::{Corpus, Error, Result};

#[derive(Deserialize)]
struct Row {
    id: Value,
    #[serde(flatten)]
    fields: HashMap<String, Value>,
}

impl SemanticIds {
    /// Reads the IDs that a file of JSON lines holds in `field`, for the items of `corpus` by their `id`: a list of codes,
    /// `[183, 70, 232]`, or a text whose runs of digits are the codes, `"<a_183><b_70><c_232>"`. A level has as many codes
    /// as the largest one says. They serve as a control; without codebooks, they cannot code new items.
    ///
    /// # Errors
    ///
    /// A file that cannot be read; [`Error::Row`] for a row without such a field, and for an item that appears twice;
    /// [`Error::File`] for an item of `corpus` that is not in it, and for IDs of unequal length; [`Error::Invalid`] for
    /// [`Collisions::Sinkhorn`], which needs centroids.
    pub fn read_published(path: &Path, field: &str, corpus: &Corpus, collisions: Collisions) -> Result<Self> {
        let mut found: HashMap<String, Vec<u16>> = HashMap::new();
        ReadReport::default().rows(path, OnBadRow::Fail, |text| {
            let row: Row = parse(text)?;
            let id = id(&row.id, "item")?;
            let codes = row.fields.get(field).ok_or_else(|| format!("missing field `{field}`"))?;
            let codes = codes_of(codes).map_err(|why| format!("`{field}` {why}"))?;
            match found.insert(id.clone(), codes) {
                None => Ok(()),
                Some(_) => Err(format!("item id {id:?} appears twice")),
            }
        })?;
        let take = |id: &String| {
            found.remove(id).ok_or_else(|| Error::file(path, format!("there is no item {id:?}, which the corpus has")))
        };
        let codes = corpus.items.iter().map(|item| &item.id).map(take).collect::<Result<Vec<_>>>()?;
        Self::without_codebooks(sizes(&codes), codes, collisions).map_err(|error| match error {
            Error::Invalid(reason) => Error::file(path, reason),
            other => other,
        })
    }
}

/// One more than the largest code of each level of the first item.
fn sizes(codes: &[Vec<u16>]) -> Vec<usize> {
    let levels = codes.first().map_or(0, Vec::len);
    let size = |level| codes.iter().filter_map(|id| id.get(level)).map(|&code| usize::from(code) + 1).max();
    (0..levels).map(|level| size(level).unwrap_or(1)).collect()
}

fn codes_of(value: &Value) -> Result<Vec<u16>, String> {
    let code = |text: &str| text.parse::<u16>().map_err(|_| format!("has code {text}; codes are 0 to 65,535"));
    let codes: Vec<u16> = match value {
        Value::Array(codes) => codes.iter().map(|value| code(&value.to_string())).collect::<Result<_, _>>()?,
        Value::String(text) => {
            let runs = text.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty());
            runs.map(code).collect::<Result<_, _>>()?
        }
        other => return Err(format!("must be a list of codes or a text with codes in it, not {other}")),
    };
    if codes.is_empty() { Err("has no codes".to_owned()) } else { Ok(codes) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::Item;

    fn read(rows: &str) -> Result<SemanticIds> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("items.jsonl");
        std::fs::write(&path, rows).unwrap();
        let item = |id: &str| Item { id: id.into(), ..Item::default() };
        let corpus = Corpus { items: vec![item("1"), item("b")], users: vec![] };
        SemanticIds::read_published(&path, "sid", &corpus, Collisions::ExtraLevel)
    }

    fn error(rows: &str) -> String {
        let error = read(rows).unwrap_err().to_string();
        assert!(error.contains("items.jsonl"), "{error}");
        error
    }

    #[test]
    fn lists_and_texts_are_read_in_corpus_order() {
        let ids = read("{\"id\": \"b\", \"sid\": \"<a_7><b_0>\"}\n{\"id\": 1, \"sid\": [3, 2]}\n").unwrap();
        assert_eq!((ids.codes(0), ids.codes(1), ids.codes_per_level()), (&[3, 2][..], &[7, 0][..], &[8, 3][..]));
        assert!(!ids.has_codebooks());
    }

    #[test]
    fn what_is_no_id_is_an_error() {
        let good = "{\"id\": 1, \"sid\": [3, 2]}";
        let with = |row: &str| error(&format!("{good}\n{row}"));
        assert!(with("{\"id\": \"b\"}").contains(":2: missing field `sid`"));
        assert!(with("{\"id\": \"b\", \"sid\": 3}").contains("a list of codes or a text"));
        assert!(with("{\"id\": \"b\", \"sid\": \"none\"}").contains("`sid` has no codes"));
        assert!(with("{\"id\": \"b\", \"sid\": [1, 70000]}").contains("code 70000; codes are 0 to 65,535"));
        assert!(with("{\"id\": \"b\", \"sid\": [1, -1]}").contains("code -1"));
        assert!(with(good).contains("appears twice"));
        assert!(with("{\"id\": \"b\", \"sid\": [1]}").contains("item 1 has 1 codes, but there are 2 levels"));
        assert!(error(good).contains("no item \"b\", which the corpus has"));
    }
}

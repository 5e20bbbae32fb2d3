//! Rows of JSON, and what is wrong with them.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result, input};

/// Reads a file of JSON lines as all readers of this crate do, each row with its line from 1.
///
/// A byte order mark, CRLF and blank lines do not matter, nor does compression by gzip, bzip2 or zstd, whatever the
/// file is called. Parquet is read in place of JSON lines, with the number of the row for the line.
///
/// ```
/// use orbit_data::corpus::{Id, json_lines};
///
/// #[derive(serde::Deserialize)]
/// struct Line {
///     history: Vec<Id>,
/// }
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("histories.jsonl");
/// std::fs::write(&path, "\u{feff}{\"history\": [7, \"B01\"]}\r\n\r\n{\"history\": [8.0]}\r\n")?;
/// let lines: Vec<(usize, Line)> = json_lines(&path)?;
/// let read: Vec<_> = lines.iter().map(|(line, row)| (*line, row.history.last().unwrap().as_str())).collect();
/// assert_eq!(read, [(1, "B01"), (3, "8")]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`Error::Io`] for a file that cannot be read, [`Error::Row`] for the first row that is no such object.
pub fn json_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<(usize, T)>> {
    let row = |read: Result<(usize, String)>| {
        let (line, text) = read?;
        Ok((line, parse(&text).map_err(|reason| Error::row(path, line, reason))?))
    };
    input::lines(path)?.map(row).collect()
}

/// One JSON object. A value of the wrong type is told from what is not JSON at all.
pub(crate) fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    let text = text.trim();
    // A list would be taken for the fields of an object in their order.
    if !text.starts_with('{') {
        return Err(no_object(text));
    }
    serde_json::from_str(text).map_err(|error| explain(text, &error))
}

fn no_object(text: &str) -> String {
    if text.starts_with('[') {
        return "a row must be a JSON object, {...}, not a JSON array: give one object a line; `jq -c '.[]'` makes them"
            .to_owned();
    }
    let start: String = text.chars().take(24).collect();
    let more = if start.len() < text.len() { "..." } else { "" };
    format!("a row must be a JSON object, {{...}}, but this one begins with `{start}{more}`")
}

fn explain(text: &str, error: &serde_json::Error) -> String {
    let message = error.to_string();
    // Its line is that within the row, so always 1.
    let reason = message.rsplit_once(" at line ").map_or(message.as_str(), |(reason, _)| reason);
    let column = error.column();
    if error.is_data() {
        return format!("{reason} (column {column})");
    }
    let what = if text[1..].trim_start().starts_with('\'') {
        "it is a Python literal; write rows with json.dumps".to_owned()
    } else if let Some(word) = foreign_word(text) {
        format!("`{word}` is no value of JSON; write null, or leave the field out")
    } else if error.is_eof() {
        "the object does not end in this line; give one object a line; `jq -c .` puts each on one".to_owned()
    } else if reason.contains("surrogate") || reason.contains("hex escape") {
        format!("{reason} (column {column}); half of a surrogate pair is no character, so write both halves or none")
    } else {
        format!("{reason} (column {column})")
    };
    format!("malformed JSON: {what}")
}

/// The first bare word that other languages have for a value and JSON has not.
fn foreign_word(text: &str) -> Option<&'static str> {
    const WORDS: [&str; 11] =
        ["NaN", "nan", "NAN", "-Infinity", "Infinity", "-inf", "inf", "None", "True", "False", "undefined"];
    // What stands between quotation marks, of which those behind a backslash are none, is every second part.
    let plain = text.replace("\\\\", "").replace("\\\"", "");
    let mut bare =
        plain.split('"').step_by(2).flat_map(|part| part.split(|c: char| !(c.is_alphanumeric() || c == '-')));
    bare.find_map(|word| WORDS.into_iter().find(|&foreign| foreign == word))
}

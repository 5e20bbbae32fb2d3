//! Reader of LAMBADA.

use std::path::Path;

use super::super::Cloze;
use super::super::shots::Doc;
use super::row::{is_json, rows};
use crate::input::lines;
use crate::{Error, Result};

const FORM: &str = "`text`, or a passage a line without JSON";

/// The first `limit` passages: JSON lines of `text`, or a passage a line.
pub(in super::super) fn read(path: &Path, limit: usize) -> Result<Vec<Doc<Cloze>>> {
    let json = matches!(lines(path)?.next(), Some(Ok((_, line))) if is_json(&line));
    if json {
        let read = rows(path, FORM)?.map(|row| {
            let row = row?;
            cloze(row.text("text")?).map_err(|reason| row.error(reason))
        });
        return read.take(limit).collect();
    }
    let read = lines(path)?.map(|line| {
        let (number, text) = line?;
        cloze(&text).map_err(|reason| Error::row(path, number, reason))
    });
    read.take(limit).collect()
}

/// All but the last word of a passage, and that word. Words are what a single blank parts.
fn cloze(text: &str) -> Result<Doc<Cloze>, &'static str> {
    let (context, word) = text.rsplit_once(' ').unwrap_or(("", text));
    if context.trim().is_empty() {
        return Err("the passage needs words before its last one");
    }
    if word.trim().is_empty() {
        return Err("the passage ends with a blank, and must end with the word to predict");
    }
    let item = Cloze { context: context.to_owned(), target: format!(" {word}") };
    Ok(Doc { item, description: String::new(), row: text.to_owned() })
}

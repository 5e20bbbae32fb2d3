//! Reader of BoolQ.

use std::path::Path;

use super::super::MultipleChoice;
use super::super::shots::Doc;
use super::row::{Row, rows};
use crate::Result;

const FORM: &str = "`question`, `passage` and `answer` or `label`, which is true or false, or 1 or 0";

pub(super) fn read(path: &Path, limit: usize) -> Result<Vec<Doc<MultipleChoice>>> {
    let read = |row: Result<Row<'_>>| {
        let row = row?;
        let context = format!("{}\nQuestion: {}?\nAnswer:", passage(&row)?, row.text("question")?);
        let answer = row.needed(&["answer", "label"])?;
        let gold = match answer.text.to_ascii_lowercase().as_str() {
            "0" | "false" | "no" => 0,
            "1" | "true" | "yes" => 1,
            other => return Err(answer.error(format!("the answer is '{other}', and must be true or false, or 1 or 0"))),
        };
        super::doc(&row, &answer, super::question(context, &["no", "yes"], gold))
    };
    rows(path, FORM)?.take(limit).map(read).collect()
}

/// BoolQ's authors have the title of a passage in a field of its own; SuperGLUE, from which the harness takes BoolQ,
/// sets it before the passage.
fn passage(row: &Row<'_>) -> Result<String> {
    let passage = row.text("passage")?;
    match row.get("title").and_then(|title| title.as_str()) {
        Some(title) if !title.is_empty() => Ok(format!("{title} -- {passage}")),
        _ => Ok(passage.to_owned()),
    }
}

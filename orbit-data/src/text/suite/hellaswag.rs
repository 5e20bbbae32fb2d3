//! Reader of HellaSwag.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::super::shots::Doc;
use super::super::{MultipleChoice, python};
use super::answer::Answer;
use super::row::{Row, is_json, rows};
use crate::input::{TextLines, lines};
use crate::{Error, Result};

const FORM: &str = "`activity_label`, `ctx_a`, `ctx_b`, `endings` and `label`, or six lines a question without JSON: the \
     context, the index of the right ending, and four endings";

/// What WikiHow's pages have left behind. The pattern is a constant.
static BRACKETS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\[.*?\]").ok());

/// The first `limit` questions: JSON lines as the authors publish them, or six lines a question.
pub(super) fn read(path: &Path, limit: usize) -> Result<Vec<Doc<MultipleChoice>>> {
    let mut first = lines(path)?;
    if matches!(first.next(), Some(Ok((_, line))) if is_json(&line)) {
        return rows(path, FORM)?.take(limit).map(|row| row_of_json(&row?)).collect();
    }
    let mut lines = lines(path)?;
    std::iter::from_fn(|| block(path, &mut lines).transpose()).take(limit).collect()
}

fn row_of_json(row: &Row<'_>) -> Result<Doc<MultipleChoice>> {
    let (activity, first, second) = (row.text("activity_label")?, row.text("ctx_a")?, row.text("ctx_b")?);
    let context = clean(&format!("{activity}: {first} {}", python::capitalize(second)));
    let endings: Vec<String> = row.texts("endings")?.into_iter().map(clean).collect();
    let answer = row.needed(&["label"])?;
    let gold = answer.index(0, endings.len())?;
    super::doc(row, &answer, super::question(context, &endings, gold))
}

/// As the harness prepares contexts and endings.
fn clean(text: &str) -> String {
    let text = python::strip(text).replace(" [title]", ". ");
    let text = BRACKETS.as_ref().map_or_else(|| text.as_str().into(), |brackets| brackets.replace_all(&text, ""));
    text.replace("  ", " ")
}

fn block(path: &Path, lines: &mut TextLines) -> Result<Option<Doc<MultipleChoice>>> {
    let Some(context) = lines.next() else { return Ok(None) };
    let (line, context) = context?;
    let rest = lines.by_ref().take(5).collect::<Result<Vec<_>>>()?;
    let [(at, gold), endings @ ..] = &rest[..] else {
        return Err(Error::row(path, line, "the file ends after a context"));
    };
    let endings: Vec<&str> = endings.iter().map(|(_, ending)| ending.as_str()).collect();
    if endings.len() != 4 {
        return Err(Error::row(path, line, format!("{} of 4 endings", endings.len())));
    }
    let gold = Answer::new(path, *at, "the index of the right ending".to_owned(), gold.clone())?.index(0, 4)?;
    let row = format!("{context}\n{gold}\n{}", endings.join("\n"));
    Ok(Some(Doc { item: super::question(context, &endings, gold), description: String::new(), row }))
}

//! Reader of WinoGrande, which is scored by what follows the choice.

use std::path::Path;

use super::super::shots::Doc;
use super::super::{MultipleChoice, python};
use super::answer::Labels;
use super::row::{Row, rows};
use crate::Result;

const FORM: &str = "`sentence` with a blank `_`, `option1`, `option2` and `answer` of 1 or 2, which may stand in \
     NAME-labels.lst beside NAME.jsonl instead";

pub(super) fn read(path: &Path, limit: usize) -> Result<Vec<Doc<MultipleChoice>>> {
    let mut labels = Labels::of(path);
    let read = |row: Result<Row<'_>>| {
        let row = row?;
        let sentence = row.text("sentence")?;
        let (before, behind) = sentence.split_once('_').ok_or_else(|| row.error("`sentence` has no blank `_`"))?;
        let behind = python::strip(behind);
        if behind.is_empty() {
            return Err(row.error("nothing follows the blank `_`, so there is nothing to score"));
        }
        let choices = [row.text("option1")?, row.text("option2")?].map(|option| format!("{before}{option}"));
        if choices.iter().any(|choice| choice.trim().is_empty()) {
            return Err(row.error("an option is blank, and nothing stands before it"));
        }
        let answer = labels.next(&row, &["answer"])?;
        let (suffix, gold) = (Some(format!(" {behind}")), answer.index(1, 2)?);
        let item = MultipleChoice { context: String::new(), choices: choices.to_vec(), suffix, gold };
        super::doc(&row, &answer, item)
    };
    rows(path, FORM)?.take(limit).map(read).collect()
}

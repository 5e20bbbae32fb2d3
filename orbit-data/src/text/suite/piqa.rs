//! Reader of PIQA.

use std::path::Path;

use super::super::MultipleChoice;
use super::super::shots::Doc;
use super::answer::Labels;
use super::row::{Row, rows};
use crate::Result;

const FORM: &str = "`goal`, `sol1`, `sol2` and `label`, which may stand in NAME-labels.lst beside NAME.jsonl instead";

pub(super) fn read(path: &Path, limit: usize) -> Result<Vec<Doc<MultipleChoice>>> {
    let mut labels = Labels::of(path);
    let read = |row: Result<Row<'_>>| {
        let row = row?;
        let context = super::ask(row.text("goal")?);
        let choices = [row.text("sol1")?, row.text("sol2")?];
        let answer = labels.next(&row, &["label"])?;
        let item = super::question(context, &choices, answer.index(0, 2)?);
        super::doc(&row, &answer, item)
    };
    rows(path, FORM)?.take(limit).map(read).collect()
}

//! Reader of SocialIQA.

use std::path::Path;

use super::super::MultipleChoice;
use super::super::shots::Doc;
use super::answer::Labels;
use super::row::{Row, rows};
use crate::Result;

const FORM: &str = "`context`, `question`, `answerA`, `answerB`, `answerC` and `label` from 1 to 3 or `correct` from A \
     to C, which may stand in NAME-labels.lst beside NAME.jsonl instead";

pub(super) fn read(path: &Path, limit: usize) -> Result<Vec<Doc<MultipleChoice>>> {
    let mut labels = Labels::of(path);
    let read = |row: Result<Row<'_>>| {
        let row = row?;
        let context = format!("Q: {} {}\nA:", row.text("context")?, row.text("question")?);
        let choices = [row.text("answerA")?, row.text("answerB")?, row.text("answerC")?];
        let answer = labels.next(&row, &["label", "correct"])?;
        let item = super::question(context, &choices, answer.index(1, 3)?);
        super::doc(&row, &answer, item)
    };
    rows(path, FORM)?.take(limit).map(read).collect()
}

//! Reader of any multiple choice as JSON lines.

use std::path::Path;

use super::super::MultipleChoice;
use super::super::shots::Doc;
use super::row::{Row, rows};
use crate::Result;

const FORM: &str = "`context`, `choices` and `gold`, the index of the right choice";

pub(super) fn read(path: &Path, limit: usize) -> Result<Vec<Doc<MultipleChoice>>> {
    let read = |row: Result<Row<'_>>| {
        let row = row?;
        if row.get("choices").is_none() {
            let open = "no `choices`: a suite scores given choices by their likelihood. What a model writes has no known \
                 chance: make it an instruction task";
            return Err(row.error(open));
        }
        let choices: Vec<&str> = row.texts("choices")?.into_iter().map(str::trim).collect();
        let context = row.text("context")?.to_owned();
        if context.trim().is_empty() {
            return Err(row.error("`context` is blank: a choice needs something that it continues"));
        }
        if choices.contains(&"") {
            return Err(row.error("a choice is blank"));
        }
        let gold = row.needed(&["gold"])?;
        let item = super::question(context, &choices, 0);
        super::check(&item).map_err(|reason| row.error(reason))?;
        let item = MultipleChoice { gold: gold.index(0, choices.len())?, ..item };
        super::doc(&row, &gold, item)
    };
    rows(path, FORM)?.take(limit).map(read).collect()
}

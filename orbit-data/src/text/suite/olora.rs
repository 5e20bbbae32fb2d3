//! Reader of an instruction task in O-LoRA's form as questions.

use std::path::Path;

use super::super::MultipleChoice;
use super::super::shots::Doc;
use crate::corpus::{OnBadRow, ReadReport};
use crate::instruct::{Given, Instance, TaskForm};
use crate::{Error, Result};

/// The first `limit` instances: what O-LoRA's prompt makes of one is the context, and its labels are the choices.
pub(in super::super) fn read(path: &Path, limit: usize, instruction: Option<&str>) -> Result<Vec<Doc<MultipleChoice>>> {
    let form = TaskForm::OLora;
    let given = Given { instruction, choices: None, on_bad_row: OnBadRow::Fail };
    let part = form.read(path, given, &mut ReadReport::default())?;
    let (labels, template) = (part.labels.unwrap_or_default(), form.template());
    let question = |instance: &Instance| {
        let context = template.render(&labels, &instance.instruction, &instance.input)?;
        let gold = labels.iter().position(|label| instance.outputs.first() == Some(label));
        let gold = gold.ok_or_else(|| Error::file(path, "an answer is not one of its labels"))?;
        let row = format!("{}\n{gold}", instance.input);
        Ok(Doc { item: super::question(context, &labels, gold), description: String::new(), row })
    };
    part.instances.iter().take(limit).map(question).collect()
}

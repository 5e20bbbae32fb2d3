//! O-LoRA's classification tasks: the labels in the first line.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::super::check_choices;
use super::{Given, Part, instance, outputs, parse};
use crate::corpus::ReadReport;
use crate::{Error, Result};

#[derive(Deserialize)]
struct Header {
    labels: Vec<String>,
}

#[derive(Deserialize)]
struct Row {
    input: String,
    output: Value,
}

pub(super) fn read(path: &Path, given: Given<'_>, report: &mut ReadReport) -> Result<Part> {
    let missing = "files of this form hold no instruction: give the task's `instruction`, such as \
                   \"What is the topic of the following text? Choose one from the option.\"";
    let instruction = given.instruction.ok_or_else(|| Error::file(path, missing))?;
    let mut part = Part::default();
    report.rows(path, given.on_bad_row, |text| {
        let Some(labels) = &part.labels else {
            let header: Header = parse(text).map_err(|why| format!("the first line holds the labels: {why}"))?;
            check_choices(&header.labels)?;
            part.labels = Some(header.labels);
            return Ok(());
        };
        let row: Row = parse(text)?;
        let choices = given.choices.unwrap_or(labels);
        part.instances.push(instance(instruction, row.input, outputs(row.output)?, Some(choices))?);
        Ok(())
    })?;
    match part.labels {
        Some(_) => Ok(part),
        None => Err(Error::file(path, r#"the first line must be {"labels": ["...", "..."]}"#)),
    }
}

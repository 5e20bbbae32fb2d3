//! Plain JSON lines.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{Given, Part, instance, outputs, parse};
use crate::Result;
use crate::corpus::ReadReport;

#[derive(Deserialize)]
struct Row {
    instruction: Option<String>,
    #[serde(default)]
    input: String,
    output: Value,
}

pub(super) fn read(path: &Path, given: Given<'_>, report: &mut ReadReport) -> Result<Part> {
    let mut part = Part::default();
    report.rows(path, given.on_bad_row, |text| {
        let row: Row = parse(text)?;
        let instruction = row.instruction.as_deref().or(given.instruction);
        let instruction = instruction.ok_or("missing field `instruction`: give it here, or for the whole task")?;
        part.instances.push(instance(instruction, row.input, outputs(row.output)?, given.choices)?);
        Ok(())
    })?;
    Ok(part)
}

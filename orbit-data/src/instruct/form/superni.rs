//! Super-NaturalInstructions: the definition in the first line.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{Given, Part, instance, outputs, parse};
use crate::corpus::ReadReport;
use crate::{Error, Result};

#[derive(Deserialize)]
struct Header {
    definition: String,
}

#[derive(Deserialize)]
struct Row {
    input: String,
    output: Value,
}

pub(super) fn read(path: &Path, given: Given<'_>, report: &mut ReadReport) -> Result<Part> {
    let mut part = Part::default();
    let mut definition = None;
    report.rows(path, given.on_bad_row, |text| {
        let Some(definition) = &definition else {
            let header: Header = parse(text).map_err(|why| format!("the first line holds the definition: {why}"))?;
            definition = Some(given.instruction.map_or(header.definition, str::to_owned));
            return Ok(());
        };
        let row: Row = parse(text)?;
        part.instances.push(instance(definition, row.input, outputs(row.output)?, given.choices)?);
        Ok(())
    })?;
    let missing = || Error::file(path, r#"the first line must be {"definition": "..."}"#);
    definition.map(|_| part).ok_or_else(missing)
}

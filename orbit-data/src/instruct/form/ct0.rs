//! Two tasks of CT0: simplification and explanation.

use std::path::Path;

use serde::Deserialize;

use super::{Given, Part, instance, parse};
use crate::Result;
use crate::corpus::ReadReport;

/// The first of CT0's prompts for simplification.
const SIMPLIFY: &str = "Reformulate this text with simpler words:";

#[derive(Deserialize)]
struct Simplification {
    input: String,
    refs: Vec<String>,
}

#[derive(Deserialize)]
struct Explanation {
    premise: String,
    hypothesis: String,
    label: String,
    explanation: String,
}

pub(super) fn simplifications(path: &Path, given: Given<'_>, report: &mut ReadReport) -> Result<Part> {
    let instruction = given.instruction.unwrap_or(SIMPLIFY);
    let mut part = Part::default();
    report.rows(path, given.on_bad_row, |text| {
        let row: Simplification = parse(text)?;
        part.instances.push(instance(instruction, row.input, row.refs, given.choices)?);
        Ok(())
    })?;
    Ok(part)
}

pub(super) fn explanations(path: &Path, given: Given<'_>, report: &mut ReadReport) -> Result<Part> {
    let mut part = Part::default();
    report.rows(path, given.on_bad_row, |text| {
        let row: Explanation = parse(text)?;
        let instruction = format!("Explain why the two following sentences {}:", relation(&row.label)?);
        let instruction = given.instruction.map_or(instruction, str::to_owned);
        let input = format!("Sentence 1: {}\nSentence 2: {}", row.premise.trim(), row.hypothesis.trim());
        part.instances.push(instance(instruction, input, vec![row.explanation], given.choices)?);
        Ok(())
    })?;
    Ok(part)
}

/// How CT0 words a label.
fn relation(label: &str) -> Result<&'static str, String> {
    match label {
        "entailment" => Ok("entail each other"),
        "contradiction" => Ok("do not entail each other"),
        "neutral" => Ok("are unrelated"),
        other => Err(format!("the label '{other}' is not one of entailment, contradiction, neutral")),
    }
}

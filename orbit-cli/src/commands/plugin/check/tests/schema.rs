//! The schema of the configuration, by which a mistake in a run file is found at its line.

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use super::super::child::Subject;
use super::super::progress;
use super::super::verdict::Verdict;

pub(super) fn schema(subject: &Subject) -> Result<Verdict> {
    progress::at("in schema");
    let Some(text) = subject.library.schema_text() else {
        return Ok(Verdict::skipped("it tells none; with one, a wrong option is reported at its line in the run file"));
    };
    let schema: Value = serde_json::from_str(&text).context("the schema is not JSON")?;
    let validator = jsonschema::validator_for(&schema).map_err(|error| anyhow!("it is no JSON schema: {error}"))?;
    let config = serde_json::from_str(&subject.config)?;
    match validator.iter_errors(&config).next() {
        None => Ok(Verdict::passed("")),
        Some(error) => Err(anyhow!("the schema does not allow the config, though the plugin takes it: {error}")),
    }
}

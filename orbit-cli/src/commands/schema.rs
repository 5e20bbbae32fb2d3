//! `orbit schema`

use anyhow::Result;
use schemars::schema_for;

use super::print;
use crate::config::RunFile;

pub(crate) fn run() -> Result<()> {
    print(&schema()?)
}

fn schema() -> Result<String> {
    Ok(serde_json::to_string_pretty(&schema_for!(RunFile))? + "\n")
}

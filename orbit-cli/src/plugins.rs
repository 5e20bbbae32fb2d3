//! Which plugins a run is made with: `DIR/plugins.json`, so that a run does not go on with others unnoticed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use orbit_regularizers::plugin::{Library, Search};
use orbit_regularizers::{HookEntry, Use};
use serde::{Deserialize, Serialize};

use crate::run_dir::write_file;
use crate::usage::Usage;

const FILE: &str = "plugins.json";

/// A plugin, down to its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Its place in the list of hooks, from 1.
    pub hook: usize,
    /// What it is called.
    pub id: String,
    /// Its own version.
    pub version: String,
    /// SHA-256 of its library.
    pub sha256: String,
}

/// The plugins of a run, as they are now.
pub(crate) fn records(hooks: &[HookEntry]) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for (hook, entry) in (1..).zip(hooks) {
        if let Use::Plugin(plugin) = &entry.r#use {
            let library = Library::open(Search::default().find(&plugin.path)?)?;
            let (id, version) = (library.id().to_owned(), library.release().to_owned());
            records.push(Record { hook, id, version, sha256: library.located().sha256.clone() });
        }
    }
    Ok(records)
}

/// Notes the plugins of a new run.
pub(crate) fn note(hooks: &[HookEntry], dir: &Path) -> Result<()> {
    let (path, records) = (dir.join(FILE), records(hooks)?);
    if records.is_empty() {
        return Ok(());
    }
    write_file(&path, serde_json::to_vec_pretty(&records)?)
}

/// Refuses to go on with other plugins than the run began with, unless they `may_differ`: then these are noted.
pub(crate) fn compare(hooks: &[HookEntry], dir: &Path, may_differ: bool) -> Result<()> {
    let path = dir.join(FILE);
    let began: Vec<Record> = match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).with_context(|| path.display().to_string())?,
        Err(_) => Vec::new(),
    };
    let now = records(hooks)?;
    if began == now {
        return Ok(());
    }
    if may_differ {
        return note(hooks, dir);
    }
    let list = |records: &[Record]| {
        let lines: Vec<String> = records
            .iter()
            .map(|Record { hook, id, version, sha256 }| format!("  hook {hook}: {id} {version}, SHA-256 {sha256}"))
            .collect();
        if lines.is_empty() { "  none".into() } else { lines.join("\n") }
    };
    Err(Usage::new(format!(
        "the plugins are not those that the run began with\nthen\n{}\nnow\n{}\nput the others back, or go on with these by \
         --allow-changed-plugins: the run will not be the one that its first steps were of",
        list(&began),
        list(&now)
    ))
    .into())
}

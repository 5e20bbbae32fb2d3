//! What all kinds of runs do to their directories.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::usage::Usage;

/// The run with every default spelled out and every path absolute.
pub(crate) const RUN_FILE: &str = "run.toml";

/// Makes a directory for a new run. One that has a run is an error, unless that may be replaced: then what it `made` is removed.
pub(crate) fn claim(dir: &Path, overwrite: bool, made: &[&str]) -> Result<()> {
    if dir.join(RUN_FILE).exists() {
        if !overwrite {
            return Err(Usage::new(format!(
                "{} has a run already: go on with `orbit resume`, or give --overwrite",
                dir.display()
            ))
            .into());
        }
        made.iter().try_for_each(|name| remove(&dir.join(name)))?;
    }
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())
}

/// Writes the model beside its place and renames it, so that a directory called `model` is whole.
pub(crate) fn write_model(dir: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let (place, partial) = (dir.join("model"), dir.join("model.partial"));
    remove(&place)?;
    remove(&partial)?;
    fs::create_dir_all(&partial).with_context(|| partial.display().to_string())?;
    fill(&partial)?;
    fs::rename(&partial, &place).with_context(|| place.display().to_string())
}

/// Removes a file or a directory that may be there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = match path {
        path if path.is_dir() => fs::remove_dir_all(path),
        path if path.exists() => fs::remove_file(path),
        _ => Ok(()),
    };
    removed.with_context(|| path.display().to_string())
}

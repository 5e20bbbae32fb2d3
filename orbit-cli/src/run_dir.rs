//! What all kinds of runs do to their directories.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result};

use crate::machine;
use crate::usage::Usage;

/// The run with every default spelled out and every path absolute.
pub(crate) const RUN_FILE: &str = "run.toml";

/// The right to work in a run directory, until it is dropped or the process ends, in whatever way.
pub(crate) struct Lock(#[allow(dead_code, reason = "held, not read")] File);

/// Takes a run directory for this process.
///
/// # Errors
/// [`Usage`], when another process works in it; the message says which, and since when.
pub(crate) fn lock(dir: &Path) -> Result<Lock> {
    let path = dir.join("lock");
    let shown = || path.display().to_string();
    let mut file =
        OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).with_context(shown)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            let _ = file.read_to_string(&mut owner);
            let dir = dir.display();
            return Err(Usage::new(format!("{dir} is in use by {}: wait for it, or stop it", owner.trim())).into());
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(shown),
    }
    file.set_len(0).with_context(shown)?;
    writeln!(file, "process {} since {}", std::process::id(), machine::now()).with_context(shown)?;
    Ok(Lock(file))
}

/// Writes a file that is there whole or not at all, and on the disk when this returns.
pub(crate) fn write_file(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let write = || {
        let mut file = File::create(&partial)?;
        file.write_all(content.as_ref())?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().with_context(|| path.display().to_string())
}

/// Makes a directory for a new run. One that has a run is an error, unless that may be replaced: then what it `made` is removed.
pub(crate) fn claim(dir: &Path, overwrite: bool, made: &[&str]) -> Result<()> {
    if dir.join(RUN_FILE).exists() {
        let _lock = lock(dir)?;
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

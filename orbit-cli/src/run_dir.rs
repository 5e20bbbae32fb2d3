//! What all kinds of runs do to their directories.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

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
    write_with(path, |partial| fs::write(partial, content).with_context(|| path.display().to_string()))
}

/// As [`write_file`], for what writes its file itself.
pub(crate) fn write_with(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let partial = partial(path);
    write(&partial)?;
    let written = OpenOptions::new().append(true).open(&partial).and_then(|file| file.sync_all());
    written.with_context(|| path.display().to_string())?;
    rename(&partial, path)
}

/// Takes a directory for a new run, and makes it. One that has a run is an error, unless that may be replaced: then what it `made`
/// is removed.
pub(crate) fn claim(dir: &Path, overwrite: bool, made: &[&str]) -> Result<Lock> {
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let lock = lock(dir)?;
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
    Ok(lock)
}

/// Fills a directory beside its place and renames it, so that what is there is whole. It takes the place of one that was there.
pub(crate) fn write_dir(place: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let partial = partial(place);
    remove(&partial)?;
    fs::create_dir_all(&partial).with_context(|| partial.display().to_string())?;
    fill(&partial)?;
    remove(place)?;
    rename(&partial, place)
}

/// What a file or directory is called until it is whole.
fn partial(path: &Path) -> PathBuf {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    partial.into()
}

/// Gives a file or directory its name, for good.
fn rename(from: &Path, to: &Path) -> Result<()> {
    let synced = || {
        fs::rename(from, to)?;
        // Folders cannot be opened as files on every system.
        match to.parent().filter(|parent| cfg!(unix) && !parent.as_os_str().is_empty()) {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    };
    synced().with_context(|| to.display().to_string())
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

//! Files and folders that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::{Builder, NamedTempFile, TempDir};

use crate::error::{Error, Result};

/// Writes `path` through a temporary neighbour that is synced and then renamed over it.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let file = temporary_file(parent(path)).map_err(|e| Error::io(path, e))?;
    let mut writer = BufWriter::new(file.as_file());
    writer.write_all(bytes).and_then(|()| writer.flush()).map_err(|e| Error::io(path, e))?;
    drop(writer);
    persist(file, path)
}

/// Writes `path` as pretty JSON, atomically.
pub(crate) fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value).map_err(|e| Error::json(path, e))?;
    text.push('\n');
    write_file(path, text.as_bytes())
}

/// An empty temporary file in `dir`, with the permissions a plain file would get.
pub(crate) fn temporary_file(dir: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".partial-");
    // tempfile's default is private to the owner; a model is to be as readable as any other file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(dir)
}

/// Syncs `file` and renames it to `path`. What it holds may have been written by path, which replaces the file behind
/// the handle.
pub(crate) fn persist(file: NamedTempFile, path: &Path) -> Result<()> {
    let finish = || {
        let permissions = file.as_file().metadata()?.permissions();
        fs::set_permissions(file.path(), permissions)?;
        File::open(file.path())?.sync_all()
    };
    finish().map_err(|e| Error::io(path, e))?;
    file.persist(path).map_err(|e| Error::io(path, e.error))?;
    sync_dir(parent(path))
}

/// Makes `dir` by filling a temporary neighbour, which is then renamed. `dir` must not be there, or be empty.
pub(crate) fn write_dir(dir: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        let there = io::Error::new(io::ErrorKind::AlreadyExists, "the folder is there and not empty: remove it first");
        return Err(Error::io(dir, there));
    }
    let parent = parent(dir);
    fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))?;
    let partial = temporary_dir(dir, parent).map_err(|e| Error::io(dir, e))?;
    fill(partial.path())?;
    sync_dir(partial.path())?;
    fs::rename(partial.path(), dir).map_err(|e| Error::io(dir, e))?;
    // Renamed away: there is nothing left for the guard to remove.
    let _ = partial.keep();
    sync_dir(parent)
}

/// Removes what [`write_dir`] leaves behind when the process is killed. The caller makes sure that nobody is writing
/// `dir`.
pub(crate) fn remove_leftovers(dir: &Path) -> Result<()> {
    let parent = parent(dir);
    let prefix = partial_prefix(dir);
    for entry in fs::read_dir(parent).map_err(|e| Error::io(parent, e))? {
        let entry = entry.map_err(|e| Error::io(parent, e))?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            fs::remove_dir_all(entry.path()).map_err(|e| Error::io(entry.path(), e))?;
        }
    }
    Ok(())
}

fn temporary_dir(dir: &Path, parent: &Path) -> io::Result<TempDir> {
    let prefix = partial_prefix(dir);
    let mut builder = Builder::new();
    builder.prefix(&prefix);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    builder.tempdir_in(parent)
}

fn partial_prefix(dir: &Path) -> String {
    format!(".{}.partial-", dir.file_name().unwrap_or_default().to_string_lossy())
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A rename is durable only once its folder is. Folders cannot be opened as files on every system.
fn sync_dir(dir: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(dir).and_then(|f| f.sync_all()).map_err(|e| Error::io(dir, e))?;
    }
    Ok(())
}

/// Reads the whole of `path`, which must be a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    orbit_data::read_file(path).map_err(|e| Error::io(path, e))
}

/// Reads `path` as JSON.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_slice(&read(path)?).map_err(|e| Error::json(path, e))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn only_files_are_read() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join("model.safetensors");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for path in [&link, root.path()] {
            assert!(read(path).unwrap_err().to_string().contains("not a file"));
        }
    }

    #[test]
    fn a_failed_folder_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("model");
        let result = write_dir(&dir, |partial| {
            write_file(&partial.join("a"), b"1")?;
            Err(Error::pull("test", "no"))
        });
        assert!(result.is_err());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_whole_folder_is_renamed_and_never_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("model");
        write_dir(&dir, |partial| write_file(&partial.join("a"), b"1")).unwrap();
        assert_eq!(fs::read(dir.join("a")).unwrap(), b"1");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        let again = write_dir(&dir, |_| Ok(()));
        assert!(again.unwrap_err().to_string().contains("remove it first"));
    }

    #[test]
    fn leftovers_go_and_neighbours_stay() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("model");
        fs::create_dir(root.path().join(".model.partial-x1")).unwrap();
        fs::create_dir(root.path().join(".other.partial-x1")).unwrap();
        remove_leftovers(&dir).unwrap();
        assert!(!root.path().join(".model.partial-x1").exists());
        assert!(root.path().join(".other.partial-x1").exists());
    }
}

//! Writes a folder that is there whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::corpus::hex;
use crate::{Error, Result};

/// A folder in the making, beside the place where it goes. Dropped before [`Folder::finish`], it leaves nothing behind.
pub(super) struct Folder {
    out: PathBuf,
    temporary: PathBuf,
}

impl Folder {
    /// Refuses to start if there is something at `out`, but for an empty folder.
    pub(super) fn new(out: &Path) -> Result<Self> {
        check_free(out)?;
        let name = out.file_name().ok_or_else(|| Error::file(out, "no name for a folder; give one to make"))?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".partial-{}", std::process::id()));
        let temporary = out.with_file_name(hidden);
        fs::create_dir_all(&temporary).map_err(|source| Error::io(&temporary, source))?;
        Ok(Self { out: out.to_owned(), temporary })
    }

    /// Writes a file of JSON lines, and answers with its digest.
    pub(super) fn lines<T: Serialize>(&self, name: &str, rows: impl IntoIterator<Item = T>) -> Result<String> {
        self.file(name, |out| {
            for row in rows {
                serde_json::to_writer(&mut *out, &row)?;
                out.write_all(b"\n")?;
            }
            Ok(())
        })
    }

    /// Writes a file of one JSON value, laid out to be read.
    pub(super) fn value<T: Serialize>(&self, name: &str, value: &T) -> Result<String> {
        self.file(name, |out| {
            serde_json::to_writer_pretty(&mut *out, value)?;
            out.write_all(b"\n")
        })
    }

    fn file(&self, name: &str, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<String> {
        let path = self.temporary.join(name);
        let written = || {
            let mut out = BufWriter::new(Hashed { file: File::create(&path)?, hash: Sha256::new() });
            write(&mut out)?;
            let Hashed { file, hash } = out.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            Ok(hex(&hash.finalize()))
        };
        written().map_err(|source| Error::io(&path, source))
    }

    /// Puts the folder in its place.
    pub(super) fn finish(self) -> Result<()> {
        fs::rename(&self.temporary, &self.out).map_err(|source| Error::io(&self.out, source))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Gone already if it was renamed; if it cannot be removed, its name says what it is.
        let _ = fs::remove_dir_all(&self.temporary);
    }
}

fn check_free(out: &Path) -> Result<()> {
    match fs::read_dir(out).map(Iterator::count) {
        Ok(1..) => Err(Error::file(out, "not empty; remove it or name another folder")),
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::io(out, source)),
        _ => Ok(()),
    }
}

/// A file that hashes what is written to it.
struct Hashed {
    file: File,
    hash: Sha256,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

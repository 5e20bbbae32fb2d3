//! What a checkpoint says of itself, and whether it is true.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::FILES;
use crate::guard::GuardState;
use crate::{Error, Result, disk};

/// The layout of the directory. Raised when it changes; 2 added the guard.
pub(super) const FORMAT: u32 = 2;
pub(super) const MANIFEST: &str = "manifest.json";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) format: u32,
    pub(super) step: u64,
    pub(super) finished: bool,
    pub(super) origin: String,
    pub(super) files: BTreeMap<String, FileRecord>,
    /// Not in format 1.
    #[serde(default)]
    pub(super) guard: GuardState,
    /// SHA-256 of the other fields: a flipped bit in a number would still be a number.
    sha256: String,
}

/// What manifests of every format have.
#[derive(Deserialize)]
struct Header {
    format: u32,
}

/// What a file has to be.
#[derive(Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct FileRecord {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Manifest {
    /// A manifest of the current format.
    pub(super) fn new(
        (step, finished): (u64, bool),
        origin: String,
        files: BTreeMap<String, FileRecord>,
        guard: GuardState,
    ) -> Result<Self> {
        let mut manifest = Self { format: FORMAT, step, finished, origin, files, guard, sha256: String::new() };
        manifest.sha256 = manifest.digest()?;
        Ok(manifest)
    }

    fn digest(&self) -> Result<String> {
        let old = (self.format, self.step, self.finished, &self.origin, &self.files);
        let bytes = if self.format == 1 { serde_json::to_vec(&old) } else { serde_json::to_vec(&(old, &self.guard)) };
        Ok(hex(&Sha256::digest(bytes.map_err(|e| Error::checkpoint(MANIFEST, e.to_string()))?)))
    }

    /// The manifest of a checkpoint, every file of which is what it says.
    pub(super) fn verified(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST);
        // A file that is not there or says nothing sensible is damage; a disk that does not answer is none.
        let unread = |error: Error| match error {
            Error::Io { ref source, .. } if source.kind() != ErrorKind::NotFound => error,
            error => Error::damaged(dir, error.to_string()),
        };
        let Header { format } = read_json(&path).map_err(unread)?;
        if format > FORMAT {
            return Err(Error::checkpoint(path, format!("has format {format}, this build reads up to {FORMAT}")));
        }
        let manifest: Self = read_json(&path).map_err(unread)?;
        if manifest.digest()? != manifest.sha256 {
            return Err(Error::damaged(path, "is damaged: its digest is not the one it gives"));
        }
        // It vouches for these files and no others, whatever it names: elsewhere there may be a device that has no end.
        if !manifest.files.keys().map(String::as_str).eq(FILES) {
            let names: Vec<&String> = manifest.files.keys().collect();
            return Err(Error::damaged(path, format!("names the files {names:?}, and a checkpoint has {FILES:?}")));
        }
        // Digesting is what taking up a run waits for.
        let found: Vec<Result<FileRecord>> = thread::scope(|scope| {
            let digesting: Vec<_> =
                manifest.files.keys().map(|name| scope.spawn(move || FileRecord::of(&dir.join(name)))).collect();
            digesting.into_iter().map(|file| file.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
        });
        for ((name, expected), found) in manifest.files.iter().zip(found) {
            let found = found.map_err(unread)?;
            if found != *expected {
                let reason = format!("{name} is damaged: its digest is {}, not {}", found.sha256, expected.sha256);
                return Err(Error::damaged(dir, reason));
            }
        }
        Ok(manifest)
    }
}

impl FileRecord {
    fn of(path: &Path) -> Result<Self> {
        let mut file = disk::open(path)?;
        let (mut hasher, mut buffer, mut total) = (Sha256::new(), vec![0; 1 << 20], 0);
        loop {
            let read = file.read(&mut buffer).map_err(|e| Error::io(path, e))?;
            if read == 0 {
                return Ok(Self { bytes: total, sha256: hex(&hasher.finalize()) });
            }
            hasher.update(&buffer[..read]);
            total += read as u64;
        }
    }
}

pub(super) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let mut text = Vec::new();
    disk::open(path)?.read_to_end(&mut text).map_err(|e| Error::io(path, e))?;
    serde_json::from_slice(&text).map_err(|e| Error::checkpoint(path, e.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use super::*;

    /// A checkpoint in `dir` whose manifest names these files, each of which is there and has the digest it gives.
    fn checkpoint(dir: &Path, names: &[&str]) {
        let named = |name: &&str| {
            fs::write(dir.join(name), name).unwrap();
            ((*name).to_owned(), FileRecord::of(&dir.join(name)).unwrap())
        };
        let files = names.iter().map(named).collect();
        let manifest = Manifest::new((1, false), String::new(), files, GuardState::default()).unwrap();
        fs::write(dir.join(MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
    }

    #[test]
    fn a_manifest_cannot_name_a_file_outside_its_directory() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("step-1");
        fs::create_dir(&dir).unwrap();
        checkpoint(&dir, &FILES);
        Manifest::verified(&dir).unwrap();
        let absolute = root.path().join("absolute");
        for outside in ["../beside", absolute.to_str().unwrap()] {
            let names: Vec<&str> = FILES.into_iter().chain([outside]).collect();
            checkpoint(&dir, &names);
            let text = Manifest::verified(&dir).err().unwrap().to_string();
            assert!(text.contains("a checkpoint has"), "{outside}: {text}");
        }
    }

    /// Else its bytes would be taken unchecked.
    #[test]
    fn a_manifest_cannot_leave_out_a_file() {
        let dir = tempfile::tempdir().unwrap();
        for at in 0..FILES.len() {
            let mut names = FILES.to_vec();
            let left_out = names.remove(at);
            checkpoint(dir.path(), &names);
            let error = Manifest::verified(dir.path()).err().unwrap();
            assert!(matches!(error, Error::Damaged { .. }), "{left_out}: {error}");
        }
    }
}

//! What a checkpoint says of itself, and whether it is true.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::guard::GuardState;
use crate::{Error, Result};

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
        let unread = |error: Error| Error::damaged(dir, error.to_string());
        let Header { format } = read_json(&path).map_err(unread)?;
        if format > FORMAT {
            return Err(Error::checkpoint(path, format!("has format {format}, this build reads up to {FORMAT}")));
        }
        let manifest: Self = read_json(&path).map_err(unread)?;
        if manifest.digest()? != manifest.sha256 {
            return Err(Error::damaged(path, "is damaged: its digest is not the one it gives"));
        }
        for (name, expected) in &manifest.files {
            let found = FileRecord::of(&dir.join(name)).map_err(unread)?;
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
        let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
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
    let text = fs::read(path).map_err(|e| Error::io(path, e))?;
    serde_json::from_slice(&text).map_err(|e| Error::checkpoint(path, e.to_string()))
}

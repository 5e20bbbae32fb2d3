//! Semantic IDs as a JSON file.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::codebooks::Codebooks;
use super::{Collisions, Health, SemanticIds};
use crate::{Error, Result, read_file};

/// Format 1 had neither `collisions` nor `codebooks`, format 2 no encoder in them; both are still read.
const FORMAT: u32 = 3;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    format: u32,
    digest: String,
    codes_per_level: Vec<usize>,
    health: Health,
    codes: Vec<Vec<u16>>,
    #[serde(default)]
    collisions: Collisions,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    codebooks: Option<Codebooks>,
}

impl SemanticIds {
    /// Writes the IDs as JSON: `format`, `digest`, `codes_per_level`, `health`, `codes`, an array of codes an item,
    /// `collisions`, and `codebooks`, where there are any: the centroids of each level and how to come to them, a
    /// learned encoder included.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let saved = Saved {
            format: FORMAT,
            digest: self.digest.clone(),
            codes_per_level: self.codes_per_level.clone(),
            health: self.health.clone(),
            codes: self.codes.clone(),
            collisions: self.collisions,
            codebooks: self.codebooks.clone(),
        };
        let json = serde_json::to_vec(&saved).map_err(|source| Error::io(path, source.into()))?;
        fs::write(path, json).map_err(|source| Error::io(path, source))
    }

    /// Reads what [`SemanticIds::save`] wrote.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be read; [`Error::File`] when it is of another format, when an item has too
    /// many, too few or impossible codes or another item's, when the codes do not have the digest beside them, and when
    /// codebooks do not fit the codes.
    pub fn load(path: &Path) -> Result<Self> {
        let json = read_file(path).map_err(|source| Error::io(path, source))?;
        let found = serde_json::from_slice::<serde_json::Value>(&json)
            .map_err(|error| Error::file(path, format!("not JSON: {error}")))?;
        match found.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if (1..=u64::from(FORMAT)).contains(&format) => {}
            Some(format) => {
                let reason = format!("semantic IDs of format {format}; this build reads up to {FORMAT}");
                return Err(Error::file(path, reason));
            }
            None => return Err(Error::file(path, "no semantic IDs: field `format` is missing")),
        }
        let saved: Saved = serde_json::from_value(found).map_err(|error| Error::file(path, error.to_string()))?;
        let mut ids = Self::new(saved.codes_per_level, saved.codes, saved.health, saved.collisions)
            .map_err(|error| Error::file(path, error.to_string()))?;
        if ids.digest != saved.digest {
            let reason =
                format!("its codes have digest {}, not {}: it was edited or damaged", ids.digest, saved.digest);
            return Err(Error::file(path, reason));
        }
        if ids.health.levels.is_empty() || ids.health.levels.len() > ids.levels() {
            let reason = format!("health of {} levels for IDs of {}", ids.health.levels.len(), ids.levels());
            return Err(Error::file(path, reason));
        }
        if let Some(codebooks) = saved.codebooks {
            let quantised = &ids.codes_per_level[..ids.health.levels.len()];
            codebooks.check(quantised, &ids.codes).map_err(|reason| Error::file(path, reason))?;
            ids.codebooks = Some(codebooks);
        }
        Ok(ids)
    }
}

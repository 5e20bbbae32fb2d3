//! Semantic IDs as a JSON file.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Health, SemanticIds};
use crate::{Error, Result};

const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    format: u32,
    digest: String,
    codes_per_level: Vec<usize>,
    health: Health,
    codes: Vec<Vec<u16>>,
}

impl SemanticIds {
    /// Writes the IDs as JSON: `format`, `digest`, `codes_per_level`, `health` and `codes`, an array of codes an item.
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
        };
        let json = serde_json::to_vec(&saved).map_err(|source| Error::io(path, source.into()))?;
        fs::write(path, json).map_err(|source| Error::io(path, source))
    }

    /// Reads what [`SemanticIds::save`] wrote.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be read; [`Error::File`] when it is of another format, when an item has too
    /// many, too few or impossible codes or another item's, and when the codes do not have the digest beside them.
    pub fn load(path: &Path) -> Result<Self> {
        let json = fs::read(path).map_err(|source| Error::io(path, source))?;
        let found = serde_json::from_slice::<serde_json::Value>(&json)
            .map_err(|error| Error::file(path, format!("not JSON: {error}")))?;
        match found.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if format == u64::from(FORMAT) => {}
            Some(format) => {
                return Err(Error::file(path, format!("semantic IDs of format {format}; this build reads {FORMAT}")));
            }
            None => return Err(Error::file(path, "no semantic IDs: field `format` is missing")),
        }
        let saved: Saved = serde_json::from_value(found).map_err(|error| Error::file(path, error.to_string()))?;
        let ids = Self::new(saved.codes_per_level, saved.codes, saved.health)
            .map_err(|error| Error::file(path, error.to_string()))?;
        if ids.digest != saved.digest {
            let reason =
                format!("its codes have digest {}, not {}: it was edited or damaged", ids.digest, saved.digest);
            return Err(Error::file(path, reason));
        }
        Ok(ids)
    }
}

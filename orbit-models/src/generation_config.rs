//! `generation_config.json`: how `generate()` of transformers writes answers.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::LanguageModel;
use crate::atomic;
use crate::error::{Error, Result};

/// The file.
pub const GENERATION_CONFIG_FILE: &str = "generation_config.json";

/// What `generation_config.json` says. Keys that orbit does not know are carried along.
///
/// ```
/// use orbit_models::GenerationConfig;
///
/// # fn main() -> orbit_models::Result<()> {
/// # let dir = tempfile::tempdir().map_err(|e| orbit_models::Error::io("tmp", e))?;
/// std::fs::write(dir.path().join("generation_config.json"), r#"{"eos_token_id": 0, "temperature": 0.6}"#)
///     .map_err(|e| orbit_models::Error::io("tmp", e))?;
/// let mut generation = GenerationConfig::read(dir.path())?.unwrap_or_default();
/// generation.ends_with(&[2]);
/// assert_eq!(generation.end_tokens(), [0, 2]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerationConfig(Map<String, Value>);

impl GenerationConfig {
    /// Reads the file of a model directory; none where the directory has none.
    ///
    /// # Errors
    /// When the file is not a JSON object.
    pub fn read(dir: impl AsRef<Path>) -> Result<Option<Self>> {
        let path = dir.as_ref().join(GENERATION_CONFIG_FILE);
        if !path.exists() {
            return Ok(None);
        }
        match atomic::read_json(&path)? {
            Value::Object(keys) => Ok(Some(Self(keys))),
            _ => Err(Error::config(path, "generation_config", "is not a JSON object")),
        }
    }

    /// What a model's config says of it.
    pub fn of(model: &LanguageModel) -> Self {
        let mut keys = Map::new();
        let mut put = |key: &str, id: Option<u32>| id.map(|id| keys.insert(key.to_owned(), json!(id)));
        match model {
            LanguageModel::Decoder(net) => {
                put("bos_token_id", net.config().bos_token_id);
                put("pad_token_id", net.config().pad_token_id);
            }
            LanguageModel::EncoderDecoder(net) => {
                put("decoder_start_token_id", Some(net.config().decoder_start_token_id));
                put("pad_token_id", net.config().pad_token_id);
            }
        }
        let mut config = Self(keys);
        config.ends_with(model.end_tokens());
        config
    }

    /// The tokens that end an answer.
    pub fn end_tokens(&self) -> Vec<u32> {
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        match self.0.get("eos_token_id") {
            Some(Value::Array(ids)) => ids.iter().filter_map(id).collect(),
            Some(value) => id(value).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// Adds tokens that end an answer.
    pub fn ends_with(&mut self, tokens: &[u32]) {
        let mut ends = self.end_tokens();
        for token in tokens {
            if !ends.contains(token) {
                ends.push(*token);
            }
        }
        let value = match ends[..] {
            [] => return,
            [end] => json!(end),
            _ => json!(ends),
        };
        self.0.insert("eos_token_id".to_owned(), value);
    }

    /// Writes the file into a model directory.
    ///
    /// # Errors
    /// When the system refuses to write.
    pub fn write(&self, dir: impl AsRef<Path>) -> Result<()> {
        atomic::write_json(&dir.as_ref().join(GENERATION_CONFIG_FILE), &self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn ends_are_one_or_several_and_what_is_not_known_is_carried() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(GenerationConfig::read(dir.path()).unwrap(), None);
        for (eos, added, expected) in [
            (json!(0), &[][..], json!(0)),
            (json!(0), &[0], json!(0)),
            (json!(0), &[2], json!([0, 2])),
            (json!([0, 2]), &[2, 5], json!([0, 2, 5])),
            (Value::Null, &[2], json!(2)),
        ] {
            let mut config = GenerationConfig(Map::new());
            config.0.insert("eos_token_id".into(), eos);
            config.0.insert("some_later_key".into(), json!([1, {"a": 2}]));
            config.ends_with(added);
            config.write(dir.path()).unwrap();
            let read = GenerationConfig::read(dir.path()).unwrap().unwrap();
            assert_eq!((&read.0["eos_token_id"], &read.0["some_later_key"]), (&expected, &json!([1, {"a": 2}])));
        }
        std::fs::write(dir.path().join(GENERATION_CONFIG_FILE), "[]").unwrap();
        assert!(GenerationConfig::read(dir.path()).unwrap_err().to_string().contains("not a JSON object"));
    }
}

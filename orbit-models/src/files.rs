//! A decoder to and from a model directory.
//!
//! `config.json` and `model.safetensors` are Hugging Face's. A model with new tokens is saved with its tables joined, so that
//! transformers loads it as a larger vocabulary; `orbit.json` beside them says where the new tokens begin.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use orbit_core::{Model, parameters};
use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::decoder::{Decoder, NEW_TOKENS, NewTokens};
use crate::weights::{Array, Dtype, Weights};
use crate::{DecoderConfig, Error, Result};

/// What `orbit.json` says of a model directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// Tokens of the model before new ones were added.
    pub base_vocabulary: usize,
    /// Whether that model's embedding was its output layer too.
    pub base_tied: bool,
    /// The semantic IDs that the new tokens spell, by digest.
    pub semantic_ids: Option<String>,
    /// The weights that training began with, by digest.
    pub origin: Option<String>,
}

const EXTENSION_FILE: &str = "orbit.json";
const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

impl Extension {
    /// Reads `orbit.json`; `None` when the directory has none.
    pub fn read(dir: impl AsRef<Path>) -> Result<Option<Self>> {
        let path = dir.as_ref().join(EXTENSION_FILE);
        if path.exists() { atomic::read_json(&path).map(Some) } else { Ok(None) }
    }
}

/// Loads the model directory `dir`. Missing, unused and misshapen tensors are errors that list them.
pub fn load(dir: impl AsRef<Path>, device: &Device) -> Result<Decoder> {
    let dir = dir.as_ref();
    let mut config = DecoderConfig::read(dir)?;
    let mut weights = Weights::read(dir)?;
    let new = match Extension::read(dir)? {
        Some(extension) if extension.base_vocabulary < config.vocab_size => {
            Some(split_tables(dir, &mut config, &mut weights, &extension)?)
        }
        _ => None,
    };
    let mut decoder = from_weights(config, weights, dir, device)?;
    if let Some([input, output]) = new {
        let tensor = |array: Array| {
            let shape = [array.shape[0], array.shape[1]];
            Tensor::<2>::from_data(TensorData::new(array.data, shape), device)
        };
        decoder.set_new_tokens(NewTokens::new(tensor(input), tensor(output)));
    }
    Ok(decoder)
}

/// A decoder of the given shape and weights. `path` is what errors name.
pub fn from_weights(
    config: DecoderConfig,
    weights: Weights,
    path: impl AsRef<Path>,
    device: &Device,
) -> Result<Decoder> {
    let mut reader = weights.into_reader(path);
    let decoder = Decoder::from_source(config, &mut |name, shape| reader.tensor(name, shape), device);
    // Old exporters store the rotary frequencies, and a tied head a second time.
    let tied = decoder.config().tie_word_embeddings;
    reader.finish(if tied { &["rotary_emb.inv_freq", HEAD] } else { &["rotary_emb.inv_freq"] })?;
    Ok(decoder)
}

/// Saves the model into `dir`, which must be there; the tokenizer's files are the caller's.
pub fn save(model: &Decoder, dir: impl AsRef<Path>, dtype: Dtype, about: &Extension) -> Result<()> {
    let dir = dir.as_ref();
    let mut config = model.config().clone();
    let mut weights = arrays(model);
    if model.new_token_count() > 0 {
        let new =
            |weights: &mut Weights, part| weights.tensors.remove(&format!("{NEW_TOKENS}.{part}")).unwrap_or_default();
        let (input, output) = (new(&mut weights, "input"), new(&mut weights, "output"));
        let tables = &mut weights.tensors;
        let mut head = tables.get(HEAD).or_else(|| tables.get(EMBEDDING)).cloned().unwrap_or_default();
        append_rows(&mut head, output);
        tables.insert(HEAD.into(), head);
        append_rows(tables.entry(EMBEDDING.into()).or_default(), input);
        config.vocab_size += model.new_token_count();
        config.tie_word_embeddings = false;
        let about = Extension {
            base_vocabulary: model.base_vocabulary(),
            base_tied: model.config().tie_word_embeddings,
            ..about.clone()
        };
        atomic::write_json(&dir.join(EXTENSION_FILE), &about)?;
    }
    config.write(dir, dtype)?;
    weights.write(dir, dtype, Some(5_000_000_000))
}

/// Every parameter on the host, by name.
pub(crate) fn arrays(model: &Decoder) -> Weights {
    let names = parameters(model);
    let tensors: BTreeMap<String, Array> = names
        .into_iter()
        .zip(orbit_core::host_weights(model))
        .map(|(param, data)| (param.name, Array { shape: param.shape, data }))
        .collect();
    Weights { tensors }
}

fn append_rows(table: &mut Array, rows: Array) {
    if let (Some(height), Some(more)) = (table.shape.first_mut(), rows.shape.first()) {
        *height += more;
        table.data.extend(rows.data);
    }
}

/// Takes the rows of new tokens off both tables, and unties what was tied.
fn split_tables(
    dir: &Path,
    config: &mut DecoderConfig,
    weights: &mut Weights,
    extension: &Extension,
) -> Result<[Array; 2]> {
    let (base, d) = (extension.base_vocabulary, config.hidden_size);
    let mut split = |name: &str| -> Result<Array> {
        let table = weights.tensors.get_mut(name);
        let Some(table) = table.filter(|table| table.shape == [config.vocab_size, d]) else {
            let reason =
                format!("is not there as [{}, {d}], though orbit.json speaks of new tokens", config.vocab_size);
            return Err(Error::tensor(dir, name, reason));
        };
        let data = table.data.split_off(base * d);
        table.shape[0] = base;
        Ok(Array { shape: vec![config.vocab_size - base, d], data })
    };
    let new = [split(EMBEDDING)?, split(HEAD)?];
    if extension.base_tied {
        let head = weights.tensors.remove(HEAD);
        if head.as_ref() != weights.tensors.get(EMBEDDING) {
            return Err(Error::tensor(dir, HEAD, "differs from the embedding, though orbit.json says they were tied"));
        }
    }
    config.vocab_size = base;
    config.tie_word_embeddings = extension.base_tied;
    Ok(new)
}

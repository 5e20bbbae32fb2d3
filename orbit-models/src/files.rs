//! A decoder to and from a model directory, and what the families of models share of that.
//!
//! `config.json` and `model.safetensors` are Hugging Face's. A model with new tokens is saved with its tables joined, so that
//! transformers loads it as a larger vocabulary; `orbit.json` beside them says where the new tokens begin.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use orbit_core::{Model, parameters};
use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::config::Family;
use crate::decoder::Decoder;
use crate::tokens::{NEW_TOKENS, NewTokens};
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
    /// Whether the scale of that model's outputs is in the output layer that is saved, which is then not the embedding itself but
    /// a multiple of it: a T5 v1.0 with new tokens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub base_scaled: bool,
    /// The semantic IDs that the new tokens spell, by digest.
    pub semantic_ids: Option<String>,
    /// The weights that training began with, by digest.
    pub origin: Option<String>,
}

const EXTENSION_FILE: &str = "orbit.json";
/// What the names of a BLOOM's stack begin with.
const BLOOM_PREFIX: &str = "transformer.";

/// The names of a checkpoint's two tables of tokens.
pub(crate) struct Tables {
    pub(crate) embedding: &'static str,
    /// The output layer; absent in a checkpoint where it is the embedding.
    pub(crate) head: &'static str,
}

impl Tables {
    fn of(family: Family) -> Self {
        let embedding = match family {
            Family::Llama => "model.embed_tokens.weight",
            Family::Bloom => "transformer.word_embeddings.weight",
        };
        Self { embedding, head: "lm_head.weight" }
    }
}

impl Extension {
    /// Reads `orbit.json`; `None` when the directory has none.
    pub fn read(dir: impl AsRef<Path>) -> Result<Option<Self>> {
        let path = dir.as_ref().join(EXTENSION_FILE);
        if path.exists() { atomic::read_json(&path).map(Some) } else { Ok(None) }
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        atomic::write_json(&dir.join(EXTENSION_FILE), self)
    }
}

/// Loads the model directory `dir`. Missing, unused and misshapen tensors are errors that list them.
pub fn load(dir: impl AsRef<Path>, device: &Device) -> Result<Decoder> {
    let dir = dir.as_ref();
    let mut config = DecoderConfig::read(dir)?;
    let mut weights = Weights::read(dir)?;
    if config.family == Family::Bloom {
        prefixed(&mut weights);
    }
    let extension = Extension::read(dir)?;
    let shape = [config.vocab_size, config.hidden_size];
    let new = split_new_tokens(dir, &Tables::of(config.family), shape, &mut weights, extension.as_ref())?;
    if let (Some(extension), Some(_)) = (&extension, &new) {
        config.vocab_size = extension.base_vocabulary;
        config.tie_word_embeddings = extension.base_tied;
    }
    let mut decoder = from_weights(config, weights, dir, device)?;
    if let Some(new) = new {
        decoder.set_new_tokens(new_tokens(new, device));
    }
    Ok(decoder)
}

/// A decoder of the given shape and weights. `path` is what errors name.
pub fn from_weights(
    config: DecoderConfig,
    mut weights: Weights,
    path: impl AsRef<Path>,
    device: &Device,
) -> Result<Decoder> {
    let path = path.as_ref();
    settle_head(path, &Tables::of(config.family), config.tie_word_embeddings, &mut weights)?;
    weights.check_size(path, config.parameter_count())?;
    let mut reader = weights.into_reader(path);
    let decoder = Decoder::from_source(config, &mut |name, shape| reader.tensor(name, shape), device);
    // Old exporters store the rotary frequencies.
    reader.finish(&["rotary_emb.inv_freq"])?;
    Ok(decoder)
}

/// Checks that the config and the weights agree on whether the output layer is the embedding. Where it is and was stored a second
/// time, the copy is removed.
pub(crate) fn settle_head(path: &Path, names: &Tables, tied: bool, weights: &mut Weights) -> Result<()> {
    let conflict = |reason: &str| Err(Error::tensor(path, names.head, reason));
    match (tied, weights.tensors.get(names.head)) {
        (true, Some(head)) if Some(head) != weights.tensors.get(names.embedding) => conflict(&format!(
            "differs from {}, and the config says that they are one: set tie_word_embeddings to false to use it, or remove it",
            names.embedding
        )),
        (true, _) => {
            weights.tensors.remove(names.head);
            Ok(())
        }
        (false, None) if weights.tensors.contains_key(names.embedding) => conflict(&format!(
            "is not there, and the config says that it is not {}: set tie_word_embeddings to true if it is",
            names.embedding
        )),
        (false, _) => Ok(()),
    }
}

/// Gives the stack's tensors the names they have beside an output layer. Published BLOOMs were saved without one.
fn prefixed(weights: &mut Weights) {
    let head = Tables::of(Family::Bloom).head;
    if weights.tensors.keys().any(|name| name.starts_with(BLOOM_PREFIX)) {
        return;
    }
    let named = std::mem::take(&mut weights.tensors).into_iter();
    weights.tensors = named
        .map(|(name, array)| if name == head { (name, array) } else { (format!("{BLOOM_PREFIX}{name}"), array) })
        .collect();
}

/// Saves the model into `dir`, which must be there; the tokenizer's files are the caller's.
pub fn save(model: &Decoder, dir: impl AsRef<Path>, dtype: Dtype, about: &Extension) -> Result<()> {
    let dir = dir.as_ref();
    let mut config = model.config().clone();
    let mut weights = arrays(model);
    if model.new_token_count() > 0 {
        join_new_tokens(&mut weights, &Tables::of(config.family));
        config.vocab_size += model.new_token_count();
        config.tie_word_embeddings = false;
        let about = Extension {
            base_vocabulary: model.base_vocabulary(),
            base_tied: model.config().tie_word_embeddings,
            ..about.clone()
        };
        about.write(dir)?;
    }
    config.write(dir, dtype)?;
    weights.write(dir, dtype, Some(5_000_000_000))
}

/// Every parameter on the host, by name.
pub(crate) fn arrays<M: Model>(model: &M) -> Weights {
    let names = parameters(model);
    let tensors: BTreeMap<String, Array> = names
        .into_iter()
        .zip(orbit_core::host_weights(model))
        .map(|(param, data)| (param.name, Array { shape: param.shape, data }))
        .collect();
    Weights { tensors }
}

/// Puts the rows of new tokens behind those of both tables, the second of which is the first's copy where they were one.
pub(crate) fn join_new_tokens(weights: &mut Weights, names: &Tables) {
    let tables = &mut weights.tensors;
    let mut new = |part| tables.remove(&format!("{NEW_TOKENS}.{part}")).unwrap_or_default();
    let (input, output) = (new("input"), new("output"));
    let mut head = tables.get(names.head).or_else(|| tables.get(names.embedding)).cloned().unwrap_or_default();
    append_rows(&mut head, output);
    tables.insert(names.head.into(), head);
    append_rows(tables.entry(names.embedding.into()).or_default(), input);
}

fn append_rows(table: &mut Array, rows: Array) {
    if let (Some(height), Some(more)) = (table.shape.first_mut(), rows.shape.first()) {
        *height += more;
        table.data.extend(rows.data);
    }
}

/// The inverse of [`join_new_tokens`]: takes the rows of new tokens off both tables, whose shape is given, where `extension`
/// speaks of any, and removes the second where it was the first's copy.
pub(crate) fn split_new_tokens(
    dir: &Path,
    names: &Tables,
    [rows, d]: [usize; 2],
    weights: &mut Weights,
    extension: Option<&Extension>,
) -> Result<Option<[Array; 2]>> {
    let Some(extension) = extension.filter(|extension| extension.base_vocabulary < rows) else { return Ok(None) };
    let base = extension.base_vocabulary;
    if base == 0 {
        let reason = "was without a token before new ones were added, by orbit.json";
        return Err(Error::tensor(dir, names.embedding, reason));
    }
    let mut split = |name: &str| -> Result<Array> {
        let table = weights.tensors.get_mut(name);
        let Some(table) = table.filter(|table| table.shape == [rows, d]) else {
            let reason = format!("is not there as [{rows}, {d}], though orbit.json speaks of new tokens");
            return Err(Error::tensor(dir, name, reason));
        };
        let data = table.data.split_off(base * d);
        table.shape[0] = base;
        Ok(Array { shape: vec![rows - base, d], data })
    };
    let new = [split(names.embedding)?, split(names.head)?];
    if extension.base_tied {
        let head = weights.tensors.remove(names.head);
        if head.as_ref() != weights.tensors.get(names.embedding) {
            let reason = "differs from the embedding, though orbit.json says they were tied";
            return Err(Error::tensor(dir, names.head, reason));
        }
    }
    Ok(Some(new))
}

/// New tokens of the given input and output rows.
pub(crate) fn new_tokens(tables: [Array; 2], device: &Device) -> NewTokens {
    let [input, output] = tables.map(|array| {
        let shape = [array.shape[0], array.shape[1]];
        Tensor::<2>::from_data(TensorData::new(array.data, shape), device)
    });
    NewTokens::new(input, output)
}

//! Models in llama.cpp's GGUF files: read, dequantise, and write as a Hugging Face model directory.
//!
//! The readers on the registry that are small enough panic on, or reserve memory by, the counts in a damaged file;
//! this one checks every count and offset against the file before it is used.

mod block;
mod byte_level;
mod container;
mod llama;
mod metadata;
mod sentence_piece;
mod tokenizer;

use std::path::Path;

use serde_json::{Value, json};

use crate::atomic;
use crate::config::DecoderConfig;
use crate::error::{Error, Result};
use crate::weights::{Array, Dtype, Weights};
use container::{Container, TensorInfo};
use metadata::Metadata;

/// A Llama model from a GGUF file, in the terms of Hugging Face.
#[derive(Debug)]
pub struct GgufModel {
    /// Its shape.
    pub config: DecoderConfig,
    /// Its weights under Hugging Face's names, `[out, in]`, rotary rows in the order of an implementation that
    /// rotates halves.
    pub weights: Weights,
    /// `tokenizer.json`.
    pub tokenizer: Value,
    /// `tokenizer_config.json`: special tokens by role, the chat template, the context length.
    pub tokenizer_config: Value,
}

impl GgufModel {
    /// The Jinja template of a conversation, where the file has one.
    pub fn chat_template(&self) -> Option<&str> {
        self.tokenizer_config.get("chat_template")?.as_str()
    }
}

/// Reads the GGUF file `path`: Llama models with a byte-level BPE or SentencePiece tokenizer, in F64, F32, F16, BF16,
/// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL and IQ4_XS.
///
/// Dequantised weights take 4 bytes an entry.
///
/// # Errors
///
/// [`Error::Gguf`] where the file is damaged or holds another architecture, tokenizer or type; [`Error::Io`] where it
/// cannot be read.
pub fn read(path: impl AsRef<Path>) -> Result<GgufModel> {
    from_bytes(&atomic::read(path.as_ref())?, path)
}

/// What the GGUF file `path` says of its model; the weights are left where they are.
///
/// # Errors
///
/// As [`read`].
pub fn describe(path: impl AsRef<Path>) -> Result<GgufModel> {
    let file = atomic::read(path.as_ref())?;
    let described = Container::parse(&file).and_then(|container| described(&container));
    let (config, tokenizer) = described.map_err(|reason| Error::gguf(path, reason))?;
    let weights = Weights::default();
    Ok(GgufModel { config, weights, tokenizer: tokenizer.definition, tokenizer_config: tokenizer.config })
}

/// The shape of the model in the GGUF file `path`, whose weights are left as they are.
///
/// # Errors
///
/// As [`read`].
pub fn read_config(path: impl AsRef<Path>) -> Result<DecoderConfig> {
    Ok(describe(path)?.config)
}

/// As [`read`], from a file in memory. `path` is what its errors name.
///
/// # Errors
///
/// [`Error::Gguf`], as [`read`].
pub fn from_bytes(file: &[u8], path: impl AsRef<Path>) -> Result<GgufModel> {
    model(file).map_err(|reason| Error::gguf(path, reason))
}

/// Converts the GGUF file `path` to the model directory `dir`: `config.json`, `generation_config.json`,
/// `model.safetensors`,
/// `tokenizer.json`, `tokenizer_config.json`. The directory appears whole or not at all.
///
/// [`Dtype::F32`] keeps the dequantised values; a scale times a small integer plus a minimum does not fit 16 bits.
///
/// # Errors
///
/// As [`read`]; and where `dir` is there and not empty, or cannot be written.
pub fn convert(path: impl AsRef<Path>, dir: impl AsRef<Path>, dtype: Dtype) -> Result<()> {
    let model = read(path)?;
    atomic::write_dir(dir.as_ref(), |dir| model.write(dir, dtype))
}

impl GgufModel {
    /// Writes the files of a model directory into `dir`, which must be there.
    ///
    /// # Errors
    ///
    /// A file cannot be written.
    pub fn write(&self, dir: impl AsRef<Path>, dtype: Dtype) -> Result<()> {
        let dir = dir.as_ref();
        self.config.write(dir, dtype)?;
        self.weights.write(dir, dtype, None)?;
        atomic::write_json(&dir.join("tokenizer.json"), &self.tokenizer)?;
        atomic::write_json(&dir.join("tokenizer_config.json"), &self.tokenizer_config)?;
        let generation = json!({
            "bos_token_id": self.config.bos_token_id,
            "eos_token_id": self.config.eos_token_ids,
            "pad_token_id": self.config.pad_token_id,
        });
        atomic::write_json(&dir.join("generation_config.json"), &generation)
    }
}

fn model(file: &[u8]) -> Result<GgufModel, String> {
    let container = Container::parse(file)?;
    let (config, tokenizer) = described(&container)?;
    let mut weights = Weights::default();
    for tensor in &container.tensors {
        let name = llama::name(&tensor.name)?;
        weights.tensors.insert(name, array(file, tensor, config.head_dim)?);
    }
    Ok(GgufModel { config, weights, tokenizer: tokenizer.definition, tokenizer_config: tokenizer.config })
}

/// What the metadata say.
fn described(container: &Container) -> Result<(DecoderConfig, tokenizer::Tokenizer), String> {
    let metadata = Metadata(&container.metadata);
    llama::check_architecture(&metadata)?;
    let tokenizer = tokenizer::read(&metadata)?;
    let tied = !container.tensors.iter().any(|tensor| tensor.name == "output.weight");
    let config = llama::config(&metadata, tokenizer.len, tied)?;
    config.check().map_err(|(key, reason)| format!("{key}: {reason}"))?;
    Ok((config, tokenizer))
}

fn array(file: &[u8], tensor: &TensorInfo, head_dim: usize) -> Result<Array, String> {
    let bytes = file.get(tensor.range.clone()).unwrap_or_default();
    let array = Array { shape: tensor.shape.clone(), data: tensor.kind.dequantize(bytes) };
    if !(tensor.name.ends_with("attn_q.weight") || tensor.name.ends_with("attn_k.weight")) {
        return Ok(array);
    }
    llama::unpermute(&array, head_dim).ok_or_else(|| {
        format!("tensor {} of shape {:?} does not divide into heads of {head_dim}", tensor.name, array.shape)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

//! An encoder-decoder to and from a model directory.

use std::path::Path;

use burn::tensor::Device;
use orbit_core::Model;

use super::{EncoderDecoder, T5Config};
use crate::files::{Tables, arrays, join_new_tokens, new_tokens, split_new_tokens};
use crate::weights::{Dtype, Weights};
use crate::{Error, Extension, Result};

const TABLES: Tables = Tables { embedding: "shared.weight", head: "lm_head.weight" };

/// Other names of the embedding, which some checkpoints have beside the first or in its place.
const ALIASES: [&str; 2] = ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"];

/// A table that old checkpoints have and no T5 uses.
const UNUSED: &str = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight";

impl EncoderDecoder {
    /// Loads the model directory `dir`. The output layer is the embedding where the weights have no other.
    ///
    /// # Errors
    ///
    /// [`T5Config::read`] refuses the config; a weights file is broken; tensors are missing, unused or misshapen, of which the
    /// error has a list; or the embedding is there under several names and they differ.
    pub fn load(dir: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let dir = dir.as_ref();
        let mut config = T5Config::read(dir)?;
        let mut weights = Weights::read(dir)?;
        one_embedding(&mut weights, dir)?;
        let extension = Extension::read(dir)?;
        let new =
            split_new_tokens(dir, &TABLES, [config.vocab_size, config.d_model], &mut weights, extension.as_ref())?;
        if let (Some(extension), Some(_)) = (&extension, &new) {
            config.vocab_size = extension.base_vocabulary;
            config.tie_word_embeddings = extension.base_tied;
        } else {
            settle_head(&mut config, &mut weights);
        }
        weights.check_size(dir, config.parameter_count())?;
        let mut reader = weights.into_reader(dir);
        let mut model = Self::from_source(config, &mut |name, shape| reader.tensor(name, shape), device);
        reader.finish(&[UNUSED])?;
        model.new_tokens = new.map(|new| new_tokens(new, device));
        Ok(model)
    }

    /// Saves the model into `dir`, which must be there, as a directory that transformers loads; the tokenizer's files are the
    /// caller's. A model with new tokens is saved with its tables joined, and `orbit.json` says where they begin.
    pub fn save(&self, dir: impl AsRef<Path>, dtype: Dtype, about: &Extension) -> Result<()> {
        let dir = dir.as_ref();
        let mut config = self.config.clone();
        let mut weights = arrays(self);
        if self.new_token_count() > 0 {
            join_new_tokens(&mut weights, &TABLES);
            config.vocab_size = self.vocabulary();
            config.tie_word_embeddings = false;
            let base_tied = self.config.tie_word_embeddings;
            let about = Extension { base_vocabulary: self.base_vocabulary(), base_tied, ..about.clone() };
            about.write(dir)?;
        }
        config.write(dir, dtype)?;
        weights.write(dir, dtype, Some(5_000_000_000))
    }
}

/// Leaves the embedding under its first name alone.
fn one_embedding(weights: &mut Weights, dir: &Path) -> Result<()> {
    for alias in ALIASES {
        let Some(table) = weights.tensors.remove(alias) else { continue };
        let kept = weights.tensors.entry(TABLES.embedding.to_owned()).or_insert_with(|| table.clone());
        if *kept != table {
            let reason = format!("differs from {}, though both are the embedding", TABLES.embedding);
            return Err(Error::tensor(dir, alias, reason));
        }
    }
    Ok(())
}

/// Decides by the weights whether the output layer is the embedding, as transformers 5 does.
fn settle_head(config: &mut T5Config, weights: &mut Weights) {
    if !config.tie_word_embeddings {
        return;
    }
    match weights.tensors.get(TABLES.head) {
        Some(head) if Some(head) == weights.tensors.get(TABLES.embedding) => {
            weights.tensors.remove(TABLES.head);
        }
        head => config.tie_word_embeddings = head.is_none(),
    }
}

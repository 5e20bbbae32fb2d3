//! An encoder-decoder to and from a model directory.

use std::path::Path;

use burn::tensor::Device;
use orbit_core::Model;

use super::{EncoderDecoder, T5Config};
use crate::files::{Tables, arrays, join_new_tokens, new_tokens, settle_head, split_new_tokens};
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
        let (mut config, own_head) = T5Config::read_with_head(dir)?;
        let mut weights = Weights::read(dir)?;
        one_embedding(&mut weights, dir)?;
        let extension = Extension::read(dir)?;
        if extension.as_ref().is_some_and(|extension| extension.base_scaled) {
            let scale = T5Config { scale_decoder_outputs: true, ..config.clone() }.output_scale();
            unscale_head(&mut weights, scale);
            config.scale_decoder_outputs = true;
        }
        let new =
            split_new_tokens(dir, &TABLES, [config.vocab_size, config.d_model], &mut weights, extension.as_ref())?;
        if let (Some(extension), Some(_)) = (&extension, &new) {
            config.vocab_size = extension.base_vocabulary;
            config.tie_word_embeddings = extension.base_tied;
        }
        config.tie_word_embeddings = settle_tie(&config, own_head, &weights);
        settle_head(dir, &TABLES, config.tie_word_embeddings, &mut weights)?;
        weights.check_size(dir, config.parameter_count())?;
        let mut reader = weights.into_reader(dir);
        let mut model = Self::from_source(config, &mut |name, shape| reader.tensor(name, shape), device);
        reader.finish(&[UNUSED])?;
        model.new_tokens = new.map(|new| new_tokens(new, device));
        Ok(model)
    }

    /// Saves the model into `dir`, which must be there, as a directory that transformers loads; the tokenizer's files are the
    /// caller's. A model with new tokens is saved with its tables joined, and `orbit.json` says where they begin.
    ///
    /// Whether outputs are scaled hangs on `tie_word_embeddings` in transformers 4 and on `scale_decoder_outputs` in 5. So what is
    /// saved is a T5 v1.0, tied and scaled, or else a model that is neither, with the scale in its output layer.
    pub fn save(&self, dir: impl AsRef<Path>, dtype: Dtype, about: &Extension) -> Result<()> {
        let dir = dir.as_ref();
        let mut config = self.config.clone();
        let mut weights = arrays(self);
        if self.new_token_count() > 0 {
            join_new_tokens(&mut weights, &TABLES);
            config.vocab_size = self.vocabulary();
            config.tie_word_embeddings = false;
            let base_tied = self.config.tie_word_embeddings;
            let base_scaled = config.scale_decoder_outputs;
            let about = Extension { base_vocabulary: self.base_vocabulary(), base_tied, base_scaled, ..about.clone() };
            about.write(dir)?;
        }
        if config.tie_word_embeddings != config.scale_decoder_outputs {
            fold_scale(&mut config, &mut weights);
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

/// Whether the output layer is the embedding. transformers 5 writes `tie_word_embeddings: true` for every model, and takes a
/// separate output layer where the file has one; it also writes `scale_decoder_outputs` for a T5, which older versions do not.
fn settle_tie(config: &T5Config, own_head: bool, weights: &Weights) -> bool {
    let differs =
        weights.tensors.get(TABLES.head).is_some_and(|head| Some(head) != weights.tensors.get(TABLES.embedding));
    config.tie_word_embeddings && !(differs && own_head)
}

/// Puts what outputs are scaled by into an output layer of the model's own.
fn fold_scale(config: &mut T5Config, weights: &mut Weights) {
    let by = config.output_scale() as f32;
    let embedding = weights.tensors.get(TABLES.embedding).cloned().unwrap_or_default();
    let head = weights.tensors.entry(TABLES.head.to_owned()).or_insert(embedding);
    head.data.iter_mut().for_each(|x| *x *= by);
    config.tie_word_embeddings = false;
    config.scale_decoder_outputs = false;
}

/// Takes out of a saved output layer what outputs are scaled by. Where the embedding was the output layer its rows come back to the
/// bit; rows of new tokens to their rounding.
fn unscale_head(weights: &mut Weights, by: f64) {
    let by = by as f32;
    let (Some(mut head), Some(embedding)) =
        (weights.tensors.remove(TABLES.head), weights.tensors.get(TABLES.embedding))
    else {
        return;
    };
    for (at, x) in head.data.iter_mut().enumerate() {
        *x = match embedding.data.get(at) {
            Some(row) if row * by == *x => *row,
            _ => *x / by,
        };
    }
    weights.tensors.insert(TABLES.head.to_owned(), head);
}

//! The shape of an encoder-decoder, as Hugging Face's `config.json` gives it.

mod file;

use std::path::Path;

use crate::atomic;
use crate::config::{CONFIG_FILE, Fault, MAX_LAYERS, MAX_SIZE, check_directory};
use crate::error::{Error, Result};
use crate::weights::Dtype;
use file::ConfigFile;

/// The shape of a T5 or an mT5. The fields carry the names of `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct T5Config {
    /// Which of the two; they differ in nothing but their names.
    pub model_type: ModelType,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Width of a head; heads need not add up to `d_model`.
    pub d_kv: usize,
    /// Width inside the feed-forward layers.
    pub d_ff: usize,
    /// Blocks of the encoder.
    pub num_layers: usize,
    /// Blocks of the decoder.
    pub num_decoder_layers: usize,
    /// Heads.
    pub num_heads: usize,
    /// Rows of a table of relative positions; the encoder uses one half for what stands before, one for what stands behind.
    pub relative_attention_num_buckets: usize,
    /// The distance from which on all are one bucket.
    pub relative_attention_max_distance: usize,
    /// The share of activations that training drops. Read and written, and not applied: this crate trains without dropout.
    pub dropout_rate: f64,
    /// What RMSNorm adds to the mean square.
    pub layer_norm_epsilon: f64,
    /// What the standard deviations of fresh weights are multiplied by.
    pub initializer_factor: f64,
    /// The feed-forward layer's form.
    pub feed_forward_proj: FeedForwardProj,
    /// Whether the output layer is the embedding.
    pub tie_word_embeddings: bool,
    /// Whether the last hidden state is multiplied by d_model^−½ before the output layer, as T5 v1.0 does.
    pub scale_decoder_outputs: bool,
    /// The token that every answer is written after.
    pub decoder_start_token_id: u32,
    /// The tokens that end an answer.
    pub eos_token_ids: Vec<u32>,
    /// The token that fills short rows of a batch.
    pub pad_token_id: Option<u32>,
}

/// The name that a config gives its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelType {
    /// T5 in all versions, and flan-T5.
    T5,
    /// mT5, and mT0.
    Mt5,
}

/// The form of a feed-forward layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedForwardProj {
    /// `relu`, of T5 v1.0: wo relu(wi x).
    Relu,
    /// `gated-gelu`, of T5 v1.1 and mT5 (Shazeer 2020, arXiv 2002.05202): wo (gelu(wi_0 x) ∘ wi_1 x).
    GatedGelu,
}

impl T5Config {
    /// Reads `config.json` in the model directory `dir`. Keys that do not bear on the computation are passed over.
    ///
    /// Whether the output layer is the embedding is settled by the weights: transformers 5 writes `tie_word_embeddings: true`
    /// for every T5, and takes a separate output layer where the file has one. So does
    /// [`EncoderDecoder::load`](super::EncoderDecoder::load).
    ///
    /// # Errors
    ///
    /// The file is not there or not JSON; it describes another architecture than `T5ForConditionalGeneration` or
    /// `MT5ForConditionalGeneration`, or a variant of it that this crate does not compute (another activation, an encoder
    /// alone); or its sizes do not fit together.
    pub fn read(dir: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::read_with_head(dir.as_ref())?.0)
    }

    /// As [`read`](Self::read), and whether the file is of transformers 5, to which an output layer in the weights is the model's
    /// own whatever the file says.
    pub(crate) fn read_with_head(dir: &Path) -> Result<(Self, bool)> {
        let path = dir.join(CONFIG_FILE);
        check_directory(dir)?;
        let file: ConfigFile = atomic::read_json(&path)?;
        let own_head = file.is_of_transformers_5();
        let fault = |(key, reason): Fault| Error::config(&path, key, reason);
        let config = file.config().map_err(fault)?;
        config.check().map_err(fault)?;
        Ok((config, own_head))
    }

    /// Writes `config.json` in `dir`, atomically, such that transformers loads it. `dtype` is how the weights beside it are
    /// stored.
    ///
    /// # Errors
    ///
    /// The sizes do not fit together, or the file cannot be written.
    pub fn write(&self, dir: impl AsRef<Path>, dtype: Dtype) -> Result<()> {
        let path = dir.as_ref().join(CONFIG_FILE);
        self.check().map_err(|(key, reason)| Error::config(&path, key, reason))?;
        atomic::write_json(&path, &ConfigFile::new(self, dtype))
    }

    /// How many parameters the model has; a tied one counts once.
    ///
    /// ```
    /// # use orbit_models::t5::{FeedForwardProj, T5Config};
    /// assert_eq!(T5Config::default().parameter_count(), 60_506_624); // T5 small
    /// let flan_t5_small = T5Config {
    ///     d_ff: 1024, num_layers: 8, num_decoder_layers: 8, num_heads: 6, feed_forward_proj: FeedForwardProj::GatedGelu,
    ///     tie_word_embeddings: false, scale_decoder_outputs: false, ..T5Config::default()
    /// };
    /// assert_eq!(flan_t5_small.parameter_count(), 76_961_152);
    /// ```
    pub fn parameter_count(&self) -> usize {
        let d = self.d_model;
        let attention = 4 * d * self.num_heads * self.d_kv + d;
        let inner = match self.feed_forward_proj {
            FeedForwardProj::Relu => 2,
            FeedForwardProj::GatedGelu => 3,
        };
        let feed_forward = inner * d * self.d_ff + d;
        let blocks =
            self.num_layers * (attention + feed_forward) + self.num_decoder_layers * (2 * attention + feed_forward);
        let tables = 2 * self.relative_attention_num_buckets * self.num_heads;
        let embeddings = if self.tie_word_embeddings { 1 } else { 2 } * self.vocab_size * d;
        embeddings + blocks + tables + 2 * d
    }

    /// What the last hidden state is multiplied by before the output layer.
    pub(crate) fn output_scale(&self) -> f64 {
        if self.scale_decoder_outputs { (self.d_model as f64).powf(-0.5) } else { 1.0 }
    }

    /// Whether the sizes fit together.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("d_model", self.d_model),
            ("d_kv", self.d_kv),
            ("d_ff", self.d_ff),
            ("num_layers", self.num_layers),
            ("num_decoder_layers", self.num_decoder_layers),
            ("num_heads", self.num_heads),
            ("num_heads", self.num_heads.saturating_mul(self.d_kv)),
            ("relative_attention_num_buckets", self.relative_attention_num_buckets),
            ("relative_attention_max_distance", self.relative_attention_max_distance),
        ];
        // Far beyond any model, and small enough that the number of parameters fits 64 bits.
        if let Some((key, size)) = sizes.into_iter().find(|(_, size)| *size == 0 || *size > MAX_SIZE) {
            return Err((key, format!("{size} is not between 1 and {MAX_SIZE}")));
        }
        let layers = [("num_layers", self.num_layers), ("num_decoder_layers", self.num_decoder_layers)];
        if let Some((key, count)) = layers.into_iter().find(|(_, count)| *count > MAX_LAYERS) {
            return Err((key, format!("{count} is not between 1 and {MAX_LAYERS}")));
        }
        self.check_positions()?;
        self.check_numbers()?;
        let special = self.eos_token_ids.iter().chain(&self.pad_token_id).chain([&self.decoder_start_token_id]);
        match special.max() {
            Some(id) if *id as usize >= self.vocab_size => {
                Err(("vocab_size", format!("a special token has id {id}, beyond the {} tokens", self.vocab_size)))
            }
            _ => Ok(()),
        }
    }

    fn check_positions(&self) -> Result<(), Fault> {
        let (buckets, distance) = (self.relative_attention_num_buckets, self.relative_attention_max_distance);
        if !buckets.is_multiple_of(4) {
            let reason = format!("{buckets} is not a multiple of 4: a quarter of the encoder's are exact distances");
            return Err(("relative_attention_num_buckets", reason));
        }
        if distance <= buckets / 2 {
            let reason =
                format!("{distance} is not beyond the {} distances that have a bucket of their own", buckets / 2);
            return Err(("relative_attention_max_distance", reason));
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), Fault> {
        let positive =
            [("layer_norm_epsilon", self.layer_norm_epsilon), ("initializer_factor", self.initializer_factor)];
        if let Some((key, value)) = positive.into_iter().find(|(_, value)| !(value.is_finite() && *value > 0.0)) {
            return Err((key, format!("{value} is not a positive number")));
        }
        if !(0.0..1.0).contains(&self.dropout_rate) {
            return Err(("dropout_rate", format!("{} is not at least 0 and below 1", self.dropout_rate)));
        }
        if self.scale_decoder_outputs && self.model_type == ModelType::Mt5 {
            return Err(("scale_decoder_outputs", "is true, and an mT5 does not scale".to_owned()));
        }
        Ok(())
    }
}

impl Default for T5Config {
    /// What `T5Config` of transformers takes where a key is absent: T5 small.
    fn default() -> Self {
        Self {
            model_type: ModelType::T5,
            vocab_size: 32_128,
            d_model: 512,
            d_kv: 64,
            d_ff: 2048,
            num_layers: 6,
            num_decoder_layers: 6,
            num_heads: 8,
            relative_attention_num_buckets: 32,
            relative_attention_max_distance: 128,
            dropout_rate: 0.1,
            layer_norm_epsilon: 1e-6,
            initializer_factor: 1.0,
            feed_forward_proj: FeedForwardProj::Relu,
            tie_word_embeddings: true,
            scale_decoder_outputs: true,
            decoder_start_token_id: 0,
            eos_token_ids: vec![1],
            pad_token_id: Some(0),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

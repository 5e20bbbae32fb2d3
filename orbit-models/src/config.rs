//! The shape of a decoder, as Hugging Face's `config.json` gives it.

mod file;

use std::path::Path;

use crate::atomic;
use crate::error::{Error, Result};
use crate::weights::Dtype;
use file::ConfigFile;
pub(crate) use file::TokenIds;

/// The file that describes a model.
pub const CONFIG_FILE: &str = "config.json";

/// The largest width or count that is believed.
pub(crate) const MAX_SIZE: usize = 1 << 20;

/// A key and what is wrong with it.
pub(crate) type Fault = (&'static str, String);

/// The shape of a Llama-family decoder: pre-norm blocks with RMSNorm, grouped-query attention with rotary positions,
/// SwiGLU, and no biases (Touvron et al. 2023, arXiv 2302.13971; Ainslie et al. 2023, arXiv 2305.13245).
///
/// The fields carry the names of `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderConfig {
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward blocks.
    pub intermediate_size: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides `num_attention_heads`.
    pub num_key_value_heads: usize,
    /// Width of a head; even.
    pub head_dim: usize,
    /// What RMSNorm adds to the mean square.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies (Su et al. 2021, arXiv 2104.09864).
    pub rope_theta: f64,
    /// Positions the model was trained for.
    pub max_position_embeddings: usize,
    /// Whether the output projection is the embedding.
    pub tie_word_embeddings: bool,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
    /// The token a text begins with.
    pub bos_token_id: Option<u32>,
    /// The tokens that end an answer; some models have several.
    pub eos_token_ids: Vec<u32>,
    /// The token that fills short rows of a batch.
    pub pad_token_id: Option<u32>,
}

impl DecoderConfig {
    /// Reads `config.json` in the model directory `dir`. Keys that do not bear on the computation are passed over.
    ///
    /// # Errors
    ///
    /// The file is not there or not JSON; it describes another architecture than `LlamaForCausalLM`, or a variant of
    /// it that this crate does not compute (biases, scaled rotary positions, another activation); or its sizes do not
    /// fit together.
    pub fn read(dir: impl AsRef<Path>) -> Result<Self> {
        let path = dir.as_ref().join(CONFIG_FILE);
        let file: ConfigFile = atomic::read_json(&path)?;
        let fault = |(key, reason): Fault| Error::config(&path, key, reason);
        let config = file.decoder().map_err(fault)?;
        config.check().map_err(fault)?;
        Ok(config)
    }

    /// Writes `config.json` in `dir`, atomically, such that transformers loads it. `dtype` is how the weights beside
    /// it are stored.
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
    /// # use orbit_models::config::DecoderConfig;
    /// let smollm2_135m = DecoderConfig {
    ///     vocab_size: 49_152, hidden_size: 576, intermediate_size: 1536, num_hidden_layers: 30, num_attention_heads: 9,
    ///     num_key_value_heads: 3, head_dim: 64, tie_word_embeddings: true, ..DecoderConfig::default()
    /// };
    /// assert_eq!(smollm2_135m.parameter_count(), 134_515_008);
    /// ```
    pub fn parameter_count(&self) -> usize {
        let (d, f) = (self.hidden_size, self.intermediate_size);
        let attention = 2 * d * self.head_dim * (self.num_attention_heads + self.num_key_value_heads);
        let block = attention + 3 * d * f + 2 * d;
        let embeddings = if self.tie_word_embeddings { 1 } else { 2 } * self.vocab_size * d;
        embeddings + self.num_hidden_layers * block + d
    }

    /// Whether the sizes fit together.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let fault = |key, reason: String| Err((key, reason));
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("num_attention_heads", self.num_attention_heads.saturating_mul(self.head_dim)),
        ];
        // Far beyond any model, and small enough that the number of parameters fits 64 bits.
        if let Some((key, size)) = sizes.into_iter().find(|(_, size)| *size == 0 || *size > MAX_SIZE) {
            return fault(key, format!("{size} is not between 1 and {MAX_SIZE}"));
        }
        if self.max_position_embeddings == 0 {
            return fault("max_position_embeddings", "is 0".to_owned());
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            let reason = format!("{} does not divide {} heads", self.num_key_value_heads, self.num_attention_heads);
            return fault("num_key_value_heads", reason);
        }
        if !self.head_dim.is_multiple_of(2) {
            return fault("head_dim", format!("{} is odd; rotary positions need pairs", self.head_dim));
        }
        let positive = [
            ("rms_norm_eps", self.rms_norm_eps),
            ("rope_theta", self.rope_theta),
            ("initializer_range", self.initializer_range),
        ];
        if let Some((key, value)) = positive.into_iter().find(|(_, value)| !(value.is_finite() && *value > 0.0)) {
            return fault(key, format!("{value} is not a positive number"));
        }
        let special = self.eos_token_ids.iter().chain(&self.bos_token_id).chain(&self.pad_token_id);
        match special.max() {
            Some(id) if *id as usize >= self.vocab_size => {
                fault("vocab_size", format!("a special token has id {id}, beyond the {} tokens", self.vocab_size))
            }
            _ => Ok(()),
        }
    }
}

impl Default for DecoderConfig {
    /// What `LlamaConfig` of transformers takes where a key is absent: Llama 7B.
    fn default() -> Self {
        Self {
            vocab_size: 32_000,
            hidden_size: 4096,
            intermediate_size: 11_008,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: 32,
            head_dim: 128,
            rms_norm_eps: 1e-6,
            rope_theta: 10_000.0,
            max_position_embeddings: 2048,
            tie_word_embeddings: false,
            initializer_range: 0.02,
            bos_token_id: None,
            eos_token_ids: Vec::new(),
            pad_token_id: None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

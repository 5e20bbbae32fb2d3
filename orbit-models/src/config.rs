//! The shape of a decoder, as Hugging Face's `config.json` gives it.

mod bloom;
mod llama;
mod token_ids;

use std::path::Path;

use serde::Deserialize;

use crate::atomic;
use crate::error::{Error, Result};
use crate::lora;
use crate::weights::Dtype;
pub(crate) use token_ids::TokenIds;

/// The file that describes a model.
pub const CONFIG_FILE: &str = "config.json";

/// The largest width or count that is believed.
pub(crate) const MAX_SIZE: usize = 1 << 20;

/// The largest number of blocks that is believed: each takes memory whatever its width.
pub(crate) const MAX_LAYERS: usize = 1 << 12;

/// A key and what is wrong with it.
pub(crate) type Fault = (&'static str, String);

/// What a decoder's blocks are made of. All are pre-norm: x + attention(norm(x)), then x + feed-forward(norm(x)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// RMSNorm, grouped-query attention with rotary positions, SwiGLU, and no biases (Touvron et al. 2023, arXiv 2302.13971;
    /// Ainslie et al. 2023, arXiv 2305.13245).
    Llama,
    /// BLOOM and BLOOMZ (Le Scao et al. 2022, arXiv 2211.05100; Muennighoff et al. 2022, arXiv 2211.01786): LayerNorm, also of
    /// the embedding, attention with linear biases and a key and value head for every query head, a GELU four times as wide as
    /// the residual stream, and biases everywhere.
    Bloom,
}

impl Family {
    pub(crate) const ALL: [Self; 2] = [Self::Llama, Self::Bloom];

    /// What `config.json` calls it.
    pub(crate) fn model_type(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Bloom => "bloom",
        }
    }

    /// The layers that an adapter is for when nobody says otherwise; a BLOOM has queries, keys and values in one.
    pub fn query_and_value(self) -> &'static [&'static str] {
        match self {
            Self::Llama => &["q_proj", "v_proj"],
            Self::Bloom => &["query_key_value"],
        }
    }
}

/// The shape of a decoder.
///
/// The fields carry the names of a Llama's `config.json`, but for those that say otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderConfig {
    /// What the blocks are made of.
    pub family: Family,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward blocks; of a BLOOM, 4 · `hidden_size`.
    pub intermediate_size: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides `num_attention_heads`. A BLOOM has as many.
    pub num_key_value_heads: usize,
    /// Width of a head; even in a Llama. A BLOOM's heads add up to `hidden_size`.
    pub head_dim: usize,
    /// What a norm adds to the mean square or the variance: `rms_norm_eps`, or `layer_norm_epsilon` of a BLOOM.
    pub norm_eps: f64,
    /// Base of the rotary frequencies (Su et al. 2021, arXiv 2104.09864); of no effect in a BLOOM.
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
    /// The file is not there or not JSON; it describes another architecture than `LlamaForCausalLM` or `BloomForCausalLM`, or
    /// a variant that this crate does not compute (a Llama with biases, scaled rotary positions or another activation, a BLOOM
    /// with dropout or whose residual stream is normed); or its sizes do not fit together.
    pub fn read(dir: impl AsRef<Path>) -> Result<Self> {
        #[derive(Deserialize)]
        struct Kind {
            #[serde(default)]
            model_type: String,
        }
        let path = dir.as_ref().join(CONFIG_FILE);
        let fault = |(key, reason): Fault| Error::config(&path, key, reason);
        check_directory(dir.as_ref())?;
        let Kind { model_type } = atomic::read_json(&path)?;
        let config = if model_type == Family::Bloom.model_type() {
            atomic::read_json::<bloom::ConfigFile>(&path)?.decoder()
        } else {
            atomic::read_json::<llama::ConfigFile>(&path)?.decoder()
        };
        let config = config.map_err(fault)?;
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
        match self.family {
            Family::Llama => atomic::write_json(&path, &llama::ConfigFile::new(self, dtype)),
            Family::Bloom => atomic::write_json(&path, &bloom::ConfigFile::new(self, dtype)),
        }
    }

    /// The tokens of a text that the model can tell apart by their place; none where there is no end to them, as with ALiBi.
    pub fn positions(&self) -> Option<usize> {
        (self.family == Family::Llama).then_some(self.max_position_embeddings)
    }

    /// How many parameters the model has; a tied one counts once.
    ///
    /// ```
    /// # use orbit_models::config::{DecoderConfig, Family};
    /// let smollm2_135m = DecoderConfig {
    ///     vocab_size: 49_152, hidden_size: 576, intermediate_size: 1536, num_hidden_layers: 30, num_attention_heads: 9,
    ///     num_key_value_heads: 3, head_dim: 64, tie_word_embeddings: true, ..DecoderConfig::default()
    /// };
    /// assert_eq!(smollm2_135m.parameter_count(), 134_515_008);
    /// let bloomz_560m = DecoderConfig {
    ///     family: Family::Bloom, vocab_size: 250_880, hidden_size: 1024, intermediate_size: 4096, num_hidden_layers: 24,
    ///     num_attention_heads: 16, num_key_value_heads: 16, head_dim: 64, tie_word_embeddings: true,
    ///     ..DecoderConfig::default()
    /// };
    /// assert_eq!(bloomz_560m.parameter_count(), 559_214_592);
    /// ```
    pub fn parameter_count(&self) -> usize {
        let (d, f) = (self.hidden_size, self.intermediate_size);
        let attention = 2 * d * self.head_dim * (self.num_attention_heads + self.num_key_value_heads);
        let (feed_forward, norm, biases, norms_outside) = match self.family {
            Family::Llama => (3 * d * f, d, 0, 1),
            Family::Bloom => (2 * d * f, 2 * d, 3 * d + d + f + d, 2),
        };
        let block = attention + feed_forward + biases + 2 * norm;
        let embeddings = if self.tie_word_embeddings { 1 } else { 2 } * self.vocab_size * d;
        embeddings + self.num_hidden_layers * block + norms_outside * norm
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
        if self.num_hidden_layers > MAX_LAYERS {
            return fault("num_hidden_layers", format!("{} is not between 1 and {MAX_LAYERS}", self.num_hidden_layers));
        }
        if self.max_position_embeddings == 0 {
            return fault("max_position_embeddings", "is 0".to_owned());
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            let reason = format!("{} does not divide {} heads", self.num_key_value_heads, self.num_attention_heads);
            return fault("num_key_value_heads", reason);
        }
        self.check_family()?;
        let positive = [
            (if self.family == Family::Bloom { "layer_norm_epsilon" } else { "rms_norm_eps" }, self.norm_eps),
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

    fn check_family(&self) -> Result<(), Fault> {
        let (d, heads) = (self.hidden_size, self.num_attention_heads);
        match self.family {
            Family::Llama if !self.head_dim.is_multiple_of(2) => {
                Err(("head_dim", format!("{} is odd; rotary positions need pairs", self.head_dim)))
            }
            Family::Bloom if self.head_dim * heads != d => {
                Err(("hidden_size", format!("{d} is not {heads} heads of {} in a BLOOM", self.head_dim)))
            }
            Family::Bloom if self.num_key_value_heads != heads => {
                Err(("num_key_value_heads", format!("{} is not the {heads} of a BLOOM", self.num_key_value_heads)))
            }
            Family::Bloom if self.intermediate_size != 4 * d => {
                Err(("intermediate_size", format!("{} is not 4 times {d} in a BLOOM", self.intermediate_size)))
            }
            _ => Ok(()),
        }
    }
}

/// That a directory is one of a model with its own weights.
///
/// # Errors
/// [`Error::Foreign`] for the directory of a PEFT adapter; [`Error::Config`] for weights that somebody has quantised.
pub(crate) fn check_directory(dir: &Path) -> Result<()> {
    #[derive(Deserialize)]
    struct Quantised {
        quantization_config: Option<serde_json::Value>,
    }
    let path = dir.join(CONFIG_FILE);
    if !path.exists() && dir.join(lora::CONFIG_FILE).exists() {
        return Err(lora::not_a_model(dir));
    }
    let Quantised { quantization_config } = atomic::read_json(&path)?;
    let Some(quantised) = quantization_config.filter(|config| !config.is_null()) else { return Ok(()) };
    let by = ["quant_method", "quant_type", "format"].into_iter().find_map(|key| quantised.get(key)?.as_str());
    let by = by.unwrap_or("a method that it does not name");
    let reason = format!("the weights are quantised by {by}; give the original weights, or a GGUF file");
    Err(Error::config(path, "quantization_config", reason))
}

impl Default for DecoderConfig {
    /// What `LlamaConfig` of transformers takes where a key is absent: Llama 7B.
    fn default() -> Self {
        Self {
            family: Family::Llama,
            vocab_size: 32_000,
            hidden_size: 4096,
            intermediate_size: 11_008,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: 32,
            head_dim: 128,
            norm_eps: 1e-6,
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

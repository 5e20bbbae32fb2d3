//! The keys of a BLOOM's `config.json` that bear on the computation.

use serde::{Deserialize, Serialize};

use super::{DecoderConfig, Family, Fault, TokenIds};
use crate::weights::Dtype;

const ARCHITECTURE: &str = "BloomForCausalLM";
/// Where published models were saved without their output layer, which is the embedding.
const HEADLESS: &str = "BloomModel";

/// The longest text of BLOOM's training. ALiBi itself knows no limit.
const TRAINED_ON: usize = 2048;

/// `config.json`. Sizes have no defaults here: a file without them is more likely broken than meant. Published files have the
/// names of one version of transformers or another.
#[derive(Serialize, Deserialize)]
pub(super) struct ConfigFile {
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    model_type: String,
    vocab_size: Option<usize>,
    hidden_size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n_embed: Option<usize>,
    n_layer: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_hidden_layers: Option<usize>,
    n_head: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_attention_heads: Option<usize>,
    layer_norm_epsilon: Option<f64>,
    apply_residual_connection_post_layernorm: Option<bool>,
    hidden_dropout: Option<f64>,
    attention_dropout: Option<f64>,
    seq_length: Option<usize>,
    tie_word_embeddings: Option<bool>,
    initializer_range: Option<f64>,
    /// Where these two are not there, transformers takes 1 and 2; where they are null, none.
    #[serde(default = "first")]
    bos_token_id: Option<u32>,
    #[serde(default = "end")]
    eos_token_id: Option<TokenIds>,
    pad_token_id: Option<u32>,
    #[serde(skip_deserializing)]
    torch_dtype: &'static str,
}

fn first() -> Option<u32> {
    Some(1)
}

fn end() -> Option<TokenIds> {
    Some(TokenIds::One(2))
}

impl ConfigFile {
    pub(super) fn new(config: &DecoderConfig, dtype: Dtype) -> Self {
        Self {
            architectures: vec![ARCHITECTURE.to_owned()],
            model_type: Family::Bloom.model_type().to_owned(),
            vocab_size: Some(config.vocab_size),
            hidden_size: Some(config.hidden_size),
            n_embed: None,
            n_layer: Some(config.num_hidden_layers),
            num_hidden_layers: None,
            n_head: Some(config.num_attention_heads),
            num_attention_heads: None,
            layer_norm_epsilon: Some(config.norm_eps),
            apply_residual_connection_post_layernorm: Some(false),
            hidden_dropout: Some(0.0),
            attention_dropout: Some(0.0),
            seq_length: Some(config.max_position_embeddings),
            tie_word_embeddings: Some(config.tie_word_embeddings),
            initializer_range: Some(config.initializer_range),
            bos_token_id: config.bos_token_id,
            eos_token_id: TokenIds::new(&config.eos_token_ids),
            pad_token_id: config.pad_token_id,
            torch_dtype: dtype.torch_name(),
        }
    }

    pub(super) fn decoder(self) -> Result<DecoderConfig, Fault> {
        self.check_architecture()?;
        self.check_variant()?;
        let hidden_size = one_of(("hidden_size", self.hidden_size), ("n_embed", self.n_embed))?;
        let layers = ("num_hidden_layers", self.num_hidden_layers);
        let num_hidden_layers = one_of(("n_layer", self.n_layer), layers)?;
        let heads = ("num_attention_heads", self.num_attention_heads);
        let heads = one_of(("n_head", self.n_head), heads)?;
        let vocab_size = self.vocab_size.ok_or_else(|| ("vocab_size", "is not there".to_owned()))?;
        let absent = DecoderConfig::default();
        Ok(DecoderConfig {
            family: Family::Bloom,
            vocab_size,
            hidden_size,
            intermediate_size: hidden_size.saturating_mul(4),
            num_hidden_layers,
            num_attention_heads: heads,
            num_key_value_heads: heads,
            // 0 where there is no head; refused with the other sizes.
            head_dim: hidden_size.checked_div(heads).unwrap_or(0),
            norm_eps: self.layer_norm_epsilon.unwrap_or(1e-5),
            max_position_embeddings: self.seq_length.unwrap_or(TRAINED_ON),
            tie_word_embeddings: self.tie_word_embeddings.unwrap_or(true),
            initializer_range: self.initializer_range.unwrap_or(absent.initializer_range),
            bos_token_id: self.bos_token_id,
            eos_token_ids: self.eos_token_id.map_or_else(Vec::new, TokenIds::into_vec),
            pad_token_id: self.pad_token_id,
            ..absent
        })
    }

    fn check_architecture(&self) -> Result<(), Fault> {
        let known = |name: &String| [ARCHITECTURE, HEADLESS].contains(&name.as_str());
        if !self.architectures.is_empty() && !self.architectures.iter().any(known) {
            return Err(("architectures", format!("is {:?}; {ARCHITECTURE} can be read", self.architectures)));
        }
        Ok(())
    }

    fn check_variant(&self) -> Result<(), Fault> {
        if self.apply_residual_connection_post_layernorm == Some(true) {
            let reason = "is true; only blocks that add to what stands before the norm can be computed";
            return Err(("apply_residual_connection_post_layernorm", reason.to_owned()));
        }
        for (key, share) in [("hidden_dropout", self.hidden_dropout), ("attention_dropout", self.attention_dropout)] {
            if let Some(share) = share.filter(|share| *share != 0.0) {
                return Err((key, format!("is {share}; this crate trains without dropout")));
            }
        }
        Ok(())
    }
}

/// A size that goes by two names.
fn one_of((key, size): (&'static str, Option<usize>), (other, same): (&str, Option<usize>)) -> Result<usize, Fault> {
    match (size, same) {
        (Some(size), Some(same)) if size != same => Err((key, format!("is {size}, and {other} is {same}"))),
        _ => size.or(same).ok_or_else(|| (key, format!("is not there, and neither is {other}"))),
    }
}

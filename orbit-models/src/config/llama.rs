//! The keys of a Llama's `config.json` that bear on the computation.

use serde::{Deserialize, Serialize};

use super::{DecoderConfig, Family, Fault, TokenIds};
use crate::weights::Dtype;

const ARCHITECTURE: &str = "LlamaForCausalLM";
const ACTIVATION: &str = "silu";

/// `config.json`. Sizes have no defaults here: a file without them is more likely broken than meant.
#[derive(Serialize, Deserialize)]
pub(super) struct ConfigFile {
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    model_type: String,
    vocab_size: Option<usize>,
    hidden_size: Option<usize>,
    intermediate_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    hidden_act: Option<String>,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    /// How transformers 5 writes what older versions split into `rope_theta` and `rope_scaling`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rope_parameters: Option<Rope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rope_scaling: Option<Rope>,
    max_position_embeddings: Option<usize>,
    tie_word_embeddings: Option<bool>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    initializer_range: Option<f64>,
    bos_token_id: Option<u32>,
    eos_token_id: Option<TokenIds>,
    pad_token_id: Option<u32>,
    #[serde(skip_deserializing)]
    torch_dtype: &'static str,
}

#[derive(Serialize, Deserialize)]
struct Rope {
    rope_theta: Option<f64>,
    #[serde(alias = "type")]
    rope_type: Option<String>,
    partial_rotary_factor: Option<f64>,
}

impl ConfigFile {
    pub(super) fn new(config: &DecoderConfig, dtype: Dtype) -> Self {
        Self {
            architectures: vec![ARCHITECTURE.to_owned()],
            model_type: Family::Llama.model_type().to_owned(),
            vocab_size: Some(config.vocab_size),
            hidden_size: Some(config.hidden_size),
            intermediate_size: Some(config.intermediate_size),
            num_hidden_layers: Some(config.num_hidden_layers),
            num_attention_heads: Some(config.num_attention_heads),
            num_key_value_heads: Some(config.num_key_value_heads),
            head_dim: Some(config.head_dim),
            hidden_act: Some(ACTIVATION.to_owned()),
            rms_norm_eps: Some(config.norm_eps),
            rope_theta: Some(config.rope_theta),
            rope_parameters: None,
            rope_scaling: None,
            max_position_embeddings: Some(config.max_position_embeddings),
            tie_word_embeddings: Some(config.tie_word_embeddings),
            attention_bias: Some(false),
            mlp_bias: Some(false),
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
        let needed = |key, value: Option<usize>| value.ok_or((key, "is not there".to_owned()));
        let hidden_size = needed("hidden_size", self.hidden_size)?;
        let num_attention_heads = needed("num_attention_heads", self.num_attention_heads)?;
        let absent = DecoderConfig::default();
        let rope_theta = self.rope_parameters.as_ref().and_then(|rope| rope.rope_theta).or(self.rope_theta);
        Ok(DecoderConfig {
            family: Family::Llama,
            vocab_size: needed("vocab_size", self.vocab_size)?,
            hidden_size,
            intermediate_size: needed("intermediate_size", self.intermediate_size)?,
            num_hidden_layers: needed("num_hidden_layers", self.num_hidden_layers)?,
            num_attention_heads,
            num_key_value_heads: self.num_key_value_heads.unwrap_or(num_attention_heads),
            head_dim: match self.head_dim {
                Some(head_dim) => head_dim,
                None => head_dim(hidden_size, num_attention_heads)?,
            },
            norm_eps: self.rms_norm_eps.unwrap_or(absent.norm_eps),
            rope_theta: rope_theta.unwrap_or(absent.rope_theta),
            max_position_embeddings: self.max_position_embeddings.unwrap_or(absent.max_position_embeddings),
            tie_word_embeddings: self.tie_word_embeddings.unwrap_or(absent.tie_word_embeddings),
            initializer_range: self.initializer_range.unwrap_or(absent.initializer_range),
            bos_token_id: self.bos_token_id,
            eos_token_ids: self.eos_token_id.map_or_else(Vec::new, TokenIds::into_vec),
            pad_token_id: self.pad_token_id,
        })
    }

    fn check_architecture(&self) -> Result<(), Fault> {
        let named = self.architectures.is_empty() || self.architectures.iter().any(|name| name == ARCHITECTURE);
        if !named {
            return Err(("architectures", format!("is {:?}; {ARCHITECTURE} can be read", self.architectures)));
        }
        if self.model_type != Family::Llama.model_type() {
            let known = Family::ALL.map(|family| format!("{:?}", family.model_type())).join(" and ");
            return Err(("model_type", format!("is {:?}; {known} can be read", self.model_type)));
        }
        Ok(())
    }

    fn check_variant(&self) -> Result<(), Fault> {
        for (key, bias) in [("attention_bias", self.attention_bias), ("mlp_bias", self.mlp_bias)] {
            if bias == Some(true) {
                return Err((key, "is true; models with biases are not supported".to_owned()));
            }
        }
        match &self.hidden_act {
            Some(name) if name != ACTIVATION => {
                return Err(("hidden_act", format!("is {name:?}; \"{ACTIVATION}\" can be computed")));
            }
            _ => {}
        }
        for (key, rope) in [("rope_parameters", &self.rope_parameters), ("rope_scaling", &self.rope_scaling)] {
            match rope {
                Some(rope) if !rope.is_plain() => {
                    return Err((
                        key,
                        "asks for scaled or partial rotary positions; only plain ones can be computed".to_owned(),
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Rope {
    fn is_plain(&self) -> bool {
        self.rope_type.as_deref().is_none_or(|name| name == "default")
            && self.partial_rotary_factor.is_none_or(|share| share == 1.0)
    }
}

/// The width of a head where the file does not give it.
fn head_dim(hidden_size: usize, heads: usize) -> Result<usize, Fault> {
    match hidden_size.checked_div(heads) {
        Some(width) if width * heads == hidden_size => Ok(width),
        _ => Err(("head_dim", format!("is not there, and {heads} heads do not divide hidden_size {hidden_size}"))),
    }
}

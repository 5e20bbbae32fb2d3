//! The keys of `config.json` that bear on the computation.

use serde::{Deserialize, Serialize};

use super::{FeedForwardProj, ModelType, T5Config};
use crate::config::{Fault, TokenIds};
use crate::weights::Dtype;

/// `config.json`. Sizes have no defaults here: a file without them is more likely broken than meant.
#[derive(Serialize, Deserialize)]
pub(super) struct ConfigFile {
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    model_type: String,
    is_encoder_decoder: Option<bool>,
    vocab_size: Option<usize>,
    d_model: Option<usize>,
    d_kv: Option<usize>,
    d_ff: Option<usize>,
    num_layers: Option<usize>,
    num_decoder_layers: Option<usize>,
    num_heads: Option<usize>,
    relative_attention_num_buckets: Option<usize>,
    relative_attention_max_distance: Option<usize>,
    dropout_rate: Option<f64>,
    layer_norm_epsilon: Option<f64>,
    initializer_factor: Option<f64>,
    feed_forward_proj: Option<String>,
    /// What transformers derives from `feed_forward_proj`, and lets the file override.
    #[serde(skip_serializing_if = "Option::is_none")]
    dense_act_fn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_gated_act: Option<bool>,
    tie_word_embeddings: Option<bool>,
    /// Since transformers 5, where `tie_word_embeddings` is always true; before, the two were one.
    scale_decoder_outputs: Option<bool>,
    decoder_start_token_id: Option<u32>,
    eos_token_id: Option<TokenIds>,
    pad_token_id: Option<u32>,
    #[serde(skip_deserializing)]
    torch_dtype: &'static str,
}

impl ModelType {
    const ALL: [Self; 2] = [Self::T5, Self::Mt5];

    fn name(self) -> &'static str {
        match self {
            Self::T5 => "t5",
            Self::Mt5 => "mt5",
        }
    }

    fn architecture(self) -> &'static str {
        match self {
            Self::T5 => "T5ForConditionalGeneration",
            Self::Mt5 => "MT5ForConditionalGeneration",
        }
    }
}

impl FeedForwardProj {
    const ALL: [Self; 2] = [Self::Relu, Self::GatedGelu];

    fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::GatedGelu => "gated-gelu",
        }
    }

    /// What `dense_act_fn` says.
    fn activation(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::GatedGelu => "gelu_new",
        }
    }
}

impl ConfigFile {
    pub(super) fn new(config: &T5Config, dtype: Dtype) -> Self {
        Self {
            architectures: vec![config.model_type.architecture().to_owned()],
            model_type: config.model_type.name().to_owned(),
            is_encoder_decoder: Some(true),
            vocab_size: Some(config.vocab_size),
            d_model: Some(config.d_model),
            d_kv: Some(config.d_kv),
            d_ff: Some(config.d_ff),
            num_layers: Some(config.num_layers),
            num_decoder_layers: Some(config.num_decoder_layers),
            num_heads: Some(config.num_heads),
            relative_attention_num_buckets: Some(config.relative_attention_num_buckets),
            relative_attention_max_distance: Some(config.relative_attention_max_distance),
            dropout_rate: Some(config.dropout_rate),
            layer_norm_epsilon: Some(config.layer_norm_epsilon),
            initializer_factor: Some(config.initializer_factor),
            feed_forward_proj: Some(config.feed_forward_proj.name().to_owned()),
            dense_act_fn: None,
            is_gated_act: None,
            tie_word_embeddings: Some(config.tie_word_embeddings),
            scale_decoder_outputs: Some(config.scale_decoder_outputs),
            decoder_start_token_id: Some(config.decoder_start_token_id),
            eos_token_id: TokenIds::new(&config.eos_token_ids),
            pad_token_id: config.pad_token_id,
            torch_dtype: dtype.torch_name(),
        }
    }

    /// Whether transformers 5 wrote it, which every time says that the output layer is the embedding. Of an mT5 it writes no key
    /// that older versions do not have, and those leave the output layer out where it is the embedding.
    pub(super) fn is_of_transformers_5(&self) -> bool {
        self.scale_decoder_outputs.is_some() || self.model_type == ModelType::Mt5.name()
    }

    pub(super) fn config(self) -> Result<T5Config, Fault> {
        let model_type = self.model_type()?;
        let feed_forward_proj = self.feed_forward_proj(model_type)?;
        let needed = |key, value: Option<usize>| value.ok_or((key, "is not there".to_owned()));
        let num_layers = needed("num_layers", self.num_layers)?;
        let absent = T5Config::default();
        let tied = self.tie_word_embeddings.unwrap_or(true);
        // transformers 5: an mT5 never scales; a T5 does unless the file says otherwise, by the one key or the other.
        let scaled = model_type == ModelType::T5 && self.scale_decoder_outputs.unwrap_or(tied);
        let start = self.decoder_start_token_id.or(self.pad_token_id);
        Ok(T5Config {
            model_type,
            vocab_size: needed("vocab_size", self.vocab_size)?,
            d_model: needed("d_model", self.d_model)?,
            d_kv: needed("d_kv", self.d_kv)?,
            d_ff: needed("d_ff", self.d_ff)?,
            num_layers,
            num_decoder_layers: self.num_decoder_layers.unwrap_or(num_layers),
            num_heads: needed("num_heads", self.num_heads)?,
            relative_attention_num_buckets: self
                .relative_attention_num_buckets
                .unwrap_or(absent.relative_attention_num_buckets),
            relative_attention_max_distance: self
                .relative_attention_max_distance
                .unwrap_or(absent.relative_attention_max_distance),
            dropout_rate: self.dropout_rate.unwrap_or(absent.dropout_rate),
            layer_norm_epsilon: self.layer_norm_epsilon.unwrap_or(absent.layer_norm_epsilon),
            initializer_factor: self.initializer_factor.unwrap_or(absent.initializer_factor),
            feed_forward_proj,
            tie_word_embeddings: tied,
            scale_decoder_outputs: scaled,
            decoder_start_token_id: start
                .ok_or_else(|| ("decoder_start_token_id", "is not there, and neither is pad_token_id".to_owned()))?,
            eos_token_ids: self.eos_token_id.map_or_else(Vec::new, TokenIds::into_vec),
            pad_token_id: self.pad_token_id,
        })
    }

    fn model_type(&self) -> Result<ModelType, Fault> {
        let found = ModelType::ALL.into_iter().find(|known| known.name() == self.model_type);
        let Some(found) = found else {
            return Err(("model_type", format!("is {:?}; \"t5\" and \"mt5\" can be read", self.model_type)));
        };
        let name = found.architecture();
        if !self.architectures.is_empty() && self.architectures.iter().all(|named| named != name) {
            return Err(("architectures", format!("is {:?}; {name} can be read", self.architectures)));
        }
        if self.is_encoder_decoder == Some(false) {
            return Err(("is_encoder_decoder", "is false; an encoder alone is not supported".to_owned()));
        }
        Ok(found)
    }

    fn feed_forward_proj(&self, model_type: ModelType) -> Result<FeedForwardProj, Fault> {
        let named = self.feed_forward_proj.as_deref().unwrap_or(match model_type {
            ModelType::T5 => "relu",
            ModelType::Mt5 => "gated-gelu",
        });
        let Some(found) = FeedForwardProj::ALL.into_iter().find(|known| known.name() == named) else {
            let reason = format!("is {named:?}; \"relu\" and \"gated-gelu\" can be computed");
            return Err(("feed_forward_proj", reason));
        };
        match (&self.dense_act_fn, self.is_gated_act) {
            (Some(name), _) if name != found.activation() => {
                let reason = format!("is {name:?}; with feed_forward_proj {named:?} it is \"{}\"", found.activation());
                Err(("dense_act_fn", reason))
            }
            (_, Some(gated)) if gated != (found == FeedForwardProj::GatedGelu) => {
                Err(("is_gated_act", format!("is {gated}, and feed_forward_proj is {named:?}")))
            }
            _ => Ok(found),
        }
    }
}

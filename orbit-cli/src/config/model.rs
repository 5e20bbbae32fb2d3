use std::path::PathBuf;

use orbit_models::T5Config;
use orbit_models::t5::{FeedForwardProj, ModelType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::range::{self, Fault, fault};

/// The model to start from: exactly one of `path` and `fresh`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StartModel {
    /// A Hugging Face directory, a `.gguf` file, or a name that `orbit pull` knows. Relative to the run file's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// A model from scratch, which speaks of nothing but items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh: Option<Fresh>,
    /// The time that a chat template which writes today's date is given, such as "2026-12-01T08:00:00Z", in UTC. Default: the time at
    /// which the run begins, which run.toml then says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
}

/// An encoder-decoder of T5's form with fresh weights; the defaults are TIGER's (arXiv 2305.05065, section 4.1), without dropout.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Fresh {
    /// Width of the residual stream. Default: 128.
    pub hidden_size: usize,
    /// Width inside the feed-forward layers. Default: 1024.
    pub intermediate_size: usize,
    /// Blocks of each of the two stacks. Default: 4.
    pub layers: usize,
    /// Heads. Default: 6.
    pub heads: usize,
    /// Width of a head. Default: 64.
    pub head_width: usize,
    /// Tokens that users share, each user's by a hash of the id; a prompt begins with it. 0: prompts do not say whose they are.
    /// Default: 2000.
    pub users: usize,
}

impl Default for Fresh {
    fn default() -> Self {
        Self { hidden_size: 128, intermediate_size: 1024, layers: 4, heads: 6, head_width: 64, users: 2000 }
    }
}

impl Fresh {
    /// The shape of T5 v1.0, with `rows` tokens, of which the first is padding and the second ends an answer.
    pub(crate) fn config(&self, rows: usize) -> T5Config {
        T5Config {
            model_type: ModelType::T5,
            vocab_size: rows,
            d_model: self.hidden_size,
            d_kv: self.head_width,
            d_ff: self.intermediate_size,
            num_layers: self.layers,
            num_decoder_layers: self.layers,
            num_heads: self.heads,
            dropout_rate: 0.0,
            feed_forward_proj: FeedForwardProj::Relu,
            tie_word_embeddings: true,
            scale_decoder_outputs: true,
            decoder_start_token_id: 0,
            eos_token_ids: vec![1],
            pad_token_id: Some(0),
            ..T5Config::default()
        }
    }
}

impl StartModel {
    /// What it is called in reports and messages.
    pub(crate) fn label(&self) -> String {
        match (&self.path, &self.fresh) {
            (Some(path), _) => path.display().to_string(),
            (None, Some(fresh)) => {
                format!("from scratch: {} + {} layers of width {}", fresh.layers, fresh.layers, fresh.hidden_size)
            }
            (None, None) => String::new(),
        }
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        match (&self.path, &self.fresh) {
            (None, None) => fault("model", "is empty: give `path`, or `fresh` for a model from scratch"),
            (Some(_), Some(_)) => fault("model", "has both `path` and `fresh`: leave one"),
            (Some(_), None) => Ok(()),
            (None, Some(fresh)) => {
                range::at_least_one("model.fresh.hidden_size", fresh.hidden_size)?;
                range::at_least_one("model.fresh.intermediate_size", fresh.intermediate_size)?;
                range::at_least_one("model.fresh.layers", fresh.layers)?;
                range::at_least_one("model.fresh.heads", fresh.heads)?;
                range::at_least_one("model.fresh.head_width", fresh.head_width)
            }
        }
    }
}

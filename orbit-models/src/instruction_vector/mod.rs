//! Instruction vectors (arXiv 2406.12227), which the successor (arXiv 2502.11019) and Todd et al. (arXiv 2310.15213) call function
//! vectors: what a few attention heads carry of a skill, as one vector of the residual stream.
//!
//! ```text
//! means     ā(l, h): what a head has found at the end of a prompt, averaged over in-context prompts
//! effects   what it does for the right answer to put ā(l, h) in the head's place, in prompts that do not show the skill
//! vector    Σ over the k heads of largest effect of W_O(l) [0 .. ā(l, h) .. 0]
//! ```
//!
//! ```
//! use orbit_models::instruction_vector::{About, Effect, InstructionVector, Prompt, effects, head_means, strongest};
//! use orbit_models::{Decoder, DecoderConfig, LanguageModel};
//!
//! let device = orbit_core::device("flex")?;
//! let config = DecoderConfig {
//!     vocab_size: 20,
//!     hidden_size: 16,
//!     intermediate_size: 24,
//!     num_hidden_layers: 2,
//!     num_attention_heads: 4,
//!     num_key_value_heads: 4,
//!     head_dim: 4,
//!     ..DecoderConfig::default()
//! };
//! let model = LanguageModel::from(Decoder::random(config, 1, &device));
//! let prompts = [Prompt { tokens: vec![3, 1, 4, 1], answer: vec![5] }];
//! let means = head_means(&model, &prompts, 8)?;
//! let found = effects(&model, &prompts, &means, Effect::LogLikelihood)?;
//! let heads = strongest(&found.heads, 2);
//! let about = About {
//!     format: 1,
//!     task: "digits".into(),
//!     model: model.base_digest(),
//!     effect: Effect::LogLikelihood,
//!     prompts: "their digest".into(),
//!     averaged: 1,
//!     patched: 1,
//!     heads,
//! };
//! let vector = InstructionVector::of(&model, means, found.heads, about)?;
//! let steered = model.steered(vector.changes(Some("layers.1.attn_out".parse()?), 1.0, &device))?;
//! # let _ = steered;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub(crate) mod effect;
mod file;
mod means;
mod usable;

pub use effect::{Effect, Effects, effects, effects_by_full_passes};
pub use file::{About, ChosenHead, InstructionVector, strongest, vector_of};
pub use means::{HeadMeans, PromptEnds, head_means, prompt_ends};
pub use usable::usable;

/// A prompt in tokens, and the answer that is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// At least two tokens.
    pub tokens: Vec<u32>,
    /// At least one.
    pub answer: Vec<u32>,
}

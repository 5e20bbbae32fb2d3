//! Instruction vectors (arXiv 2406.12227), which the successor (arXiv 2502.11019) and Todd et al. (arXiv 2310.15213) call function
//! vectors: what a few attention heads carry of a skill, as one vector of the residual stream.
//!
//! ```text
//! means     ā(l, h): what a head has found at the end of a prompt, averaged over in-context prompts
//! effects   what it does for the right answer to put ā(l, h) in the head's place, in prompts that do not show the skill
//! vector    Σ over the k heads of largest effect of W_O(l) [0 .. ā(l, h) .. 0]
//! ```

pub(crate) mod effect;
mod file;
mod means;

pub use effect::{Effect, Effects, effects, effects_by_full_passes};
pub use file::{About, ChosenHead, InstructionVector, strongest};
pub use means::{HeadMeans, head_means};

/// A prompt in tokens, and the answer that is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// At least two tokens.
    pub tokens: Vec<u32>,
    /// At least one.
    pub answer: Vec<u32>,
}

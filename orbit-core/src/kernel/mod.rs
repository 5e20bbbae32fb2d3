//! Fused operations of the training step.
//!
//! Each is one function on tensors. On the CPU backend flex, where composed operations run on one core and stop at memory
//! between each other, it runs as one parallel pass with a hand-written backward; on any other backend it is composed of
//! burn's own operations, which fuse there. The two agree to rounding, and a test holds them to it.

mod activation;
mod alibi;
mod attention;
mod bias;
mod cross_entropy;
mod divergence;
mod dropout;
#[cfg(feature = "flex")]
mod flex;
mod heads;
#[cfg(feature = "flex")]
pub(crate) mod lanes;
mod layer_norm;
mod linear;
mod low_rank;
mod norm;
mod pick;
#[cfg(feature = "flex")]
mod product;

pub use activation::{geglu, gelu, relu, swiglu};
pub use alibi::Alibi;
pub use attention::{Bias, Mask, QUERIES_A_BLOCK, Scores, attend, attend_scored};
pub use bias::add_bias;
pub use cross_entropy::{cross_entropy, dynamic_cross_entropy, log_likelihood};
pub use divergence::kl_divergence;
pub use dropout::dropout;
pub(crate) use dropout::scramble;
pub use heads::{Rope, split_heads, split_part};
pub use layer_norm::layer_norm;
pub use linear::linear;
pub use low_rank::low_rank;
pub use norm::rms_norm;
pub use pick::pick;

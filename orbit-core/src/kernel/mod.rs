//! Fused operations of the training step.
//!
//! Each is one function on tensors. On the CPU backend flex, where composed operations run on one core and stop at memory
//! between each other, it runs as one parallel pass with a hand-written backward; on any other backend it is composed of
//! burn's own operations, which fuse there. The two agree to rounding, and a test holds them to it.

mod attention;
mod cross_entropy;
mod dropout;
#[cfg(feature = "flex")]
mod flex;
mod heads;
#[cfg(feature = "flex")]
pub(crate) mod lanes;
mod linear;
mod low_rank;
mod norm;
mod pick;
#[cfg(feature = "flex")]
mod product;
mod swiglu;

pub use attention::{Mask, attend};
pub use cross_entropy::{cross_entropy, dynamic_cross_entropy, log_likelihood};
pub use dropout::dropout;
pub(crate) use dropout::scramble;
pub use heads::{Rope, split_heads};
pub use linear::linear;
pub use low_rank::low_rank;
pub use norm::rms_norm;
pub use pick::pick;
pub use swiglu::swiglu;

//! ORBIT and the baselines it is compared with, written on the shared hook trait.
//!
//! | hook | what it does | phase | source |
//! |---|---|---|---|
//! | [`Orbit`] | merges with the origin until the drift is small enough | weights | arXiv 2605.12419 |
//! | [`Soup`] | merges with the origin every k steps | weights, finish | arXiv 2501.05559 |
//! | [`Interpolate`] | merges with the origin once, at the end | finish | arXiv 2109.01903 |
//! | [`Ema`] | ends on a running average of the weights | weights, finish | |
//! | [`Ball`] | projects onto a ball around the origin | weights | arXiv 2002.08253 |
//! | [`L2Sp`] | pulls towards the origin through the gradient | gradients | arXiv 1802.01483 |
//! | [`Decay`] | pulls towards zero | weights | arXiv 1711.05101 |
//! | [`Kl`] | keeps the output distribution near the original's | loss | arXiv 1606.09282 |
//! | [`Lwf`] | the same over all positions, softened | loss | arXiv 1606.09282 |
//! | [`InstructionVector`] | keeps the heads that carry a skill, and the output near what they say | forward, loss | arXiv 2502.11019, 2406.12227 |
//! | [`Ewc`] | pulls towards the last stage's weights, by Fisher information | gradients, finish | arXiv 1612.00796, 1805.06370 |
//! | [`Mas`] | the same, by the sensitivity of the outputs | gradients, finish | arXiv 1711.09601 |
//! | [`Si`] | the same, by what each entry did for the loss | gradients, weights, finish | arXiv 1703.04200 |
//! | [`OLora`] | keeps each stage's adapter orthogonal to the earlier ones | gradients, finish | arXiv 2310.14152 |
//! | [`Freeze`] | holds the bottom layers after the first stage | gradients, weights | Spurious Forgetting, ICLR 2025 |
//! | [`Half`] | holds half of the matrices, drawn anew in each stage | gradients, weights | arXiv 2404.18466 |
//!
//! θ are the weights, θ₀ the origin: the weights at the start of the stage, or of the run if it keeps those, which new
//! parameters do not have. A run of several stages, such as a sequence of tasks, goes through them with the same hooks. Those
//! above [`Ewc`] begin each stage afresh; the others carry something over, and most of them change nothing in a first stage.
//!
//! Every struct here is a hook and its config at once: the options are public fields, `new` asks for those without a default,
//! and what a hook remembers is a field that no config can set. Options are checked when the hook is attached.
//!
//! In a config file a hook is one entry of a list, and the list is the order in which hooks act:
//!
//! ```
//! use orbit_regularizers::{HookEntry, Metric, Orbit, Use};
//!
//! let entry: HookEntry = toml::from_str(
//!     r#"
//!     only = "layers.*"
//!     use.orbit = { metric = "flips", max_drift = 7.5e-3 }
//!     "#,
//! )?;
//! assert_eq!(entry.r#use, Use::Orbit(Orbit::new(Metric::Flips, 7.5e-3)));
//! assert_eq!(entry.r#use.build()?.name(), "orbit");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod anchor;
mod ball;
mod config;
mod decay;
mod ema;
mod ewc;
mod freeze;
mod half;
mod held;
mod instruction_vector;
mod interpolate;
mod kl;
mod l2_sp;
mod lwf;
mod mas;
mod names;
mod o_lora;
mod orbit;
#[cfg(feature = "plugin")]
pub mod plugin;
mod random;
mod range;
mod si;
mod soup;

pub use ball::Ball;
pub use config::{HookEntry, Use};
pub use decay::Decay;
pub use ema::Ema;
pub use ewc::Ewc;
pub use freeze::Freeze;
pub use half::Half;
pub use instruction_vector::{Direction, InstructionVector, Intervention, Progress};
pub use interpolate::Interpolate;
pub use kl::{At, Kl};
pub use l2_sp::L2Sp;
pub use lwf::Lwf;
pub use mas::Mas;
pub use o_lora::OLora;
pub use orbit::{Metric, Orbit};
pub use si::Si;
pub use soup::Soup;

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
//!
//! θ are the weights, θ₀ the origin: the weights at the start of the run, which new parameters do not have. Every struct
//! here is a hook and its config at once: the options are public fields, `new` asks for those without a default, and what a
//! hook remembers is a field that no config can set. Options are checked when the hook is attached.
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

mod ball;
mod config;
mod decay;
mod ema;
mod interpolate;
mod kl;
mod l2_sp;
mod orbit;
#[cfg(feature = "plugin")]
pub mod plugin;
mod range;
mod soup;

pub use ball::Ball;
pub use config::{HookEntry, Use};
pub use decay::Decay;
pub use ema::Ema;
pub use interpolate::Interpolate;
pub use kl::{At, Kl};
pub use l2_sp::L2Sp;
pub use orbit::{Metric, Orbit};
pub use soup::Soup;

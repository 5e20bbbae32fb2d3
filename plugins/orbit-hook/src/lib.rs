//! The trait every orbit regularizer implements.
//!
//! One idea: **a regularizer is linear algebra on a few named vectors, plus, if it must, a term in the loss.** A [`Hook`]
//! never sees a model, an optimizer, a device or a tensor. It asks a [`Space`] (vectors over the parameters) or a [`Pass`]
//! (values in one forward pass) to do arithmetic, and the host does it where the tensors are. So one source file is a
//! built-in, a plugin, or C, and costs the same on every device.
//!
//! One training step, and where a hook can act in it:
//!
//! ```text
//! stage   Origin := Weights; attach(h) for h in hooks
//! step  1 batch = next                          None ends the stage: finish(h) for h in hooks
//!       2 plan  = forward(h) for h              what to tap
//!       3 for each micro-batch: loss = cross entropy + Σ terms of loss(h); backward
//!       4 loss and gradient norm finite?        else an error, before any update
//!       5 gradients(h) for h                    Gradients and Slots are writable
//!       6 optimizer step
//!       7 weights(h) for h                      Weights and Slots are writable; Gradients are gone
//! ```
//!
//! A run has one stage or several, such as a sequence of tasks; its hooks live through all of them.
//!
//! Hooks run in the order of the config, in every phase. Which parameters a hook sees (`only`) and on which steps it runs
//! (`every`) are fields of the config entry that the host applies; a hook never deals with either.
//!
//! ```
//! use orbit_hook::{Hook, Phases, Result, Space, Step, Vector::*};
//!
//! /// Keeps the weights within `radius` of where they started.
//! struct Ball {
//!     radius: f64,
//! }
//!
//! impl Hook for Ball {
//!     fn name(&self) -> &str {
//!         "ball"
//!     }
//!     fn phases(&self) -> Phases {
//!         Phases::WEIGHTS
//!     }
//!     fn weights(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
//!         let drift = space.distance(Weights, Origin)?;
//!         if drift > self.radius {
//!             space.lerp(Weights, Origin, (1.0 - self.radius / drift) as f32)?;
//!         }
//!         Ok(())
//!     }
//! }
//! ```

#[allow(unsafe_code, reason = "the boundary to foreign code; each block says why it is sound")]
pub mod abi;
mod encoding;
mod error;
mod handles;
mod hook;
mod pass;
mod space;
mod state;
pub mod testing;

pub use error::{Error, ErrorKind, Result};
pub use handles::Handles;
pub use hook::{FISHER, Hook, Phases, SENSITIVITY, Step};
pub use pass::{Edit, ForwardPlan, Pass, Positions, Reference, Site, Value};
pub use space::{Param, ParamKind, Space, Vector, Whole, check_entries, check_factor};
pub use state::{Entry, State};

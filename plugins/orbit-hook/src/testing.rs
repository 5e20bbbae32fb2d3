//! A space and a pass in plain memory, a training run small enough to read, and the checks that every hook must pass.
//!
//! A plugin's whole test is [`check`]:
//!
//! ```
//! use orbit_hook::{Hook, Phases, Result, Space, Step, Vector::*, testing};
//!
//! struct Pull;
//!
//! impl Hook for Pull {
//!     fn name(&self) -> &str {
//!         "pull"
//!     }
//!     fn phases(&self) -> Phases {
//!         Phases::WEIGHTS
//!     }
//!     fn weights(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
//!         space.lerp(Weights, Origin, 0.01)
//!     }
//! }
//!
//! testing::check(&|| Box::new(Pull))?;
//! # Ok::<(), orbit_hook::Error>(())
//! ```

mod check;
mod pass;
mod run;
mod space;

pub use check::{CHECKS, Check, check};
pub use pass::{HostPass, Term};
pub use run::ToyRun;
pub use space::HostSpace;

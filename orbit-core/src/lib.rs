//! The training step of orbit: hook stack, parameter space, loss graph, optimizer, checkpoints, evaluation.
//!
//! [`Fit`] trains a [`Model`] one step at a time and lets [hooks](hook) shape each step; [`score`] evaluates it. The library
//! prints nothing; it emits `tracing` events.

mod arithmetic;
mod batch;
mod checkpoint;
mod device;
mod directions;
mod disk;
mod error;
mod estimate;
mod fit;
mod guard;
pub mod kernel;
mod model;
mod optim;
mod parameters;
mod pass;
pub mod score;
mod space;
mod stack;
mod tensor_file;
mod trace;

pub use batch::MicroBatch;
pub use device::{available, device, is_cpu};
pub use disk::{Disk, DiskFile, System};
pub use error::{Error, Result};
pub use fit::{Batches, Drift, Fit, Loss, Stage, StageOrigin, StepReport};
pub use guard::{Guard, OnSpike, Spike};
pub use kernel::pick;
pub use model::{Input, Model, check_tokens};
pub use optim::{AdamW, Decay, Schedule};
pub use parameters::{host_weights, parameters};
pub use stack::Entry;
pub use trace::{At, Change, Sites, Trace};

/// The trait that regularizers implement, and what they may ask.
pub use orbit_hook as hook;

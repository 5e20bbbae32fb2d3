use orbit_hook::{Error, Hook, Phases, Result, Space, Step, Vector::*};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::range;

/// Decoupled weight decay (arXiv 1711.05101): after every update θ ← (1 − η λ) θ, where η is the step's learning rate.
///
/// It pulls towards zero, not towards the origin, and new parameters decay too. After the update instead of within it, so
/// that it stands in the hooks' order; the difference is of second order in η. Costs one pass over the weights a step.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decay {
    /// λ, 0 or above; times the learning rate it must stay at most 1. 0.01 to 0.1 is usual.
    pub strength: f64,
}

impl Decay {
    /// Decay by the learning rate times `strength`.
    pub fn new(strength: f64) -> Self {
        Self { strength }
    }
}

impl Hook for Decay {
    fn name(&self) -> &str {
        "decay"
    }

    fn phases(&self) -> Phases {
        Phases::WEIGHTS
    }

    fn attach(&mut self, _: &mut dyn Space) -> Result<()> {
        range::at_least_zero("strength", self.strength)
    }

    fn weights(&mut self, step: &Step, space: &mut dyn Space) -> Result<()> {
        let keep = 1.0 - step.learning_rate * self.strength;
        if keep < 0.0 {
            let (strength, rate) = (self.strength, step.learning_rate);
            let message =
                format!("strength must be at most {} at the learning rate {rate}, got {strength}", 1.0 / rate);
            return Err(Error::config(message));
        }
        space.scale(Weights, keep as f32)
    }
}

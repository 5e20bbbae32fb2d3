use orbit_hook::{Hook, Phases, Result, Space, Step, Vector, Vector::*};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::range;

/// The running average θ̄.
const AVERAGE: Vector = Slot(0);

/// Exponential moving average of the weights: θ̄ ← γ θ̄ + (1 − γ) θ after every update; a stage ends on θ̄.
///
/// Our choice: θ̄ starts at the weights before step 1 of every stage, those of new parameters included, without bias
/// correction; training itself goes on from θ. Costs memory for one more copy of the weights, which is saved with the run, and
/// one pass over it a step.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ema {
    /// γ: how much of the average each step keeps, 0 to 1. It reaches back about 1 / (1 − γ) steps.
    pub decay: f64,
}

impl Ema {
    /// An average of which each step keeps a share `decay`.
    pub fn new(decay: f64) -> Self {
        Self { decay }
    }
}

impl Hook for Ema {
    fn name(&self) -> &str {
        "ema"
    }

    fn phases(&self) -> Phases {
        Phases::WEIGHTS | Phases::FINISH
    }

    fn attach(&mut self, space: &mut dyn Space) -> Result<()> {
        range::share("decay", self.decay)?;
        space.copy(AVERAGE, Weights)
    }

    fn weights(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
        space.lerp(AVERAGE, Weights, (1.0 - self.decay) as f32)
    }

    fn finish(&mut self, space: &mut dyn Space) -> Result<()> {
        space.copy(Weights, AVERAGE)
    }
}

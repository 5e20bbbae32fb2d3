use orbit_hook::{Entry, Hook, Phases, Result, SENSITIVITY, Space, State, Step, Vector::*};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::anchor::{ANCHOR, IMPORTANCE, pull};
use crate::range;

/// Memory aware synapses (arXiv 1711.09601): the penalty λ Σ Ω (θ − θ*)², added to the gradient in closed form:
/// g ← g + 2 λ Ω ∘ (θ − θ*). θ* are the weights at the end of the last stage; Ω is the sensitivity of the outputs at the end of
/// the first stage, and from then on Ω ← α Ω + (1 − α) Ω_new, the running average of Avalanche.
///
/// The sensitivity is the mean over examples of |∂/∂θ ‖f(x)‖²|, with the logits f at the positions of the answer: it asks for no
/// gold answer. In the first stage it does nothing. Costs memory for two more copies of the weights, two passes over the
/// gradients a step, and the host's estimate at the end of a stage.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mas {
    /// λ, 0 or above. 1 is Avalanche's, for image models.
    pub strength: f64,
    /// α: how much of the earlier stages' sensitivity each stage keeps, 0 to 1. Default: 0.5.
    #[serde(default = "default_mix")]
    pub mix: f64,
    /// How many estimates are in Ω: state, saved with the run, not an option.
    #[serde(skip)]
    pub estimates: u64,
}

fn default_mix() -> f64 {
    0.5
}

impl Mas {
    /// MAS that weighs a stage as much as all before it.
    pub fn new(strength: f64) -> Self {
        Self { strength, mix: default_mix(), estimates: 0 }
    }
}

impl Hook for Mas {
    fn name(&self) -> &str {
        "mas"
    }

    fn phases(&self) -> Phases {
        Phases::GRADIENTS | Phases::FINISH | Phases::SENSITIVITY
    }

    fn attach(&mut self, space: &mut dyn Space) -> Result<()> {
        range::at_least_zero("strength", self.strength)?;
        range::share("mix", self.mix)?;
        if self.estimates > 0 { space.copy(ANCHOR, Weights) } else { Ok(()) }
    }

    fn gradients(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
        if self.estimates > 0 { pull(space, 2.0 * self.strength) } else { Ok(()) }
    }

    fn finish(&mut self, space: &mut dyn Space) -> Result<()> {
        if self.estimates == 0 {
            space.read(IMPORTANCE, SENSITIVITY)?;
        } else {
            // The stage is over and the next sets its own anchor: until then that slot may hold the estimate.
            space.read(ANCHOR, SENSITIVITY)?;
            space.lerp(IMPORTANCE, ANCHOR, (1.0 - self.mix) as f32)?;
        }
        self.estimates += 1;
        Ok(())
    }

    fn save(&self, state: &mut State) -> Result<()> {
        state.put("estimates", Entry::Count(self.estimates));
        Ok(())
    }

    fn load(&mut self, state: &State) -> Result<()> {
        self.estimates = state.count("estimates")?;
        Ok(())
    }
}

use orbit_hook::{Entry, Hook, Phases, Result, Space, State, Step, Vector, Vector::*};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::anchor::{ANCHOR, IMPORTANCE, pull};
use crate::range;

/// w: how much each entry has lowered the loss on this stage's way.
const PATH: Vector = Slot(2);
/// The task's gradient of this step.
const GRADIENT: Vector = Slot(3);
/// θ before the update, then the way back: minus Δθ.
const BACK: Vector = Slot(4);

/// Synaptic intelligence (arXiv 1703.04200): the penalty λ Σ Ω (θ − θ*)², added to the gradient in closed form:
/// g ← g + 2 λ Ω ∘ (θ − θ*). θ* are the weights at the end of the last stage. Every step adds −g ∘ Δθ to w; at the end of a stage
/// Ω ← max(0, Ω + w / ((θ − θ*)² + ε)).
///
/// Ω is kept at 0 or above as in the authors' code, else the penalty would have no minimum. Our choices: g is the gradient
/// before clipping, and Δθ the whole update, weight decay and the hooks before this one included. The gradient is taken before
/// SI adds its own penalty, as in the paper; to leave out the terms of other hooks too, put SI first in the list. In the first
/// stage it changes nothing.
///
/// Costs memory for five more copies of the weights, which are saved with the run, six passes over them a step, and two copies
/// to the host and back at the end of a stage.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Si {
    /// λ, 0 or above: the paper's c.
    pub strength: f64,
    /// ε, above 0: the paper's ξ, which bounds the importance of entries that hardly moved. Default: 1e-7, as in Avalanche.
    #[serde(default = "default_damping")]
    pub damping: f64,
    /// How many stages are in Ω: state, saved with the run, not an option.
    #[serde(skip)]
    pub stages: u64,
}

fn default_damping() -> f64 {
    1e-7
}

impl Si {
    /// SI with the usual damping.
    pub fn new(strength: f64) -> Self {
        Self { strength, damping: default_damping(), stages: 0 }
    }
}

impl Hook for Si {
    fn name(&self) -> &str {
        "si"
    }

    fn phases(&self) -> Phases {
        Phases::GRADIENTS | Phases::WEIGHTS | Phases::FINISH
    }

    fn attach(&mut self, space: &mut dyn Space) -> Result<()> {
        range::at_least_zero("strength", self.strength)?;
        range::above_zero("damping", self.damping)?;
        space.scale(PATH, 0.0)?;
        space.copy(ANCHOR, Weights)
    }

    fn gradients(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
        space.copy(GRADIENT, Gradients)?;
        space.copy(BACK, Weights)?;
        if self.stages > 0 { pull(space, 2.0 * self.strength) } else { Ok(()) }
    }

    fn weights(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
        space.fma(BACK, -1.0, Weights, None)?;
        space.fma(PATH, 1.0, GRADIENT, Some(BACK))
    }

    fn finish(&mut self, space: &mut dyn Space) -> Result<()> {
        let damping = self.damping as f32;
        space.copy(BACK, Weights)?;
        space.fma(BACK, -1.0, ANCHOR, None)?;
        space.visit(BACK, &mut |_, way| way.iter_mut().for_each(|d| *d = 1.0 / (*d * *d + damping)))?;
        space.fma(IMPORTANCE, 1.0, PATH, Some(BACK))?;
        space.visit(IMPORTANCE, &mut |_, omega| omega.iter_mut().for_each(|omega| *omega = omega.max(0.0)))?;
        self.stages += 1;
        Ok(())
    }

    fn save(&self, state: &mut State) -> Result<()> {
        state.put("stages", Entry::Count(self.stages));
        Ok(())
    }

    fn load(&mut self, state: &State) -> Result<()> {
        self.stages = state.count("stages")?;
        Ok(())
    }
}

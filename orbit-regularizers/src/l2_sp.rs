use orbit_hook::{Hook, ParamKind, Phases, Result, Space, Step, Vector::*};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::range;

/// L2-SP (arXiv 1802.01483): the penalty α/2 ‖θ − θ₀‖² + β/2 ‖θ_new‖², added to the gradient in closed form:
/// g ← g + α (θ − θ₀), and g ← g + β θ for new parameters.
///
/// Through the gradient the pull is clipped and scaled by the optimizer like the task's own; [`Decay`](crate::Decay) is the
/// decoupled kind. The pull is formed within the gradient, so it is exact to the rounding of g and of α θ. Costs two passes
/// over the gradients a step.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct L2Sp {
    /// The paper's α, 0 or above: the pull of the origin on parameters that have one.
    pub strength: f64,
    /// The paper's β, 0 or above: the pull of zero on new parameters. Default: 0 (our choice).
    #[serde(default)]
    pub new_strength: f64,
}

impl L2Sp {
    /// L2-SP that leaves new parameters alone.
    pub fn new(strength: f64) -> Self {
        Self { strength, new_strength: 0.0 }
    }
}

impl Hook for L2Sp {
    fn name(&self) -> &str {
        "l2_sp"
    }

    fn phases(&self) -> Phases {
        Phases::GRADIENTS
    }

    fn attach(&mut self, _: &mut dyn Space) -> Result<()> {
        range::at_least_zero("strength", self.strength)?;
        range::at_least_zero("new_strength", self.new_strength)
    }

    fn gradients(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
        let strength = self.strength as f32;
        let kinds: Vec<ParamKind> = space.params().iter().map(|param| param.kind).collect();
        for (i, kind) in kinds.into_iter().enumerate() {
            match kind {
                ParamKind::Base => {
                    space.fma(Gradients.at(i), strength, Weights.at(i), None)?;
                    space.fma(Gradients.at(i), -strength, Origin.at(i), None)?;
                }
                ParamKind::New => space.fma(Gradients.at(i), self.new_strength as f32, Weights.at(i), None)?,
            }
        }
        Ok(())
    }
}

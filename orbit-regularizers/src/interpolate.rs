use orbit_hook::{Hook, Phases, Result, Space, Vector::*};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::range;

/// WiSE-FT (arXiv 2109.01903): once a stage, after its last step, θ ← (1 − α) θ₀ + α θ.
///
/// New parameters are left as they are. Costs one pass over the weights a stage.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interpolate {
    /// The paper's α: the share of the fine-tuned weights, 0 to 1. The paper finds 0.5 good without tuning.
    pub alpha: f64,
}

impl Interpolate {
    /// Interpolation that keeps a share `alpha` of the fine-tuned weights.
    pub fn new(alpha: f64) -> Self {
        Self { alpha }
    }
}

impl Hook for Interpolate {
    fn name(&self) -> &str {
        "interpolate"
    }

    fn phases(&self) -> Phases {
        Phases::FINISH
    }

    fn attach(&mut self, _: &mut dyn Space) -> Result<()> {
        range::share("alpha", self.alpha)
    }

    fn finish(&mut self, space: &mut dyn Space) -> Result<()> {
        space.lerp(Weights, Origin, (1.0 - self.alpha) as f32)
    }
}

use orbit_hook::{Hook, ParamKind, Phases, Result, Space, Step, Vector, Vector::*};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::range;

/// Projection onto an L2 ball around the origin, L2-PGM (arXiv 2002.08253): after every update
/// θ ← θ₀ + min(1, r / ‖θ − θ₀‖) (θ − θ₀).
///
/// It differs from ORBIT in that it lands on the surface of the ball, not inside. New parameters are left alone. Our choice:
/// one ball for all parameters by default, so that the radius means the same as ORBIT's `max_drift` with metric l2; the
/// paper has one per layer. Logs `projected`, how many balls were left in this step. Costs one pass over the weights and one
/// read of the device a step, with `per_parameter` one read per parameter.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ball {
    /// The paper's γ: the largest distance from the origin, above 0.
    pub radius: f64,
    /// Whether every parameter has a ball of its own, as in the paper. Default: false.
    #[serde(default)]
    pub per_parameter: bool,
}

impl Ball {
    /// One ball for all parameters.
    pub fn new(radius: f64) -> Self {
        Self { radius, per_parameter: false }
    }

    /// Projects one vector; says whether it was outside.
    fn project(&self, space: &mut dyn Space, weights: Vector, origin: Vector) -> Result<bool> {
        let drift = range::finite(space.distance(weights, origin)?)?;
        if drift > self.radius {
            space.lerp(weights, origin, (1.0 - self.radius / drift) as f32)?;
        }
        Ok(drift > self.radius)
    }
}

impl Hook for Ball {
    fn name(&self) -> &str {
        "ball"
    }

    fn phases(&self) -> Phases {
        Phases::WEIGHTS
    }

    fn attach(&mut self, _: &mut dyn Space) -> Result<()> {
        range::above_zero("radius", self.radius)
    }

    fn weights(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
        let balls: Vec<(Vector, Vector)> = if self.per_parameter {
            let params = space.params().iter().enumerate();
            let base = params.filter(|(_, param)| param.kind == ParamKind::Base);
            base.map(|(i, _)| (Weights.at(i), Origin.at(i))).collect()
        } else {
            vec![(Weights, Origin)]
        };
        let mut projected = 0;
        for (weights, origin) in balls {
            projected += u32::from(self.project(space, weights, origin)?);
        }
        space.log("projected", projected.into());
        Ok(())
    }
}

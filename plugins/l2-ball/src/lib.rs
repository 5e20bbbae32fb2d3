//! Lesson 1: a regularizer is linear algebra on a few named vectors.
//!
//! This one keeps the weights in a ball around where they started (L2-PGM, arXiv 2002.08253): whenever a step has left it, the
//! weights go back to its surface. It knows no model, device or tensor; the host does the arithmetic where the tensors are.

use orbit_hook::{Error, Hook, Phases, Result, Space, Step, Vector::*};
use schemars::JsonSchema;
use serde::Deserialize;

/// The options, and the hook itself. A key that is not a field is an error, with its line in the run file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct L2Ball {
    /// The largest distance from the original weights, above 0.
    pub radius: f64,
}

impl Hook for L2Ball {
    fn name(&self) -> &str {
        "l2-ball"
    }

    fn phases(&self) -> Phases {
        Phases::WEIGHTS
    }

    fn attach(&mut self, _: &mut dyn Space) -> Result<()> {
        let good = self.radius > 0.0 && self.radius.is_finite();
        if good { Ok(()) } else { Err(Error::config(format!("radius must be above 0, got {}", self.radius))) }
    }

    fn weights(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
        let drift = space.distance(Weights, Origin)?;
        if drift > self.radius {
            space.lerp(Weights, Origin, (1.0 - self.radius / drift) as f32)?;
        }
        space.log("drift", drift);
        Ok(())
    }
}

orbit_hook::export!(L2Ball);

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole test of a hook: see `orbit_hook::testing` for what it does.
    #[test]
    fn it_keeps_the_contract() -> Result<()> {
        orbit_hook::testing::check(&|| Box::new(L2Ball { radius: 0.3 }))
    }
}

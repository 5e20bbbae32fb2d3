//! Lesson 2: a term in the loss.
//!
//! What cannot be said of weights is said of one forward pass: a `Pass` has the model's logits, a forward pass of the frozen
//! original, and differentiable arithmetic on both. Values are handles; the numbers stay on the device. This term is λ τ² times
//! the mean of KL(original ‖ model) over the answer's positions (arXiv 1606.09282, with the τ² of arXiv 1503.02531).

use orbit_hook::{Error, ForwardPlan, Hook, Pass, Phases, Positions, Result, Site, Space, Step};
use schemars::JsonSchema;
use serde::Deserialize;

/// The options, and the hook itself.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KlAnchor {
    /// λ: the weight of the term in the loss, 0 or above.
    pub strength: f64,
    /// τ: above 0. Default: 1.
    #[serde(default = "one")]
    pub temperature: f32,
}

fn one() -> f32 {
    1.0
}

impl Hook for KlAnchor {
    fn name(&self) -> &str {
        "kl-anchor"
    }

    fn phases(&self) -> Phases {
        Phases::LOSS
    }

    fn attach(&mut self, _: &mut dyn Space) -> Result<()> {
        let good = self.strength >= 0.0 && self.strength.is_finite() && self.temperature > 0.0;
        if good { Ok(()) } else { Err(Error::config("strength must be 0 or above, temperature above 0")) }
    }

    fn loss(&mut self, _: &Step, pass: &mut dyn Pass) -> Result<()> {
        // Select first: a model's logits are computed where they are used, and answers are few.
        let logits = pass.logits()?;
        let logits = pass.select(logits, Positions::Answer)?;
        let reference = pass.reference(&ForwardPlan::default())?;
        let original = pass.of(reference, Site::Logits)?;
        let original = pass.select(original, Positions::Answer)?;
        let divergence = pass.kl(original, logits, self.temperature)?;
        pass.add_loss("kl", self.strength, divergence)
    }
}

orbit_hook::export!(KlAnchor);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_contract() -> Result<()> {
        orbit_hook::testing::check(&|| Box::new(KlAnchor { strength: 0.5, temperature: 2.0 }))
    }
}

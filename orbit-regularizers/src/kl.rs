use orbit_hook::{ForwardPlan, Hook, Pass, Phases, Positions, Result, Site, Space, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::range;

/// Distillation from the original, as in learning without forgetting (arXiv 1606.09282): the loss gains
/// λ τ² · mean over positions of KL(softmax(z₀ / τ) ‖ softmax(z / τ)), with the frozen original's logits z₀.
///
/// The forward direction: whatever the original finds likely must stay likely. Our choices: the batch at hand instead of old
/// data, as in the paper, but over a language model's positions; the factor τ² of arXiv 1503.02531, so that the gradient
/// keeps its size as τ changes. Costs a forward pass of the original per micro-batch and the logits of both at the chosen
/// positions.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kl {
    /// λ: the weight of the term in the loss, 0 or above.
    pub strength: f64,
    /// τ: above 0; higher looks more at what is unlikely. Default: 1. Learning without forgetting uses 2.
    #[serde(default = "default_temperature")]
    pub temperature: f64,
    /// The positions that count. Default: answer.
    #[serde(default)]
    pub at: At,
}

/// Where the two output distributions are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// Where the next token is part of the answer, as in the task's loss: the fewest logits.
    #[default]
    Answer,
    /// Everywhere but in padding.
    All,
}

impl At {
    pub(crate) fn positions(self) -> Positions {
        match self {
            Self::Answer => Positions::Answer,
            Self::All => Positions::All,
        }
    }
}

fn default_temperature() -> f64 {
    1.0
}

impl Kl {
    /// Distillation at temperature 1 over the answer.
    pub fn new(strength: f64) -> Self {
        Self { strength, temperature: default_temperature(), at: At::default() }
    }
}

impl Hook for Kl {
    fn name(&self) -> &str {
        "kl"
    }

    fn phases(&self) -> Phases {
        Phases::LOSS
    }

    fn attach(&mut self, _: &mut dyn Space) -> Result<()> {
        range::at_least_zero("strength", self.strength)?;
        range::above_zero("temperature", self.temperature)
    }

    fn loss(&mut self, _: &Step, pass: &mut dyn Pass) -> Result<()> {
        let at = self.at.positions();
        let logits = pass.logits()?;
        let logits = pass.select(logits, at)?;
        let reference = pass.reference(&ForwardPlan::default())?;
        let original = pass.of(reference, Site::Logits)?;
        let original = pass.select(original, at)?;
        let divergence = pass.kl(original, logits, self.temperature as f32)?;
        pass.add_loss(self.name(), self.strength, divergence)
    }
}

use orbit_hook::{Hook, Pass, Phases, Result, Space, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{At, Kl};

/// Learning without forgetting (arXiv 1606.09282): [`Kl`] over all positions of the new task's own inputs, at a temperature
/// above 1: the loss gains λ τ² · mean over positions of KL(softmax(z₀ / τ) ‖ softmax(z / τ)).
///
/// z₀ are the logits of the origin. In a run of several stages that is the model before the stage's task, as in the paper, or the
/// base model if the run keeps that. Our choices: every position but padding counts as an output, so that the prompt's
/// distribution is kept too; and those of [`Kl`]. Costs a forward pass of the origin per micro-batch and the logits of both at
/// all positions.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lwf {
    /// λ: the weight of the term in the loss, 0 or above. Default: 1.
    #[serde(default = "default_strength")]
    pub strength: f64,
    /// τ: above 0. Default: 2, as in the paper.
    #[serde(default = "default_temperature")]
    pub temperature: f64,
}

fn default_strength() -> f64 {
    1.0
}

fn default_temperature() -> f64 {
    2.0
}

impl Default for Lwf {
    fn default() -> Self {
        Self { strength: default_strength(), temperature: default_temperature() }
    }
}

impl Lwf {
    fn kl(&self) -> Kl {
        Kl { strength: self.strength, temperature: self.temperature, at: At::All }
    }
}

impl Hook for Lwf {
    fn name(&self) -> &str {
        "lwf"
    }

    fn phases(&self) -> Phases {
        self.kl().phases()
    }

    fn attach(&mut self, space: &mut dyn Space) -> Result<()> {
        self.kl().attach(space)
    }

    fn loss(&mut self, step: &Step, pass: &mut dyn Pass) -> Result<()> {
        self.kl().loss(step, pass)
    }
}

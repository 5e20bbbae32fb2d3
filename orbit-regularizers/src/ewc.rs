use orbit_hook::{Entry, FISHER, Hook, Phases, Result, Space, State, Step, Vector::*};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::anchor::{ANCHOR, IMPORTANCE, pull};
use crate::range;

/// Elastic weight consolidation (arXiv 1612.00796) in its online form (arXiv 1805.06370): the penalty
/// λ/2 · Σ F̃ (θ − θ*)², added to the gradient in closed form: g ← g + λ F̃ ∘ (θ − θ*). θ* are the weights at the end of the
/// last stage; at the end of a stage F̃ ← γ F̃ + F.
///
/// F is the diagonal of the empirical Fisher information: the mean over examples of the squared gradient of log p(y|x), with
/// the gold answer, each example on its own. Toolkits differ here and in the ½, so strengths do not carry over: without the ½
/// a λ is twice as strong. In the first stage it does nothing, unless `importance` gives the F̃ of the base model. The
/// parameters must be the same ones in all stages, so not LoRA factors that each stage begins afresh.
///
/// Costs memory for two more copies of the weights, two passes over the gradients a step, and the host's estimate at the end of
/// a stage.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ewc {
    /// λ, 0 or above. It depends on the model and the loss; 400 is one published value.
    pub strength: f64,
    /// γ: how much of the earlier stages' importance each stage keeps, 0 to 1. Default: 1, a sum.
    #[serde(default = "default_decay")]
    pub decay: f64,
    /// A safetensors file with the Fisher diagonal of the base model, a tensor for every covered parameter by its name. The path
    /// is taken as it stands, when the run is started and when it is resumed. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importance: Option<String>,
    /// How many estimates are in F̃: state, saved with the run, not an option.
    #[serde(skip)]
    pub estimates: u64,
}

fn default_decay() -> f64 {
    1.0
}

impl Ewc {
    /// Online EWC that forgets no stage, and begins with the second.
    pub fn new(strength: f64) -> Self {
        Self { strength, decay: default_decay(), importance: None, estimates: 0 }
    }
}

impl Hook for Ewc {
    fn name(&self) -> &str {
        "ewc"
    }

    fn phases(&self) -> Phases {
        Phases::GRADIENTS | Phases::FINISH | Phases::FISHER
    }

    fn attach(&mut self, space: &mut dyn Space) -> Result<()> {
        range::at_least_zero("strength", self.strength)?;
        range::share("decay", self.decay)?;
        if let (0, Some(file)) = (self.estimates, &self.importance) {
            space.read(IMPORTANCE, file)?;
            self.estimates = 1;
        }
        if self.estimates > 0 { space.copy(ANCHOR, Weights) } else { Ok(()) }
    }

    fn gradients(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
        if self.estimates > 0 { pull(space, self.strength) } else { Ok(()) }
    }

    fn finish(&mut self, space: &mut dyn Space) -> Result<()> {
        if self.estimates == 0 {
            space.read(IMPORTANCE, FISHER)?;
        } else {
            // The stage is over and the next sets its own anchor: until then that slot may hold the estimate.
            space.read(ANCHOR, FISHER)?;
            space.scale(IMPORTANCE, self.decay as f32)?;
            space.fma(IMPORTANCE, 1.0, ANCHOR, None)?;
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

use std::num::NonZeroU64;

use orbit_hook::{Entry, Error, Hook, Param, Phases, Result, Space, State, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{held, names};

/// Freezes the bottom of the model after the first task (Freeze of "Spurious Forgetting in Continual Learning of Language
/// Models", ICLR 2025): from stage `from_stage` on, the bottom layers and the embeddings stay as they are, to the bit.
///
/// Layers are counted by the names of parameters, in both stacks of an encoder-decoder. An embedding that is also the output
/// layer is held in both. Rows of new tokens are trained all the same; LoRA factors of a held layer are not (our choices).
/// Gradients of what is held become zero before they are clipped. Put it last: a hook after it in the list may still move what
/// is held.
///
/// Costs memory for one more copy of what is held and two passes over it a step; the backward pass computes its gradients all
/// the same.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// The paper's n: how many layers from the bottom are held. The paper uses 1 to 6.
    pub layers: usize,
    /// Whether the embeddings are held too. Default: true, as in the paper.
    #[serde(default = "default_embeddings")]
    pub embeddings: bool,
    /// The first stage that holds them, at least 1. Default: 2, as in the paper: the first task trains everything.
    #[serde(default = "default_from_stage")]
    pub from_stage: NonZeroU64,
    /// Which stage it is: state, saved with the run, not an option.
    #[serde(skip)]
    pub stage: u64,
}

fn default_embeddings() -> bool {
    true
}

fn default_from_stage() -> NonZeroU64 {
    NonZeroU64::MIN.saturating_add(1)
}

impl Freeze {
    /// Holds the embeddings and so many layers after the first stage.
    pub fn new(layers: usize) -> Self {
        Self { layers, embeddings: default_embeddings(), from_stage: default_from_stage(), stage: 0 }
    }

    fn selects(&self, param: &Param) -> bool {
        let below = names::layer(&param.name).is_some_and(|(_, number, _)| number < self.layers);
        below || self.embeddings && names::embeds(&param.name)
    }

    /// Where the parameters stand that this stage holds.
    fn held(&self, space: &dyn Space) -> Vec<usize> {
        let params = space.params().iter().enumerate();
        let held = params.filter(|(_, param)| self.stage >= self.from_stage.get() && self.selects(param));
        held.map(|(at, _)| at).collect()
    }
}

impl Hook for Freeze {
    fn name(&self) -> &str {
        "freeze"
    }

    fn phases(&self) -> Phases {
        Phases::GRADIENTS | Phases::WEIGHTS
    }

    fn attach(&mut self, space: &mut dyn Space) -> Result<()> {
        if !space.params().iter().any(|param| self.selects(param)) {
            let (layers, embeddings) = (self.layers, self.embeddings);
            let message = format!("no parameter is selected by layers = {layers} and embeddings = {embeddings}");
            return Err(Error::config(message));
        }
        self.stage += 1;
        let held = self.held(space);
        held::keep(space, &held)
    }

    fn gradients(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
        let held = self.held(space);
        held::still(space, &held)
    }

    fn weights(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
        let held = self.held(space);
        held::put_back(space, &held)
    }

    fn save(&self, state: &mut State) -> Result<()> {
        state.put("stage", Entry::Count(self.stage));
        Ok(())
    }

    fn load(&mut self, state: &State) -> Result<()> {
        self.stage = state.count("stage")?;
        Ok(())
    }
}

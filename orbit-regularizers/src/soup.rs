use std::num::NonZeroU64;

use orbit_hook::{Entry, Hook, Phases, Result, Space, State, Step, Vector::*};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::range;

/// Soup-to-Go, sequential fine-tuning with averaging (arXiv 2501.05559): every k steps, and at the end,
/// θ ← (1 − β) θ + β θ₀.
///
/// Our choice: a stage whose last step merged is not merged again at its end. Logs `merges` (1) when it merges. Costs one pass
/// over the weights per merge and nothing in between.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Soup {
    /// The paper's k: how many steps lie between merges, at least 1.
    pub every_steps: NonZeroU64,
    /// The paper's β: the origin's share in a merge, 0 to 1. Default: 0.5.
    #[serde(default = "default_weight")]
    pub weight: f64,
    /// Whether to merge after the last step too. Default: true, as in the paper.
    #[serde(default = "default_at_end")]
    pub at_end: bool,
    /// Whether the last step merged: state, saved with the run, not an option.
    #[serde(skip)]
    pub just_merged: bool,
}

fn default_weight() -> f64 {
    0.5
}

fn default_at_end() -> bool {
    true
}

impl Soup {
    /// Soup-to-Go with the other options at their defaults.
    pub fn new(every_steps: NonZeroU64) -> Self {
        Self { every_steps, weight: default_weight(), at_end: default_at_end(), just_merged: false }
    }

    fn merge(&self, space: &mut dyn Space) -> Result<()> {
        space.log("merges", 1.0);
        space.lerp(Weights, Origin, self.weight as f32)
    }
}

impl Hook for Soup {
    fn name(&self) -> &str {
        "soup"
    }

    fn phases(&self) -> Phases {
        Phases::WEIGHTS | Phases::FINISH
    }

    fn attach(&mut self, _: &mut dyn Space) -> Result<()> {
        self.just_merged = false;
        range::share("weight", self.weight)
    }

    fn weights(&mut self, step: &Step, space: &mut dyn Space) -> Result<()> {
        self.just_merged = step.number.is_multiple_of(self.every_steps.get());
        if self.just_merged { self.merge(space) } else { Ok(()) }
    }

    fn finish(&mut self, space: &mut dyn Space) -> Result<()> {
        if self.at_end && !self.just_merged { self.merge(space) } else { Ok(()) }
    }

    fn save(&self, state: &mut State) -> Result<()> {
        state.put("just_merged", Entry::Count(self.just_merged.into()));
        Ok(())
    }

    fn load(&mut self, state: &State) -> Result<()> {
        self.just_merged = state.count("just_merged")? != 0;
        Ok(())
    }
}

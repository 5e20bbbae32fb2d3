use orbit_hook::{Entry, Error, Hook, Phases, Result, Space, State, Step, Vector::*};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::range;

/// ORBIT (arXiv 2605.12419): after every update, while d(θ, θ₀) > max_drift: θ ← (θ + θ₀) / 2.
///
/// New parameters count neither in the distance nor in the merge; the paper leaves them out of the distance and is silent
/// about the merge. The optimizer's moments stay as they are: the paper changes parameters only.
///
/// Our choice: an entry that is exactly 0 in θ₀ never gets its sign back by merging, so after `max_halvings` merges in one
/// step the weights are reset to θ₀. So a step always ends with a drift of at most `max_drift`. Logs `drift` at the end of
/// the step, `merges` in it and in all (`total_merges`), and `resets`. Costs one pass over the weights and one read of the
/// device, and as much again per merge, plus the merge.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Orbit {
    /// How drift is measured. Default: flips, which the paper recommends.
    #[serde(default)]
    pub metric: Metric,
    /// The largest drift with which a step may end, above 0. For flips a share, at most 1; the one published value is 7.5e-3,
    /// for a model of 1B parameters. For l2 a norm.
    pub max_drift: f64,
    /// How far towards the origin one merge goes, 0 to 1. Default: 0.5, as in the paper.
    #[serde(default = "default_factor")]
    pub factor: f64,
    /// How many merges one step may take before the weights are reset to the origin. Default: 16.
    #[serde(default = "default_max_halvings")]
    pub max_halvings: u32,
    /// How many merges there have been, over all stages: state, saved with the run, not an option.
    #[serde(skip)]
    pub total_merges: u64,
}

/// How the distance from the origin is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The share of entries, 0 to 1, whose sign differs from the origin's: the paper's sign dissimilarity.
    #[default]
    Flips,
    /// The Euclidean norm of the difference.
    L2,
}

fn default_factor() -> f64 {
    0.5
}

fn default_max_halvings() -> u32 {
    16
}

impl Orbit {
    /// ORBIT with the other options at their defaults.
    pub fn new(metric: Metric, max_drift: f64) -> Self {
        let (factor, max_halvings) = (default_factor(), default_max_halvings());
        Self { metric, max_drift, factor, max_halvings, total_merges: 0 }
    }

    fn drift(&self, space: &mut dyn Space) -> Result<f64> {
        range::finite(match self.metric {
            Metric::Flips => space.flips(Weights, Origin)?,
            Metric::L2 => space.distance(Weights, Origin)?,
        })
    }
}

impl Hook for Orbit {
    fn name(&self) -> &str {
        "orbit"
    }

    fn phases(&self) -> Phases {
        Phases::WEIGHTS
    }

    fn attach(&mut self, _: &mut dyn Space) -> Result<()> {
        range::above_zero("max_drift", self.max_drift)?;
        range::above_zero("factor", self.factor)?;
        range::share("factor", self.factor)?;
        match self.metric {
            Metric::Flips if self.max_drift > 1.0 => {
                let message =
                    format!("max_drift is a share of signs with metric flips: at most 1, got {}", self.max_drift);
                Err(Error::config(message))
            }
            _ => Ok(()),
        }
    }

    fn weights(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
        let mut drift = self.drift(space)?;
        let mut merges = 0;
        while drift > self.max_drift && merges < self.max_halvings {
            space.lerp(Weights, Origin, self.factor as f32)?;
            drift = self.drift(space)?;
            merges += 1;
        }
        let reset = drift > self.max_drift;
        if reset {
            space.copy(Weights, Origin)?;
            drift = 0.0;
        }
        self.total_merges += u64::from(merges);
        space.log("drift", drift);
        space.log("merges", merges.into());
        space.log("total_merges", self.total_merges as f64);
        space.log("resets", u8::from(reset).into());
        Ok(())
    }

    fn save(&self, state: &mut State) -> Result<()> {
        state.put("total_merges", Entry::Count(self.total_merges));
        Ok(())
    }

    fn load(&mut self, state: &State) -> Result<()> {
        self.total_merges = state.count("total_merges")?;
        Ok(())
    }
}

//! `my-plugin`: pulls the weights back towards where they started.
//!
//! A regularizer is linear algebra on a few named vectors. This one is a single line of it, `lerp` in `weights`; everything else
//! here is what any plugin has: options, phases, something to remember, a test. Change that line first, and see what
//! `cargo test` and `orbit plugin check .` say.
//!
//! - The arithmetic is done by the host, where the tensors are: a `Space` has the vectors `Weights`, `Gradients`, `Origin` and
//!   your own `Slot(n)`. Weights can be written in `weights` and `finish`, gradients in `gradients`, slots always.
//! - A term in the loss is added in the phase `loss`, through a `Pass`.
//! - Which parameters and which steps it acts on is said in the run file, by `only` and `every`; a hook need not care.
//!
//! `orbit-hook/src/lib.rs` shows a training step with all phases, `orbit-hook/src/space.rs` what can be asked of vectors.

use orbit_hook::{Entry, Error, Hook, Phases, Result, Space, State, Step, Vector::*};
use schemars::JsonSchema;
use serde::Deserialize;

/// The options, and the hook itself. They are read from the run file, and a key that is not here is an error at its line.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MyPlugin {
    /// The share of the way back at each step, 0 to 1.
    pub strength: f32,
    /// Over how many steps the pull grows to its full strength. Default: 1
    #[serde(default = "one")]
    pub warmup: u64,
    /// Steps so far: no option, but what the hook remembers.
    #[serde(skip)]
    steps: u64,
}

fn one() -> u64 {
    1
}

impl Hook for MyPlugin {
    fn name(&self) -> &str {
        "my-plugin"
    }

    /// What is not named here is never called.
    fn phases(&self) -> Phases {
        Phases::WEIGHTS
    }

    /// Before the first step: the place to refuse options that make no sense, and to fill slots.
    fn attach(&mut self, _: &mut dyn Space) -> Result<()> {
        if !(0.0..=1.0).contains(&self.strength) {
            return Err(Error::config(format!("strength must be 0 to 1, got {}", self.strength)));
        }
        if self.warmup == 0 {
            return Err(Error::config("warmup must be 1 or more"));
        }
        Ok(())
    }

    /// After each update of the optimizer.
    fn weights(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
        self.steps += 1;
        let grown = (self.steps as f32 / self.warmup as f32).min(1.0);
        space.lerp(Weights, Origin, grown * self.strength)?;
        // A column of the metrics. It costs a pass over the weights; leave out what you do not look at.
        let drift = space.distance(Weights, Origin)?;
        space.log("drift", drift);
        Ok(())
    }

    /// What must survive a restart, so that a resumed run gives the same bits. Slots are saved by the host.
    fn save(&self, state: &mut State) -> Result<()> {
        state.put("steps", Entry::Count(self.steps));
        Ok(())
    }

    fn load(&mut self, state: &State) -> Result<()> {
        self.steps = state.count("steps")?;
        Ok(())
    }
}

orbit_hook::export!(MyPlugin);

#[cfg(test)]
mod tests {
    use super::*;

    /// What every hook must be able to do; the error says which check failed.
    #[test]
    fn it_keeps_the_contract() -> Result<()> {
        orbit_hook::testing::check(&|| Box::new(MyPlugin { strength: 0.1, warmup: 4, steps: 0 }))
    }

    /// What yours is for, on numbers worked out by hand.
    #[test]
    fn at_full_strength_nothing_moves() -> Result<()> {
        use orbit_hook::testing::{HostSpace, ToyRun};
        use orbit_hook::{Param, ParamKind};

        let params = vec![Param { name: "w".into(), shape: vec![2], kind: ParamKind::Base }];
        let hook = MyPlugin { strength: 1.0, warmup: 1, steps: 0 };
        let mut run = ToyRun::start(vec![Box::new(hook)], HostSpace::new(params, vec![vec![1.0, 2.0]])?, 3)?;
        run.steps(3)?;
        assert_eq!(run.space.weights(), [[1.0, 2.0]]);
        Ok(())
    }
}

use std::collections::BTreeMap;

use orbit_hook::{Entry, Error, ErrorKind, Hook, Param, Phases, Result, Space, State, Step, Vector::*};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::range;

/// What the names of the factors end in: of shape [rank, in], and [out, rank].
const FACTORS: [&str; 2] = [".lora.a", ".lora.b"];
/// The factor that O-LoRA, like PEFT, calls A: its rows span the inputs that an adapter reads.
const READS: &str = FACTORS[0];

/// O-LoRA (arXiv 2310.14152): each stage's adapter reads inputs orthogonal to those of the adapters before it. The loss gains
/// λ₁ Σ_old Σ |A_old Aᵀ| + λ₂ Σ ‖factor‖, added to the gradient in closed form: row j of A gains
/// λ₁ Σ_old Σ_k sign(a_old,k · a_j) a_old,k.
///
/// A is the factor of shape [rank, in], called `X.weight.lora.a` here and lora_A in PEFT. The norm is of each new factor of both
/// kinds, not squared, as in the authors' code. It is for runs whose every stage begins a fresh adapter under the same names, the
/// one before it merged or frozen. In the first stage only λ₂ does anything. Logs `overlap`, the sum behind λ₁. At the end of
/// a stage its A is remembered, and saved with the run.
///
/// Costs a copy of every A and of its gradient to the host and back a step, and rank · in multiplications for every row that is
/// remembered: little beside a training step, for adapters are small.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OLora {
    /// The paper's λ₁, 0 or above: the pull towards orthogonality. Default: 0.5.
    #[serde(default = "default_strength")]
    pub strength: f64,
    /// The paper's λ₂, 0 or above: the pull of zero on the new factors. Default: 0.
    #[serde(default)]
    pub l2: f64,
    /// The rows of all earlier stages' A by parameter: state, saved with the run, not an option.
    #[serde(skip)]
    pub old: BTreeMap<String, Vec<f32>>,
}

fn default_strength() -> f64 {
    0.5
}

impl Default for OLora {
    fn default() -> Self {
        Self { strength: default_strength(), l2: 0.0, old: BTreeMap::new() }
    }
}

impl OLora {
    /// Adds the gradient of λ₁ Σ |A_old Aᵀ| for one A; gives the sum.
    fn part(&self, space: &mut dyn Space, at: usize, param: &Param) -> Result<f64> {
        let Some(old) = self.old.get(&param.name) else { return Ok(0.0) };
        let width = param.shape.last().map_or(1, |width| *width.max(&1));
        if old.len() % width != 0 {
            let message = format!("what is remembered of {} does not have rows of {width} entries", param.name);
            return Err(Error::new(ErrorKind::State, message));
        }
        let (mut sum, mut pull) = (0.0, Vec::new());
        space.visit(Weights.at(at), &mut |_, new| (sum, pull) = overlap(old, new, width))?;
        let strength = self.strength as f32;
        space.visit(Gradients.at(at), &mut |_, gradient| {
            gradient.iter_mut().zip(&pull).for_each(|(gradient, pull)| *gradient += strength * pull);
        })?;
        Ok(sum)
    }

    /// Adds the gradient of λ₂ ‖factor‖, which is 0 at 0.
    fn shrink(&self, space: &mut dyn Space, at: usize) -> Result<()> {
        let norm = space.dot(Weights.at(at), Weights.at(at))?.sqrt();
        let by = if norm > 0.0 { self.l2 / norm } else { 0.0 };
        space.fma(Gradients.at(at), by as f32, Weights.at(at), None)
    }
}

/// Σ |old newᵀ| over rows of so many entries, and its gradient in `new`.
fn overlap(old: &[f32], new: &[f32], width: usize) -> (f64, Vec<f32>) {
    let (mut sum, mut pull) = (0.0, vec![0.0; new.len()]);
    for (row, pull) in new.chunks(width).zip(pull.chunks_mut(width)) {
        for old in old.chunks(width) {
            let dot: f64 = old.iter().zip(row).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let sign = f32::from(i8::from(dot > 0.0) - i8::from(dot < 0.0));
            pull.iter_mut().zip(old).for_each(|(pull, old)| *pull += sign * old);
            sum += dot.abs();
        }
    }
    (sum, pull)
}

/// The parameters whose names end in one of these, and where each stands.
fn ending(space: &dyn Space, ends: &[&str]) -> Vec<(usize, Param)> {
    let ends = |param: &Param| ends.iter().any(|end| param.name.ends_with(end));
    space.params().iter().cloned().enumerate().filter(|(_, param)| ends(param)).collect()
}

impl Hook for OLora {
    fn name(&self) -> &str {
        "o_lora"
    }

    fn phases(&self) -> Phases {
        Phases::GRADIENTS | Phases::FINISH
    }

    fn attach(&mut self, space: &mut dyn Space) -> Result<()> {
        range::at_least_zero("strength", self.strength)?;
        range::at_least_zero("l2", self.l2)?;
        if ending(space, &[READS]).is_empty() {
            return Err(Error::config(format!("o_lora needs LoRA factors: no parameter's name ends in {READS}")));
        }
        Ok(())
    }

    fn gradients(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
        let mut sum = 0.0;
        for (at, param) in ending(space, &[READS]) {
            sum += self.part(space, at, &param)?;
        }
        space.log("overlap", sum);
        if self.l2 == 0.0 {
            return Ok(());
        }
        ending(space, &FACTORS).into_iter().try_for_each(|(at, _)| self.shrink(space, at))
    }

    fn finish(&mut self, space: &mut dyn Space) -> Result<()> {
        for (at, param) in ending(space, &[READS]) {
            let old = self.old.entry(param.name).or_default();
            space.visit(Weights.at(at), &mut |_, new| old.extend_from_slice(new))?;
        }
        Ok(())
    }

    fn save(&self, state: &mut State) -> Result<()> {
        self.old.iter().for_each(|(name, rows)| state.put(name, Entry::Floats(rows.clone())));
        Ok(())
    }

    fn load(&mut self, state: &State) -> Result<()> {
        let rows = |(name, entry): (&str, &Entry)| match entry {
            Entry::Floats(rows) => Ok((name.to_owned(), rows.clone())),
            _ => Err(Error::new(ErrorKind::State, format!("saved state has no list under \"{name}\""))),
        };
        self.old = state.iter().map(rows).collect::<Result<_>>()?;
        Ok(())
    }
}

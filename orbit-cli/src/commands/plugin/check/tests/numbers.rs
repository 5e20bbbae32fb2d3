//! Numbers that are not numbers: none may come of sound ones, and those that are there already must not stop the process.

use anyhow::{Result, bail};
use orbit_core::hook::testing::{HostSpace, ToyRun};
use orbit_core::hook::{self, Hook, Phases};

use super::super::child::Subject;
use super::super::drive::{at, attach, few, gradients, losses, space, weights};
use super::super::verdict::Verdict;
use super::super::watched::Watched;

const STEPS: u64 = 8;

/// A run on sound numbers leaves only such behind, and reports only such.
pub(super) fn stay_finite(subject: &Subject) -> Result<Verdict> {
    let mut run = ToyRun::start(vec![subject.made()], space(few())?, STEPS)?;
    run.steps(STEPS)?;
    run.finish()?;
    if let Some((key, value)) = run.space.logged().iter().find(|(_, value)| !value.is_finite()) {
        bail!(
            "it logged {value} as `{key}`: look for a division by zero, or the root or logarithm of a negative number"
        );
    }
    if let Some(term) = run.terms.iter().find(|term| !term.value.is_finite()) {
        bail!("its loss term `{}` was {}: look for a division by zero or a temperature of zero", term.name, term.value);
    }
    if run.space.weights().iter().flatten().any(|weight| !weight.is_finite()) {
        bail!("the weights are no longer finite after {STEPS} steps: look for factors that grow from step to step");
    }
    Ok(Verdict::passed(""))
}

/// A vector into which a number that is none is put.
#[derive(Clone, Copy, Debug)]
enum Where {
    Weights,
    Gradients,
    Origin,
}

/// Everywhere, a NaN and an infinity. An error is as good as going on: the training step stops by itself.
pub(super) fn poisoned(subject: &Subject) -> Result<Verdict> {
    let (mut errors, mut on) = (Vec::new(), Vec::new());
    for place in [Where::Weights, Where::Gradients, Where::Origin] {
        for poison in [f32::NAN, f32::INFINITY] {
            let what = format!("{poison} in {}", format!("{place:?}").to_lowercase());
            let mut hook = subject.hook(&format!(", with {what}"))?;
            match step(&mut hook, place, poison) {
                Ok(()) => on.push(what),
                Err(_) => errors.push(what),
            }
        }
    }
    let parts = [("went on with", on), ("an error for", errors)];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(_, whats)| !whats.is_empty())
        .map(|(verb, whats)| format!("{verb} {}", whats.join(", ")))
        .collect();
    Ok(Verdict::passed(parts.join("; ")))
}

fn step(hook: &mut Watched, place: Where, poison: f32) -> hook::Result<()> {
    let poisoned = |mut entries: Vec<Vec<f32>>| {
        entries[0][1] = poison;
        entries
    };
    let sound = weights(&few());
    let mut space = match place {
        Where::Origin => HostSpace::new(few(), poisoned(sound.clone()))?,
        _ => HostSpace::new(few(), sound.clone())?,
    };
    attach(hook, &mut space)?;
    space.set_weights(if matches!(place, Where::Weights) { poisoned(sound) } else { sound })?;
    losses(hook, &space, &at(1))?;
    let gradients = gradients(&space);
    space.set_gradients(if matches!(place, Where::Gradients) { poisoned(gradients) } else { gradients })?;
    for phase in [Phases::GRADIENTS, Phases::WEIGHTS, Phases::FINISH] {
        space.begin(phase);
        match phase {
            _ if !hook.phases().contains(phase) => {}
            Phases::GRADIENTS => hook.gradients(&at(1), &mut space)?,
            Phases::WEIGHTS => hook.weights(&at(1), &mut space)?,
            _ => hook.finish(&mut space)?,
        }
    }
    Ok(())
}

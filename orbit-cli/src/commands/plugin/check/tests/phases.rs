//! Who may write what, and when.

use anyhow::{Result, bail};
use orbit_core::hook::testing::ToyRun;
use orbit_core::hook::{self, ErrorKind, Hook, Phases};

use super::super::child::Subject;
use super::super::drive::{at, attach, few, gradients, space};
use super::super::verdict::Verdict;
use super::super::watched::Watched;

const STEPS: u64 = 8;

/// A whole run, in which the host refuses no write.
pub(super) fn writes_in_turn(subject: &Subject) -> Result<Verdict> {
    match whole_run(subject) {
        Ok(()) => Ok(Verdict::passed("")),
        Err(error) if error.kind() == ErrorKind::Phase => bail!(
            "{error}\nweights may be written in weights and finish, gradients in gradients, slots always, the origin never: move \
             the write, or keep what you need for later in a slot"
        ),
        Err(error) => Ok(Verdict::skipped(format!("the run did not come to its end: {error}"))),
    }
}

fn whole_run(subject: &Subject) -> hook::Result<()> {
    let mut run = ToyRun::start(vec![subject.made()], space(few())?, STEPS)?;
    run.steps(STEPS)?;
    run.finish()
}

/// Every phase in which what it writes cannot be written. The host refuses; the hook must say so, or have left it.
pub(super) fn called_out_of_turn(subject: &Subject) -> Result<Verdict> {
    let turns = [
        (Phases::GRADIENTS, Phases::NONE),
        (Phases::GRADIENTS, Phases::WEIGHTS),
        (Phases::WEIGHTS, Phases::NONE),
        (Phases::WEIGHTS, Phases::GRADIENTS),
        (Phases::FINISH, Phases::GRADIENTS),
    ];
    let (mut errors, mut quiet) = (0, 0);
    for (phase, during) in turns {
        let mut hook = subject.hook(" at the wrong time")?;
        if hook.phases().contains(phase) {
            if call(&mut hook, phase, during)?.is_err() { errors += 1 } else { quiet += 1 }
        }
    }
    Ok(match errors + quiet {
        0 => Verdict::skipped("it acts on no vectors"),
        _ => Verdict::passed(format!("{errors} refused, {quiet} went by without a write")),
    })
}

/// Calls the method of one phase during another; an error of this function is a change that should not be.
fn call(hook: &mut Watched, phase: Phases, during: Phases) -> Result<hook::Result<()>> {
    let mut space = space(few())?;
    attach(hook, &mut space)?;
    // Away from the start, so that there is something to act on.
    space.set_weights(gradients(&space))?;
    space.set_gradients(gradients(&space))?;
    let before = (space.weights().to_vec(), space.gradients().to_vec());
    space.begin(during);
    let result = match phase {
        Phases::GRADIENTS => hook.gradients(&at(1), &mut space),
        Phases::WEIGHTS => hook.weights(&at(1), &mut space),
        _ => hook.finish(&mut space),
    };
    let may = (during == Phases::WEIGHTS, during == Phases::GRADIENTS);
    let same = (before.0 == space.weights(), before.1 == space.gradients());
    if !(same.0 || may.0) || !(same.1 || may.1) {
        bail!("it has changed a vector that it was refused: a table's memory is the host's, leave it to the host");
    }
    Ok(result)
}

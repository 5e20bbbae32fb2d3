//! Many hooks of one plugin: the same one may stand in a config twice, and a study makes hundreds.

use anyhow::{Result, bail};
use orbit_core::hook::testing::ToyRun;
use orbit_core::hook::{self, State};

use super::super::child::Subject;
use super::super::drive::{attach, few, params, space};
use super::super::verdict::Verdict;
use crate::machine;

const STEPS: u64 = 8;
const THOUSAND: u64 = 1000;
/// What a thousand may leave behind: a kibibyte each is noticed.
const NOTICED: u64 = THOUSAND * 1024;

/// Two runs whose steps alternate end as each does alone.
pub(super) fn side_by_side(subject: &Subject) -> Result<Verdict> {
    let begin = |first: bool| -> hook::Result<ToyRun> {
        let params = if first { few() } else { params(&[&[5], &[2, 2]]) };
        ToyRun::start(vec![subject.made()], space(params)?, STEPS)
    };
    let alone = |first: bool| -> Result<Outcome> {
        let mut run = begin(first)?;
        run.steps(STEPS)?;
        outcome(run)
    };
    let alone = (alone(true)?, alone(false)?);
    let (mut first, mut second) = (begin(true)?, begin(false)?);
    for _ in 0..STEPS {
        first.steps(1)?;
        second.steps(1)?;
    }
    if (outcome(first)?, outcome(second)?) != alone {
        bail!(
            "two hooks side by side end otherwise than each alone: keep what a hook remembers in its instance, not in globals"
        );
    }
    Ok(Verdict::passed(""))
}

/// What can be seen of a run, down to the bits.
type Outcome = (Vec<u32>, Vec<u64>, Vec<State>);

fn outcome(mut run: ToyRun) -> Result<Outcome> {
    run.finish()?;
    let weights = run.space.weights().iter().flatten().map(|weight| weight.to_bits()).collect();
    let logged = run.space.logged().iter().map(|(_, value)| value.to_bits());
    let terms = run.terms.iter().map(|term| term.value.to_bits());
    Ok((weights, logged.chain(terms).collect(), run.saved()?))
}

/// Made, attached and freed a thousand times, a hook leaves no memory behind.
pub(super) fn thousand(subject: &Subject) -> Result<Verdict> {
    // The first ones fill the allocator's own stores.
    some(subject, THOUSAND / 4)?;
    let before = machine::resident_memory_bytes();
    some(subject, THOUSAND)?;
    match (before, machine::resident_memory_bytes()) {
        (Some(before), Some(after)) => match after.saturating_sub(before) {
            grown if grown > NOTICED => {
                bail!("{THOUSAND} hooks left {grown} bytes behind: destroy must free what create made")
            }
            grown => Ok(Verdict::passed(format!("the process grew by {grown} bytes"))),
        },
        _ => Ok(Verdict::passed("this system does not tell how much memory a process has")),
    }
}

fn some(subject: &Subject, count: u64) -> Result<()> {
    for _ in 0..count {
        attach(&mut subject.bare()?, &mut space(few())?)?;
    }
    Ok(())
}

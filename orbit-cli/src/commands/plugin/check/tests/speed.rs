//! What a step costs.

use std::time::Duration;

use anyhow::Result;

use super::super::child::Subject;
use super::super::drive::{attach, params, space, step};
use super::super::verdict::Verdict;

const TENSORS: usize = 100;
const ENTRIES: usize = 1000;
const STEPS: u64 = 50;

/// The median step on as many parameters as a small model has. No bar: a hook may have a lot to do.
pub(super) fn speed(subject: &Subject) -> Result<Verdict> {
    let shapes = vec![&[ENTRIES][..]; TENSORS];
    let mut space = space(params(&shapes))?;
    let mut hook = subject.hook("")?;
    attach(&mut hook, &mut space)?;
    let mut times = Vec::new();
    for number in 1..=STEPS {
        hook.spent = Duration::ZERO;
        step(&mut hook, &mut space, number)?;
        times.push(hook.spent);
    }
    times.sort_unstable();
    let median = times[times.len() / 2].as_secs_f64() * 1e6;
    Ok(Verdict::passed(format!(
        "{median:.0} µs a step on {TENSORS} tensors of {ENTRIES}, the host's arithmetic included"
    )))
}

use anyhow::Result;

use super::{Data, MIB, Needs, of_run, of_sequence};
use crate::config::{RunFile, SequenceFile};
use crate::machine;
use crate::usage::Usage;

/// The share of what is reckoned that a run takes for certain.
const CERTAIN: f64 = 0.85;

/// Refuses a run, whose paths are absolute, that cannot fit in this machine's memory.
///
/// # Errors
/// [`Usage`], with the arithmetic.
pub(crate) fn check_run(run: &RunFile) -> Result<()> {
    check(&run.device, |data| of_run(run, data))
}

/// As [`check_run`], for a sequence.
///
/// # Errors
/// As [`check_run`].
pub(crate) fn check_sequence(run: &SequenceFile) -> Result<()> {
    check(&run.device, |data| of_sequence(run, data))
}

/// Data are read only where the limits alone would be too much. What cannot be known, such as the needs of a model that is not
/// there, is left to the run.
fn check(device: &str, needs: impl Fn(Data) -> Result<Needs>) -> Result<()> {
    let Some(available) = machine::available_memory_bytes() else { return Ok(()) };
    if !orbit_core::is_cpu(&orbit_core::device(device)?) {
        return Ok(());
    }
    let too_much = |data| needs(data).ok().filter(|needs| needs.peak() * CERTAIN > available as f64);
    match too_much(Data::Unread).and_then(|_| too_much(Data::Read)) {
        Some(needs) => Err(refusal(&needs, available).into()),
        None => Ok(()),
    }
}

fn refusal(needs: &Needs, available: u64) -> Usage {
    Usage::new(format!(
        "the run takes about {:.0} MiB at its peak, and {:.0} MiB are available here\n{}a smaller train.micro_batch has fewer \
         activations and changes nothing else; --no-memory-check trains all the same",
        needs.peak() / MIB,
        available as f64 / MIB,
        needs.text()
    ))
}

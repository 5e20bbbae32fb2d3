//! Parameters of unusual size.

use anyhow::Result;
use orbit_core::hook::Param;

use super::super::child::Subject;
use super::super::drive::{attach, params, space, step};
use super::super::verdict::Verdict;

/// A vector of one entry, and a scalar, whose shape is empty.
pub(super) fn one_entry(subject: &Subject) -> Result<Verdict> {
    run(subject, params(&[&[1], &[]]))
}

pub(super) fn large(subject: &Subject) -> Result<Verdict> {
    run(subject, params(&[&[2048, 2048]]))
}

fn run(subject: &Subject, params: Vec<Param>) -> Result<Verdict> {
    let mut space = space(params)?;
    let mut hook = subject.hook("")?;
    attach(&mut hook, &mut space)?;
    for number in 1..=2 {
        step(&mut hook, &mut space, number)?;
    }
    Ok(Verdict::passed(""))
}

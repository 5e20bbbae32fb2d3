//! What every hook must be able to do, on any host: `orbit_hook::testing`, through the library.

use orbit_core::hook::testing::CHECKS;

use super::super::verdict::Verdict;
use super::{Needs, Test, test};

pub(super) fn tests() -> impl Iterator<Item = Test> {
    CHECKS.into_iter().map(|(title, check)| {
        test(&format!("contract: {title}"), Needs::Hook, move |subject| {
            check(&|| subject.made())?;
            Ok(Verdict::passed(""))
        })
    })
}

//! `orbit ids`

use anyhow::Result;
use crate::args::{Global, Ids};

pub(crate) fn run(_: &Ids, _: &Global) -> Result<()> {
    Ok(())
}

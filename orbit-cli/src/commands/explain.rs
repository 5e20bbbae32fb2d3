//! `orbit explain`

use anyhow::Result;
use crate::args::{Explain, Global};

pub(crate) fn run(_: &Explain, _: &Global) -> Result<()> {
    Ok(())
}

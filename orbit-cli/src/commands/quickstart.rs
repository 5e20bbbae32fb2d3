use anyhow::{Result, bail};

use crate::args::{Quickstart, Global};

pub(crate) fn run(_: &Quickstart, _: &Global) -> Result<()> {
    bail!("not built yet")
}

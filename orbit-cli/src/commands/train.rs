use anyhow::{Result, bail};

use crate::args::{Train, Global};

pub(crate) fn run(_: &Train, _: &Global) -> Result<()> {
    bail!("not built yet")
}

use anyhow::{Result, bail};

use crate::args::{Report, Global};

pub(crate) fn run(_: &Report, _: &Global) -> Result<()> {
    bail!("not built yet")
}

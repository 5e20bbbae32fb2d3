use anyhow::{Result, bail};

use crate::args::{Resume, Global};

pub(crate) fn run(_: &Resume, _: &Global) -> Result<()> {
    bail!("not built yet")
}

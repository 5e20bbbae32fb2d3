use anyhow::{Result, bail};

use crate::args::{Eval, Global};

pub(crate) fn run(_: &Eval, _: &Global) -> Result<()> {
    bail!("not built yet")
}

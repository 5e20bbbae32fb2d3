//! `orbit pull`

use anyhow::{Context, Result};
use orbit_models::pull;

use super::print;
use crate::args::{Global, Pull};
use crate::paths;
use crate::usage::Usage;

pub(crate) fn run(args: &Pull, global: &Global) -> Result<()> {
    let source = pull::source(&args.name).map_err(|error| Usage::new(error.to_string()))?;
    let mut progress = |step: &str| {
        if !global.quiet {
            eprintln!("{step}");
        }
    };
    let dir = pull::pull(source.name, paths::cache()?, &mut progress)
        .with_context(|| format!("cannot pull {}", source.name))?;
    print(&format!("{} ({}) is in {}\n", source.title, source.licence, dir.display()))
}

//! `orbit resume`: goes on with a run that was stopped.

use anyhow::Result;

use crate::args::{Global, Resume};
use crate::commands::print;
use crate::commands::train::show_sequence;
use crate::plugins;
use crate::report;
use crate::usage::Usage;
use crate::{fine_tune, sequence};

pub(crate) fn run(args: &Resume, global: &Global) -> Result<()> {
    if !args.dir.join("run.toml").exists() {
        let message = format!("{} is not a run directory: it has no run.toml", args.dir.display());
        return Err(Usage::new(message).into());
    }
    if sequence::is_one(&args.dir) {
        let run = sequence::read(&args.dir)?;
        plugins::compare(&run.hooks, &args.dir, args.allow_changed_plugins)?;
        return show_sequence(&run, &args.dir, global);
    }
    let run = fine_tune::read(&args.dir)?;
    plugins::compare(&run.hooks, &args.dir, args.allow_changed_plugins)?;
    match fine_tune::run(&run, &args.dir, global.quiet)? {
        Some(report) => print(&report::text(&report)),
        None => print(&format!("stopped; go on with `orbit resume {}`\n", args.dir.display())),
    }
}

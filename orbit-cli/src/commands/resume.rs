//! `orbit resume`: goes on with a run that was stopped.

use anyhow::Result;

use crate::args::{Global, Resume};
use crate::commands::train::{show, show_sequence};
use crate::plugins;
use crate::usage::Usage;
use crate::{fine_tune, run_dir, sasrec, sequence};

pub(crate) fn run(args: &Resume, global: &Global) -> Result<()> {
    if !args.dir.join("run.toml").exists() {
        let message = format!("{} is not a run directory: it has no run.toml", args.dir.display());
        return Err(Usage::new(message).into());
    }
    let lock = run_dir::lock(&args.dir)?;
    if sequence::is_one(&args.dir) {
        let run = sequence::read(&args.dir)?;
        plugins::compare(&run.hooks, &args.dir, args.allow_changed_plugins)?;
        return show_sequence(&run, &args.dir, lock, global);
    }
    if sasrec::is_one(&args.dir) {
        return show(sasrec::run(&sasrec::read(&args.dir)?, &args.dir, lock, global.quiet)?, &args.dir);
    }
    let run = fine_tune::read(&args.dir)?;
    plugins::compare(&run.hooks, &args.dir, args.allow_changed_plugins)?;
    show(fine_tune::run(&run, &args.dir, lock, global.quiet)?, &args.dir)
}

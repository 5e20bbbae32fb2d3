//! `orbit train`: a new run.

use anyhow::Result;

use crate::args::{Global, Train};
use crate::commands::print;
use crate::config::RunFile;
use crate::fine_tune;
use crate::paths::{self, DataDir};
use crate::report;

pub(crate) fn run(args: &Train, global: &Global) -> Result<()> {
    let run = RunFile::read(&args.run)?.apply(args.overrides())?;
    let run = paths::resolve(run, &DataDir::new(global.data.clone(), &args.run))?;
    // A device that is not there is found before anything is written.
    orbit_core::device(&run.device)?;
    fine_tune::prepare(&run, &args.out, args.overwrite)?;
    match fine_tune::run(&run, &args.out, global.quiet)? {
        Some(report) => print(&report::text(&report)),
        None => print(&format!("stopped; go on with `orbit resume {}`\n", args.out.display())),
    }
}

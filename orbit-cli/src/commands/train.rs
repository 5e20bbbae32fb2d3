//! `orbit train`: a new run.

use std::path::Path;

use anyhow::Result;

use crate::args::{Global, Train};
use crate::commands::print;
use crate::config::{RunFile, SasRecFile, SequenceFile};
use crate::paths::{self, DataDir};
use crate::report::{self, Report};
use crate::run_dir::Lock;
use crate::{fine_tune, memory, sasrec, sequence};

pub(crate) fn run(args: &Train, global: &Global) -> Result<()> {
    if SequenceFile::is_one(&args.run) {
        return run_sequence(args, global);
    }
    if SasRecFile::is_one(&args.run) {
        return run_sasrec(args, global);
    }
    let run = RunFile::read(&args.run)?.apply(args.overrides())?;
    let mut run = paths::resolve(run, &DataDir::new(global.data.clone(), &args.run))?;
    // A device that is not there, and memory that is not, are found before anything is written.
    orbit_core::device(&run.device)?;
    if !args.no_memory_check {
        memory::check_run(&run)?;
    }
    let lock = fine_tune::prepare(&mut run, &args.out, args.overwrite)?;
    show(fine_tune::run(&run, &args.out, lock, global.quiet)?, &args.out)
}

/// Shows what came of a run, or how to go on with it.
pub(crate) fn show(report: Option<Report>, dir: &Path) -> Result<()> {
    match report {
        Some(report) => print(&report::text(&report)),
        None => print(&format!("stopped; go on with `orbit resume {}`\n", dir.display())),
    }
}

fn run_sasrec(args: &Train, global: &Global) -> Result<()> {
    let run = SasRecFile::read(&args.run)?.apply(args.overrides())?;
    let run = paths::resolve_sasrec(run, &DataDir::new(global.data.clone(), &args.run))?;
    orbit_core::device(&run.device)?;
    let lock = sasrec::prepare(&run, &args.out, args.overwrite)?;
    show(sasrec::run(&run, &args.out, lock, global.quiet)?, &args.out)
}

fn run_sequence(args: &Train, global: &Global) -> Result<()> {
    let run = SequenceFile::read(&args.run)?.apply(args.overrides())?;
    let mut run = paths::resolve_sequence(run, &DataDir::new(global.data.clone(), &args.run))?;
    orbit_core::device(&run.device)?;
    if !args.no_memory_check {
        memory::check_sequence(&run)?;
    }
    let lock = sequence::prepare(&mut run, &args.out, args.overwrite, args.extend)?;
    show_sequence(&run, &args.out, lock, global)
}

/// Runs a sequence to its end and shows what came of it.
pub(crate) fn show_sequence(run: &SequenceFile, dir: &Path, lock: Lock, global: &Global) -> Result<()> {
    match sequence::run(run, dir, lock, global.quiet)? {
        Some(report) => print(&report.text()?),
        None => print(&format!("stopped; go on with `orbit resume {}`\n", dir.display())),
    }
}

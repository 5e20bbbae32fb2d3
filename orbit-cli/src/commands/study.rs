//! `orbit study`: the study of forgetting, over several models.

use anyhow::Result;

use super::print;
use crate::args::{Global, Study, StudyRun};
use crate::config::StudyFile;
use crate::paths::{self, DataDir};
use crate::study;

pub(crate) fn run(command: &Study, global: &Global) -> Result<()> {
    match command {
        Study::Run(args) => run_study(args, global),
    }
}

fn run_study(args: &StudyRun, global: &Global) -> Result<()> {
    let study = StudyFile::read(&args.study)?;
    let study = paths::resolve_study(study, &DataDir::new(global.data.clone(), &args.study))?;
    orbit_core::device(&study.device)?;
    study::prepare(&study, &args.out)?;
    match study::run(&study, &args.out, global.quiet)? {
        Some(report) => print(&report.text()),
        None => print("stopped; the same command goes on\n"),
    }
}

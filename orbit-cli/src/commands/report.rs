//! `orbit report`: shows the reports of runs, several as one.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::args::{Global, Report as ReportArgs};
use crate::commands::print;
use crate::report::{self, Report};

pub(crate) fn run(args: &ReportArgs, _: &Global) -> Result<()> {
    let reports = args.runs.iter().map(|path| load(path)).collect::<Result<Vec<_>>>()?;
    let report = Report::join(reports)?;
    match (&args.out, args.runs.as_slice()) {
        (Some(out), _) => {
            fs::create_dir_all(out).with_context(|| out.display().to_string())?;
            report.save(out)?;
        }
        (None, [only]) if only.is_dir() => report.save(only)?,
        _ => {}
    }
    print(&report::text(&report))
}

fn load(path: &Path) -> Result<Report> {
    if path.is_dir() { Report::load(&path.join("report.json")) } else { Report::load(path) }
}

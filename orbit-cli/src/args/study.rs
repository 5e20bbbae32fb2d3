use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `orbit study`.
#[derive(Debug, Subcommand)]
pub(crate) enum Study {
    /// Take several models through the same tasks, and show what each kept
    Run(StudyRun),
}

/// Arguments of `orbit study run`.
#[derive(Debug, Args)]
pub(crate) struct StudyRun {
    /// The study: models, tasks, suites
    pub(crate) study: PathBuf,
    /// Where the runs and the report go; a study that was stopped goes on
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

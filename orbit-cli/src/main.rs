//! `orbit`: fine-tune a language model into a generative retriever, and measure what it kept.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its terminal")]

mod allocator;
mod args;
mod catalogue;
mod commands;
mod config;
mod fine_tune;
mod in_context;
mod job;
mod language;
mod machine;
mod memory;
mod notes;
mod paths;
mod permissions;
mod pipeline;
mod plugins;
mod progress;
mod report;
mod retrieval;
mod run_dir;
mod sasrec;
mod semantic_ids;
mod sequence;
mod study;
mod switch;
mod training;
mod usage;
mod vectors;
mod watch;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use args::{Cli, Command, Global};

fn main() -> ExitCode {
    allocator::keep_freed_memory();
    permissions::keep_others_from_writing();
    join_the_workers();
    let Cli { global, command } = Cli::parse();
    log_to_stderr(&global);
    match run(&command, &global) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", usage::describe(&error));
            ExitCode::from(usage::exit_code(&error))
        }
    }
}

fn run(command: &Command, global: &Global) -> anyhow::Result<()> {
    match command {
        Command::Quickstart(args) => commands::quickstart::run(args, global),
        Command::Pull(args) => commands::pull::run(args, global),
        Command::Data(command) => commands::data::run(command, global),
        Command::Ids(args) => commands::ids::run(args, global),
        Command::Embed(args) => commands::embed::run(args, global),
        Command::Pretrain(args) => commands::pretrain::run(args, global),
        Command::Train(args) => commands::train::run(args, global),
        Command::Resume(args) => commands::resume::run(args, global),
        Command::Reproduce(args) => commands::reproduce::run(args, global),
        Command::Eval(args) => commands::eval::run(args, global),
        Command::Recommend(args) => commands::recommend::run(args),
        Command::Explain(args) => commands::explain::run(args, global),
        Command::Report(args) => commands::report::run(args, global),
        Command::Plugin(plugin) => commands::plugin::run(plugin),
        Command::Study(study) => commands::study::run(study, global),
        Command::Switch(switch) => commands::switch::run(switch, global),
        Command::Iv(iv) => commands::iv::run(iv),
        Command::Schema(args) => commands::schema::run(args),
        Command::Bench(args) => commands::bench::run(args, global),
    }
}

/// Makes this thread one of those that compute: else it sleeps while they work, and to wake it costs as much as a small
/// operation. `RAYON_NUM_THREADS` counts it.
fn join_the_workers() {
    if let Err(error) = rayon::ThreadPoolBuilder::new().use_current_thread().build_global() {
        tracing::debug!("the main thread waits for the workers: {error}");
    }
}

/// Events of the libraries go to stderr; `ORBIT_LOG` chooses them more finely than `-v`.
fn log_to_stderr(global: &Global) {
    let level = match global.verbose {
        0 if global.quiet => "error",
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("ORBIT_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
}

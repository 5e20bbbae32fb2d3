//! `orbit plugin`: write, list and check regularizers in libraries of their own.

mod check;
mod list;
mod new;

use anyhow::Result;

use crate::args::Plugin;

pub(crate) fn run(command: &Plugin) -> Result<()> {
    match command {
        Plugin::New(args) => new::run(args),
        Plugin::List(args) => list::run(args),
        Plugin::Check(args) => check::run(args),
        Plugin::Test(args) => check::run_one(args),
    }
}

//! One file a command; each has a `run`.

pub(crate) mod bench;
pub(crate) mod data;
pub(crate) mod embed;
pub(crate) mod eval;
pub(crate) mod explain;
pub(crate) mod ids;
pub(crate) mod iv;
pub(crate) mod plugin;
pub(crate) mod pretrain;
pub(crate) mod pull;
pub(crate) mod quickstart;
pub(crate) mod recommend;
pub(crate) mod report;
pub(crate) mod reproduce;
pub(crate) mod resume;
pub(crate) mod schema;
pub(crate) mod study;
pub(crate) mod switch;
pub(crate) mod train;

use std::io::{self, ErrorKind, Write};

use anyhow::Result;

/// Writes a result to stdout. A reader that has gone away, as `head` does, is no error.
pub(crate) fn print(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

//! What a template can use besides its variables: jinja2 as transformers sets it up.

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, Value};
use regex::Regex;

use super::clock::Clock;
use super::{FUEL, bounds, filters, globals, json, methods};

/// The tags of transformers' block `generation`, which marks the words of the assistant and writes nothing itself.
#[allow(clippy::unwrap_used, reason = "the pattern is a constant")]
static GENERATION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}").unwrap());

/// The start of a block `raw` at the end of its line. The engine leaves that line end out, and jinja2 does not.
#[allow(clippy::unwrap_used, reason = "the pattern is a constant")]
static RAW: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(\{%[-+]?\s*raw\s*%\})\n").unwrap());

/// An error of `raise_exception`, to tell it from the errors of the engine.
#[derive(Debug, thiserror::Error)]
#[error("raise_exception")]
pub(super) struct Raised;

/// The environment of a template that is rendered at the time `clock`.
pub(super) fn environment(clock: Clock) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(methods::call);
    environment.add_function("raise_exception", |reason: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, reason).with_source(Raised))
    });
    environment.add_function("strftime_now", move |state: &State, format: &str| {
        // A directive writes more than it has letters.
        state.consume_fuel(format.len() as u64 / 8)?;
        Ok::<_, Error>(clock.strftime(format))
    });
    environment.add_filter("tojson", json::tojson);
    environment.add_filter(bounds::FILTER, bounds::bounded);
    filters::add(&mut environment);
    globals::add(&mut environment);
    Ok(environment)
}

/// `source` as the engine reads it, so that it writes what jinja2 writes. Line ends become `\n`. The block
/// `generation`, which is a scope of its own, becomes `with`.
pub(super) fn prepared(source: &str) -> String {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let source = GENERATION.replace_all(&source, "{%${1} ${2}with ${3}%}");
    bounds::measured(&RAW.replace_all(&source, "${1}\n\n"))
}

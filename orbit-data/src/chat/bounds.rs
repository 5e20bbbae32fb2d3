//! Bounds on the values that a template keeps.
//!
//! Only the attributes of a `namespace` outlive a step of a loop, so only they can grow into a value that is nested
//! without end, contains itself, or contains a value twice again and again. To drop, compare or print such a value
//! would exhaust the stack or the time, which the fuel does not count. So every value that is assigned to an attribute
//! is measured first.

use std::sync::LazyLock;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value};
use regex::Regex;

/// How deep a value in a namespace may be nested.
const DEPTH: usize = 100;

/// The filter that measures a value.
pub(super) const FILTER: &str = "orbit_bounded";

/// An assignment to an attribute, with the texts in its expression left whole.
#[allow(clippy::unwrap_used, reason = "the pattern is a constant")]
static ASSIGNMENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?s)(\{%[-+]?\s*set\s[^=%]*\.[^=%]*=)((?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^'"%]|%[^}'"])*?)([-+]?%\})"#,
    )
    .unwrap()
});

/// `source` with every assignment to an attribute measured.
pub(super) fn measured(source: &str) -> String {
    ASSIGNMENT
        .replace_all(source, |found: &regex::Captures<'_>| {
            format!("{}({})|{FILTER}{}", &found[1], &found[2], &found[3])
        })
        .into_owned()
}

/// Filter: the value itself.
///
/// # Errors
/// When it is nested too deeply, contains a namespace, or the fuel does not last for its parts.
pub(super) fn bounded(state: &State, value: Value) -> Result<Value, Error> {
    measure(state, &value, 0)?;
    Ok(value)
}

fn measure(state: &State, value: &Value, depth: usize) -> Result<(), Error> {
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) {
        return Ok(());
    }
    if depth == DEPTH {
        let message = format!("a value in a namespace is nested deeper than {DEPTH} levels");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    if value.as_object().is_some_and(|object| object.type_name().ends_with("::Namespace")) {
        return Err(Error::new(ErrorKind::InvalidOperation, "a namespace in a namespace could contain itself"));
    }
    state.consume_fuel(1 + value.len().unwrap_or(0) as u64 / 16)?;
    for item in value.try_iter()?.checked() {
        let item = item?;
        if value.kind() == ValueKind::Map {
            measure(state, &value.get_item(&item)?, depth + 1)?;
        }
        measure(state, &item, depth + 1)?;
    }
    Ok(())
}

//! Says what is wrong with a run file, and what was probably meant.

use crate::usage::Usage;

/// Names less alike than this are not worth suggesting (Jaro and Winkler's measure, 0 to 1).
const ALIKE: f64 = 0.75;

/// The parser's message, which has line, column and the text there, and the nearest right name.
pub(super) fn explain(error: &toml::de::Error) -> Usage {
    let message = error.to_string();
    let message = message.trim_end();
    match suggestion(error.message()) {
        Some(name) => Usage::new(format!("{message}\ndid you mean `{name}`?")),
        None => Usage::new(message),
    }
}

/// The nearest of the right names in serde's "unknown field `a`, expected one of `b`, `c`".
fn suggestion(message: &str) -> Option<&str> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let wrong = names.next()?;
    nearest(wrong, names)
}

/// The one of the right names that is most like a wrong one, if any is.
pub(super) fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let alike = names.into_iter().map(|name| (strsim::jaro_winkler(wrong, name), name));
    let nearest = alike.max_by(|a, b| a.0.total_cmp(&b.0));
    nearest.filter(|(alike, _)| *alike >= ALIKE).map(|(_, name)| name)
}

//! What a user reads when a template fails.

use minijinja::ErrorKind;

use super::environment::Raised;
use super::source::TEMPLATE;
use crate::Error;

/// What the engine said, at which line of the template, and what can be done.
#[derive(Debug)]
struct Failure(minijinja::Error);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.0.line() {
            write!(f, "line {line}: ")?;
        }
        let said = self.0.detail().map_or_else(|| self.0.kind().to_string(), str::to_owned);
        match self.0.kind() {
            _ if is_raised(&self.0) => write!(f, "the template refuses the conversation: {said}")?,
            ErrorKind::OutOfFuel => f.write_str("the template does not come to an end, or its text is too long")?,
            kind if said == kind.to_string() => write!(f, "{said}")?,
            kind => write!(f, "{kind}: {said}")?,
        }
        write!(f, "; to use another template, write it to {TEMPLATE} in the model's directory")
    }
}

impl std::error::Error for Failure {}

/// Whether the template itself called `raise_exception`.
fn is_raised(error: &minijinja::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<Raised>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The error of `what` was done with the template from `origin`.
pub(super) fn failed(what: &str, origin: &str, error: minijinja::Error) -> Error {
    Error::Tokenizer { what: format!("{what} the chat template of {origin}"), source: Failure(error).into() }
}

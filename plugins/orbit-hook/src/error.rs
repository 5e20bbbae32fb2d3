use std::fmt;

/// What a hook or the host answers with.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed request, fit to cross a C boundary: a kind and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// What went wrong, for a caller that wants to react to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A vector was written in a phase in which it is read-only, or read when it does not exist.
    Phase,
    /// A parameter, slot or handle that the host does not have.
    Unknown,
    /// An option of the hook is out of range.
    Config,
    /// The host or the model cannot do what was asked.
    Unsupported,
    /// Saved state does not fit the hook that loads it.
    State,
    /// Anything the hook itself reports.
    Failed,
    /// The hook's code has panicked.
    Panicked,
}

impl Error {
    /// An error of the given kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// An error that the hook itself reports.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// An option out of range.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

use std::path::{Path, PathBuf};

/// What orbit-data answers with.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be wrong with data. Variants are facts: which file, which line, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that is not there or cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A row that cannot be used.
    #[error("{}:{line}: {reason}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// A file whose contents do not fit what is asked of it.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// Values that do not fit together.
    #[error("{0}")]
    Invalid(String),
    /// The tokenizer or the chat template failed.
    #[error("{what}: {source}")]
    Tokenizer {
        /// What was being done.
        what: String,
        /// What the tokenizer said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// An [`Error::Io`] on `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_owned(), source }
    }

    /// An [`Error::Row`] at `path:line`.
    pub fn row(path: impl AsRef<Path>, line: usize, reason: impl Into<String>) -> Self {
        Self::Row { path: path.as_ref().to_owned(), line, reason: reason.into() }
    }

    /// An [`Error::File`] about `path`.
    pub fn file(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().to_owned(), reason: reason.into() }
    }
}

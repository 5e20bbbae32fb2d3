use std::fmt;
use std::path::{Path, PathBuf};

use crate::weights::Array;

/// What orbit-models answers with.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be wrong with a model and its files. Variants are facts: which file, what is wrong, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder that is not there or cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A JSON file that does not parse.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser said, with line and column.
        source: serde_json::Error,
    },
    /// A safetensors file that is broken: a bad header, or offsets that do not fit the file.
    #[error("{}: not a whole safetensors file: {source}", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: safetensors::SafeTensorError,
    },
    /// A file or folder of another kind than the one that was expected.
    #[error("{}: {what}", path.display())]
    Foreign {
        /// The file or folder.
        path: PathBuf,
        /// What it is, and what to do.
        what: String,
    },
    /// One tensor, or one entry of a shard index, that cannot be used.
    #[error("{}: tensor {name}: {reason}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Why.
        reason: String,
    },
    /// Weights that do not fit the model that was to take them.
    #[error("{}: the weights do not fit the model{}{}{}", path.display(),
        list("missing", missing), list("unused", unused), list("of another shape", misshapen))]
    Weights {
        /// The model directory or file.
        path: PathBuf,
        /// What the model has and the file has not.
        missing: Vec<String>,
        /// What the file has and the model has not.
        unused: Vec<String>,
        /// What both have in different shapes.
        misshapen: Vec<Misshapen>,
    },
    /// Weights that are NaN or infinite: no number that such a model gives means anything.
    #[error("{}: weights are not finite{}: the file is damaged, or its training failed; save the model again", path.display(),
        list("with such entries", tensors))]
    NotFinite {
        /// The model directory or file.
        path: PathBuf,
        /// The tensors, in the order of the model.
        tensors: Vec<NotFinite>,
    },
    /// Weights that are far too few for the model that was to take them.
    #[error("{}: the weights have {entries} entries, and a model as its config says has {parameters}", path.display())]
    TooFew {
        /// The model directory or file.
        path: PathBuf,
        /// What the file has.
        entries: usize,
        /// What the model would have.
        parameters: usize,
    },
    /// A `config.json` that describes a model this crate does not build.
    #[error("{}: `{key}`: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Why.
        reason: String,
    },
    /// A GGUF file that is broken, or holds what this crate does not read.
    #[error("{}: {reason}", path.display())]
    Gguf {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file whose contents are not the ones expected.
    #[error("{}: sha256 is {found}, expected {expected}: remove the file and fetch it again", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// The digest it should have, in hexadecimal.
        expected: String,
        /// The digest it has.
        found: String,
    },
    /// An adapter that does not fit, or was asked for with options that are not right.
    #[error("{0}")]
    Adapter(String),
    /// An instruction vector that cannot be used.
    #[error("{0}")]
    Vector(String),
    /// An RQ-VAE that cannot be trained.
    #[error("{0}")]
    RqVae(String),
    /// A step of fetching a model that failed.
    #[error("{step}: {reason}")]
    Pull {
        /// What was being done.
        step: String,
        /// Why it failed, and what to do.
        reason: String,
    },
}

/// A tensor that is there in another shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misshapen {
    /// Its name in the file.
    pub name: String,
    /// The shape the model has.
    pub expected: Vec<usize>,
    /// The shape in the file.
    pub found: Vec<usize>,
}

impl fmt::Display for Misshapen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {:?}, expected {:?}", self.name, self.found, self.expected)
    }
}

/// A tensor with entries that are NaN or infinite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFinite {
    /// Its name in the file.
    pub name: String,
    /// How many entries are not finite.
    pub count: usize,
    /// The place of the first in the tensor, row-major.
    pub first: usize,
    /// What stands there: `NaN`, `inf` or `-inf`.
    pub value: String,
}

impl NotFinite {
    /// What of an array is not finite; none if all of it is.
    pub(crate) fn of(name: &str, array: &Array) -> Option<Self> {
        let first = array.data.iter().position(|x| !x.is_finite())?;
        let count = array.data[first..].iter().filter(|x| !x.is_finite()).count();
        Some(Self { name: name.to_owned(), count, first, value: array.data[first].to_string() })
    }
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} entries, the first, {}, at {})", self.name, self.count, self.value, self.first)
    }
}

/// How many names of a list an error message spells out.
const LISTED: usize = 20;

/// `; {count} {label}: a, b, ... and n more`, or nothing for an empty list.
fn list<T: fmt::Display>(label: &str, items: &[T]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let names: Vec<String> = items.iter().take(LISTED).map(T::to_string).collect();
    let more = match items.len().saturating_sub(LISTED) {
        0 => String::new(),
        n => format!(", ... and {n} more"),
    };
    format!("; {} {label}: {}{more}", items.len(), names.join(", "))
}

impl Error {
    /// An [`Error::Io`] on `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_owned(), source }
    }

    /// An [`Error::Json`] on `path`.
    pub fn json(path: impl AsRef<Path>, source: serde_json::Error) -> Self {
        Self::Json { path: path.as_ref().to_owned(), source }
    }

    /// An [`Error::Safetensors`] on `path`.
    pub fn safetensors(path: impl AsRef<Path>, source: safetensors::SafeTensorError) -> Self {
        Self::Safetensors { path: path.as_ref().to_owned(), source }
    }

    /// An [`Error::Tensor`] about `name` in `path`.
    pub fn tensor(path: impl AsRef<Path>, name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Tensor { path: path.as_ref().to_owned(), name: name.into(), reason: reason.into() }
    }

    /// An [`Error::Config`] about `key` in `path`.
    pub fn config(path: impl AsRef<Path>, key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Config { path: path.as_ref().to_owned(), key: key.into(), reason: reason.into() }
    }

    /// An [`Error::Gguf`] about `path`.
    pub fn gguf(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Gguf { path: path.as_ref().to_owned(), reason: reason.into() }
    }

    /// An [`Error::Foreign`] about `path`.
    pub fn foreign(path: impl AsRef<Path>, what: impl Into<String>) -> Self {
        Self::Foreign { path: path.as_ref().to_owned(), what: what.into() }
    }

    pub(crate) fn adapter(reason: impl Into<String>) -> Self {
        Self::Adapter(reason.into())
    }

    pub(crate) fn vector(reason: impl Into<String>) -> Self {
        Self::Vector(reason.into())
    }

    pub(crate) fn rq_vae(reason: impl Into<String>) -> Self {
        Self::RqVae(reason.into())
    }

    /// An [`Error::Pull`] in `step`.
    pub fn pull(step: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Pull { step: step.into(), reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        let missing: Vec<String> = (0..25).map(|i| format!("t{i}")).collect();
        let misshapen = vec![Misshapen { name: "w".into(), expected: vec![2, 3], found: vec![6] }];
        let error = Error::Weights { path: "m".into(), missing, unused: vec![], misshapen };
        let text = error.to_string();
        assert!(text.contains("25 missing: t0, t1,"), "{text}");
        assert!(text.contains("t19, ... and 5 more"), "{text}");
        assert!(!text.contains("t20") && !text.contains("unused"), "{text}");
        assert!(text.contains("w is [6], expected [2, 3]"), "{text}");
    }
}

use std::path::{Path, PathBuf};

/// What orbit-core answers with.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in training and evaluation. Variants are facts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A device that this build does not have, or that is not in this machine.
    #[error("device \"{name}\": {reason}; this build has {available}")]
    Device {
        /// The name asked for.
        name: String,
        /// Why it cannot be had.
        reason: String,
        /// What can be asked for.
        available: String,
    },
    /// A hook that failed.
    #[error("hook {position} \"{hook}\" in {phase}: {source}")]
    Hook {
        /// Its name.
        hook: String,
        /// Its place in the list, from 1.
        position: usize,
        /// What it was doing.
        phase: &'static str,
        /// What it or the space said.
        source: orbit_hook::Error,
    },
    /// A config value that cannot be used.
    #[error("{key}: {reason}")]
    Config {
        /// The key.
        key: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A loss or gradient that is not a number. The weights are those from before the step.
    #[error(
        "step {step}: {what} is not finite ({value}){}; nothing was updated. Rows of the batch: {batch}. A lower learning rate, \
         a longer warm-up or a smaller clip may help",
        parameter.as_ref().map_or_else(String::new, |name| format!(", nor is {name}"))
    )]
    NonFinite {
        /// The step's number.
        step: u64,
        /// What was not finite.
        what: String,
        /// Its value.
        value: f64,
        /// The first parameter whose weights are not finite, or else whose gradient is not; and the hooks that changed weights
        /// in the step before, if it is the weights.
        parameter: Option<String>,
        /// The rows of the batch, by example.
        batch: String,
    },
    /// A log-likelihood that is not a number, and so no score.
    #[error(
        "item {item}, from 0: the log-likelihood of its choice {choice} is {value}: the model computes no number there; its weights \
         or the arithmetic have overflowed"
    )]
    Score {
        /// The item, from 0.
        item: usize,
        /// Its continuation, from 0; 0 for running text.
        choice: usize,
        /// What came out.
        value: f64,
    },
    /// A step whose loss or gradient is far above those before it. The weights are those from before the step.
    #[error(
        "step {step}: the {} is {:.4}, and the last ones were {:.4} on average with deviation {:.4}; nothing was updated. Rows of \
         the batch: {batch}. Look at these rows; a lower learning rate or a smaller clip may help, and a guard can skip such steps",
        spike.of.replace('_', " "), spike.value, spike.mean, spike.deviation
    )]
    Spike {
        /// The step's number.
        step: u64,
        /// What was too high.
        spike: crate::Spike,
        /// The rows of the batch, by example.
        batch: String,
    },
    /// Weights or moments that are not finite, and so are not saved.
    #[error(
        "after step {step}, {name} has an entry that is {value}: this is not saved, and the checkpoint before stays"
    )]
    Poisoned {
        /// Steps done.
        step: u64,
        /// The parameter, or `first.` or `second.` and the parameter for a moment of it.
        name: String,
        /// The first entry that is not finite.
        value: f32,
    },
    /// A run in which a step has failed half way.
    #[error("step {step} has failed half way: go on from the last checkpoint")]
    Torn {
        /// The step's number.
        step: u64,
    },
    /// A checkpoint that cannot be used.
    #[error("checkpoint {}: {reason}", path.display())]
    Checkpoint {
        /// Its directory or file.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// A checkpoint that is not what was saved; the one before it may be.
    #[error("checkpoint {}: {reason}", path.display())]
    Damaged {
        /// Its directory or file.
        path: PathBuf,
        /// How that was found.
        reason: String,
    },
    /// Reading or writing a file failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A batch or a row of tokens that the model cannot take.
    #[error("{0}")]
    Input(String),
}

impl Error {
    pub(crate) fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_owned(), source }
    }

    pub(crate) fn checkpoint(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Checkpoint { path: path.as_ref().to_owned(), reason: reason.into() }
    }

    pub(crate) fn damaged(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.as_ref().to_owned(), reason: reason.into() }
    }

    pub(crate) fn config(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Config { key: key.into(), reason: reason.into() }
    }
}

//! What a test has found.

use serde::{Deserialize, Serialize};

/// How a test went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Passed,
    Failed,
    Skipped,
}

/// How a test went, and what there is to say about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Verdict {
    pub(super) status: Status,
    pub(super) reason: String,
}

impl Verdict {
    pub(super) fn passed(note: impl Into<String>) -> Self {
        Self { status: Status::Passed, reason: note.into() }
    }

    pub(super) fn failed(reason: impl Into<String>) -> Self {
        Self { status: Status::Failed, reason: reason.into() }
    }

    pub(super) fn skipped(reason: impl Into<String>) -> Self {
        Self { status: Status::Skipped, reason: reason.into() }
    }
}

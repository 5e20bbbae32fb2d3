//! Mistakes that the person at the keyboard can mend, told apart from everything else by the exit code.

use std::fmt;

use orbit_core::hook;

/// A mistake in the command line or in a run file.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl Usage {
    /// A mistake, and what to do about it.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// 2 for what another command line, run file or device would cure; 1 for the rest.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    if error.chain().any(is_usage) { 2 } else { 1 }
}

fn is_usage(cause: &(dyn std::error::Error + 'static)) -> bool {
    let option_of_hook = |error: &hook::Error| error.kind() == hook::ErrorKind::Config;
    cause.is::<Usage>()
        || cause.downcast_ref().is_some_and(option_of_hook)
        || matches!(cause.downcast_ref(), Some(orbit_core::Error::Device { .. } | orbit_core::Error::Config { .. }))
}

/// The error and its causes, a line each. Causes whose text the line above already has are left out: library errors quote
/// their source.
pub(crate) fn describe(error: &anyhow::Error) -> String {
    let mut lines: Vec<String> = Vec::new();
    for text in error.chain().map(|cause| cause.to_string()) {
        if !lines.last().is_some_and(|above| above.contains(&text)) {
            lines.push(text);
        }
    }
    format!("error: {}", lines.join("\n  because: "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn mistakes_exit_with_2_however_deep_they_lie() {
        let device = || orbit_core::Error::Device {
            name: "abacus".into(),
            reason: "no such device".into(),
            available: "flex".into(),
        };
        let option = hook::Error::config("max_drift must be above 0, got 0");
        let mistakes = [
            anyhow!(Usage::new("two corpora")),
            anyhow!(device()),
            Err::<(), _>(device()).context("cannot train").context("cannot finish").unwrap_err(),
            anyhow!(orbit_core::Error::Config { key: "steps".into(), reason: "is 0".into() }),
            anyhow!(orbit_core::Error::Hook { hook: "orbit".into(), position: 1, phase: "attach", source: option }),
        ];
        assert_eq!(mistakes.each_ref().map(exit_code), [2; 5]);
    }

    #[test]
    fn failures_exit_with_1() {
        let hook = hook::Error::failed("the drift is NaN");
        let failures = [
            anyhow!("disk full"),
            anyhow!(orbit_core::Error::Hook { hook: "orbit".into(), position: 1, phase: "weights", source: hook }),
        ];
        assert_eq!(failures.each_ref().map(exit_code), [1; 2]);
    }

    #[test]
    fn a_cause_that_is_quoted_already_is_not_repeated() {
        let source = hook::Error::failed("the drift is NaN");
        let error = orbit_core::Error::Hook { hook: "orbit".into(), position: 1, phase: "weights", source };
        let error = anyhow!(error).context("cannot train");
        assert_eq!(describe(&error), "error: cannot train\n  because: hook 1 \"orbit\" in weights: the drift is NaN");
    }
}

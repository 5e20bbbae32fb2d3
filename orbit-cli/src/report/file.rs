//! Reports on disk: three kinds of `report.json`, told apart by its `kind`.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Report, SequenceReport, StudyReport};
use crate::run_dir::write_file;

/// A report as it was found.
pub(crate) enum Saved {
    /// Of fine-tuning runs; it names no kind.
    Training(Box<Report>),
    /// Of a run over a sequence of tasks.
    Sequence(Box<SequenceReport>),
    /// Of several models over the same sequence.
    Study(Box<StudyReport>),
}

impl Saved {
    /// Reads a `report.json` of any kind; of a directory, the one in it.
    ///
    /// # Errors
    /// When the file cannot be read, is no report, or is of a kind or format that this build does not know.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let inside = path.join("report.json");
        let path = if path.is_dir() { &inside } else { path };
        match kind(path)?.as_deref() {
            None => Ok(Self::Training(Box::new(Report::load(path)?))),
            Some(SequenceReport::KIND) => Ok(Self::Sequence(Box::new(SequenceReport::load(path)?))),
            Some(StudyReport::KIND) => Ok(Self::Study(Box::new(StudyReport::load(path)?))),
            Some(other) => {
                bail!(
                    "report {} is of the kind '{other}', which this build does not know; use a newer orbit",
                    path.display()
                )
            }
        }
    }
}

/// The part of a report that every kind and format shares.
#[derive(Deserialize)]
struct Head {
    format: u32,
    kind: Option<String>,
}

fn kind(path: &Path) -> Result<Option<String>> {
    Ok(head(path, &text(path)?)?.kind)
}

fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read the report {}", path.display()))
}

fn head(path: &Path, json: &str) -> Result<Head> {
    serde_json::from_str(json).with_context(|| format!("{} is not a report of orbit", path.display()))
}

/// Reads a report whose newest known format is `newest`.
pub(super) fn read<T: DeserializeOwned>(path: &Path, newest: u32) -> Result<T> {
    let json = text(path)?;
    let Head { format, .. } = head(path, &json)?;
    ensure!(
        format <= newest,
        "report {} has format {format}, this build reads up to {newest}; use a newer orbit",
        path.display()
    );
    serde_json::from_str(&json).with_context(|| format!("cannot understand the report {}", path.display()))
}

/// Writes `report.json` into `directory` after it has been read back: JSON has no number for NaN and infinities, and a report
/// that holds one is not the report that a reader would get.
pub(super) fn write_json<T: DeserializeOwned + PartialEq>(report: &T, json: &str, directory: &Path) -> Result<()> {
    let back = serde_json::from_str::<T>(json).context("a number of the report is not finite")?;
    ensure!(back == *report, "a number of the report is not finite, which report.json cannot hold");
    write(&directory.join("report.json"), json)
}

pub(super) fn write(path: &Path, content: &str) -> Result<()> {
    write_file(path, content).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{super::sample, *};

    #[test]
    fn the_kind_decides() {
        let directory = tempfile::tempdir().unwrap();
        sample::report().save(directory.path()).unwrap();
        assert!(matches!(Saved::load(directory.path()).unwrap(), Saved::Training(_)));
        sample::sequence(7).save(directory.path()).unwrap();
        assert!(matches!(Saved::load(&directory.path().join("report.json")).unwrap(), Saved::Sequence(_)));
        sample::study().save(directory.path()).unwrap();
        assert!(matches!(Saved::load(directory.path()).unwrap(), Saved::Study(_)));
    }

    #[test]
    fn what_cannot_be_read_back_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let mut report = sample::report();
        let message = |report: &Report| format!("{:#}", report.save(directory.path()).unwrap_err());
        report.runs[0].seconds = f64::INFINITY;
        assert!(message(&report).contains("not finite"), "{}", message(&report));
        report = sample::report();
        report.runs[0].tokens_per_second = Some(f64::NAN);
        assert!(message(&report).contains("not finite"), "{}", message(&report));
        assert!(fs::read_dir(directory.path()).unwrap().next().is_none());
    }

    #[test]
    fn unknown_kinds_and_files_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        let why = |content: &str| {
            fs::write(&path, content).unwrap();
            format!("{:#}", Saved::load(directory.path()).err().unwrap())
        };
        assert!(why(r#"{"format": 1, "kind": "poem"}"#).contains("of the kind 'poem', which this build does not know"));
        assert!(why("[]").contains("is not a report of orbit"));
        assert!(why(r#"{"format": 9, "kind": "sequence"}"#).contains("format 9, this build reads up to 1"));
        assert!(why(r#"{"format": 1, "kind": "study"}"#).contains("cannot understand the report"));
        fs::remove_file(&path).unwrap();
        assert!(Saved::load(directory.path()).err().unwrap().to_string().contains("cannot read the report"));
    }
}

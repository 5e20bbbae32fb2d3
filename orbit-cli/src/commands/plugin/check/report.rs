//! What a check comes to, for people and for programs.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use orbit_regularizers::plugin::{Located, platform};
use serde::Serialize;
use serde_json::{Map, Value};

use super::verdict::{Status, Verdict};

/// One test.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    name: String,
    #[serde(flatten)]
    verdict: Verdict,
    seconds: f64,
}

impl Row {
    pub(super) fn new(name: &str, verdict: Verdict, took: Duration) -> Self {
        Self { name: name.to_owned(), verdict, seconds: took.as_secs_f64() }
    }

    pub(super) fn status(&self) -> Status {
        self.verdict.status
    }
}

/// All tests of one plugin.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    id: Option<String>,
    version: Option<String>,
    licence: Option<String>,
    /// As it was asked for.
    plugin: String,
    library: Option<PathBuf>,
    platform: String,
    sha256: Option<String>,
    config: Map<String, Value>,
    passed: usize,
    failed: usize,
    skipped: usize,
    tests: Vec<Row>,
}

impl Report {
    pub(super) fn new(located: Option<&Located>, plugin: &str, config: &Map<String, Value>) -> Self {
        let manifest = located.and_then(|located| located.manifest.as_ref());
        Self {
            id: manifest.map(|manifest| manifest.id.clone()),
            version: manifest.map(|manifest| manifest.version.clone()),
            licence: manifest.map(|manifest| manifest.licence.clone()),
            plugin: plugin.to_owned(),
            library: located.map(|located| located.library.clone()),
            platform: platform(),
            sha256: located.map(|located| located.sha256.clone()),
            config: config.clone(),
            passed: 0,
            failed: 0,
            skipped: 0,
            tests: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, row: Row) {
        match row.status() {
            Status::Passed => self.passed += 1,
            Status::Failed => self.failed += 1,
            Status::Skipped => self.skipped += 1,
        }
        self.tests.push(row);
    }

    pub(super) fn failed(&self) -> usize {
        self.failed
    }

    /// A head, a line a test, the counts, and the digest as plugin.toml has it.
    pub(super) fn text(&self) -> String {
        let mut text = self.head();
        let width = self.tests.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        for Row { name, verdict, seconds } in &self.tests {
            let status = match verdict.status {
                Status::Passed => "passed ",
                Status::Failed => "FAILED ",
                Status::Skipped => "skipped",
            };
            let line = format!("{status}  {name:<width$}  {seconds:>6.2} s  {}", indented(&verdict.reason));
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let _ = writeln!(text, "\n{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped);
        if let Some(sha256) = &self.sha256 {
            let _ = writeln!(
                text,
                "\n[library.{}] of plugin.toml, for these very bytes:\nsha256 = \"{sha256}\"",
                self.platform
            );
        }
        text
    }

    fn head(&self) -> String {
        let name = match (&self.id, &self.version, &self.licence) {
            (Some(id), Some(version), Some(licence)) => format!("{id} {version}, {licence}"),
            _ => self.plugin.clone(),
        };
        let library = self.library.as_ref().map(|path| path.display().to_string());
        let library = library.unwrap_or_else(|| "none that can be used".into());
        let config = Value::Object(self.config.clone());
        format!("plugin   {name}\nlibrary  {library}\nconfig   {config}\n\n")
    }
}

/// Further lines of a reason, set below its first.
fn indented(reason: &str) -> String {
    reason.replace('\n', "\n           ")
}

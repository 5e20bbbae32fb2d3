//! `orbit plugin check`: whether a plugin does what orbit relies on.
//!
//! ```text
//! check ─► attempt ── a child process a test ──► child ─► tests ─► the plugin
//!   │         kills it when its time is up          prints where it is, and what it found
//!   └─► report
//! ```
//!
//! A plugin is code that can do anything to the process it is in: so none of it runs in the process that judges.

mod attempt;
mod child;
mod drive;
mod progress;
mod report;
mod tests;
mod verdict;
mod watched;

use std::time::Duration;

use anyhow::{Result, bail};
use orbit_regularizers::plugin::{Error, Located, Search, platform};
use serde_json::{Map, Value};

pub(crate) use child::run_one;

use self::attempt::Attempt;
use self::report::{Report, Row};
use self::tests::Needs;
use self::verdict::{Status, Verdict};
use crate::args::PluginCheck;
use crate::commands::print;
use crate::usage::Usage;

pub(crate) fn run(args: &PluginCheck) -> Result<()> {
    let limit = limit(args.timeout)?;
    let given = args.config.as_deref().map(options).transpose()?;
    let found = find(&args.plugin)?;
    let config = given.unwrap_or_else(|| example(&found));
    let report = check(args, &found, &config, limit)?;
    print(&if args.json { serde_json::to_string_pretty(&report)? + "\n" } else { report.text() })?;
    match report.failed() {
        0 => Ok(()),
        1 => bail!("{} failed a test", args.plugin),
        failed => bail!("{} failed {failed} tests", args.plugin),
    }
}

/// The seconds of `--timeout`.
fn limit(seconds: f64) -> Result<Duration> {
    let limit = Duration::try_from_secs_f64(seconds).ok().filter(|limit| !limit.is_zero());
    limit.ok_or_else(|| Usage::new(format!("--timeout must be a number of seconds above 0, got {seconds}")).into())
}

/// The options of `--config`.
fn options(text: &str) -> Result<Map<String, Value>> {
    let wrong = |error| Usage::new(format!("--config must be a JSON object, such as '{{\"radius\": 0.3}}': {error}"));
    Ok(serde_json::from_str(text).map_err(wrong)?)
}

/// What a path or id is. That there is nothing which could be a plugin is a mistake in the command line; that what is there
/// cannot be used is what the first test says.
fn find(plugin: &str) -> Result<Result<Located, Error>> {
    match Search::standard("").find(plugin) {
        Err(error @ Error::NotFound { .. }) => Err(Usage::new(error.to_string()).into()),
        Err(error @ Error::NotALibrary { .. }) if !is_manifest(plugin) => Err(Usage::new(error.to_string()).into()),
        found => Ok(found),
    }
}

/// Whether a path is that of a manifest or of its folder: then a file that is no library is the manifest's fault.
fn is_manifest(plugin: &str) -> bool {
    let path = std::path::Path::new(plugin);
    path.is_dir() || path.extension().is_some_and(|extension| extension == "toml") || !path.exists()
}

fn example(found: &Result<Located, Error>) -> Map<String, Value> {
    let manifest = found.as_ref().ok().and_then(|located| located.manifest.as_ref());
    manifest.map(|manifest| manifest.example.clone()).unwrap_or_default()
}

/// Every test in turn. What a test needs is told by those before it: without a library, or a hook, the rest is skipped.
fn check(
    args: &PluginCheck,
    found: &Result<Located, Error>,
    config: &Map<String, Value>,
    limit: Duration,
) -> Result<Report> {
    let mut report = Report::new(found.as_ref().ok(), &args.plugin, config);
    report.push(Row::new("manifest and digest", manifest(found), Duration::ZERO));
    let text = Value::Object(config.clone()).to_string();
    let attempt = Attempt::new(&args.plugin, &text, limit)?;
    let mut missing = found.is_err().then_some(Needs::File);
    for test in tests::all() {
        let row = match missing {
            Some(missing) if test.needs >= missing => {
                Row::new(&test.name, Verdict::skipped(missing.why()), Duration::ZERO)
            }
            _ => attempt.run(&test.name)?,
        };
        if row.status() == Status::Failed {
            missing = missing.or(test.proves);
        }
        report.push(row);
    }
    Ok(report)
}

/// The one test that runs nothing of the plugin.
fn manifest(found: &Result<Located, Error>) -> Verdict {
    let located = match found {
        Ok(located) => located,
        Err(error) => return Verdict::failed(error.to_string()),
    };
    let Some(manifest) = &located.manifest else {
        return Verdict::skipped("the library was named itself; give its folder to check plugin.toml, too");
    };
    let file = manifest.library.get(&platform());
    match file.and_then(|file| file.sha256.as_ref()) {
        Some(_) => Verdict::passed("the library has the digest that plugin.toml says"),
        None => Verdict::passed("plugin.toml says no digest: add it before you give the plugin to others"),
    }
}

//! `Cargo.lock` for a new plugin: the versions that orbit was built with, which are on this machine already.

use std::collections::{BTreeSet, VecDeque};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::name::Name;

const OWN: &str = include_str!("../../../../../Cargo.lock");

/// What a plugin and orbit-hook depend on.
const PLUGIN: [&str; 3] = ["orbit-hook", "schemars", "serde"];
const HOOK: [&str; 3] = ["schemars", "serde", "serde_json"];

#[derive(Deserialize, Serialize)]
struct Lock {
    version: u32,
    package: Vec<Package>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
struct Package {
    name: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<String>,
}

/// The part of orbit's own lock file that a plugin of this name needs.
pub(super) fn lock(name: &Name) -> Result<String> {
    let own: Lock = toml::from_str(OWN).context("the lock file in this program")?;
    let local = |name: &str, version: &str, dependencies: &[&str]| Package {
        name: name.to_owned(),
        version: version.to_owned(),
        source: None,
        checksum: None,
        dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
    };
    let mut package =
        BTreeSet::from([local(name.as_str(), "0.1.0", &PLUGIN), local("orbit-hook", env!("CARGO_PKG_VERSION"), &HOOK)]);
    let mut wanted: VecDeque<String> = HOOK.iter().map(|&name| name.to_owned()).collect();
    while let Some(wish) = wanted.pop_front() {
        let found = own.package.iter().find(|package| package.is(&wish));
        let found = found.with_context(|| format!("{wish} is not in the lock file in this program"))?;
        if package.insert(found.clone()) {
            wanted.extend(found.dependencies.iter().cloned());
        }
    }
    let text = toml::to_string(&Lock { version: own.version, package: package.into_iter().collect() })?;
    Ok(format!("# The versions that orbit was built with.\n{text}"))
}

impl Package {
    /// Whether this is what a dependency `name`, `name version` or `name version (source)` means.
    fn is(&self, dependency: &str) -> bool {
        let mut words = dependency.split(' ');
        words.next() == Some(&self.name) && words.next().is_none_or(|version| version == self.version)
    }
}

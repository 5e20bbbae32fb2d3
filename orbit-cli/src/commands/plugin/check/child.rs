//! The other side: one test, in a process that may die of it.

use anyhow::{Result, anyhow};
use orbit_core::hook::abi::ForeignHook;
use orbit_core::hook::{self, Hook, Phases, Space};
use orbit_regularizers::plugin::{Library, Search};

use super::progress;
use super::tests::{self, Test};
use super::verdict::Verdict;
use super::watched::Watched;
use crate::args::PluginTest;
use crate::usage;

/// Runs a test and tells what it found. That the plugin failed it is no failure of this process.
pub(crate) fn run_one(args: &PluginTest) -> Result<()> {
    let test = tests::all().into_iter().find(|test| test.name == args.name);
    let test = test.ok_or_else(|| anyhow!("there is no test \"{}\"", args.name))?;
    let verdict = verdict(&test, args)
        .unwrap_or_else(|error| Verdict::failed(usage::describe(&error).trim_start_matches("error: ").to_owned()));
    progress::found(&verdict);
    Ok(())
}

fn verdict(test: &Test, args: &PluginTest) -> Result<Verdict> {
    progress::at("while it was loaded");
    let library = Library::open(Search::standard("").find(&args.plugin)?)?;
    (test.run)(&Subject { library, config: args.config.clone() })
}

/// The plugin that a test is about, and options that it should take.
pub(super) struct Subject {
    pub(super) library: Library,
    pub(super) config: String,
}

impl Subject {
    /// A hook of the good configuration. `situation` goes before each place that it is said to be in.
    pub(super) fn hook(&self, situation: &str) -> Result<Watched> {
        Ok(Watched::new(self.bare()?, situation))
    }

    /// As [`Subject::hook`], with nothing between.
    pub(super) fn bare(&self) -> Result<ForeignHook> {
        progress::at("in create");
        Ok(self.library.hook_from(&self.config)?)
    }

    /// As the checks of `orbit_hook::testing` want it: they have no place for an error before `attach`.
    pub(super) fn made(&self) -> Box<dyn Hook> {
        match self.hook("") {
            Ok(hook) => Box::new(hook),
            Err(error) => Box::new(Unmade(error.to_string())),
        }
    }
}

/// Stands for a hook that could not be made.
struct Unmade(String);

impl Hook for Unmade {
    fn name(&self) -> &str {
        "unmade"
    }

    fn phases(&self) -> Phases {
        Phases::NONE
    }

    fn attach(&mut self, _: &mut dyn Space) -> hook::Result<()> {
        Err(hook::Error::failed(format!("made once and not the next time: {}", self.0)))
    }
}

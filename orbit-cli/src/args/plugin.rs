//! Arguments of `orbit plugin`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// The commands of `orbit plugin`.
#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// Write a plugin that works, to start from
    New(PluginNew),
    /// Show the plugins that can be used by their names; runs nothing of them
    List(PluginList),
    /// Tell whether a plugin does what orbit relies on, each test in a process of its own
    Check(PluginCheck),
    /// One test of `check`, in this process
    #[command(hide = true)]
    Test(PluginTest),
}

/// Arguments of `orbit plugin new`.
#[derive(Debug, Args)]
pub(crate) struct PluginNew {
    /// What the plugin is called: small letters, digits and `-`, beginning with a letter
    pub(crate) name: String,
    /// What it is written in
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    pub(crate) lang: Language,
    /// The folder to make; NAME here when absent
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// Rust, on the crate orbit-hook
    Rust,
    /// C, on orbit_hook.h
    C,
}

/// Arguments of `orbit plugin list`.
#[derive(Debug, Args)]
pub(crate) struct PluginList {
    /// Show every place that was looked at, too
    #[arg(long)]
    pub(crate) why: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `orbit plugin check`.
#[derive(Debug, Args)]
pub(crate) struct PluginCheck {
    /// The plugin: a folder with a plugin.toml, such a file, a library, or a plugin's id
    pub(crate) plugin: String,
    /// Options to check it with, in place of the manifest's example
    #[arg(long, value_name = "JSON")]
    pub(crate) config: Option<String>,
    /// How long one test may take
    #[arg(long, value_name = "SECONDS", default_value_t = 20.0)]
    pub(crate) timeout: f64,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `orbit plugin test`.
#[derive(Debug, Args)]
pub(crate) struct PluginTest {
    /// As for `check`
    pub(crate) plugin: String,
    /// The test's name
    #[arg(long)]
    pub(crate) name: String,
    /// As for `check`
    #[arg(long)]
    pub(crate) config: String,
}

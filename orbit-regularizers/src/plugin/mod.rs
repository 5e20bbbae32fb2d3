//! Regularizers in libraries of their own, loaded while the program runs.
//!
//! ```text
//! name or path ─► Search::find ─► Located ─► Library::open ─► Library::hook ─► dyn Hook
//!                 reads plugin.toml          runs foreign code from here on
//! ```
//!
//! A plugin is code in this process: it can do whatever the program can. Nothing is loaded that the config does not name, the
//! manifest's digest is checked before anything runs, and a library is never unloaded, since what it left behind may still
//! point into it.

mod error;
mod inspect;
mod library;
mod manifest;
mod search;

pub use error::{Error, Tried};
pub use library::Library;
pub use manifest::{File, Manifest, platform};
pub use search::{Listed, Located, Search};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The name of a manifest.
pub const MANIFEST: &str = "plugin.toml";

/// A hook from a library that is loaded while the program runs; see [`orbit_hook::abi`].
///
/// It costs what a built-in costs: its arithmetic is done by the host, where the tensors are.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// A folder with a `plugin.toml`, such a file, or a library, relative to the run file; or the id of a plugin that stands in
    /// `ORBIT_PLUGIN_PATH`, in `plugins` here, or in the user's plugins.
    pub path: String,
    /// The plugin's own options.
    #[serde(default)]
    pub config: Map<String, Value>,
}

impl Plugin {
    /// Loads the library and makes the hook.
    ///
    /// # Errors
    /// When the library cannot be found, is not what its manifest says, or does not take the configuration.
    pub fn hook(&self, search: &Search) -> Result<Box<dyn orbit_hook::Hook>, Error> {
        let library = Library::open(search.find(&self.path)?)?;
        Ok(Box::new(library.hook(&self.config)?))
    }
}

use std::fmt::Write;
use std::path::PathBuf;

use orbit_hook::abi::Refused;

/// Why a plugin cannot be used. Variants are facts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is in none of the places.
    #[error(
        "there is no plugin \"{name}\"; tried{}\ngive a folder with a plugin.toml, such a file or a library, or add the folder \
         that it is in to ORBIT_PLUGIN_PATH",
        list(tried)
    )]
    NotFound {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        tried: Vec<Tried>,
    },
    /// A manifest that cannot be read.
    #[error("{}: {reason}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A manifest without a library for this platform.
    #[error("{}: there is no library for {platform}, only for {}", path.display(), there.join(", "))]
    Platform {
        /// The manifest.
        path: PathBuf,
        /// This platform.
        platform: String,
        /// Those that it has.
        there: Vec<String>,
    },
    /// A library that is not the one the manifest describes.
    #[error(
        "{}: its SHA-256 is {found}, its manifest says {expected}: take the plugin from its author again, or, if it is your own, \
         write the new digest into plugin.toml",
        path.display()
    )]
    Digest {
        /// The library.
        path: PathBuf,
        /// By the manifest.
        expected: String,
        /// By its bytes.
        found: String,
    },
    /// A manifest whose library is not there.
    #[error("{}: there is no such library: build the plugin first, or mend `file` in plugin.toml", path.display())]
    NotBuilt {
        /// The library.
        path: PathBuf,
    },
    /// A file that is no library.
    #[error("{}: it is not a dynamic library: {reason}", path.display())]
    NotALibrary {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// A library for another kind of machine.
    #[error("{}: it was built for {found}, this program runs on {here}: build it for {here}", path.display())]
    Architecture {
        /// The library.
        path: PathBuf,
        /// Its machine.
        found: String,
        /// This machine.
        here: String,
    },
    /// A library that is no plugin.
    #[error(
        "{}: it does not export `orbit_hook_entry`, so it is not a plugin; in Rust, use `orbit_hook::export!` in a crate of \
         type cdylib",
        path.display()
    )]
    NoEntry {
        /// The library.
        path: PathBuf,
    },
    /// The system does not load it.
    #[error("{}: the system does not load it: {source}", path.display())]
    Load {
        /// The library.
        path: PathBuf,
        /// What the system says.
        source: libloading::Error,
    },
    /// Its table is not one that this program can use.
    #[error("{}: {source}", path.display())]
    Refused {
        /// The library.
        path: PathBuf,
        /// Why.
        source: Refused,
    },
    /// The library is another plugin than the manifest says.
    #[error("{}: it is plugin {library}, its manifest says {manifest}", path.display())]
    Identity {
        /// The library.
        path: PathBuf,
        /// Id and version by the manifest.
        manifest: String,
        /// Id and version by the library.
        library: String,
    },
    /// The plugin does not take its configuration.
    #[error("plugin {id} does not take its config: {source}")]
    Config {
        /// The plugin.
        id: String,
        /// What it says.
        source: orbit_hook::Error,
    },
    /// A file that cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// A place where a plugin was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The place.
    pub path: PathBuf,
    /// Why it was not taken.
    pub reason: String,
}

fn list(tried: &[Tried]) -> String {
    let mut text = String::new();
    for Tried { path, reason } in tried {
        let _ = write!(text, "\n  {}: {reason}", path.display());
    }
    text
}

impl Error {
    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }
}

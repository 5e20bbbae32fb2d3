//! Loading: from here on, foreign code runs.

use orbit_hook::abi::ForeignHook;
use orbit_hook::abi::table;
use serde_json::{Map, Value};

use super::{Error, Located};

/// A plugin whose code is in this process, for as long as that runs.
#[derive(Clone, Debug)]
pub struct Library {
    located: Located,
    table: &'static table::Plugin,
}

impl Library {
    /// Loads a library that was found.
    ///
    /// # Errors
    /// When the system does not load it, its table is not one of this program's, or it is not what its manifest says.
    #[allow(unsafe_code, reason = "loading a library runs its code")]
    pub fn open(located: Located) -> Result<Self, Error> {
        let path = &located.library;
        let load = |source| Error::Load { path: path.clone(), source };
        // SAFETY: the user has named this library, and its digest is the manifest's where there is one. That its initialisers
        // are sound is what loading a plugin means.
        let library = unsafe { open_now(path) }.map_err(load)?;
        // SAFETY: a symbol of this name has this type: it is what makes a library a plugin.
        let entry = *unsafe { library.get::<table::Entry>(b"orbit_hook_entry\0") }.map_err(load)?;
        // Never unloaded: hooks, their threads and thread-locals may point into it until the process ends.
        std::mem::forget(library);
        // SAFETY: the interface says that an entry takes nothing and gives a table which stays valid for ever.
        let table = unsafe { table::Plugin::accept(entry()) };
        let table = table.map_err(|source| Error::Refused { path: path.clone(), source })?;
        if let Some(manifest) = &located.manifest {
            let by_manifest = format!("{} {} for interface {}", manifest.id, manifest.version, manifest.abi);
            let by_library = format!("{} {} for interface {}", table.id(), table.release(), table.version);
            if by_manifest != by_library {
                let (path, manifest, library) = (path.clone(), by_manifest, by_library);
                return Err(Error::Identity { path, manifest, library });
            }
        }
        Ok(Self { located, table })
    }

    /// What the plugin is called.
    pub fn id(&self) -> &'static str {
        self.table.id()
    }

    /// Its own version.
    pub fn release(&self) -> &'static str {
        self.table.release()
    }

    /// Where it was found, and what its bytes are.
    pub fn located(&self) -> &Located {
        &self.located
    }

    /// The JSON schema of its configuration, if it tells one.
    pub fn schema(&self) -> Option<Value> {
        serde_json::from_str(&self.schema_text()?).ok()
    }

    /// As [`Library::schema`], as the plugin gives it: it may be anything.
    pub fn schema_text(&self) -> Option<String> {
        self.table.schema()
    }

    /// A hook with this configuration.
    ///
    /// # Errors
    /// What the plugin says of the configuration.
    pub fn hook(&self, config: &Map<String, Value>) -> Result<ForeignHook, Error> {
        self.hook_from(&Value::Object(config.clone()).to_string())
    }

    /// As [`Library::hook`], from text that need not even be JSON.
    ///
    /// # Errors
    /// As [`Library::hook`].
    pub fn hook_from(&self, config: &str) -> Result<ForeignHook, Error> {
        ForeignHook::create(self.table, config).map_err(|source| Error::Config { id: self.id().into(), source })
    }
}

/// Opens a library with all its symbols found at once, and kept to itself.
///
/// # Safety
/// Its initialisers run, and are sound.
#[allow(unsafe_code, reason = "loading a library runs its code")]
unsafe fn open_now(path: &std::path::Path) -> Result<libloading::Library, libloading::Error> {
    #[cfg(unix)]
    {
        use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
        // SAFETY: passed on to the caller.
        unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map(Into::into)
    }
    #[cfg(not(unix))]
    // SAFETY: passed on to the caller.
    unsafe {
        libloading::Library::new(path)
    }
}

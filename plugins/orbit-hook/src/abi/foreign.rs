//! The host's side: a plugin's table as a [`Hook`].

use std::fmt;

use super::convert::ask;
use super::host::Tables;
use super::table::{self, Answer, Bytes, Instance, OLDEST_VERSION, VERSION};
use crate::{Entry, Error, ErrorKind, ForwardPlan, Hook, Pass, Phases, Result, Space, State, Step};

/// Why a table is not one that this host can use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The entry function gave no table.
    NoTable,
    /// It was built for a version that this host does not read.
    Version {
        /// The plugin's version.
        plugin: u32,
    },
    /// It is shorter than its version says.
    Short {
        /// Its size in bytes.
        size: u32,
        /// The size of a table of its version.
        needed: u32,
    },
    /// Its id or release is not text, or is empty.
    Nameless,
    /// It saves state that it does not load, or loads what it does not save.
    OneWay,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTable => write!(f, "its entry function gave no table"),
            Self::Version { plugin } => write!(
                f,
                "it was built for plugin interface {plugin}, and this program reads {OLDEST_VERSION} to {VERSION}: {}",
                if *plugin > VERSION { "use a newer program, or an older release of it" } else { "build it anew" }
            ),
            Self::Short { size, needed } => {
                write!(f, "its table has {size} bytes where its interface version has {needed}: it is damaged")
            }
            Self::Nameless => write!(f, "its table names no id or release"),
            Self::OneWay => write!(f, "its table has only one of `save` and `load`: a run could not be resumed"),
        }
    }
}

impl std::error::Error for Refused {}

impl table::Plugin {
    /// Checks the two fields with which every table of every version begins.
    pub fn check_head(size: u32, version: u32) -> Result<(), Refused> {
        if !(OLDEST_VERSION..=VERSION).contains(&version) {
            return Err(Refused::Version { plugin: version });
        }
        let needed = size_of::<Self>() as u32;
        if size < needed { Err(Refused::Short { size, needed }) } else { Ok(()) }
    }

    /// The table that an entry function gave, if this host can use it.
    ///
    /// # Safety
    /// `table` is null, or begins with two readable fields of 32 bits, size and version; when these are right, the table has the
    /// layout of that version, keeps to the rules of [`table`], and stays valid for ever.
    pub unsafe fn accept(table: *const Self) -> Result<&'static Self, Refused> {
        if table.is_null() {
            return Err(Refused::NoTable);
        }
        // SAFETY: by the contract above; nothing behind the two fields is read before they are right.
        let (size, version) = unsafe { ((*table).size, (*table).version) };
        Self::check_head(size, version)?;
        // SAFETY: by the contract above.
        let table = unsafe { &*table };
        if table.id().is_empty() || table.release().is_empty() {
            return Err(Refused::Nameless);
        }
        if table.save.is_some() != table.load.is_some() { Err(Refused::OneWay) } else { Ok(table) }
    }

    /// What the plugin is called; empty if that is not text.
    pub fn id(&'static self) -> &'static str {
        constant(self.id)
    }

    /// The plugin's own version; empty if that is not text.
    pub fn release(&'static self) -> &'static str {
        constant(self.release)
    }

    /// The JSON schema of the plugin's configuration, if it has one.
    pub fn schema(&self) -> Option<String> {
        let schema = self.schema?;
        let mut text = Vec::new();
        // SAFETY: the plugin keeps to the rules of `table`; the answer outlives the call.
        unsafe { schema(&Answer::into(&mut text)) };
        String::from_utf8(text).ok().filter(|text| !text.is_empty())
    }
}

// SAFETY: a plugin's table never changes, and its pointers are to constants and code.
unsafe impl Sync for table::Plugin {}

/// A text of the plugin's that never changes.
fn constant(text: Bytes) -> &'static str {
    // SAFETY: the plugin's table says that it stays valid for ever.
    unsafe { text.text("") }.unwrap_or("")
}

/// A hook that a plugin has made.
///
/// ```
/// # #[cfg(feature = "export")] {
/// use orbit_hook::abi::{ForeignHook, plugin, table::Plugin};
/// use orbit_hook::{Hook, Phases};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Nothing {}
/// impl Hook for Nothing {
///     fn name(&self) -> &str {
///         "nothing"
///     }
///     fn phases(&self) -> Phases {
///         Phases::NONE
///     }
/// }
///
/// static TABLE: Plugin = plugin::<Nothing>("nothing", "1.0.0");
/// let hook = ForeignHook::create(&TABLE, "{}")?;
/// assert_eq!(hook.name(), "nothing");
/// assert!(ForeignHook::create(&TABLE, "[").is_err());
/// # }
/// # Ok::<(), orbit_hook::Error>(())
/// ```
#[derive(Debug)]
pub struct ForeignHook {
    plugin: &'static table::Plugin,
    instance: *mut Instance,
    phases: Phases,
    tables: Box<Tables>,
}

// SAFETY: the rules of `table` let an instance be called from any thread, one at a time, and the tables' contexts are null
// between calls.
unsafe impl Send for ForeignHook {}

impl ForeignHook {
    /// Makes a hook from a configuration in JSON.
    ///
    /// # Errors
    /// What the plugin says of the configuration.
    pub fn create(plugin: &'static table::Plugin, config: &str) -> Result<Self> {
        let mut instance = std::ptr::null_mut();
        // SAFETY: the plugin keeps to the rules of `table`; all arguments outlive the call.
        ask(|error| unsafe { (plugin.create)(Bytes::lend(config.as_bytes()), &mut instance, error) })?;
        if instance.is_null() {
            return Err(Error::failed("the plugin made no hook and did not say why"));
        }
        // SAFETY: as above; the instance is the one that it has just made.
        let phases = Phases::from_bits(unsafe { (plugin.phases)(instance) });
        let hook = Self { plugin, instance, phases: phases.unwrap_or_default(), tables: Tables::new() };
        match phases {
            Some(_) => Ok(hook),
            None => Err(Error::failed("the plugin names a phase that does not exist")),
        }
    }
}

impl Drop for ForeignHook {
    fn drop(&mut self) {
        // SAFETY: the plugin made the instance, and it is given back here alone.
        unsafe { (self.plugin.destroy)(self.instance) };
    }
}

// SAFETY of the calls that follow: the plugin keeps to the rules of `table`, the instance is its own and called by nobody
// else, since it takes `&mut self`, and all arguments outlive the call.
impl Hook for ForeignHook {
    fn name(&self) -> &str {
        self.plugin.id()
    }

    fn phases(&self) -> Phases {
        self.phases
    }

    fn attach(&mut self, space: &mut dyn Space) -> Result<()> {
        let (Some(attach), instance) = (self.plugin.attach, self.instance) else { return Ok(()) };
        // SAFETY: see above.
        self.tables.with_space(space, |space| ask(|error| unsafe { attach(instance, space, error) }))
    }

    fn forward(&mut self, step: &Step, plan: &mut ForwardPlan) -> Result<()> {
        let (Some(forward), instance) = (self.plugin.forward, self.instance) else { return Ok(()) };
        let step = step.into();
        // SAFETY: see above.
        self.tables.with_plan(plan, |plan| ask(|error| unsafe { forward(instance, &step, plan, error) }))
    }

    fn loss(&mut self, step: &Step, pass: &mut dyn Pass) -> Result<()> {
        let (Some(loss), instance) = (self.plugin.loss, self.instance) else { return Ok(()) };
        let step = step.into();
        // SAFETY: see above.
        self.tables.with_pass(pass, |pass| ask(|error| unsafe { loss(instance, &step, pass, error) }))
    }

    fn gradients(&mut self, step: &Step, space: &mut dyn Space) -> Result<()> {
        let (Some(gradients), instance) = (self.plugin.gradients, self.instance) else { return Ok(()) };
        let step = step.into();
        // SAFETY: see above.
        self.tables.with_space(space, |space| ask(|error| unsafe { gradients(instance, &step, space, error) }))
    }

    fn weights(&mut self, step: &Step, space: &mut dyn Space) -> Result<()> {
        let (Some(weights), instance) = (self.plugin.weights, self.instance) else { return Ok(()) };
        let step = step.into();
        // SAFETY: see above.
        self.tables.with_space(space, |space| ask(|error| unsafe { weights(instance, &step, space, error) }))
    }

    fn finish(&mut self, space: &mut dyn Space) -> Result<()> {
        let (Some(finish), instance) = (self.plugin.finish, self.instance) else { return Ok(()) };
        // SAFETY: see above.
        self.tables.with_space(space, |space| ask(|error| unsafe { finish(instance, space, error) }))
    }

    fn save(&self, state: &mut State) -> Result<()> {
        let Some(save) = self.plugin.save else { return Ok(()) };
        let mut bytes = Vec::new();
        // SAFETY: see above.
        ask(|error| unsafe { save(self.instance, &Answer::into(&mut bytes), error) })?;
        state.put(STATE, Entry::Bytes(bytes));
        Ok(())
    }

    fn load(&mut self, state: &State) -> Result<()> {
        let Some(load) = self.plugin.load else { return Ok(()) };
        let Some(Entry::Bytes(bytes)) = state.get(STATE) else {
            let message = format!("the saved state is not one of plugin {}", self.plugin.id());
            return Err(Error::new(ErrorKind::State, message));
        };
        // SAFETY: see above.
        ask(|error| unsafe { load(self.instance, Bytes::lend(bytes), error) })
    }
}

/// Under which name the bytes that a plugin saves stand in its state.
const STATE: &str = "plugin";

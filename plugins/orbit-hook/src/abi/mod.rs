//! The C interface between a host and plugins.
//!
//! [`table`] says what crosses it, and is what `orbit_hook.h` is generated from. [`ForeignHook`] makes the table of a plugin a
//! [`Hook`](crate::Hook) like any other; [`export!`](crate::export) makes any hook the table of a plugin. So a regularizer is
//! one source, and a host does not see whether it was built in:
//!
//! ```text
//! built in  host ── dyn Hook ──► Orbit ── dyn Space ──► host
//! plugin    host ── dyn Hook ──► ForeignHook ══ table::Plugin ══► Orbit ── dyn Space ──► guest ══ table::Space ══► host
//! ```
//!
//! The data stays where it is: a plugin's `lerp` is a call into the host. A call costs nanoseconds and copies nothing, but
//! for `visit`.

mod convert;
#[cfg(feature = "export")]
mod export;
mod foreign;
#[cfg(feature = "export")]
mod guest;
mod host;
pub mod table;

#[cfg(feature = "export")]
pub use export::{Export, plugin};
pub use foreign::{ForeignHook, Refused};

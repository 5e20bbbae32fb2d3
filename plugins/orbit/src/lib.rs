//! Lesson 3: one source is a built-in and a plugin.
//!
//! Nothing about [`Orbit`] knows of plugins. It is a hook that can be read from a configuration, and that is all a plugin is.

use orbit_regularizers::Orbit;

orbit_hook::export!(Orbit);

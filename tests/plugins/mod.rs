//! Plugins, from their libraries.

mod header;

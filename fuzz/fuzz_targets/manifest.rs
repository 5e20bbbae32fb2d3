//! A manifest is read or refused, and what was read keeps to the rules of an id.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orbit_regularizers::plugin::Manifest;

fuzz_target!(|text: &str| {
    if let Ok(manifest) = Manifest::parse(text) {
        assert!(!manifest.id.contains(['/', '\\']), "an id is never a path");
    }
});

//! A table whose head is anything is refused, or is one of this version whose rest may be read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orbit_hook::abi::{plugin, table};
use orbit_hook::{Hook, Phases};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

impl Hook for Nothing {
    fn name(&self) -> &str {
        "nothing"
    }
    fn phases(&self) -> Phases {
        Phases::NONE
    }
}

/// A right table but for the two numbers that come first and what the two texts say.
#[derive(Debug)]
struct Head<'a> {
    size: u32,
    version: u32,
    text: &'a [u8],
}

fn head(bytes: &[u8]) -> Option<Head<'_>> {
    let (size, rest) = bytes.split_first_chunk::<4>()?;
    let (version, text) = rest.split_first_chunk::<4>()?;
    Some(Head { size: u32::from_le_bytes(*size), version: u32::from_le_bytes(*version), text })
}

fuzz_target!(|bytes: &[u8]| {
    let Some(Head { size, version, text }) = head(bytes) else { return };
    let good = table::Plugin::check_head(size, version).is_ok();
    let named = table::Bytes { lent: text.as_ptr(), len: text.len() };
    let made = plugin::<Nothing>("nothing", "1.0.0");
    let made = table::Plugin { size, version, id: named, release: named, ..made };
    // SAFETY: the table has the layout of this version, and outlives every use that is made of it here.
    match unsafe { table::Plugin::accept(&raw const made) } {
        Ok(table) => assert!(good && std::str::from_utf8(text).is_ok_and(|text| text == table.id() && !text.is_empty())),
        Err(refused) => assert!(!good || !refused.to_string().is_empty()),
    }
});

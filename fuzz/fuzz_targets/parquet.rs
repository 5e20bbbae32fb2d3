//! A Parquet file is read row by row or refused, whatever its headers say of sizes and counts.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orbit_data::corpus::json_lines;
use orbit_fuzz::Folder;
use serde::de::IgnoredAny;

fuzz_target!(|bytes: &[u8]| {
    let folder = Folder::default();
    let whole = [b"PAR1", bytes].concat();
    if let Ok(rows) = json_lines::<IgnoredAny>(&folder.file("a.parquet", &whole)) {
        assert!(rows.iter().map(|(number, _)| *number).eq(1..=rows.len()));
    }
});

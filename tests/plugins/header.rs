//! `orbit_hook.h` is what the Rust tables say.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::program::ROOT;

const INTRODUCTION: &str = "\
/* The interface between orbit and plugins. Generated from plugins/orbit-hook/src/abi/table.rs: do not edit.
 *
 * A plugin is a library that exports
 *
 *     const OrbitPlugin *orbit_hook_entry(void);
 *
 * `orbit plugin new NAME --lang c` writes one that works; `orbit plugin check` says whether one does.
 */";

/// The header, from the file whose text says what crosses.
fn generated() -> String {
    let source = PathBuf::from(ROOT).join("plugins/orbit-hook/src/abi/table.rs");
    let text = std::fs::read_to_string(&source).unwrap();
    let rules: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let rules: String = rules.iter().map(|line| format!(" *{line}\n")).collect();
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        header: Some(INTRODUCTION.to_owned()),
        after_includes: Some(format!("\n/*\n{rules} */\n")),
        include_guard: Some("ORBIT_HOOK_H".to_owned()),
        cpp_compat: true,
        documentation_style: cbindgen::DocumentationStyle::C99,
        line_length: 110,
        usize_is_size_t: true,
        no_includes: true,
        sys_includes: vec!["stddef.h".to_owned(), "stdint.h".to_owned()],
        ..cbindgen::Config::default()
    };
    config.export.rename = names(&text);
    config.export.include = config.export.rename.keys().cloned().collect();
    // A map has no order, and the header follows this list's.
    config.export.include.sort();
    let mut header = Vec::new();
    cbindgen::Builder::new().with_config(config).with_src(source).generate().unwrap().write(&mut header);
    String::from_utf8(header).unwrap()
}

/// C has no modules: what Rust calls `table::Space` and `table::OK`, it calls `OrbitSpace` and `ORBIT_OK`.
fn names(text: &str) -> HashMap<String, String> {
    let mut names = HashMap::new();
    for line in text.lines() {
        for (keyword, prefix) in [("pub const ", "ORBIT_"), ("pub struct ", "Orbit"), ("pub type ", "Orbit")] {
            if let Some(rest) = line.strip_prefix(keyword) {
                let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                names.insert(name.clone(), format!("{prefix}{name}"));
            }
        }
    }
    names
}

#[test]
fn the_checked_in_header_is_the_generated_one() {
    let path = PathBuf::from(ROOT).join("plugins/orbit-hook/include/orbit_hook.h");
    expect_test::expect_file![path].assert_eq(&generated());
}

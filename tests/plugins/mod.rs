//! Plugins, from their libraries.

mod bad;
mod command;
mod equality;
mod header;
mod loading;
mod runs;

pub(crate) use equality::guidance;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use orbit_core::hook::Hook;
use orbit_regularizers::plugin::{Library, Search};
use serde_json::Value;

use crate::program::{ROOT, built};

/// The library of an example plugin.
fn library(name: &str) -> PathBuf {
    if name == "l2-ball-c" {
        return c_library().to_owned();
    }
    let (before, after) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    built().join(format!("{before}{}{after}", name.replace('-', "_")))
}

/// The one in C, as a person would build it.
fn c_library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let out = tempfile::tempdir().unwrap().keep().join("libl2_ball_c.so");
        let source = Path::new(ROOT).join("plugins/l2-ball-c/l2_ball_c.c");
        compile(&source, &out);
        out
    })
}

/// Compiles a plugin in C, with every warning an error.
fn compile(source: &Path, out: &Path) {
    let include = Path::new(ROOT).join("plugins/orbit-hook/include");
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O2", "-shared", "-fPIC", "-I"]);
    assert!(cc.arg(include).arg(source).arg("-o").arg(out).status().unwrap().success());
}

/// A hook of an example plugin.
fn hook(name: &str, config: &Value) -> Box<dyn Hook> {
    let located = Search::default().find(library(name).to_str().unwrap()).unwrap();
    Box::new(Library::open(located).unwrap().hook(config.as_object().unwrap()).unwrap())
}

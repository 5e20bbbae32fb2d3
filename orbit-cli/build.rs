//! Notes the source revision, for reports, and lists the sources of orbit-hook, for `orbit plugin new`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    note_revision();
    list_sources(&Path::new("../plugins/orbit-hook/src").canonicalize()?)
}

/// Git appends to its log at every commit and checkout.
fn note_revision() {
    println!("cargo::rerun-if-changed=../.git/logs/HEAD");
    let revision = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    if let Ok(revision) = revision
        && revision.status.success()
    {
        println!("cargo::rustc-env=ORBIT_COMMIT={}", String::from_utf8_lossy(&revision.stdout).trim());
    }
}

/// Writes `sdk.rs`, a list of every file under `root` by its path there, with its text.
fn list_sources(root: &Path) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", root.display());
    let mut list = "[\n".to_owned();
    for file in files(root)? {
        let inside = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        writeln!(list, "({inside:?}, include_str!({file:?})),").map_err(io::Error::other)?;
    }
    list.push(']');
    let out = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    fs::write(out.join("sdk.rs"), list)
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(self::files(&path)?) } else { files.push(path) }
    }
    files.sort();
    Ok(files)
}

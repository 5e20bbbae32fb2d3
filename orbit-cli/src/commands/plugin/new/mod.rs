//! `orbit plugin new`: a plugin that works, to start from.
//!
//! Everything it writes is part of this program, so that it needs no network and no checkout. The templates in
//! `assets/scaffold` are plugins themselves, called `my-plugin`; only the name is replaced.

mod lock;
mod name;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::name::Name;
use crate::args::{Language, PluginNew};
use crate::commands::print;
use crate::usage::Usage;

/// The sources of orbit-hook, by their paths in `src`.
const SDK: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/sdk.rs"));
const HEADER: &str = include_str!("../../../../../plugins/orbit-hook/include/orbit_hook.h");

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../../../../assets/scaffold/", $path))
    };
}

pub(crate) fn run(args: &PluginNew) -> Result<()> {
    let name = Name::new(&args.name)?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    if out.exists() {
        let reason = format!("{} is there already: choose another folder by --out, or another name", out.display());
        return Err(Usage::new(reason).into());
    }
    let files = match args.lang {
        Language::Rust => rust(&name)?,
        Language::C => c(&name),
    };
    write(&out, &files)?;
    print(&next(&name, args.lang, &out))
}

/// A file of a plugin's folder: its path there, and its text.
type File = (String, String);

fn rust(name: &Name) -> Result<Vec<File>> {
    let mut files = vec![
        (".gitignore".to_owned(), template!("rust/gitignore").to_owned()),
        ("Cargo.lock".to_owned(), lock::lock(name)?),
        ("Cargo.toml".to_owned(), name.fill(template!("rust/manifest.toml"))),
        ("README.md".to_owned(), name.fill(template!("rust/README.md"))),
        ("plugin.toml".to_owned(), name.fill(template!("rust/plugin.toml"))),
        ("src/lib.rs".to_owned(), name.fill(template!("rust/lib.rs"))),
        ("orbit-hook/Cargo.toml".to_owned(), template!("rust/orbit-hook.toml").to_owned()),
    ];
    files.extend(SDK.iter().map(|(path, text)| (format!("orbit-hook/src/{path}"), (*text).to_owned())));
    Ok(files)
}

fn c(name: &Name) -> Vec<File> {
    vec![
        (".gitignore".to_owned(), template!("c/gitignore").to_owned()),
        ("Makefile".to_owned(), name.fill(template!("c/Makefile"))),
        ("README.md".to_owned(), name.fill(template!("c/README.md"))),
        ("plugin.toml".to_owned(), name.fill(template!("c/plugin.toml"))),
        (format!("{}.c", name.fill("my_plugin")), name.fill(template!("c/my_plugin.c"))),
        ("orbit_hook.h".to_owned(), HEADER.to_owned()),
    ]
}

/// Writes all files or none: into a folder beside, which takes its name when it is whole.
fn write(out: &Path, files: &[File]) -> Result<()> {
    let out = std::path::absolute(out)?;
    let parent = out.parent().context("the root cannot be a plugin's folder")?;
    let unfinished = parent.join(format!(".orbit-plugin-new-{}", std::process::id()));
    let written = write_files(&unfinished, files)
        .and_then(|()| fs::rename(&unfinished, &out).with_context(|| out.display().to_string()));
    if written.is_err() {
        // What went wrong first is what is worth telling.
        let _ = fs::remove_dir_all(&unfinished);
    }
    written
}

fn write_files(folder: &Path, files: &[File]) -> Result<()> {
    for (path, text) in files {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn next(name: &Name, language: Language, out: &Path) -> String {
    let (source, build) = match language {
        Language::Rust => ("src/lib.rs".to_owned(), "cargo build --release"),
        Language::C => (name.fill("my_plugin.c"), "make"),
    };
    let out = out.display();
    format!("{out} is a plugin that works; {source} is the lesson\n\n  cd {out}\n  {build}\n  orbit plugin check .\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use toml::Table;

    use super::*;

    fn table(path: &str) -> Table {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
        fs::read_to_string(path).unwrap().parse().unwrap()
    }

    /// The copy stands outside of the workspace, and so says itself what the original inherits from it.
    #[test]
    fn the_manifest_of_the_copy_says_what_that_of_orbit_hook_does() {
        let (workspace, original) = (table("Cargo.toml"), table("plugins/orbit-hook/Cargo.toml"));
        let copy: Table = template!("rust/orbit-hook.toml").parse().unwrap();
        for (key, value) in original["package"].as_table().unwrap() {
            let inherited = value.get("workspace").map(|_| &workspace["workspace"]["package"][key]);
            assert_eq!(&copy["package"][key], inherited.unwrap_or(value), "{key}");
        }
        assert_eq!(copy["features"], original["features"]);
        for (name, dependency) in copy["dependencies"].as_table().unwrap() {
            let mut dependency = dependency.as_table().unwrap().clone();
            assert!(dependency.remove("optional").is_some() && original["dependencies"].get(name).is_some());
            if dependency.len() == 1 {
                assert_eq!(dependency["version"], workspace["workspace"]["dependencies"][name], "{name}");
            } else {
                assert_eq!(Some(&dependency), workspace["workspace"]["dependencies"][name].as_table(), "{name}");
            }
        }
        let plugin: Table = template!("rust/manifest.toml").parse().unwrap();
        for name in ["schemars", "serde"] {
            assert_eq!(plugin["dependencies"][name], workspace["workspace"]["dependencies"][name]);
        }
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let files = [("a".to_owned(), String::new()), ("a/b".to_owned(), String::new())];
        assert!(write(&dir.path().join("new"), &files).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

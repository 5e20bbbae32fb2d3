//! Where plugins are, found without running any of them.

use std::env;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use super::inspect::inspect;
use super::manifest::platform;
use super::{Error, MANIFEST, Manifest, Tried};

/// The places where plugins are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// What paths are relative to: the folder of the run file.
    pub beside: PathBuf,
    /// Folders of folders with a manifest each, in order: the first that has an id wins.
    pub folders: Vec<PathBuf>,
}

/// A plugin that was found, whose library is what its manifest says.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// The manifest's folder, or the library when there is no manifest. Absolute.
    pub place: PathBuf,
    /// The library. Absolute.
    pub library: PathBuf,
    /// SHA-256 of the library's bytes.
    pub sha256: String,
    /// None for a library that was named itself.
    pub manifest: Option<Manifest>,
}

/// A folder with a manifest, as [`Search::list`] finds it.
#[derive(Debug)]
pub struct Listed {
    /// The folder.
    pub path: PathBuf,
    /// What is there, or why it cannot be used.
    pub plugin: Result<Located, Error>,
}

impl Search {
    /// `ORBIT_PLUGIN_PATH`, then `plugins` in the current directory, then the user's plugins; paths are relative to `beside`.
    pub fn standard(beside: impl Into<PathBuf>) -> Self {
        let listed = env::var_os("ORBIT_PLUGIN_PATH");
        let mut folders: Vec<PathBuf> = listed.iter().flat_map(env::split_paths).collect();
        folders.push("plugins".into());
        folders.extend(ProjectDirs::from("", "", "orbit").map(|dirs| dirs.data_dir().join("plugins")));
        Self { beside: beside.into(), folders }
    }

    /// The plugin with this path or id.
    ///
    /// # Errors
    /// [`Error::NotFound`], with every place that was tried; or what is wrong with the one that is there.
    pub fn find(&self, name: &str) -> Result<Located, Error> {
        let mut candidates = vec![self.beside.join(name)];
        let is_id = Path::new(name).components().count() == 1;
        if is_id {
            candidates.extend(self.folders.iter().map(|folder| folder.join(name)));
        }
        let mut tried = Vec::new();
        for path in candidates {
            match candidate(&path) {
                Ok(found) => return found,
                Err(reason) => tried.push(Tried { path, reason: reason.into() }),
            }
        }
        match is_id.then(|| self.by_id(name)).flatten() {
            Some(located) => Ok(located),
            None => Err(Error::NotFound { name: name.into(), tried }),
        }
    }

    /// A plugin whose folder is called otherwise than itself.
    fn by_id(&self, id: &str) -> Option<Located> {
        let usable = self.list().0.into_iter().filter_map(|listed| listed.plugin.ok());
        let mut usable = usable.filter(|located| located.manifest.as_ref().is_some_and(|manifest| manifest.id == id));
        usable.next()
    }

    /// Every plugin in the folders, and every folder that has none.
    pub fn list(&self) -> (Vec<Listed>, Vec<Tried>) {
        let (mut listed, mut tried) = (Vec::new(), Vec::new());
        for folder in &self.folders {
            let entries = match std::fs::read_dir(folder) {
                Ok(entries) => entries,
                Err(error) => {
                    tried.push(Tried { path: folder.clone(), reason: error.to_string() });
                    continue;
                }
            };
            let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            paths.retain(|path| path.is_dir());
            paths.sort();
            for path in paths {
                match candidate(&path) {
                    Ok(plugin) => listed.push(Listed { path, plugin }),
                    Err(reason) => tried.push(Tried { path, reason: reason.into() }),
                }
            }
        }
        (listed, tried)
    }
}

/// What a path is; an error if it is nothing that could be a plugin.
fn candidate(path: &Path) -> Result<Result<Located, Error>, &'static str> {
    if path.is_dir() {
        let manifest = path.join(MANIFEST);
        return if manifest.is_file() { Ok(by_manifest(&manifest)) } else { Err("a folder without a plugin.toml") };
    }
    match path.extension() {
        _ if !path.exists() => Err("there is nothing"),
        Some(extension) if extension == "toml" => Ok(by_manifest(path)),
        _ => Ok(by_library(path)),
    }
}

fn by_manifest(path: &Path) -> Result<Located, Error> {
    let manifest = Manifest::read(path)?;
    let folder = absolute(path.parent().unwrap_or(Path::new("")))?;
    let platform = platform();
    let Some(file) = manifest.library.get(&platform) else {
        let there = manifest.library.keys().cloned().collect();
        return Err(Error::Platform { path: path.into(), platform, there });
    };
    let library = absolute(&folder.join(&file.file))?;
    // A device or a pipe may have no end.
    if !library.is_file() {
        return Err(Error::NotBuilt { path: library });
    }
    let sha256 = inspect(&library)?;
    match &file.sha256 {
        Some(expected) if !expected.eq_ignore_ascii_case(&sha256) => {
            Err(Error::Digest { path: library, expected: expected.clone(), found: sha256 })
        }
        _ => Ok(Located { place: folder, library, sha256, manifest: Some(manifest) }),
    }
}

fn by_library(path: &Path) -> Result<Located, Error> {
    let library = absolute(path)?;
    Ok(Located { sha256: inspect(&library)?, place: library.clone(), library, manifest: None })
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|error| Error::io(path, error))
}

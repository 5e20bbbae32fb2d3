//! Where the files that a run file names are on this machine.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use directories::ProjectDirs;
use orbit_regularizers::HookEntry;

use crate::config::{Corpus, RunFile, SasRecFile, SequenceFile, StudyFile};
use crate::usage::Usage;

/// The folders in which the data files of a run are looked for, in this order: the data directory, the run file's folder.
#[derive(Clone, Debug)]
pub(crate) struct DataDir {
    /// From `--data`, or else `ORBIT_DATA`.
    pub root: Option<PathBuf>,
    /// The folder of the run file.
    pub beside: PathBuf,
}

impl DataDir {
    /// The folders for a run file.
    pub(crate) fn new(root: Option<PathBuf>, run_file: &Path) -> Self {
        Self { root, beside: run_file.parent().unwrap_or(Path::new("")).to_owned() }
    }

    /// The file that a run file calls `path`.
    ///
    /// # Errors
    /// [`Usage`], when it is in none of the folders; the message says how to get it.
    pub(crate) fn file(&self, path: &Path) -> Result<PathBuf> {
        let folders = self.root.iter().chain([&self.beside]);
        match folders.map(|folder| folder.join(path)).find(|file| file.exists()) {
            Some(file) => Ok(std::path::absolute(file)?),
            None => Err(self.missing(path).into()),
        }
    }

    fn missing(&self, path: &Path) -> Usage {
        let looked = match &self.root {
            Some(root) => format!("it is not in the data directory {}", root.display()),
            None => "no data directory was given".to_owned(),
        };
        Usage::new(format!(
            "data file {} is missing: {looked}, nor is it beside the run file. Data sets are not part of orbit: put the \
             file into a folder at that path, and name the folder by --data DIR or ORBIT_DATA. To try orbit without data, \
             use `corpus.generated`, or run `orbit quickstart`",
            path.display()
        ))
    }
}

/// Replaces every path of a run file by an absolute one to a file that is there, the model's included.
///
/// # Errors
/// [`Usage`], for the first that is missing.
pub(crate) fn resolve(run: RunFile, data: &DataDir) -> Result<RunFile> {
    let mut run = resolve_data(run, data)?;
    resolve_hooks(&mut run.hooks, &data.beside)?;
    run.model.path = run.model.path.map(|path| model(&path, &data.beside)).transpose()?;
    Ok(run)
}

/// As [`resolve`], of a corpus alone.
///
/// # Errors
/// As [`resolve`].
pub(crate) fn resolve_corpus(mut corpus: Corpus, data: &DataDir) -> Result<Corpus> {
    for path in corpus.data_paths() {
        *path = data.file(path)?;
    }
    Ok(corpus)
}

/// As [`resolve`], for SASRec, which starts from nothing.
///
/// # Errors
/// As [`resolve`].
pub(crate) fn resolve_sasrec(mut run: SasRecFile, data: &DataDir) -> Result<SasRecFile> {
    for path in run.data_paths() {
        *path = data.file(path)?;
    }
    Ok(run)
}

/// As [`resolve`], for a sequence of tasks.
///
/// # Errors
/// As [`resolve`].
pub(crate) fn resolve_sequence(mut run: SequenceFile, data: &DataDir) -> Result<SequenceFile> {
    for path in run.data_paths() {
        *path = data.file(path)?;
    }
    resolve_hooks(&mut run.hooks, &data.beside)?;
    run.model.path = model(&run.model.path, &data.beside)?;
    Ok(run)
}

/// Makes the paths of files that hooks read absolute; they are relative to the run file's folder.
fn resolve_hooks<'a>(hooks: impl IntoIterator<Item = &'a mut HookEntry>, beside: &Path) -> Result<()> {
    for file in hooks.into_iter().flat_map(|entry| entry.r#use.files()) {
        *file = std::path::absolute(beside.join(&*file))?.to_string_lossy().into_owned();
    }
    Ok(())
}

/// As [`resolve`], for a study and all its models.
///
/// # Errors
/// As [`resolve`].
pub(crate) fn resolve_study(mut study: StudyFile, data: &DataDir) -> Result<StudyFile> {
    for path in study.data_paths() {
        *path = data.file(path)?;
    }
    resolve_hooks(study.hooks(), &data.beside)?;
    for studied in &mut study.models {
        studied.path = model(&studied.path, &data.beside)?;
    }
    Ok(study)
}

/// As [`resolve`], but for the model, which may be missing.
///
/// # Errors
/// As [`resolve`].
pub(crate) fn resolve_data(mut run: RunFile, data: &DataDir) -> Result<RunFile> {
    for path in run.data_paths() {
        *path = data.file(path)?;
    }
    Ok(run)
}

/// The directory or `.gguf` file of the model that is called `name`: there, relative to `beside`, or pulled under that name.
///
/// # Errors
/// [`Usage`], when there is none; the message says how to get it.
pub(crate) fn model(name: &Path, beside: &Path) -> Result<PathBuf> {
    let pulled = cache()?.join(name);
    match [beside.join(name), pulled].into_iter().find(|path| path.exists()) {
        Some(path) => Ok(std::path::absolute(path)?),
        None => Err(missing_model(name).into()),
    }
}

fn missing_model(name: &Path) -> Usage {
    let known: Vec<&str> = orbit_models::pull::SOURCES.iter().map(|source| source.name).collect();
    match known.iter().find(|known| Path::new(known) == name) {
        Some(name) => Usage::new(format!("model {name} is not on this machine yet: run `orbit pull {name}`")),
        None => Usage::new(format!(
            "model {} is missing: give a Hugging Face directory or a .gguf file, relative to the run file, or one of the \
             names that `orbit pull` knows: {}",
            name.display(),
            known.join(", ")
        )),
    }
}

/// Where pulled models are: `ORBIT_CACHE`, or else the user's cache folder.
pub(crate) fn cache() -> Result<PathBuf> {
    match env::var_os("ORBIT_CACHE") {
        Some(cache) => Ok(cache.into()),
        None => ProjectDirs::from("", "", "orbit")
            .map(|dirs| dirs.cache_dir().to_owned())
            .context("this user has no home folder: name a folder for models by ORBIT_CACHE"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_data_directory_comes_before_the_run_files_folder() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir { root: Some(dir.path().join("data")), beside: dir.path().join("recipes") };
        for file in ["data/both", "recipes/both", "recipes/own"] {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        assert_eq!(data.file(Path::new("both")).unwrap(), dir.path().join("data/both"));
        assert_eq!(data.file(Path::new("own")).unwrap(), dir.path().join("recipes/own"));
        let message = data.file(Path::new("none")).unwrap_err().to_string();
        assert!(message.contains("data file none is missing") && message.contains("--data DIR"), "{message}");
    }

    #[test]
    fn a_missing_model_that_can_be_pulled_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let message = missing_model(Path::new("smollm2-135m-instruct")).to_string();
        assert!(message.contains("orbit pull smollm2-135m-instruct"), "{message}");
        let message = model(Path::new("models/nowhere"), dir.path()).unwrap_err().to_string();
        assert!(message.contains("model models/nowhere is missing"), "{message}");
    }

    #[test]
    fn a_model_beside_the_run_file_is_found() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tiny")).unwrap();
        assert_eq!(model(Path::new("tiny"), dir.path()).unwrap(), dir.path().join("tiny"));
    }
}

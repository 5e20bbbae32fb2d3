//! `plugin.toml`: what a plugin is, to be read without running it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Error;

/// Manifests are small; a larger file is something else.
const LARGEST: u64 = 1 << 20;

/// What a plugin says of itself.
///
/// ```
/// use orbit_regularizers::plugin::Manifest;
///
/// let manifest = Manifest::parse(
///     r#"
///     id = "l2-ball"
///     version = "0.1.0"
///     abi = 1
///     licence = "MIT"
///     example = { radius = 0.3 }
///
///     [library.linux-x86_64]
///     file = "libl2_ball.so"
///     "#,
/// )?;
/// assert_eq!(manifest.library["linux-x86_64"].file.to_str(), Some("libl2_ball.so"));
/// assert!(Manifest::parse("id = 7").is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What it is called, the same as in its library: letters, digits, `-`, `_` and `.`.
    pub id: String,
    /// Its own version, the same as in its library.
    pub version: String,
    /// The version of the plugin interface that it was built for.
    pub abi: u32,
    /// Under what terms it may be used, as an SPDX expression.
    pub licence: String,
    /// What it does, in a sentence.
    #[serde(default)]
    pub description: String,
    /// A configuration under which it does something near weights of size 1: what it is checked with.
    #[serde(default)]
    pub example: Map<String, Value>,
    /// The library for each platform, such as `linux-x86_64`.
    pub library: BTreeMap<String, File>,
}

/// A library of one platform.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where it is, relative to the manifest. It may be outside of the folder, as cargo's `target` is: whoever writes
    /// a manifest is trusted as far as the library, which can do all that the program can.
    pub file: PathBuf,
    /// SHA-256 of its bytes, in 64 hexadecimal digits. A plugin that is given to others has it; without, any bytes are taken.
    #[serde(default)]
    pub sha256: Option<String>,
}

/// This platform, as manifests name it: `linux-x86_64`, `macos-aarch64`, `windows-x86_64`, ...
pub fn platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

impl Manifest {
    /// Reads a manifest from its text. The error says where in the text what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Reads a manifest file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let size = std::fs::metadata(path).map_err(|error| Error::io(path, error))?.len();
        if size > LARGEST {
            let reason = format!("it has {size} bytes, a manifest has at most {LARGEST}");
            return Err(Error::Manifest { path: path.into(), reason });
        }
        let text = std::fs::read_to_string(path).map_err(|error| Error::io(path, error))?;
        Self::parse(&text).map_err(|reason| Error::Manifest { path: path.into(), reason })
    }

    fn check(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.id.is_empty() || self.id.starts_with('.') || !self.id.chars().all(plain) {
            return Err(format!(
                "id \"{}\" must be letters, digits, `-`, `_` and `.`, and not begin with a `.`",
                self.id
            ));
        }
        if self.version.is_empty() {
            return Err("version is empty".into());
        }
        for (platform, File { file, sha256 }) in &self.library {
            if file.as_os_str().is_empty() {
                return Err(format!("library.{platform}.file is empty"));
            }
            let digest = |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !sha256.as_ref().is_none_or(digest) {
                return Err(format!("library.{platform}.sha256 must be 64 hexadecimal digits"));
            }
        }
        Ok(())
    }
}

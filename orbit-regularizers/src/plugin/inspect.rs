//! What a file is, told from its bytes alone: nothing of it runs.

use std::fmt::Write;
use std::path::Path;

use object::{Architecture, NameOrOrdinal, Object};
use sha2::{Digest, Sha256};

use super::Error;

/// Checks that a file is a library for this machine which exports an entry, and gives its SHA-256.
pub(super) fn inspect(path: &Path) -> Result<String, Error> {
    let bytes = std::fs::read(path).map_err(|error| Error::io(path, error))?;
    let digest = hex(&Sha256::digest(&bytes));
    let broken = |error: object::Error| Error::NotALibrary { path: path.into(), reason: error.to_string() };
    let file = object::File::parse(bytes.as_slice()).map_err(broken)?;
    let (found, here) = (name(file.architecture()), std::env::consts::ARCH.to_owned());
    if found != here {
        return Err(Error::Architecture { path: path.into(), found, here });
    }
    for export in file.exports().map_err(broken)? {
        // Mach-O puts an underscore before every name.
        if matches!(export.map_err(broken)?.name(), NameOrOrdinal::Name(b"orbit_hook_entry" | b"_orbit_hook_entry")) {
            return Ok(digest);
        }
    }
    Err(Error::NoEntry { path: path.into() })
}

/// The architecture as Rust names it.
fn name(architecture: Architecture) -> String {
    match architecture {
        Architecture::X86_64 => "x86_64".into(),
        Architecture::I386 => "x86".into(),
        Architecture::Aarch64 => "aarch64".into(),
        Architecture::Arm => "arm".into(),
        Architecture::Riscv64 => "riscv64".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

//! Reads `tokenizer.json`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tokenizers::Tokenizer;

use super::failed;
use crate::{Error, Result, read_file};

/// Reads a `tokenizer.json`.
///
/// # Errors
/// When the file is not there, or is not one.
pub fn read_tokenizer(path: &Path) -> Result<Tokenizer> {
    let bytes = read_file(path).map_err(|source| Error::io(path, source))?;
    tokenizer_of(&bytes, path)
}

/// The tokenizer in the bytes of a `tokenizer.json`; `path` is what an error names.
///
/// # Errors
/// When they are not one.
pub fn tokenizer_of(bytes: &[u8], path: &Path) -> Result<Tokenizer> {
    guarded(&format!("reading {}", path.display()), || Tokenizer::from_bytes(bytes))
}

/// What the tokenizers crate says. It panics on some files that are no tokenizer, and on some texts by one that is broken,
/// where an error is due.
///
/// # Errors
/// Either, with `what` was done.
pub fn guarded<T>(what: &str, run: impl FnOnce() -> tokenizers::Result<T>) -> Result<T> {
    // Nothing of what it was about is looked at again.
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(answer) => answer.map_err(|source| failed(what, source)),
        Err(_) => Err(failed(what, "the tokenizer is broken, such that its library gave up".into())),
    }
}

//! Semantic-ID tokens behind a tokenizer's own.

mod bpe;
mod items;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tokenizers::{AddedToken, Tokenizer};

pub use bpe::{SPECIAL_TOKENS, train_bpe};
pub use items::{UserTokens, item_tokenizer};

use crate::{Error, Result, read_file};

/// The most tokens that are added to a tokenizer, far beyond any semantic IDs.
const MOST_NEW: usize = 1 << 20;

/// A tokenizer with tokens for semantic IDs added behind its own: `<start_of_sid>`, `<end_of_sid>`, then `<sid_L_C>` for
/// every code C of every level L, level by level.
///
/// Their ids run on from the rows of the model's embedding, so row `base_rows + i` of the grown model is new token `i`.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    tokenizer: Tokenizer,
    base_rows: u32,
    /// The id of each level's first code, and the id behind the last code.
    levels: Vec<u32>,
}

impl Vocabulary {
    /// Adds the tokens of semantic IDs whose level `l` has `codes_per_level[l]` codes to the tokenizer of a model with
    /// `base_rows` embedding rows. A tokenizer that already has exactly these tokens is taken as it is.
    ///
    /// # Errors
    /// When the new ids would not run on from `base_rows`, because the tokenizer does not have as many tokens as the model
    /// has rows, or because it already has tokens of other semantic IDs; and when there would be more than a million of them.
    pub fn new(mut tokenizer: Tokenizer, base_rows: u32, codes_per_level: &[usize]) -> Result<Self> {
        let levels = levels(base_rows, codes_per_level)?;
        let before = tokenizer.get_vocab_size(true);
        let names = names(codes_per_level);
        let tokens = names.iter().map(|name| AddedToken::from(name.as_str(), true));
        tokenizer.add_special_tokens(tokens).map_err(|source| failed("adding semantic-ID tokens", source))?;
        let expected = base_rows as usize + names.len();
        let aligned = (base_rows..).zip(&names).all(|(id, name)| tokenizer.token_to_id(name) == Some(id));
        if !aligned || tokenizer.get_vocab_size(true) != expected {
            return Err(Error::Invalid(format!(
                "semantic-ID tokens must follow the model's {base_rows} embedding rows, but the tokenizer has {before} \
                 tokens: give the two the same size, and start from a tokenizer without semantic IDs"
            )));
        }
        Ok(Self { tokenizer, base_rows, levels })
    }

    /// Reads `tokenizer.json` of a model directory and adds the tokens as [`new`](Self::new) does.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when the file is not a tokenizer.
    pub fn read(model_dir: &Path, base_rows: u32, codes_per_level: &[usize]) -> Result<Self> {
        Self::new(read_tokenizer(&model_dir.join("tokenizer.json"))?, base_rows, codes_per_level)
    }

    /// The rows of the model before semantic IDs were added, which is the id of the first new token.
    pub fn base_rows(&self) -> u32 {
        self.base_rows
    }

    /// How many tokens were added.
    pub fn new_tokens(&self) -> usize {
        (self.levels[self.levels()] - self.base_rows) as usize
    }

    /// The levels of a semantic ID.
    pub fn levels(&self) -> usize {
        self.levels.len() - 1
    }

    /// The tokens that users share; none where the tokenizer has no such.
    pub fn users(&self) -> Option<UserTokens> {
        UserTokens::of_tokenizer(&self.tokenizer)
    }

    /// The id of `<start_of_sid>`.
    pub fn start(&self) -> u32 {
        self.base_rows
    }

    /// The id of `<end_of_sid>`.
    pub fn end(&self) -> u32 {
        self.base_rows + 1
    }

    /// The id of a level's code; `None` if the level has no such code.
    pub fn code(&self, level: usize, code: u16) -> Option<u32> {
        let id = self.levels.get(level)? + u32::from(code);
        (id < *self.levels.get(level + 1)?).then_some(id)
    }

    /// The token ids of a semantic ID: start, one for each level, end.
    ///
    /// # Errors
    /// When there is not one code for each level, or a level has no such code.
    pub fn sid(&self, codes: &[u16]) -> Result<Vec<u32>> {
        if codes.len() != self.levels() {
            return Err(Error::Invalid(format!("a semantic ID of {} codes for {} levels", codes.len(), self.levels())));
        }
        let mut tokens = vec![self.start()];
        for (level, &code) in codes.iter().enumerate() {
            let missing = || Error::Invalid(format!("the vocabulary has no code {code} at level {level}"));
            tokens.push(self.code(level, code).ok_or_else(missing)?);
        }
        tokens.push(self.end());
        Ok(tokens)
    }

    /// The token ids of `text`. Special tokens written out in it are recognised; none is added.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        encode(&self.tokenizer, text)
    }

    /// The text of `tokens`, special tokens written out.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn decode(&self, tokens: &[u32]) -> Result<String> {
        guarded("decoding", || self.tokenizer.decode(tokens, false))
    }

    /// How the tokenizer writes token `id`.
    ///
    /// # Errors
    /// When there is no such token.
    pub fn name(&self, id: u32) -> Result<String> {
        self.tokenizer.id_to_token(id).ok_or_else(|| Error::Invalid(format!("the tokenizer has no token {id}")))
    }

    /// Whether `id` is a special token, such as the end of a turn.
    pub fn is_special(&self, id: u32) -> bool {
        is_special(&self.tokenizer, id)
    }

    /// The tokenizer, with the tokens of semantic IDs.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Writes `tokenizer.json` into a model directory. [`ChatTemplate::save`](crate::chat::ChatTemplate::save) writes the
    /// configuration that goes with it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let path = dir.join("tokenizer.json");
        let text = self.tokenizer.to_string(false).map_err(|source| failed("writing the tokenizer", source))?;
        std::fs::write(&path, text).map_err(|source| Error::io(&path, source))
    }
}

/// The token ids of `text`; special tokens written out in it are recognised, none is added.
pub(crate) fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>> {
    let encoding = guarded("tokenizing", || tokenizer.encode_fast(text, false))?;
    Ok(encoding.get_ids().to_vec())
}

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

/// Whether `id` is a special token.
pub(crate) fn is_special(tokenizer: &Tokenizer, id: u32) -> bool {
    let added = tokenizer.get_added_vocabulary();
    added.simple_id_to_token(id).is_some_and(|name| added.is_special_token(&name))
}

/// The id of each level's first code, and the id behind the last code.
fn levels(base_rows: u32, codes_per_level: &[usize]) -> Result<Vec<u32>> {
    let new = codes_per_level.iter().fold(2_usize, |sum, &codes| sum.saturating_add(codes));
    if new > MOST_NEW || base_rows.checked_add(new as u32).is_none() {
        return Err(Error::Invalid(format!(
            "semantic IDs take {new} new tokens behind {base_rows}; there may be {MOST_NEW}: use fewer levels or codes"
        )));
    }
    let mut levels = vec![base_rows + 2];
    for &codes in codes_per_level {
        levels.push(levels[levels.len() - 1] + codes as u32);
    }
    Ok(levels)
}

/// The new tokens in the order of their ids.
fn names(codes_per_level: &[usize]) -> Vec<String> {
    let mut names = vec!["<start_of_sid>".to_owned(), "<end_of_sid>".to_owned()];
    for (level, &codes) in codes_per_level.iter().enumerate() {
        names.extend((0..codes).map(|code| format!("<sid_{level}_{code}>")));
    }
    names
}

pub(crate) fn failed(what: &str, source: tokenizers::Error) -> Error {
    Error::Tokenizer { what: what.to_owned(), source }
}

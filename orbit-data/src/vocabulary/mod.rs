//! Semantic-ID tokens behind a tokenizer's own.

mod bpe;
mod items;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use bpe::{SPECIAL_TOKENS, train_bpe};
pub use items::{UserTokens, item_tokenizer};

use crate::tokenizer::{Reader, TextTokenizer};
use crate::{Error, Result};

/// The most tokens that are added to a tokenizer, far beyond any semantic IDs.
const MOST_NEW: usize = 1 << 20;

/// A tokenizer with tokens for semantic IDs added behind its own: `<start_of_sid>`, `<end_of_sid>`, then `<sid_L_C>` for
/// every code C of every level L, level by level.
///
/// Their ids are those that the tokenizer gives them, which is what `add_tokens` of transformers does. A model whose embedding
/// is padded has rows for some of them already.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    tokenizer: TextTokenizer,
    /// Tokens of the tokenizer before these were added.
    base_tokens: u32,
    /// The id of each level's first code, and the id behind the last code.
    levels: Vec<u32>,
}

impl Vocabulary {
    /// Adds the tokens of semantic IDs whose level `l` has `codes_per_level[l]` codes. A tokenizer that already has exactly these
    /// tokens is taken as it is.
    ///
    /// # Errors
    /// When the tokenizer already has tokens of other semantic IDs, does not give the new ones ids that run on, or there would
    /// be more than a million of them.
    pub fn new(tokenizer: TextTokenizer, codes_per_level: &[usize]) -> Result<Self> {
        let names = names(codes_per_level)?;
        let known = names.iter().filter(|name| tokenizer.id(name).is_some()).count();
        let tokenizer = if known == names.len() { tokenizer } else { tokenizer.with_special_tokens(&names)? };
        let first = tokenizer.id(&names[0]).unwrap_or_default();
        let end = first as usize + names.len();
        // Two: models that orbit made have the tokens that enclose semantic IDs, and no rows for them.
        let alone = [0, 2, names.len()].contains(&known) && tokenizer.size() == end && end < u32::MAX as usize;
        if !alone || !(first..).zip(&names).all(|(id, name)| tokenizer.id(name) == Some(id)) {
            return Err(Error::Invalid(format!(
                "{} tokens of semantic IDs must stand behind all others, and the tokenizer has other ones already, or gives \
                 them ids that do not run on: start from a tokenizer without semantic IDs",
                names.len()
            )));
        }
        let base_tokens = first;
        let mut levels = vec![base_tokens + 2];
        for &codes in codes_per_level {
            levels.push(levels[levels.len() - 1] + codes as u32);
        }
        Ok(Self { tokenizer, base_tokens, levels })
    }

    /// Reads `tokenizer.json` of a model directory and adds the tokens as [`new`](Self::new) does.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when the file is not a tokenizer.
    pub fn read(model_dir: &Path, reader: Reader, codes_per_level: &[usize]) -> Result<Self> {
        Self::new(TextTokenizer::read(model_dir, reader)?, codes_per_level)
    }

    /// The tokenizer, with the tokens of semantic IDs.
    pub fn text(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// Tokens of the tokenizer before semantic IDs were added, which is the id of the first new token.
    pub fn base_tokens(&self) -> usize {
        self.base_tokens as usize
    }

    /// How many tokens were added.
    pub fn new_tokens(&self) -> usize {
        (self.levels[self.levels()] - self.base_tokens) as usize
    }

    /// The levels of a semantic ID.
    pub fn levels(&self) -> usize {
        self.levels.len() - 1
    }

    /// The tokens that users share; none where the tokenizer has no such.
    pub fn users(&self) -> Option<UserTokens> {
        UserTokens::of_tokenizer(self.tokenizer.tokenizer())
    }

    /// The id of `<start_of_sid>`.
    pub fn start(&self) -> u32 {
        self.base_tokens
    }

    /// The id of `<end_of_sid>`.
    pub fn end(&self) -> u32 {
        self.base_tokens + 1
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
}

/// The new tokens in the order of their ids.
fn names(codes_per_level: &[usize]) -> Result<Vec<String>> {
    let new = codes_per_level.iter().fold(2_usize, |sum, &codes| sum.saturating_add(codes));
    if new > MOST_NEW {
        return Err(Error::Invalid(format!(
            "semantic IDs take {new} new tokens; there may be {MOST_NEW}: use fewer levels or codes"
        )));
    }
    let mut names = vec!["<start_of_sid>".to_owned(), "<end_of_sid>".to_owned()];
    for (level, &codes) in codes_per_level.iter().enumerate() {
        names.extend((0..codes).map(|code| format!("<sid_{level}_{code}>")));
    }
    Ok(names)
}

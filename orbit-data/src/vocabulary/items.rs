//! Tokenizers of models that speak of items alone.

use sha2::{Digest, Sha256};
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::{AddedToken, Tokenizer};

use crate::Result;
use crate::tokenizer::failed;

/// The special tokens of T5, whose first fills short rows and whose second ends an answer. The sentinels are those that every T5
/// has; nothing here uses them.
const SPECIALS: [&str; 3] = ["<pad>", "</s>", "<unk>"];
const SENTINELS: usize = 100;

/// A tokenizer without words, for a model from scratch that reads and writes semantic IDs: the special tokens of T5, and `users`
/// tokens for users, `<user_0>` and so on.
///
/// ```
/// let tokenizer = orbit_data::vocabulary::item_tokenizer(2000)?;
/// assert_eq!((tokenizer.token_to_id("</s>"), tokenizer.token_to_id("<user_1999>")), (Some(1), Some(2102)));
/// # Ok::<(), orbit_data::Error>(())
/// ```
///
/// # Errors
/// What the tokenizer says.
pub fn item_tokenizer(users: usize) -> Result<Tokenizer> {
    let sentinels = (0..SENTINELS).map(|number| format!("<extra_id_{number}>"));
    let users = (0..users).map(user);
    let names = SPECIALS.map(str::to_owned).into_iter().chain(sentinels).chain(users);
    let vocabulary = (0..).zip(names).map(|(id, name)| (name, id)).collect::<Vec<(String, u32)>>();
    let specials: Vec<AddedToken> = vocabulary.iter().map(|(name, _)| AddedToken::from(name.as_str(), true)).collect();
    let model = WordLevel::builder().vocab(vocabulary.into_iter().collect()).unk_token("<unk>".into());
    let mut tokenizer = Tokenizer::new(model.build().map_err(|source| failed("making the tokenizer", source))?);
    tokenizer.add_special_tokens(specials).map_err(|source| failed("making the tokenizer", source))?;
    Ok(tokenizer)
}

fn user(number: usize) -> String {
    format!("<user_{number}>")
}

/// Tokens that users share, each user's by a hash of the id, as in TIGER (arXiv 2305.05065, section 3.2), which has 2,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserTokens {
    first: u32,
    count: u32,
}

impl UserTokens {
    /// Those of a tokenizer, if it has any.
    pub(super) fn of_tokenizer(tokenizer: &Tokenizer) -> Option<Self> {
        let first = tokenizer.token_to_id(&user(0))?;
        // The ids of a file may be any, also the last that there is.
        let ids = (first..=u32::MAX).enumerate();
        let count = ids.take_while(|&(number, id)| tokenizer.token_to_id(&user(number)) == Some(id)).count();
        Some(Self { first, count: count as u32 })
    }

    /// The token of the user with this id.
    pub fn of(&self, id: &str) -> u32 {
        let hash = Sha256::digest(id.as_bytes());
        let number = hash.iter().take(8).fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
        self.first + (number % u64::from(self.count)) as u32
    }
}

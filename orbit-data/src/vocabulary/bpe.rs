//! Trains a tokenizer from text.

use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, Tokenizer};

use crate::tokenizer::failed;
use crate::{Error, Result};

/// The special tokens of ChatML, for [`train_bpe`].
pub const SPECIAL_TOKENS: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

/// Trains a byte-level BPE tokenizer (the scheme of GPT-2) of at most `size` tokens: `specials` first, from id 0, then the
/// 256 bytes, then merges of pairs that occur at least twice. Digits stand alone. The same texts give the same tokenizer.
///
/// ```
/// use orbit_data::vocabulary::{SPECIAL_TOKENS, train_bpe};
/// let tokenizer = train_bpe(["low lower lowest"; 9].into_iter(), 270, &SPECIAL_TOKENS)?;
/// assert_eq!(tokenizer.token_to_id("<|im_end|>"), Some(2));
/// assert!(tokenizer.token_to_id("low").is_some());
/// # Ok::<(), orbit_data::Error>(())
/// ```
///
/// # Errors
/// When `size` has no room for the special tokens and the bytes, or training fails.
pub fn train_bpe<T>(texts: impl Iterator<Item = T> + Send, size: usize, specials: &[&str]) -> Result<Tokenizer>
where
    T: AsRef<str> + Send,
{
    let least = specials.len() + 256;
    if size < least {
        return Err(Error::Invalid(format!("a byte-level vocabulary needs at least {least} tokens, not {size}")));
    }
    let trainer = BpeTrainer::builder()
        .vocab_size(size)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(specials.iter().map(|&token| AddedToken::from(token, true)).collect())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let byte_level = ByteLevel::default().add_prefix_space(false);
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![Digits::new(true).into(), byte_level.into()])));
    tokenizer.with_decoder(Some(byte_level));
    tokenizer
        .train(&mut TrainerWrapper::from(trainer), texts)
        .map_err(|source| failed("training the tokenizer", source))?;
    Ok(tokenizer)
}

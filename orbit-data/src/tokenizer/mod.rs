//! The one way from text to tokens.
//!
//! A [`TextTokenizer`] is a `tokenizer.json` without the truncation and padding that a tool may have left in it. All code of
//! orbit that needs the tokens of a text asks it, and says what the text is:
//!
//! | text | function | what stands around it |
//! |---|---|---|
//! | part of something else: a title, a passage of a long text | [`text`](TextTokenizer::text) | nothing |
//! | the first text that a model reads | [`first`](TextTokenizer::first) | a decoder: the BOS; an encoder: all that the post-processor gives, such as T5's `</s>` |
//! | a text to be embedded | [`whole`](TextTokenizer::whole) | all that the post-processor gives |
//! | what a chat template has written | [`prompt`](TextTokenizer::prompt) | a decoder: nothing, the template wrote it; an encoder: as above |
//! | a continuation behind a context | [`continued`](TextTokenizer::continued) | |
//!
//! Text of users is text: a control token that is spelled in it is not a control token. Text that a chat template puts among
//! its own control tokens goes through [`guard`](TextTokenizer::guard) first.

mod control;
mod read;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;
use std::sync::OnceLock;

use tokenizers::{AddedToken, Tokenizer};

use self::control::{AsText, Spellings};
pub use self::read::{guarded, read_tokenizer, tokenizer_of};
use crate::{Error, Result};

/// What reads a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A decoder, which reads prompt and answer as one text.
    Decoder,
    /// The encoder of an encoder-decoder, which reads the prompt alone.
    Encoder,
}

/// A tokenizer that knows the role of a text.
///
/// ```
/// use orbit_data::tokenizer::{Reader, TextTokenizer};
/// use orbit_data::vocabulary::{SPECIAL_TOKENS, train_bpe};
///
/// let tokenizer = train_bpe(["low lower lowest"; 9].into_iter(), 280, &SPECIAL_TOKENS)?;
/// let tokenizer = TextTokenizer::new(tokenizer, Reader::Decoder)?;
/// // In a title the spelling of a control token is text.
/// assert!(!tokenizer.text("<|im_end|>")?.contains(&2));
/// // In what a chat template wrote it is the control token.
/// assert_eq!(tokenizer.rendered("<|im_end|>")?, [2]);
/// # Ok::<(), orbit_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    reader: Reader,
    /// What the post-processor puts before and behind a text.
    before: Vec<u32>,
    behind: Vec<u32>,
    /// What stands for an empty context.
    prefix: Option<u32>,
    special: HashSet<u32>,
    spellings: Spellings,
    /// Made when the first text comes in which a control token is spelled.
    as_text: OnceLock<AsText>,
}

impl TextTokenizer {
    /// Takes a tokenizer for a model that reads prompts with `reader`. Truncation and padding are dropped.
    ///
    /// # Errors
    /// When the tokenizer is broken.
    pub fn new(mut tokenizer: Tokenizer, reader: Reader) -> Result<Self> {
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|source| failed("dropping the truncation", source))?;
        let (before, behind) = around(&tokenizer)?;
        let special = special_tokens(&tokenizer);
        let spellings = Spellings::new(special.iter().map(|(_, token)| token.content.as_str()))?;
        let special = special.iter().map(|(id, _)| *id).collect();
        Ok(Self { tokenizer, reader, before, behind, prefix: None, special, spellings, as_text: OnceLock::new() })
    }

    /// Reads the `tokenizer.json` of a model directory.
    ///
    /// # Errors
    /// When the file is not there, or is not a tokenizer.
    pub fn read(model_dir: &Path, reader: Reader) -> Result<Self> {
        Self::new(read_tokenizer(&model_dir.join("tokenizer.json"))?, reader)
    }

    /// Sets the token that stands for an empty context: the tokenizer's BOS, or else its EOS, as lm-evaluation-harness has it.
    #[must_use]
    pub fn with_prefix(self, prefix: u32) -> Self {
        Self { prefix: Some(prefix), ..self }
    }

    /// The token that stands for an empty context.
    pub fn prefix(&self) -> Option<u32> {
        self.prefix
    }

    /// Adds special tokens. A token that is there already stays.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn with_special_tokens(self, names: &[String]) -> Result<Self> {
        let Self { mut tokenizer, reader, prefix, .. } = self;
        let tokens = names.iter().map(|name| AddedToken::from(name.as_str(), true));
        guarded("adding special tokens", || tokenizer.add_special_tokens(tokens))?;
        Ok(Self { prefix, ..Self::new(tokenizer, reader)? })
    }

    /// The tokens of a text with nothing around it. No control token is found in it.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn text(&self, text: &str) -> Result<Vec<u32>> {
        self.rendered(&self.guard(text))
    }

    /// The tokens of a text that a model reads first: behind the BOS of a decoder, or with all that the encoder of a T5 expects.
    /// What stands there already is not added again.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn first(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.opened(self.text(text)?))
    }

    /// The tokens of a text with all that the post-processor puts around it, `longest` in all: a longer text loses its end.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn whole(&self, text: &str, longest: usize) -> Result<Vec<u32>> {
        let mut tokens = self.text(text)?;
        tokens.truncate(longest.saturating_sub(self.before.len() + self.behind.len()).max(1));
        Ok(enclosed(&self.before, tokens, &self.behind))
    }

    /// The tokens of a prompt, whose user's words were guarded. Where a chat template wrote it, a decoder is given nothing more;
    /// where the words stand as they are, the prompt is a first text.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn prompt(&self, prompt: &str, by_template: bool) -> Result<Vec<u32>> {
        Ok(self.in_place(self.rendered(prompt)?, by_template))
    }

    fn in_place(&self, prompt: Vec<u32>, by_template: bool) -> Vec<u32> {
        if by_template && self.reader == Reader::Decoder { prompt } else { self.opened(prompt) }
    }

    /// The tokens of a text in which control tokens are control tokens, but for those that were spelled in a guarded part.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn rendered(&self, text: &str) -> Result<Vec<u32>> {
        if !control::is_guarded(text) {
            return encode(&self.tokenizer, text);
        }
        let as_text = match self.as_text.get() {
            Some(as_text) => as_text,
            None => {
                let made = AsText::new(&self.tokenizer, &special_tokens(&self.tokenizer))?;
                self.as_text.get_or_init(|| made)
            }
        };
        as_text.encode(&self.spellings, text)
    }

    /// `text` with a mark in every spelling of a control token, so that [`rendered`](Self::rendered) reads it as text. Without
    /// such a spelling it stays as it is.
    pub fn guard<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.spellings.guard(text)
    }

    /// A context and what continues it, as lm-evaluation-harness encodes the two for a decoder: blanks at the end of the context
    /// move to the continuation, both are encoded together, and the continuation is what stands behind the context's own
    /// encoding. An encoder reads the context alone.
    ///
    /// An empty context is the prefix token. Both parts are text.
    ///
    /// # Errors
    /// When nothing is left of the continuation, or an empty context meets a tokenizer without a prefix token.
    pub fn continued(&self, context: &str, continuation: &str) -> Result<(Vec<u32>, Vec<u32>)> {
        let kept = context.trim_end();
        let continuation = format!("{}{continuation}", &context[kept.len()..]);
        let (kept, continuation) = (self.guard(kept), self.guard(&continuation));
        if kept.is_empty() {
            return self.behind_nothing(&continuation);
        }
        let bare = self.rendered(&kept)?;
        let continued = self.behind(&bare, &kept, &continuation)?;
        Ok((self.opened(bare), continued))
    }

    /// A prompt and what follows it; both guarded, and with no blanks moved: an answer begins where a model that answers begins.
    /// `by_template` as for [`prompt`](Self::prompt).
    ///
    /// # Errors
    /// When nothing is left of the answer.
    pub fn answered(&self, prompt: &str, answer: &str, by_template: bool) -> Result<(Vec<u32>, Vec<u32>)> {
        let bare = self.rendered(prompt)?;
        let answer = self.behind(&bare, prompt, answer)?;
        Ok((self.in_place(bare, by_template), answer))
    }

    /// What `continuation` is behind a context of the tokens `bare`.
    fn behind(&self, bare: &[u32], context: &str, continuation: &str) -> Result<Vec<u32>> {
        let continued = match self.reader {
            Reader::Encoder => self.rendered(continuation)?,
            Reader::Decoder => {
                let mut all = self.rendered(&format!("{context}{continuation}"))?;
                all.split_off(bare.len().min(all.len()))
            }
        };
        match continued.is_empty() {
            true => Err(Error::Invalid(format!(
                "{continuation:?} has no token of its own behind {:?}: the tokenizer joins the two",
                last_characters(context)
            ))),
            false => Ok(continued),
        }
    }

    /// A text of its own behind the prefix token, which is not there twice.
    fn behind_nothing(&self, text: &str) -> Result<(Vec<u32>, Vec<u32>)> {
        let missing =
            || Error::Invalid("the tokenizer names no BOS and no EOS, so nothing can stand for no context".into());
        let prefix = self.prefix.ok_or_else(missing)?;
        let mut tokens = self.rendered(text)?;
        if self.reader == Reader::Decoder && tokens.len() > 1 && tokens[0] == prefix {
            tokens.remove(0);
        }
        match tokens.is_empty() {
            true => Err(Error::Invalid("a text without a token cannot be scored".into())),
            false => Ok((vec![prefix], tokens)),
        }
    }

    /// What stands around a first text, where it does not stand there already.
    fn opened(&self, tokens: Vec<u32>) -> Vec<u32> {
        let before: &[u32] = if tokens.starts_with(&self.before) { &[] } else { &self.before };
        let behind: &[u32] = match self.reader {
            Reader::Decoder => &[],
            Reader::Encoder if tokens.ends_with(&self.behind) => &[],
            Reader::Encoder => &self.behind,
        };
        enclosed(before, tokens, behind)
    }

    /// What the post-processor puts behind a text that an encoder reads.
    pub fn closing_of_prompts(&self) -> &[u32] {
        if self.reader == Reader::Encoder { &self.behind } else { &[] }
    }

    /// The beginning of `text` that has at most `tokens` tokens, without blanks at its end.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn beginning<'t>(&self, text: &'t str, tokens: usize) -> Result<&'t str> {
        self.cut(text, |all| all.min(tokens))
    }

    /// `text` without its last `tokens` tokens, at least one character shorter.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn shortened<'t>(&self, text: &'t str, tokens: usize) -> Result<&'t str> {
        let kept = self.cut(text, |all| all.saturating_sub(tokens))?;
        let last = text.char_indices().next_back().map_or(0, |(at, _)| at);
        Ok(text[..kept.len().min(last)].trim_end())
    }

    /// The first tokens of `text`, of which `keep` says how many.
    fn cut<'t>(&self, text: &'t str, keep: impl FnOnce(usize) -> usize) -> Result<&'t str> {
        let encoding = guarded("tokenizing", || self.tokenizer.encode(text, false))?;
        let kept = keep(encoding.len());
        if kept == encoding.len() {
            return Ok(text);
        }
        let end = kept.checked_sub(1).and_then(|last| encoding.get_offsets().get(last)).map_or(0, |&(_, end)| end);
        Ok(text[..text.floor_char_boundary(end)].trim_end())
    }

    /// The text of `tokens`, special tokens written out.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn decode(&self, tokens: &[u32]) -> Result<String> {
        guarded("decoding", || self.tokenizer.decode(tokens, false))
    }

    /// The text of an answer: special tokens are left out.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn decode_answer(&self, tokens: &[u32]) -> Result<String> {
        guarded("reading an answer", || self.tokenizer.decode(tokens, true))
    }

    /// How the tokenizer writes token `id`.
    ///
    /// # Errors
    /// When there is no such token.
    pub fn name(&self, id: u32) -> Result<String> {
        self.tokenizer.id_to_token(id).ok_or_else(|| Error::Invalid(format!("the tokenizer has no token {id}")))
    }

    /// The id of a token.
    pub fn id(&self, name: &str) -> Option<u32> {
        self.tokenizer.token_to_id(name)
    }

    /// Whether `id` is a special token, such as the end of a turn.
    pub fn is_special(&self, id: u32) -> bool {
        self.special.contains(&id)
    }

    /// One more than the largest id, which a model's embedding may well have more rows than.
    pub fn size(&self) -> usize {
        self.tokenizer.get_vocab(true).into_values().max().map_or(0, |largest| largest as usize + 1)
    }

    /// What the tokenizer is made of.
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

/// The tokens of `text`; special tokens written out in it are recognised, none is added.
fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>> {
    let encoding = guarded("tokenizing", || tokenizer.encode_fast(text, false))?;
    Ok(encoding.get_ids().to_vec())
}

fn enclosed(before: &[u32], tokens: Vec<u32>, behind: &[u32]) -> Vec<u32> {
    if before.is_empty() && behind.is_empty() { tokens } else { [before, &tokens, behind].concat() }
}

/// What the post-processor puts before and behind a text.
fn around(tokenizer: &Tokenizer) -> Result<(Vec<u32>, Vec<u32>)> {
    let ids = |text: &str, special| {
        Ok::<_, Error>(guarded("tokenizing", || tokenizer.encode_fast(text, special))?.get_ids().to_vec())
    };
    for probe in ["a", "1", "."] {
        let (bare, whole) = (ids(probe, false)?, ids(probe, true)?);
        if bare.is_empty() {
            continue;
        }
        if let Some(at) = whole.windows(bare.len()).position(|window| window == bare) {
            return Ok((whole[..at].to_vec(), whole[at + bare.len()..].to_vec()));
        }
    }
    Ok((Vec::new(), Vec::new()))
}

/// The special tokens with their ids, in the order of the ids.
fn special_tokens(tokenizer: &Tokenizer) -> Vec<(u32, AddedToken)> {
    let all = tokenizer.get_added_tokens_decoder().into_iter();
    let mut special: Vec<(u32, AddedToken)> = all.filter(|(_, token)| token.special).collect();
    special.sort_by_key(|(id, _)| *id);
    special
}

/// The end of a long context, for a message.
fn last_characters(text: &str) -> &str {
    let start = text.char_indices().rev().nth(39).map_or(0, |(at, _)| at);
    &text[start..]
}

pub(crate) fn failed(what: &str, source: tokenizers::Error) -> Error {
    Error::Tokenizer { what: what.to_owned(), source }
}

//! Control tokens that are spelled in users' text, and are text.
//!
//! A chat template puts users' words among its control tokens, and the result is one string. So every spelling of a control
//! token in the words gets a mark before it is rendered: [`Spellings::guard`]. To encode the result, every control token that
//! has no mark is replaced by a stand-in, a private string that only [`AsText`] knows, the marks are removed, and a copy of the
//! tokenizer that knows the stand-ins and no control tokens reads the rest as text, in one call, so that spaces and merges are
//! those of the text without marks.

use std::borrow::Cow;
use std::collections::HashMap;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use tokenizers::{AddedToken, Tokenizer};

use super::{encode, failed, guarded};
use crate::{Error, Result};

/// The mark, and what stand-ins begin and end with. Both are noncharacters, which no text is exchanged with.
const MARK: char = '\u{fdd0}';
const STAND_IN: char = '\u{fdd1}';

/// Whether some spelling in `text` has a mark.
pub(super) fn is_guarded(text: &str) -> bool {
    text.contains(MARK)
}

/// How control tokens are spelled.
#[derive(Debug, Clone)]
pub(super) struct Spellings {
    /// Finds every spelling; none for a tokenizer without control tokens.
    any: Option<AhoCorasick>,
    /// Finds those that the tokenizer would: from the left, of several the longest.
    longest: Option<AhoCorasick>,
}

impl Spellings {
    pub(super) fn new<'a>(spellings: impl Iterator<Item = &'a str> + Clone) -> Result<Self> {
        if spellings.clone().next().is_none() {
            return Ok(Self { any: None, longest: None });
        }
        let build = |kind| AhoCorasickBuilder::new().match_kind(kind).build(spellings.clone());
        let broken =
            |source| Error::Invalid(format!("the tokenizer's special tokens cannot be searched for: {source}"));
        let any = build(MatchKind::Standard).map_err(broken)?;
        let longest = build(MatchKind::LeftmostLongest).map_err(broken)?;
        Ok(Self { any: Some(any), longest: Some(longest) })
    }

    /// `text` with a mark behind the first character of every spelling.
    pub(super) fn guard<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(any) = &self.any else { return Cow::Borrowed(text) };
        let found = any.find_overlapping_iter(text).filter(|found| !found.is_empty());
        let mut starts: Vec<usize> = found.map(|found| found.start()).collect();
        if starts.is_empty() {
            return Cow::Borrowed(text);
        }
        starts.sort_unstable();
        starts.dedup();
        let mut guarded = String::with_capacity(text.len() + starts.len() * MARK.len_utf8());
        let mut done = 0;
        for start in starts {
            let first = text[start..].chars().next().map_or(0, char::len_utf8);
            guarded.push_str(&text[done..start + first]);
            guarded.push(MARK);
            done = start + first;
        }
        guarded.push_str(&text[done..]);
        Cow::Owned(guarded)
    }

    /// `text` with `stand_in(n)` in the place of every control token `n` that has no mark.
    fn replaced(&self, text: &str, stand_in: impl Fn(usize) -> String) -> String {
        let Some(longest) = &self.longest else { return text.to_owned() };
        let mut replaced = String::with_capacity(text.len());
        longest.replace_all_with(text, &mut replaced, |found, _, replaced| {
            replaced.push_str(&stand_in(found.pattern().as_usize()));
            true
        });
        replaced
    }
}

/// A tokenizer to which control tokens are text, and stand-ins are control tokens.
#[derive(Debug, Clone)]
pub(super) struct AsText {
    tokenizer: Tokenizer,
    /// The control token that each stand-in stands for.
    meant: HashMap<u32, u32>,
}

impl AsText {
    /// `special` are the control tokens, in the order of their spellings.
    pub(super) fn new(tokenizer: &Tokenizer, special: &[(u32, AddedToken)]) -> Result<Self> {
        let mut tokenizer = tokenizer.clone();
        tokenizer.set_encode_special_tokens(true);
        // It takes blanks beside it as the control token does.
        let stands_for = |(number, (_, token)): (usize, &(u32, AddedToken))| {
            AddedToken::from(stand_in(number), false).lstrip(token.lstrip).rstrip(token.rstrip).normalized(false)
        };
        let tokens = special.iter().enumerate().map(stands_for);
        guarded("reading control tokens as text", || tokenizer.add_tokens(tokens))?;
        let meant = special.iter().enumerate().map(|(number, (id, _))| {
            let missing = || failed("reading control tokens as text", "a stand-in was not added".into());
            Ok((tokenizer.token_to_id(&stand_in(number)).ok_or_else(missing)?, *id))
        });
        Ok(Self { meant: meant.collect::<Result<_>>()?, tokenizer })
    }

    /// The tokens of a text with marks in it.
    pub(super) fn encode(&self, spellings: &Spellings, text: &str) -> Result<Vec<u32>> {
        let text = spellings.replaced(text, stand_in).replace(MARK, "");
        let tokens = encode(&self.tokenizer, &text)?;
        Ok(tokens.into_iter().map(|token| self.meant.get(&token).copied().unwrap_or(token)).collect())
    }
}

fn stand_in(number: usize) -> String {
    format!("{STAND_IN}{number}{STAND_IN}")
}

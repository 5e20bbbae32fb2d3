//! What a model is asked about items, token by token.

use super::Example;
use crate::chat::ChatTemplate;
use crate::{Error, Result, Vocabulary};

/// The token ids that a chat template puts around a user turn and the answer to it.
///
/// The template is rendered and tokenized once; every example is then a concatenation of token ids. That equals rendering
/// and tokenizing the whole, because semantic-ID tokens are special tokens, at which the tokenizer splits its input first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turns {
    /// Everything up to the user's words, with the template's default system message if it has one.
    pub before: Vec<u32>,
    /// From the user's words to the answer.
    pub between: Vec<u32>,
    /// The special token that closes the answer; what the template writes after it is left out. All that the template
    /// writes, if none of it is a special token.
    pub after: Vec<u32>,
}

impl Turns {
    /// Renders `chat` with one user turn and one answer.
    ///
    /// # Errors
    /// When the template cannot be rendered, or does not write the user's words and then the answer, each once.
    pub fn new(chat: &ChatTemplate, vocabulary: &Vocabulary) -> Result<Self> {
        // Two special tokens stand for the words, so that the places of the words are found among the ids.
        let (user, answer) = (vocabulary.start(), vocabulary.end());
        let tokenizer = vocabulary.text();
        let (user_name, answer_name) = (tokenizer.name(user)?, tokenizer.name(answer)?);
        let turn = chat.turn(&user_name, &answer_name)?;
        let written = format!("{}{}", turn.prompt, turn.answer);
        if [&user_name, &answer_name].iter().any(|name| written.matches(name.as_str()).count() != 1) {
            return Err(Error::Invalid("the chat template must write each turn's words exactly once".into()));
        }
        let (prompt, answered) = tokenizer.answered(&turn.prompt, &turn.answer, !chat.is_plain())?;
        // What an encoder expects at the end of its text stands behind the words of a prompt, whatever the template writes.
        let find = |tokens: &[u32], token| tokens.iter().position(|&id| id == token);
        let (Some(user), Some(answer)) = (find(&prompt, user), find(&answered, answer)) else {
            return Err(Error::Invalid("the chat template writes the answer before the user's turn".into()));
        };
        let after = &answered[answer + 1..];
        let closing = after.iter().position(|&token| tokenizer.is_special(token)).map_or(after.len(), |at| at + 1);
        Ok(Self {
            before: prompt[..user].to_vec(),
            between: [&prompt[user + 1..], &answered[..answer]].concat(),
            after: after[..closing].to_vec(),
        })
    }
}

/// How a model is asked about items: what stands around a question and its answer, and the semantic IDs of all items.
#[derive(Debug, Clone)]
pub struct ItemForm {
    turns: Turns,
    /// The semantic-ID strings of all items, end to end.
    sids: Vec<u32>,
    /// The tokens of one semantic-ID string.
    width: usize,
}

impl ItemForm {
    /// Item `i` has the semantic ID `codes[i]`.
    ///
    /// # Errors
    /// When the template does not render (see [`Turns::new`]), or a code is not in the vocabulary.
    pub fn new(chat: &ChatTemplate, vocabulary: &Vocabulary, codes: &[Vec<u16>]) -> Result<Self> {
        let mut sids = Vec::new();
        for codes in codes {
            sids.extend(vocabulary.sid(codes)?);
        }
        Ok(Self { turns: Turns::new(chat, vocabulary)?, sids, width: vocabulary.levels() + 2 })
    }

    /// The semantic-ID string of an item.
    pub(super) fn sid(&self, item: u32) -> &[u32] {
        let start = item as usize * self.width;
        &self.sids[start..start + self.width]
    }

    /// That all items have a semantic ID.
    pub(super) fn check(&self, items: &[u32]) -> Result<()> {
        let count = self.sids.len() / self.width;
        match items.iter().find(|&&item| item as usize >= count) {
            Some(item) => Err(Error::Invalid(format!("item {item} has no semantic ID: there are {count}, from 0"))),
            None => Ok(()),
        }
    }

    /// The prompt with these words as the user's, which ends where the answer starts.
    pub(super) fn prompt<'a>(&self, words: impl IntoIterator<Item = &'a [u32]>) -> Vec<u32> {
        let mut tokens = self.turns.before.clone();
        words.into_iter().for_each(|words| tokens.extend_from_slice(words));
        tokens.extend_from_slice(&self.turns.between);
        tokens
    }

    /// A prompt with its answer, and the token that closes the turn.
    pub(super) fn answered(&self, prompt: Vec<u32>, answer: &[u32]) -> Example {
        let start = prompt.len();
        let tokens = [&prompt, answer, &self.turns.after].concat();
        Example { tokens, answer: start }
    }

    /// The tokens of an example with so many of the user's words and of the answer.
    pub(super) fn length(&self, words: usize, answer: usize) -> usize {
        let Turns { before, between, after } = &self.turns;
        before.len() + words + between.len() + answer + after.len()
    }

    /// The items of a history, and the tokens of a text, that leave room for a semantic ID as the answer in rows of at most
    /// `longest` tokens; `users` is 1 where prompts begin with a user's token.
    pub fn fitting(&self, longest: usize, users: usize) -> (usize, usize) {
        let room = longest.saturating_sub(self.length(0, self.width));
        (room.saturating_sub(users) / self.width, room)
    }

    /// The token that closes an answer, or what else the template writes behind it.
    pub fn closing(&self) -> &[u32] {
        &self.turns.after
    }

    /// The tokens of a semantic-ID string.
    pub fn width(&self) -> usize {
        self.width
    }
}

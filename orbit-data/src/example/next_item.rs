//! The next item of a user's history as a chat: the history is the user's turn, the next item the model's.

use super::{Example, ExampleSource};
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
        let turn = chat.turn(&vocabulary.name(user)?, &vocabulary.name(answer)?)?;
        let tokens = vocabulary.encode(&(turn.prompt + &turn.answer))?;
        let find = |token| {
            let mut places = tokens.iter().enumerate().filter(|&(_, &id)| id == token).map(|(place, _)| place);
            places.next().filter(|_| places.next().is_none())
        };
        let (Some(user), Some(answer)) = (find(user), find(answer)) else {
            return Err(Error::Invalid("the chat template must write each turn's words exactly once".into()));
        };
        if answer < user {
            return Err(Error::Invalid("the chat template writes the answer before the user's turn".into()));
        }
        let after = &tokens[answer + 1..];
        let closing = after.iter().position(|&token| vocabulary.is_special(token)).map_or(after.len(), |at| at + 1);
        Ok(Self {
            before: tokens[..user].to_vec(),
            between: tokens[user + 1..answer].to_vec(),
            after: after[..closing].to_vec(),
        })
    }
}

/// Writes histories of items as prompts and examples.
#[derive(Debug, Clone)]
pub struct NextItem {
    turns: Turns,
    /// The semantic-ID strings of all items, end to end.
    sids: Vec<u32>,
    /// The tokens of one semantic-ID string.
    width: usize,
    max_history: usize,
}

impl NextItem {
    /// Item `i` has the semantic ID `codes[i]`; prompts hold the last `max_history` items.
    ///
    /// # Errors
    /// When the template does not render (see [`Turns::new`]), a code is not in the vocabulary, or `max_history` is 0.
    pub fn new(chat: &ChatTemplate, vocabulary: &Vocabulary, codes: &[Vec<u16>], max_history: usize) -> Result<Self> {
        if max_history == 0 {
            return Err(Error::Invalid("max_history is 0: a prompt needs at least one item".into()));
        }
        let mut sids = Vec::new();
        for codes in codes {
            sids.extend(vocabulary.sid(codes)?);
        }
        let width = vocabulary.levels() + 2;
        Ok(Self { turns: Turns::new(chat, vocabulary)?, sids, width, max_history })
    }

    /// The prompt that asks for the item after `history`, which ends where the semantic-ID string of the answer starts.
    ///
    /// # Errors
    /// When an item has no semantic ID.
    pub fn prompt(&self, history: &[u32]) -> Result<Vec<u32>> {
        self.check(history)?;
        Ok(self.build_prompt(history))
    }

    /// The prompt for `history` with `target` as its answer. The answer ends with the token that closes the turn.
    ///
    /// # Errors
    /// When an item has no semantic ID.
    pub fn example(&self, history: &[u32], target: u32) -> Result<Example> {
        self.check(history)?;
        self.check(&[target])?;
        Ok(self.build(history, target))
    }

    fn check(&self, items: &[u32]) -> Result<()> {
        let count = self.sids.len() / self.width;
        match items.iter().find(|&&item| item as usize >= count) {
            Some(item) => Err(Error::Invalid(format!("item {item} has no semantic ID: there are {count}, from 0"))),
            None => Ok(()),
        }
    }

    fn build_prompt(&self, history: &[u32]) -> Vec<u32> {
        let recent = &history[history.len().saturating_sub(self.max_history)..];
        // Room for the answer too, so that `build` does not move the tokens.
        let mut tokens = Vec::with_capacity(self.length(recent.len()));
        tokens.extend_from_slice(&self.turns.before);
        for &item in recent {
            tokens.extend_from_slice(self.sid(item));
        }
        tokens.extend_from_slice(&self.turns.between);
        tokens
    }

    fn build(&self, history: &[u32], target: u32) -> Example {
        let mut tokens = self.build_prompt(history);
        let answer = tokens.len();
        tokens.extend_from_slice(self.sid(target));
        tokens.extend_from_slice(&self.turns.after);
        Example { tokens, answer }
    }

    fn sid(&self, item: u32) -> &[u32] {
        let start = item as usize * self.width;
        &self.sids[start..start + self.width]
    }

    /// The tokens of an example whose history has `items` items.
    fn length(&self, items: usize) -> usize {
        let Turns { before, between, after } = &self.turns;
        before.len() + between.len() + after.len() + (items.min(self.max_history) + 1) * self.width
    }
}

/// Every item of every history but the first, each as the target of what precedes it. Examples are built when asked for:
/// what is held is eight bytes an example.
#[derive(Debug, Clone)]
pub struct NextItems {
    form: NextItem,
    histories: Vec<Vec<u32>>,
    /// User and place of the target in the user's history.
    targets: Vec<(u32, u32)>,
}

impl NextItems {
    /// The examples of `histories`, one for each user: the items to train on, in time order.
    ///
    /// # Errors
    /// When an item has no semantic ID.
    pub fn new<'a>(form: NextItem, histories: impl IntoIterator<Item = &'a [u32]>) -> Result<Self> {
        let histories: Vec<Vec<u32>> = histories.into_iter().map(<[u32]>::to_vec).collect();
        let mut targets = Vec::new();
        for (user, history) in histories.iter().enumerate() {
            form.check(history)?;
            targets.extend((1..history.len()).map(|place| (user as u32, place as u32)));
        }
        Ok(Self { form, histories, targets })
    }

    /// What writes the examples; it also writes the prompts of an evaluation.
    pub fn form(&self) -> &NextItem {
        &self.form
    }
}

impl ExampleSource for NextItems {
    fn len(&self) -> usize {
        self.targets.len()
    }

    fn length(&self, index: usize) -> usize {
        self.form.length(self.targets[index].1 as usize)
    }

    fn get(&self, index: usize) -> Example {
        let (user, place) = self.targets[index];
        let (history, rest) = self.histories[user as usize].split_at(place as usize);
        self.form.build(history, rest[0])
    }
}

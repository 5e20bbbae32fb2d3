//! The next item of a user's history: the history is the user's turn, the next item the model's.

use super::{Example, ExampleSource, ItemForm};
use crate::chat::ChatTemplate;
use crate::vocabulary::UserTokens;
use crate::{Error, Result, Vocabulary};

/// Writes histories of items as prompts and examples.
///
/// Where the vocabulary has tokens for users, a prompt begins with the user's (TIGER, arXiv 2305.05065, section 3.2).
#[derive(Debug, Clone)]
pub struct NextItem {
    form: ItemForm,
    users: Option<UserTokens>,
    max_history: usize,
}

impl NextItem {
    /// Item `i` has the semantic ID `codes[i]`; prompts hold the last `max_history` items.
    ///
    /// # Errors
    /// As [`ItemForm::new`], or when `max_history` is 0.
    pub fn new(chat: &ChatTemplate, vocabulary: &Vocabulary, codes: &[Vec<u16>], max_history: usize) -> Result<Self> {
        if max_history == 0 {
            return Err(Error::Invalid("max_history is 0: a prompt needs at least one item".into()));
        }
        Ok(Self { form: ItemForm::new(chat, vocabulary, codes)?, users: vocabulary.users(), max_history })
    }

    /// The prompt that asks for the item after `history`, which ends where the semantic-ID string of the answer starts. A user
    /// who is not named has no token in it.
    ///
    /// # Errors
    /// When an item has no semantic ID.
    pub fn prompt(&self, user: Option<&str>, history: &[u32]) -> Result<Vec<u32>> {
        self.form.check(history)?;
        Ok(self.build_prompt(self.user(user), history))
    }

    /// The prompt for `history` with `target` as its answer. The answer ends with the token that closes the turn.
    ///
    /// # Errors
    /// When an item has no semantic ID.
    pub fn example(&self, user: Option<&str>, history: &[u32], target: u32) -> Result<Example> {
        self.form.check(history)?;
        self.form.check(&[target])?;
        Ok(self.build(self.user(user), history, target))
    }

    /// What its prompts and answers are made of.
    pub fn form(&self) -> &ItemForm {
        &self.form
    }

    fn user(&self, user: Option<&str>) -> Option<u32> {
        Some(self.users.as_ref()?.of(user?))
    }

    fn build_prompt(&self, user: Option<u32>, history: &[u32]) -> Vec<u32> {
        let recent = &history[history.len().saturating_sub(self.max_history)..];
        self.form.prompt(std::iter::once(user.as_slice()).chain(recent.iter().map(|&item| self.form.sid(item))))
    }

    fn build(&self, user: Option<u32>, history: &[u32], target: u32) -> Example {
        self.form.answered(self.build_prompt(user, history), self.form.sid(target))
    }

    /// The tokens of an example whose history has `items` items.
    fn length(&self, user: Option<u32>, items: usize) -> usize {
        let width = self.form.width();
        self.form.length(user.as_slice().len() + items.min(self.max_history) * width, width)
    }
}

/// Every item of every history but the first, each as the target of what precedes it. Examples are built when asked for:
/// what is held is eight bytes an example.
#[derive(Debug, Clone)]
pub struct NextItems {
    form: NextItem,
    /// The token of each user, if there are such, and the history.
    histories: Vec<(Option<u32>, Vec<u32>)>,
    /// User and place of the target in the user's history.
    targets: Vec<(u32, u32)>,
}

impl NextItems {
    /// The examples of `histories`, one for each user, by id: the items to train on, in time order.
    ///
    /// # Errors
    /// When an item has no semantic ID.
    pub fn new<'a>(form: NextItem, histories: impl IntoIterator<Item = (&'a str, &'a [u32])>) -> Result<Self> {
        let known = |(user, history): (&str, &[u32])| (form.user(Some(user)), history.to_vec());
        let histories: Vec<(Option<u32>, Vec<u32>)> = histories.into_iter().map(known).collect();
        let mut targets = Vec::new();
        for (user, (_, history)) in histories.iter().enumerate() {
            form.form.check(history)?;
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
        let (user, place) = self.targets[index];
        self.form.length(self.histories[user as usize].0, place as usize)
    }

    fn get(&self, index: usize) -> Example {
        let (user, place) = self.targets[index];
        let (token, history) = &self.histories[user as usize];
        let (history, rest) = history.split_at(place as usize);
        self.form.build(*token, history, rest[0])
    }
}

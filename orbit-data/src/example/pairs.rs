//! Items by what is said of them, and what is said of items.

use super::{Example, ExampleSource, ItemForm};
use crate::{Error, Result, Vocabulary};

/// Which of a text and a semantic ID is asked, and which is the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The text is the question: a title whose item is to be named (LC-Rec, arXiv 2311.09049), a document to be indexed or a
    /// query (DSI, arXiv 2202.06991).
    TextToId,
    /// The semantic ID is the question, and the text the answer.
    IdToText,
}

/// A text and an item, as an example a pair.
///
/// Texts are cut to a number of tokens. The two directions need no words of instruction: one question begins with a semantic ID,
/// the other does not.
#[derive(Debug, Clone)]
pub struct Pairs {
    form: ItemForm,
    direction: Direction,
    /// The tokens of the texts, and the items.
    pairs: Vec<(Vec<u32>, u32)>,
}

impl Pairs {
    /// Examples of `pairs`, whose texts are cut to `longest` tokens.
    ///
    /// # Errors
    /// When an item has no semantic ID, a text is blank, or `longest` is 0.
    pub fn new<'a>(
        form: ItemForm,
        vocabulary: &Vocabulary,
        direction: Direction,
        pairs: impl IntoIterator<Item = (&'a str, u32)>,
        longest: usize,
    ) -> Result<Self> {
        let tokenized = pairs.into_iter().map(|(text, item)| {
            form.check(&[item])?;
            Ok((text_tokens(vocabulary, text, longest)?, item))
        });
        let pairs = tokenized.collect::<Result<_>>()?;
        Ok(Self { form, direction, pairs })
    }
}

impl ItemForm {
    /// The prompt that asks which item a text is of.
    ///
    /// # Errors
    /// When the text is blank or `longest` is 0.
    pub fn text_prompt(&self, vocabulary: &Vocabulary, text: &str, longest: usize) -> Result<Vec<u32>> {
        Ok(self.prompt([text_tokens(vocabulary, text, longest)?.as_slice()]))
    }
}

fn text_tokens(vocabulary: &Vocabulary, text: &str, longest: usize) -> Result<Vec<u32>> {
    let mut tokens = vocabulary.encode(text)?;
    tokens.truncate(longest);
    match tokens.is_empty() {
        true => Err(Error::Invalid(format!("nothing is left to ask of the text {text:?} in {longest} tokens"))),
        false => Ok(tokens),
    }
}

impl ExampleSource for Pairs {
    fn len(&self) -> usize {
        self.pairs.len()
    }

    fn length(&self, index: usize) -> usize {
        // Question and answer, whichever is which.
        self.form.length(self.pairs[index].0.len(), self.form.width())
    }

    fn get(&self, index: usize) -> Example {
        let (text, item) = &self.pairs[index];
        let (text, sid) = (text.as_slice(), self.form.sid(*item));
        let (asked, answer) = match self.direction {
            Direction::TextToId => (text, sid),
            Direction::IdToText => (sid, text),
        };
        self.form.answered(self.form.prompt([asked]), answer)
    }
}

//! Items by what is said of them, and what is said of items.

use super::{Example, ExampleSource, ItemForm};
use crate::{Error, Result, TextTokenizer};

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
/// Texts are cut to a number of tokens. An answer that was cut is not closed, so that nobody learns to stop in mid-sentence. The
/// two directions need no words of instruction: one question begins with a semantic ID, the other does not.
#[derive(Debug, Clone)]
pub struct Pairs {
    form: ItemForm,
    direction: Direction,
    pairs: Vec<Pair>,
}

#[derive(Debug, Clone)]
struct Pair {
    text: Vec<u32>,
    item: u32,
    cut: bool,
}

impl Pairs {
    /// Examples of `pairs`, whose texts are cut to `longest` tokens.
    ///
    /// # Errors
    /// When an item has no semantic ID, a text is blank, or `longest` is 0.
    pub fn new<'a>(
        form: ItemForm,
        tokenizer: &TextTokenizer,
        direction: Direction,
        pairs: impl IntoIterator<Item = (&'a str, u32)>,
        longest: usize,
    ) -> Result<Self> {
        let tokenized = pairs.into_iter().map(|(text, item)| {
            form.check(&[item])?;
            let (text, cut) = text_tokens(tokenizer, text, longest)?;
            Ok(Pair { text, item, cut })
        });
        let pairs = tokenized.collect::<Result<_>>()?;
        Ok(Self { form, direction, pairs })
    }

    /// How many texts were cut.
    pub fn cut_texts(&self) -> usize {
        self.pairs.iter().filter(|pair| pair.cut).count()
    }

    /// Whether the answer of a pair is a text that was cut.
    fn is_open(&self, pair: &Pair) -> bool {
        pair.cut && self.direction == Direction::IdToText
    }
}

impl ItemForm {
    /// The prompt that asks which item a text is of.
    ///
    /// # Errors
    /// When the text is blank or `longest` is 0.
    pub fn text_prompt(&self, tokenizer: &TextTokenizer, text: &str, longest: usize) -> Result<Vec<u32>> {
        Ok(self.prompt([text_tokens(tokenizer, text, longest)?.0.as_slice()]))
    }
}

/// The first tokens of a text, and whether it has more.
fn text_tokens(tokenizer: &TextTokenizer, text: &str, longest: usize) -> Result<(Vec<u32>, bool)> {
    let mut tokens = tokenizer.text(text)?;
    let cut = tokens.len() > longest;
    tokens.truncate(longest);
    match tokens.is_empty() {
        true => Err(Error::Invalid(format!("nothing is left to ask of the text {text:?} in {longest} tokens"))),
        false => Ok((tokens, cut)),
    }
}

impl ExampleSource for Pairs {
    fn len(&self) -> usize {
        self.pairs.len()
    }

    fn length(&self, index: usize) -> usize {
        let pair = &self.pairs[index];
        // Question and answer, whichever is which.
        let closed = self.form.length(pair.text.len(), self.form.width());
        if self.is_open(pair) { closed - self.form.closing().len() } else { closed }
    }

    fn get(&self, index: usize) -> Example {
        let pair = &self.pairs[index];
        let (text, sid) = (pair.text.as_slice(), self.form.sid(pair.item));
        let (asked, answer) = match self.direction {
            Direction::TextToId => (text, sid),
            Direction::IdToText => (sid, text),
        };
        let mut example = self.form.answered(self.form.prompt([asked]), answer);
        if self.is_open(pair) {
            example.tokens.truncate(example.tokens.len() - self.form.closing().len());
        }
        example
    }
}

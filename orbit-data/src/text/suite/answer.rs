//! Which choice is right, as files say it: in the row, or in a file of labels beside it.

use std::path::{Path, PathBuf};

use super::row::Row;
use crate::input::{TextLines, lines};
use crate::{Error, Result};

/// What a file says the answer is.
pub(super) struct Answer<'a> {
    path: std::borrow::Cow<'a, Path>,
    line: usize,
    /// Under which key, or in which file it stands.
    place: String,
    /// A label or a number, without blanks around it.
    pub(super) text: String,
}

impl<'a> Answer<'a> {
    /// # Errors
    /// An answer that is kept back: public sets have an empty string or -1 in place of the answers to their test rows.
    pub(super) fn new(
        path: impl Into<std::borrow::Cow<'a, Path>>,
        line: usize,
        place: String,
        text: String,
    ) -> Result<Self> {
        let answer = Self { path: path.into(), line, place, text };
        if ["", "-1"].contains(&answer.text.as_str()) {
            let (place, text) = (&answer.place, &answer.text);
            return Err(answer.error(format!(
                "{place} is '{text}', so the answer of this row is not published: take the validation file"
            )));
        }
        Ok(answer)
    }

    /// The index of the right one of `count` choices: a number counted from `first`, or a letter counted from A.
    pub(super) fn index(&self, first: usize, count: usize) -> Result<usize> {
        let letter = match self.text.as_bytes() {
            [letter @ b'A'..=b'Z'] => Some(usize::from(letter - b'A')),
            _ => None,
        };
        let Some(index) = letter.or_else(|| self.text.parse::<usize>().ok()?.checked_sub(first)) else {
            let reason =
                format!("'{}' where the index of the right choice was expected, counted from {first}", self.text);
            return Err(self.error(reason));
        };
        if index >= count {
            return Err(self.error(format!("right choice {} of {count}, counted from {first}", self.text)));
        }
        Ok(index)
    }

    /// The index of the label that the answer is.
    pub(super) fn among(&self, labels: &[String]) -> Result<usize> {
        let none =
            || self.error(format!("{} is '{}', where the labels are {}", self.place, self.text, labels.join(", ")));
        labels.iter().position(|label| *label == self.text).ok_or_else(none)
    }

    /// What is wrong with the answer.
    pub(super) fn error(&self, reason: impl Into<String>) -> Error {
        Error::row(&self.path, self.line, reason)
    }
}

/// The labels of a file of rows, which stand in the rows or in a file beside it, a label a line.
pub(super) struct Labels {
    rows: PathBuf,
    beside: Option<(PathBuf, TextLines)>,
    /// Whether a row had its own label.
    within: bool,
}

impl Labels {
    /// The labels of the rows at `path`.
    pub(super) fn of(path: &Path) -> Self {
        Self { rows: path.to_owned(), beside: None, within: false }
    }

    /// The answer to the next row, which is under one of `keys`, or in the next line of `NAME-labels.lst` for
    /// `NAME.jsonl`.
    pub(super) fn next<'a>(&mut self, row: &Row<'a>, keys: &[&'static str]) -> Result<Answer<'a>> {
        let missing = || row.missing(keys.first().copied().unwrap_or_default());
        if let Some(answer) = row.answer(keys)? {
            if self.beside.is_some() {
                return Err(row.error("it has a label, which the rows before it do not have"));
            }
            self.within = true;
            return Ok(answer);
        }
        if self.within {
            return Err(missing());
        }
        let (path, labels) = match &mut self.beside {
            Some(beside) => beside,
            beside => {
                let path = beside_of(&self.rows).filter(|path| path.exists()).ok_or_else(missing)?;
                let labels = lines(&path)?;
                beside.insert((path, labels))
            }
        };
        let ended = || Error::file(&*path, format!("no label for {row}"));
        let (line, text) = labels.next().ok_or_else(ended)??;
        Answer::new(path.clone(), line, "the label".to_owned(), text)
    }
}

/// `NAME-labels.lst` beside `NAME.jsonl` or `NAME.jsonl.gz`.
fn beside_of(path: &Path) -> Option<PathBuf> {
    let (stem, _) = path.file_name()?.to_str()?.split_once(".json")?;
    Some(path.with_file_name(format!("{stem}-labels.lst")))
}

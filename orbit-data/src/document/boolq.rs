//! BoolQ as question -> passage, from the files of O-LoRA's benchmark.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use super::{Document, DocumentCorpus, Query};
use crate::Result;
use crate::corpus::{OnBadRow, ReadReport, parse};

const QUESTION: &str = "question: ";
const PASSAGE: &str = "\npassage: ";

#[derive(Deserialize)]
struct Row {
    input: Option<String>,
    labels: Option<Vec<String>>,
}

impl DocumentCorpus {
    /// Reads questions and the passages that answer them from rows whose `input` is `question: ...`, a line break and
    /// `passage: ...` (BoolQ, arXiv 1905.10044, as O-LoRA has it). The answers, true or false, do not matter here.
    ///
    /// The documents are the different passages of `train`, with their place among them, from 1, as their id. Questions of
    /// `test` count where their passage is one of these: no test passage is unseen, but every test question is.
    ///
    /// # Errors
    ///
    /// A file that cannot be read; and, unless `on_bad` is [`OnBadRow::Skip`], malformed JSON, and a row without a question
    /// and a passage.
    pub fn read_boolq(train: &Path, test: &Path, on_bad: OnBadRow) -> Result<(Self, ReadReport)> {
        let (mut report, mut corpus) = (ReadReport::default(), Self::default());
        let mut index: HashMap<String, u32> = HashMap::new();
        let mut number = 0;
        read(train, on_bad, &mut report, |question, passage| {
            number += 1;
            let document = *index.entry(passage.to_owned()).or_insert_with(|| {
                let id = (corpus.documents.len() + 1).to_string();
                corpus.documents.push(Document { id, text: passage.to_owned() });
                corpus.documents.len() as u32 - 1
            });
            corpus.train.push(query("train", number, question, document));
        })?;
        number = 0;
        read(test, on_bad, &mut report, |question, passage| {
            number += 1;
            if let Some(&document) = index.get(passage) {
                corpus.test.push(query("test", number, question, document));
            }
        })?;
        Ok((corpus, report))
    }
}

/// A query named by its part and its place there.
fn query(part: &str, number: usize, question: &str, document: u32) -> Query {
    Query { id: format!("{part}-{number}"), text: question.to_owned(), relevant: vec![document] }
}

/// Hands every question and its passage to `take`. The line of labels is passed over.
fn read(path: &Path, on_bad: OnBadRow, report: &mut ReadReport, mut take: impl FnMut(&str, &str)) -> Result<()> {
    report.rows(path, on_bad, |text| {
        let row: Row = parse(text)?;
        let input = match (row.input, row.labels) {
            (Some(input), _) => input,
            (None, Some(_)) => return Ok(()),
            (None, None) => return Err("missing field `input`".to_owned()),
        };
        let parts = input.strip_prefix(QUESTION).and_then(|rest| rest.split_once(PASSAGE));
        match parts.map(|(question, passage)| (question.trim(), passage.trim())) {
            Some((question, passage)) if !question.is_empty() && !passage.is_empty() => take(question, passage),
            _ => return Err("`input` must be \"question: ...\\npassage: ...\"".to_owned()),
        }
        Ok(())
    })
}

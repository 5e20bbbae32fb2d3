//! Readers of multiple-choice files.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::MultipleChoice;
use crate::input::lines;
use crate::{Error, Result};

#[derive(Deserialize)]
struct PiqaRow {
    goal: String,
    sol1: String,
    sol2: String,
}

#[derive(Deserialize)]
struct ArcRow {
    question: String,
    choices: Vec<String>,
    gold: usize,
}

#[derive(Deserialize)]
struct PlainRow {
    context: Option<String>,
    choices: Option<Vec<String>>,
    gold: Option<usize>,
}

pub(super) fn plain(path: &Path, limit: usize) -> Result<Vec<MultipleChoice>> {
    let read = |row: Result<(usize, String)>| {
        let (line, row) = row?;
        let PlainRow { context, choices, gold } = parse(path, line, &row)?;
        let open = "no `choices`: a suite scores given choices by their likelihood. What a model writes has no known \
                    chance: make it an instruction task";
        let missing = |reason: &str| Error::row(path, line, reason);
        let choices = choices.ok_or_else(|| missing(open))?;
        let context = context.ok_or_else(|| missing("missing field `context`"))?;
        let gold = gold.ok_or_else(|| missing("missing field `gold`, the index of the right choice"))?;
        if context.trim().is_empty() {
            return Err(Error::row(path, line, "`context` is blank: a choice needs something that it continues"));
        }
        let choices: Vec<&str> = choices.iter().map(|choice| choice.trim()).collect();
        if choices.contains(&"") {
            return Err(Error::row(path, line, "a choice is blank"));
        }
        question(path, line, context, &choices, gold)
    };
    lines(path)?.take(limit).map(read).collect()
}

pub(super) fn piqa(path: &Path, limit: usize) -> Result<Vec<MultipleChoice>> {
    let labels_path = piqa_labels(path)?;
    let mut labels = lines(&labels_path)?;
    let mut questions = Vec::new();
    for row in lines(path)?.take(limit) {
        let (line, row) = row?;
        let PiqaRow { goal, sol1, sol2 } = parse(path, line, &row)?;
        let missing = || Error::file(&labels_path, format!("no label for {}:{line}", path.display()));
        let (at, label) = labels.next().ok_or_else(missing)??;
        let gold = index(&labels_path, at, &label)?;
        questions.push(question(&labels_path, at, ask(&goal), &[sol1, sol2], gold)?);
    }
    Ok(questions)
}

/// `NAME-labels.lst` beside `NAME.jsonl` or `NAME.jsonl.gz`.
fn piqa_labels(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match name.split_once(".jsonl") {
        Some((stem, _)) => Ok(path.with_file_name(format!("{stem}-labels.lst"))),
        None => Err(Error::file(path, "a PIQA file is called NAME.jsonl, its labels NAME-labels.lst")),
    }
}

pub(super) fn arc(path: &Path, limit: usize) -> Result<Vec<MultipleChoice>> {
    let read = |row: Result<(usize, String)>| {
        let (line, row) = row?;
        let ArcRow { question: text, choices, gold } = parse(path, line, &row)?;
        question(path, line, ask(&text), &choices, gold)
    };
    lines(path)?.take(limit).map(read).collect()
}

pub(super) fn hellaswag(path: &Path, limit: usize) -> Result<Vec<MultipleChoice>> {
    let mut lines = lines(path)?;
    let mut questions = Vec::new();
    while questions.len() < limit {
        let Some(context) = lines.next() else { break };
        let (line, context) = context?;
        let rest = lines.by_ref().take(5).collect::<Result<Vec<_>>>()?;
        let [(at, gold), endings @ ..] = &rest[..] else {
            return Err(Error::row(path, line, "the file ends after a context"));
        };
        let endings: Vec<&str> = endings.iter().map(|(_, ending)| ending.as_str()).collect();
        if endings.len() != 4 {
            return Err(Error::row(path, line, format!("{} of 4 endings", endings.len())));
        }
        questions.push(question(path, *at, context, &endings, index(path, *at, gold)?)?);
    }
    Ok(questions)
}

fn ask(question: &str) -> String {
    format!("Question: {question}\nAnswer:")
}

fn parse<T: DeserializeOwned>(path: &Path, line: usize, row: &str) -> Result<T> {
    serde_json::from_str(row).map_err(|error| Error::row(path, line, error.to_string()))
}

fn index(path: &Path, line: usize, text: &str) -> Result<usize> {
    text.parse()
        .map_err(|_| Error::row(path, line, format!("'{text}' where the index of the right choice was expected")))
}

fn question<T: AsRef<str>>(
    path: &Path,
    line: usize,
    context: String,
    choices: &[T],
    gold: usize,
) -> Result<MultipleChoice> {
    if choices.len() < 2 {
        let reason = format!("{} of at least 2 choices: without another there is nothing to guess", choices.len());
        return Err(Error::row(path, line, reason));
    }
    if gold >= choices.len() {
        return Err(Error::row(path, line, format!("right choice {gold} of {}, counted from 0", choices.len())));
    }
    let choices = choices.iter().map(|choice| format!(" {}", choice.as_ref())).collect();
    Ok(MultipleChoice { context, choices, gold })
}

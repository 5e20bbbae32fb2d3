//! Reader of ARC and of OpenBookQA, which are published in the same forms.

use std::path::Path;

use serde_json::Value;

use super::super::MultipleChoice;
use super::super::shots::Doc;
use super::answer::Answer;
use super::row::{Row, kind, rows};
use crate::Result;

const ARC: &str = "`question`, `choices` and `answerKey`. `question` may hold `stem` and `choices`; `choices` is a list \
     of `text` and `label`, a map with the lists `text` and `label`, or a list of strings with `gold` as \
     the index of the right one";
const OPENBOOKQA: &str = "`question_stem`, `choices` and `answerKey`, or `question` with `stem` and `choices`, and \
     `answerKey`. `choices` is a list of `text` and `label`, or a map with the lists `text` and `label`";

pub(super) fn arc(path: &Path, limit: usize) -> Result<Vec<Doc<MultipleChoice>>> {
    rows(path, ARC)?.take(limit).map(|row| read(&row?, &["question"], super::ask)).collect()
}

pub(super) fn openbookqa(path: &Path, limit: usize) -> Result<Vec<Doc<MultipleChoice>>> {
    rows(path, OPENBOOKQA)?.take(limit).map(|row| read(&row?, &["question_stem", "question"], str::to_owned)).collect()
}

fn read(row: &Row<'_>, keys: &[&str], ask: impl Fn(&str) -> String) -> Result<Doc<MultipleChoice>> {
    let named = keys.iter().find_map(|&key| Some((key, row.get(key)?)));
    let (stem, listed) = match named {
        Some((_, Value::Object(question))) => {
            (row.string("question.stem", question.get("stem"))?, question.get("choices").or(row.get("choices")))
        }
        Some((key, stem)) => (row.string(key, Some(stem))?, row.get("choices")),
        None => return Err(row.missing(keys.first().copied().unwrap_or_default())),
    };
    let choices = choices(row, listed.ok_or_else(|| row.missing("choices"))?)?;
    let (gold, answer) = gold(row, &choices)?;
    super::doc(row, &answer, super::question(ask(stem), &choices.texts, gold))
}

struct Choices {
    texts: Vec<String>,
    /// Empty when the choices have none.
    labels: Vec<String>,
}

fn choices(row: &Row<'_>, listed: &Value) -> Result<Choices> {
    let text = |value: &Value| row.string("choices.text", Some(value)).map(str::to_owned);
    match listed {
        Value::Array(all) if all.iter().all(Value::is_string) => {
            Ok(Choices { texts: all.iter().map(text).collect::<Result<_>>()?, labels: Vec::new() })
        }
        Value::Array(all) => {
            let field = |choice: &Value, key| choice.get(key).cloned().unwrap_or(Value::Null);
            let texts = all.iter().map(|choice| text(&field(choice, "text"))).collect::<Result<_>>()?;
            Ok(Choices {
                texts,
                labels: all.iter().map(|choice| label(row, &field(choice, "label"))).collect::<Result<_>>()?,
            })
        }
        Value::Object(lists) => {
            let (Some(Value::Array(texts)), Some(Value::Array(labels))) = (lists.get("text"), lists.get("label"))
            else {
                return Err(row.missing("choices.text` or `choices.label"));
            };
            if texts.len() != labels.len() {
                return Err(row.error(format!("{} labels for {} choices", labels.len(), texts.len())));
            }
            let texts = texts.iter().map(text).collect::<Result<_>>()?;
            Ok(Choices { texts, labels: labels.iter().map(|value| label(row, value)).collect::<Result<_>>()? })
        }
        other => Err(row.error(format!("`choices` is {}, and must be a list or a map", kind(other)))),
    }
}

fn label(row: &Row<'_>, value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.trim().to_owned()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(row.error(format!("a `label` is {}, and must be a letter or a digit", kind(other)))),
    }
}

/// The index of the right choice, which the row gives by its label, or as `gold`.
fn gold<'a>(row: &Row<'a>, choices: &Choices) -> Result<(usize, Answer<'a>)> {
    if choices.labels.is_empty()
        && let Some(gold) = row.answer(&["gold"])?
    {
        return Ok((gold.index(0, choices.texts.len())?, gold));
    }
    let answer = row.needed(&["answerKey"])?;
    let index = if choices.labels.is_empty() {
        answer.index(1, choices.texts.len())?
    } else {
        answer.among(&choices.labels)?
    };
    Ok((index, answer))
}

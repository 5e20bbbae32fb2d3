//! Readers of the files in which suites are published, and the prompts that lm-evaluation-harness 0.4.13 makes of them.

mod answer;
mod arc;
mod boolq;
mod hellaswag;
mod lambada;
mod mmlu;
mod olora;
mod piqa;
mod plain;
mod row;
mod social_iqa;
mod winogrande;

use std::path::Path;

use self::answer::Answer;
pub(super) use self::lambada::read as lambada;
pub(super) use self::olora::read as olora;
use self::row::Row;
use super::shots::Doc;
use super::{MultipleChoice, Suite};
use crate::{Error, Result};

/// The first `limit` rows of a suite of multiple choice whose files say what is asked.
pub(super) fn choices(suite: Suite, path: &Path, limit: usize) -> Result<Vec<Doc<MultipleChoice>>> {
    match suite {
        Suite::Piqa => piqa::read(path, limit),
        Suite::Hellaswag => hellaswag::read(path, limit),
        Suite::Arc => arc::arc(path, limit),
        Suite::Openbookqa => arc::openbookqa(path, limit),
        Suite::SocialIqa => social_iqa::read(path, limit),
        Suite::Winogrande => winogrande::read(path, limit),
        Suite::Mmlu => mmlu::read(path, limit),
        Suite::Boolq => boolq::read(path, limit),
        Suite::Jsonl => plain::read(path, limit),
        Suite::Blimp | Suite::CrowsPairs | Suite::Lambada | Suite::OLora | Suite::Perplexity => {
            Err(Error::file(path, "a file of this kind is no multiple choice"))
        }
    }
}

/// What ARC and PIQA ask.
fn ask(question: &str) -> String {
    format!("Question: {question}\nAnswer:")
}

/// A question with its choices, before each of which a blank is set.
fn question<T: AsRef<str>>(context: String, choices: &[T], gold: usize) -> MultipleChoice {
    let choices = choices.iter().map(|choice| format!(" {}", choice.as_ref())).collect();
    MultipleChoice { context, choices, suffix: None, gold }
}

/// A question that was read from a row of JSON, if it is one.
fn doc(row: &Row<'_>, answer: &Answer<'_>, item: MultipleChoice) -> Result<Doc<MultipleChoice>> {
    check(&item).map_err(|reason| row.error(reason))?;
    Ok(Doc { item, description: String::new(), row: row.canonical() + &answer.text })
}

/// That a question has a context, two choices, and a right one among them.
fn check(question: &MultipleChoice) -> Result<(), String> {
    if question.suffix.is_none() && question.context.trim().is_empty() {
        return Err("the question is blank: a choice needs something that it continues".to_owned());
    }
    let count = question.choices.len();
    if count < 2 {
        return Err(format!("{count} of at least 2 choices: without another there is nothing to guess"));
    }
    if question.gold >= count {
        return Err(format!("right choice {} of {count}, counted from 0", question.gold));
    }
    Ok(())
}

//! Reader of MMLU.

use std::path::Path;

use super::super::shots::Doc;
use super::super::{MultipleChoice, csv, python};
use super::answer::Answer;
use super::row::{Row, rows};
use crate::input;
use crate::{Error, Result};

const FORM: &str = "`question`, `choices`, which are four strings, `answer` and `subject`; or a CSV file \
     SUBJECT_test.csv without a header, of the question, four choices and a letter";
/// Lines of the longest record of CSV.
const LONGEST_RECORD: usize = 500;

/// The first `limit` questions: JSON lines, or CSV as the authors publish it.
pub(super) fn read(path: &Path, limit: usize) -> Result<Vec<Doc<MultipleChoice>>> {
    match path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once(".csv")) {
        Some((stem, _)) => records(path, subject(stem), limit),
        None => rows(path, FORM)?.take(limit).map(|row| row_of_json(&row?)).collect(),
    }
}

fn row_of_json(row: &Row<'_>) -> Result<Doc<MultipleChoice>> {
    let (text, choices) = (row.text("question")?, row.texts("choices")?);
    let subject = row.text("subject")?;
    let answer = row.needed(&["answer"])?;
    let choices =
        <[&str; 4]>::try_from(choices).map_err(|choices| row.error(format!("{} of 4 choices", choices.len())))?;
    let doc = super::doc(row, &answer, question(text, choices, answer.index(0, 4)?))?;
    Ok(Doc { description: description(subject), ..doc })
}

/// `abstract_algebra` of `abstract_algebra_test`.
fn subject(stem: &str) -> &str {
    ["_test", "_dev", "_val"].iter().find_map(|end| stem.strip_suffix(end)).unwrap_or(stem)
}

fn description(subject: &str) -> String {
    let subject = subject.replace('_', " ");
    format!("The following are multiple choice questions (with answers) about {subject}.\n\n")
}

fn question(text: &str, [a, b, c, d]: [&str; 4], gold: usize) -> MultipleChoice {
    let context = format!("{}\nA. {a}\nB. {b}\nC. {c}\nD. {d}\nAnswer:", python::strip(text));
    super::question(context, &["A", "B", "C", "D"], gold)
}

fn records(path: &Path, subject: &str, limit: usize) -> Result<Vec<Doc<MultipleChoice>>> {
    let text = input::text(path)?;
    let mut lines = text.trim_start_matches('\u{feff}').split_inclusive('\n').enumerate();
    let mut docs = Vec::new();
    while docs.len() < limit {
        let Some((at, first)) = lines.next() else { break };
        if first.trim().is_empty() {
            continue;
        }
        let bad = |reason: String| Error::row(path, at + 1, reason);
        let mut record = first.to_owned();
        let mut fields = csv::record(&record, ',').map_err(bad)?;
        while fields.is_none() && record.lines().count() < LONGEST_RECORD {
            let Some((_, more)) = lines.next() else { break };
            record.push_str(more);
            fields = csv::record(&record, ',').map_err(bad)?;
        }
        let fields = fields.ok_or_else(|| bad(csv::NOT_CLOSED.to_owned()))?;
        let fields = <[String; 6]>::try_from(fields)
            .map_err(|fields| bad(format!("{} fields. Expected {FORM}", fields.len())))?;
        docs.push(record_of_csv(path, at + 1, &fields, subject)?);
    }
    Ok(docs)
}

fn record_of_csv(path: &Path, line: usize, fields: &[String; 6], subject: &str) -> Result<Doc<MultipleChoice>> {
    let [text, a, b, c, d, letter] = fields;
    let answer = Answer::new(path, line, "the answer".to_owned(), letter.trim().to_owned())?;
    let item = question(text, [a, b, c, d], answer.index(0, 4)?);
    Ok(Doc { item, description: description(subject), row: format!("{fields:?}") })
}

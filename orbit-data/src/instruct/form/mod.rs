//! The forms of task files.

mod ct0;
mod jsonl;
mod labelled;
mod superni;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::template::{self, Template};
use super::{Instance, check_outputs};
use crate::corpus::{OnBadRow, ReadReport, parse};
use crate::metric::Metric;
use crate::{Error, Result};

/// How the rows of a task's files look. Keys that are not named here are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskForm {
    /// `{"instruction": "...", "input": "...", "output": "..."}`; `input` may be absent, `output` may be a list of
    /// acceptable answers. A task whose rows have no `instruction` takes that of its [`TaskSource`](super::TaskSource).
    Jsonl,
    /// Super-NaturalInstructions (arXiv 2204.07705) in the lines of SAPT's benchmark: first `{"definition": "..."}`,
    /// then
    /// `{"input": "...", "output": ["..."]}`.
    SuperNi,
    /// The classification tasks of O-LoRA (arXiv 2310.14152): first `{"labels": ["...", "..."]}`, then `{"input":
    /// "...", "output": "..."}`. The instruction is not in the file.
    #[serde(rename = "olora")]
    OLora,
    /// Text simplification as in CT0 (arXiv 2205.12393), with the references of ASSET (arXiv 2005.00481): `{"input":
    /// "...", "refs": ["...", "..."]}`.
    Ct0Simplification,
    /// Explanations as in CT0, of e-SNLI (arXiv 1812.01193): `{"premise": "...", "hypothesis": "...", "label":
    /// "entailment", "explanation": "..."}`. The label goes into the instruction.
    Ct0Explanation,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) instances: Vec<Instance>,
    /// The labels that the file itself names.
    pub(crate) labels: Option<Vec<String>>,
}

/// What a task's config says about its rows.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) instruction: Option<&'a str>,
    pub(crate) choices: Option<&'a [String]>,
    pub(crate) on_bad_row: OnBadRow,
}

impl TaskForm {
    /// The metric that the source of this form is scored by.
    pub fn metric(self) -> Metric {
        match self {
            Self::Jsonl | Self::OLora => Metric::ExactMatch,
            Self::SuperNi => Metric::RougeL,
            Self::Ct0Simplification => Metric::Sari,
            Self::Ct0Explanation => Metric::Bleu,
        }
    }

    /// The prompt that the source of this form uses.
    pub fn template(self) -> Template {
        Template::of(match self {
            Self::Jsonl => template::PLAIN,
            Self::SuperNi => template::SUPER_NI,
            Self::OLora => template::OLORA,
            Self::Ct0Simplification => template::QUOTED,
            Self::Ct0Explanation => template::LINES,
        })
    }

    pub(crate) fn read(self, path: &Path, given: Given<'_>, report: &mut ReadReport) -> Result<Part> {
        let part = match self {
            Self::Jsonl => jsonl::read(path, given, report),
            Self::SuperNi => superni::read(path, given, report),
            Self::OLora => labelled::read(path, given, report),
            Self::Ct0Simplification => ct0::simplifications(path, given, report),
            Self::Ct0Explanation => ct0::explanations(path, given, report),
        }?;
        if part.instances.is_empty() {
            let skipped = report.first.as_ref().map(|first| format!("; the first row left out was {first}"));
            let reason = format!("there is no instance in it{}", skipped.unwrap_or_default());
            return Err(Error::file(path, reason));
        }
        Ok(part)
    }
}

/// A row once its fields are known. Answers are trimmed: a chat template decides what is around them.
fn instance(
    instruction: impl Into<String>,
    input: impl Into<String>,
    outputs: Vec<String>,
    choices: Option<&[String]>,
) -> Result<Instance, String> {
    let outputs: Vec<String> = outputs.iter().map(|output| output.trim().to_owned()).collect();
    check_outputs(&outputs, choices)?;
    Ok(Instance { instruction: instruction.into(), input: input.into(), outputs })
}

/// One acceptable answer or a list of them.
fn outputs(value: Value) -> Result<Vec<String>, String> {
    let wrong = |value: &Value| format!("`output` must be a string or a list of strings, not {value}");
    match value {
        Value::String(output) => Ok(vec![output]),
        Value::Array(list) => {
            list.into_iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(|| wrong(&value))).collect()
        }
        other => Err(wrong(&other)),
    }
}

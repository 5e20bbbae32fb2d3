//! Suites as a config names them.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Ask, Group, Tasks, blimp, choices, crows, labelled};
use crate::input;
use crate::{Error, Result};

/// What a suite measures and how its file is laid out. Files may be plain, `.gz` or `.bz2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Suite {
    /// Physical commonsense (arXiv 1911.11641): JSON lines of `goal`, `sol1`, `sol2`. The labels lie beside them, in
    /// `NAME-labels.lst` for `NAME.jsonl`.
    Piqa,
    /// Sentence completion (arXiv 1905.07830): six lines a question, which are the context, the index of the right ending,
    /// and four endings.
    Hellaswag,
    /// Grade-school science (arXiv 1803.05457): JSON lines of `question`, `choices`, `gold`.
    Arc,
    /// Minimal pairs of grammar (arXiv 1912.00582): a zip of JSON lines of `sentence_good`, `sentence_bad`, one file a
    /// paradigm.
    Blimp,
    /// Bias (arXiv 2010.00133): CSV with the columns `sent_more`, `sent_less`, `stereo_antistereo`, `bias_type`. The score
    /// is the share of pairs whose more stereotyping sentence, `sent_more` in either direction, is the more likely one:
    /// `pct_stereotype` of lm-evaluation-harness. It is no ability: one half is neutral, and neither end is better.
    CrowsPairs,
    /// Any multiple choice: JSON lines of `context`, which every choice continues as it is, `choices`, to each of which a
    /// leading space is given, and `gold`, the index of the right one. What other public sets come to, such as MMLU, RACE or
    /// MathQA.
    Jsonl,
    /// An instruction task of O-LoRA (arXiv 2310.14152), such as BoolQ: first `{"labels": ["...", "..."]}`, then `{"input":
    /// "...", "output": "..."}`. Needs [`TextTask::instruction`]. O-LoRA's prompt is the context, the labels are the
    /// choices.
    #[serde(rename = "olora")]
    OLora,
    /// Running text.
    Perplexity,
}

/// A suite, its file, and how much of it to use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextTask {
    /// The name under which its score is reported.
    pub name: String,
    /// What is in the file.
    pub kind: Suite,
    /// The file.
    pub path: PathBuf,
    /// How much of it to use, all when absent. For multiple choice, the first so many questions. For minimal pairs, so
    /// many pairs taken from the paradigms in turn, in the order of their names. For running text it counts scored
    /// tokens, which only the evaluation knows, so [`TextTask::read`] ignores it.
    #[serde(default)]
    pub limit: Option<usize>,
    /// In which group a study reports it. CrowS-Pairs are `bias` without being told.
    #[serde(default)]
    pub group: Option<Group>,
    /// What is asked of every instance, for kind `olora`, whose files do not say it; nothing else has one. O-LoRA asks of
    /// BoolQ: "According to the following passage, is the question true or false? Choose one from the option."
    #[serde(default)]
    pub instruction: Option<String>,
    /// Scores a multiple choice by a probability in place of right answers: whether the answer is known, or whether it is given as
    /// asked for, in the words of `instruction` if there is one. Two suites over one file tell the two apart.
    #[serde(default)]
    pub ask: Option<Ask>,
}

impl TextTask {
    /// Reads the file.
    ///
    /// # Errors
    /// A file that is not there, a row that is not what [`Suite`] says (with its line), or a file with no rows; an
    /// instruction that is missing or not needed; a group that the suite cannot be in.
    pub fn read(&self) -> Result<Tasks> {
        self.check_keys()?;
        let limit = self.limit.unwrap_or(usize::MAX);
        let tasks = match self.kind {
            Suite::Piqa => Tasks::MultipleChoice(choices::piqa(&self.path, limit)?),
            Suite::Hellaswag => Tasks::MultipleChoice(choices::hellaswag(&self.path, limit)?),
            Suite::Arc => Tasks::MultipleChoice(choices::arc(&self.path, limit)?),
            Suite::Blimp => Tasks::MinimalPairs(blimp::read(&self.path, limit)?),
            Suite::CrowsPairs => Tasks::MinimalPairs(crows::read(&self.path, limit)?),
            Suite::Jsonl => Tasks::MultipleChoice(choices::plain(&self.path, limit)?),
            Suite::OLora => Tasks::MultipleChoice(labelled::read(&self.path, limit, self.instruction.as_deref())?),
            Suite::Perplexity => Tasks::Passage(input::text(&self.path)?),
        };
        let tasks = self.asked(tasks)?;
        if tasks.is_empty() {
            return Err(Error::file(&self.path, format!("nothing to score for '{}'", self.name)));
        }
        if self.belongs_to() == Some(Group::Bias) && tasks.chance() != Some(0.5) {
            return Err(self.wrong("a measure of bias needs two choices, of which a neutral model prefers either one half of the time: give another `group`"));
        }
        Ok(tasks)
    }

    /// The group that it is reported in: the given one, and bias for CrowS-Pairs.
    ///
    /// ```
    /// use orbit_data::text::{Group, TextTask};
    /// let json = r#"{"name": "crows", "kind": "crows_pairs", "path": "crows_pairs_anonymized.csv.gz"}"#;
    /// let task: TextTask = serde_json::from_str(json)?;
    /// assert_eq!(task.belongs_to(), Some(Group::Bias));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn belongs_to(&self) -> Option<Group> {
        self.group.or((self.kind == Suite::CrowsPairs).then_some(Group::Bias))
    }

    fn asked(&self, tasks: Tasks) -> Result<Tasks> {
        match (tasks, self.ask) {
            (tasks, None) => Ok(tasks),
            (Tasks::MultipleChoice(questions), Some(Ask::Knowledge)) => Ok(Tasks::MultipleChoice(questions)),
            (Tasks::MultipleChoice(questions), Some(Ask::Instruction)) => {
                let asked = questions.iter().map(|question| question.by_letter(self.instruction.as_deref()));
                Ok(Tasks::MultipleChoice(asked.collect()))
            }
            (_, Some(_)) => Err(self.wrong("`ask` is for multiple choice alone: leave it out")),
        }
    }

    fn check_keys(&self) -> Result<()> {
        if self.kind == Suite::CrowsPairs && self.belongs_to() != Some(Group::Bias) {
            return Err(self.wrong("CrowS-Pairs measure bias, and no ability: leave `group` out"));
        }
        if self.kind == Suite::OLora && self.ask.is_some() {
            return Err(self.wrong("files of kind `olora` have their instruction in every question: leave `ask` out"));
        }
        match (self.kind, self.instruction.as_deref().map(str::trim)) {
            (_, Some(words)) if self.ask == Some(Ask::Instruction) && !words.is_empty() => Ok(()),
            (Suite::OLora, None | Some("")) => {
                Err(self.wrong("files of kind `olora` do not say what is asked: give the suite's `instruction`"))
            }
            (Suite::OLora, Some(_)) | (_, None) => Ok(()),
            (_, Some(_)) => {
                Err(self.wrong("an `instruction` is for kind `olora`, or for `ask = \"instruction\"`: leave it out"))
            }
        }
    }

    fn wrong(&self, reason: &str) -> Error {
        Error::Invalid(format!("suite '{}': {reason}", self.name))
    }
}

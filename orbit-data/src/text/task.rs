//! Suites as a config names them.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shots::{self, Asked, Doc, Shots};
use super::{Ask, Group, Tasks, blimp, crows, suite};
use crate::input;
use crate::{Error, Result};

/// What a suite measures and how its file is laid out. Files may be plain, `.gz` or `.bz2`. A row without its answer,
/// as test sets have them whose answers are not published, is an error: take the validation file. Prompts are those of
/// lm-evaluation-harness 0.4.13.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Suite {
    /// Physical commonsense (arXiv 1911.11641): JSON lines of `goal`, `sol1`, `sol2`, `label`. Where the rows have no
    /// `label`, the labels stand in `NAME-labels.lst` beside `NAME.jsonl`, as the authors publish them.
    Piqa,
    /// Sentence completion (arXiv 1905.07830): JSON lines of `activity_label`, `ctx_a`, `ctx_b`, `endings`, `label`, as
    /// the authors publish them. Or six lines a question, which are taken as they are: the context, the index of the
    /// right ending, and four endings.
    Hellaswag,
    /// Grade-school science (arXiv 1803.05457): JSON lines of `question`, `choices`, `answerKey`. `question` is a
    /// string, or holds `stem` and `choices`. `choices` is a list of `text` and `label`, or a map with the lists `text`
    /// and `label`. `answerKey` is one of the labels, which are letters or digits. Or `question`, `choices` as a list
    /// of strings, and `gold`, the index of the right one.
    Arc,
    /// Science with a book of facts (arXiv 1809.02789): JSON lines of `question_stem`, `choices`, `answerKey`, or with
    /// `stem` and `choices` in `question`, as in ARC.
    Openbookqa,
    /// Social situations (arXiv 1904.09728): JSON lines of `context`, `question`, `answerA`, `answerB`, `answerC`, and
    /// `label` from 1 to 3 or `correct` from A to C. Where the rows have neither, the labels stand in `NAME-labels.lst`
    /// beside `NAME.jsonl`.
    SocialIqa,
    /// Pronouns (arXiv 1907.10641): JSON lines of `sentence` with a blank `_`, `option1`, `option2`, `answer` of 1 or
    /// 2, or the labels in `NAME-labels.lst` beside `NAME.jsonl`. The option is part of the context, and what follows
    /// the blank is scored.
    Winogrande,
    /// Knowledge of 57 subjects (arXiv 2009.03300): JSON lines of `question`, `choices`, `answer`, `subject`; or
    /// `SUBJECT_test.csv` without a header, as the authors publish it. The letter of the choice is scored. Examples are
    /// the first rows of the same subject, and not drawn.
    Mmlu,
    /// Yes or no about a passage (arXiv 1905.10044): JSON lines of `question`, `passage`, and `answer` or `label`,
    /// which is true or false, or 1 or 0. A `title` is set before the passage, as SuperGLUE has it.
    Boolq,
    /// The last word of a passage (arXiv 1606.06031): JSON lines of `text`, or a passage a line.
    Lambada,
    /// Minimal pairs of grammar (arXiv 1912.00582): JSON lines of `sentence_good`, `sentence_bad`, which are one
    /// paradigm; or a zip of such files, one a paradigm.
    Blimp,
    /// Bias (arXiv 2010.00133): CSV with the columns `sent_more`, `sent_less`, `stereo_antistereo`, `bias_type`. The
    /// score is the share of pairs whose more stereotyping sentence, `sent_more` in either direction, is the more
    /// likely one: `pct_stereotype` of lm-evaluation-harness. It is no ability: one half is neutral, and neither end is
    /// better.
    CrowsPairs,
    /// Any multiple choice: JSON lines of `context`, which every choice continues as it is, `choices`, to each of which
    /// a leading space is given, and `gold`, the index of the right one. What other public sets come to, such as MMLU,
    /// RACE or MathQA.
    Jsonl,
    /// An instruction task of O-LoRA (arXiv 2310.14152), such as BoolQ: first `{"labels": ["...", "..."]}`, then
    /// `{"input": "...", "output": "..."}`. Needs [`TextTask::instruction`]. O-LoRA's prompt is the context, the labels
    /// are the choices.
    #[serde(rename = "olora")]
    OLora,
    /// Running text. The file is one document, and is scored as it is. lm-evaluation-harness's `wikitext` has a
    /// document a page, scores each after removing the blanks of its tokenization, and counts words and bytes before
    /// that: its figures are those of other texts.
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
    /// What is asked of every instance, for kind `olora`, whose files do not say it; nothing else has one. O-LoRA asks
    /// of BoolQ: "According to the following passage, is the question true or false? Choose one from the option."
    #[serde(default)]
    pub instruction: Option<String>,
    /// Scores a multiple choice by a probability in place of right answers: whether the answer is known, or whether it
    /// is given as asked for, in the words of `instruction` if there is one. Two suites over one file tell the two
    /// apart.
    #[serde(default)]
    pub ask: Option<Ask>,
    /// How many examples with their answers stand before every question, none when absent: few-shot.
    #[serde(default)]
    pub shots: usize,
    /// The file that the examples are drawn from, such as the training file, in the form of the suite's own. When
    /// absent, they are drawn from the suite's own file; a question is never an example for itself.
    #[serde(default)]
    pub shots_from: Option<PathBuf>,
    /// Seed of the draw of examples. With the same rows and the same seed, which is 1234 when absent, the examples are
    /// those that lm-evaluation-harness draws.
    #[serde(default = "harness_seed")]
    pub seed: u64,
}

fn harness_seed() -> u64 {
    1234
}

impl TextTask {
    /// Reads the file.
    ///
    /// # Errors
    /// A file that is not there, a row that is not what [`Suite`] says (with its line), or a file with no rows; an
    /// instruction that is missing or not needed; a group that the suite cannot be in; more examples than there are
    /// rows.
    pub fn read(&self) -> Result<Tasks> {
        self.check_keys()?;
        let limit = self.limit.unwrap_or(usize::MAX);
        let tasks = match self.kind {
            Suite::Blimp => Tasks::MinimalPairs(blimp::read(&self.path, limit)?),
            Suite::CrowsPairs => Tasks::MinimalPairs(crows::read(&self.path, limit)?),
            Suite::Perplexity => Tasks::Passage(input::text(&self.path)?),
            Suite::Lambada => Tasks::LastWord(self.with_shots(suite::lambada)?),
            Suite::OLora => {
                let read = |path: &Path, limit| suite::olora(path, limit, self.instruction.as_deref());
                Tasks::MultipleChoice(self.with_shots(read)?)
            }
            kind => Tasks::MultipleChoice(self.with_shots(|path, limit| suite::choices(kind, path, limit))?),
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

    /// The questions that a reader finds, each with its examples before it.
    fn with_shots<T: Asked>(&self, read: impl Fn(&Path, usize) -> Result<Vec<Doc<T>>>) -> Result<Vec<T>> {
        let limit = self.limit.unwrap_or(usize::MAX);
        let how = Shots {
            count: self.shots,
            seed: self.seed,
            first: self.kind == Suite::Mmlu,
            excluding: self.shots_from.is_none() || !self.has_test_set(),
        };
        let (mut asked, pool) = match &self.shots_from {
            None if self.shots > 0 => (read(&self.path, usize::MAX)?, None),
            None => (read(&self.path, limit)?, None),
            Some(path) => (read(&self.path, limit)?, Some(read(path, usize::MAX)?)),
        };
        let pool = pool.unwrap_or_else(|| asked.clone());
        asked.truncate(limit);
        shots::ask(&asked, &pool, how).map_err(|found| {
            let path = self.shots_from.as_ref().unwrap_or(&self.path);
            let reason = format!("`shots` is {}, and {found} rows can stand before a question: give fewer", self.shots);
            Error::file(path, format!("{reason}, or name a larger file by `shots_from`"))
        })
    }

    /// Whether lm-evaluation-harness asks the questions of a test set. Where it asks those of a validation set, it
    /// draws one more example than needed, in case that one is the question itself. This decides which examples come
    /// out.
    fn has_test_set(&self) -> bool {
        matches!(self.kind, Suite::Arc | Suite::Openbookqa | Suite::Mmlu | Suite::Lambada)
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
        if self.kind == Suite::Mmlu && self.ask.is_some() {
            return Err(self.wrong("the prompts of MMLU list the choices and score their letters: leave `ask` out"));
        }
        self.check_shots()?;
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

    fn check_shots(&self) -> Result<()> {
        match (self.kind, self.shots) {
            (_, 0) if self.shots_from.is_some() => {
                Err(self
                    .wrong("`shots_from` is where examples come from: give their number as `shots`, or leave it out"))
            }
            (Suite::Blimp | Suite::CrowsPairs | Suite::Perplexity, 1..) => {
                Err(self.wrong("`shots` is for questions, and this kind has none: leave it out"))
            }
            (_, 1..) if self.ask == Some(Ask::Instruction) => {
                Err(self.wrong("`ask = \"instruction\"` asks without examples: leave `shots` out"))
            }
            _ => Ok(()),
        }
    }

    fn wrong(&self, reason: &str) -> Error {
        Error::Invalid(format!("suite '{}': {reason}", self.name))
    }
}

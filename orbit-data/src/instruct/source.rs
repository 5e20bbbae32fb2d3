//! The files of a task and how to read them.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::form::Given;
use super::{Task, TaskForm, Template};
use crate::corpus::{OnBadRow, ReadReport};
use crate::metric::Metric;
use crate::{Error, Result};

/// How files are called that are compressed.
const COMPRESSED: [&str; 3] = [".gz", ".bz2", ".zst"];

/// A task as a config names it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use orbit_data::instruct::TaskSource;
///
/// let folder = tempfile::tempdir()?;
/// let row = r#"{"instruction": "Translate into French.", "input": "cat", "output": ["chat", "le chat"]}"#;
/// std::fs::write(folder.path().join("french.train.jsonl"), row)?;
/// std::fs::write(folder.path().join("french.test.jsonl"), row)?;
/// let source: TaskSource =
///     serde_json::from_str(r#"{"name": "french", "form": "jsonl", "train": "french.train.jsonl"}"#)?;
/// let (task, report) = source.read(folder.path())?;
/// assert_eq!(task.test[0].outputs, ["chat", "le chat"]);
/// assert_eq!((report.rows, report.skipped), (2, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskSource {
    /// What reports call it.
    pub name: String,
    /// How its files look.
    pub form: TaskForm,
    /// The training part, relative to the folder given to [`TaskSource::read`]; plain or compressed.
    pub train: PathBuf,
    /// The test part. When absent, `NAME.test.jsonl` for `NAME.train.jsonl`, compressed or not.
    #[serde(default)]
    pub test: Option<PathBuf>,
    /// What is to be done, in place of what the files say; a row of the form `jsonl` that has its own instruction keeps it.
    #[serde(default)]
    pub instruction: Option<String>,
    /// What is put to the model, a Jinja template of `instruction`, `input` and `choices`; that of the form when
    /// absent.
    #[serde(default)]
    pub template: Option<String>,
    /// How it is scored; as the source of the form does when absent.
    #[serde(default)]
    pub metric: Option<Metric>,
    /// The labels, in place of those that the files name.
    #[serde(default)]
    pub choices: Option<Vec<String>>,
    /// The score of guessing, where it is not one in the number of choices.
    #[serde(default)]
    pub chance: Option<f64>,
    /// The optimizer steps of this task's stage; as many as other stages when absent.
    #[serde(default)]
    pub steps: Option<u64>,
    /// Other wordings of the instruction, which are never trained: they test whether a task is recognised by what it
    /// asks for, see [`Task::paraphrased`].
    #[serde(default)]
    pub paraphrases: Vec<String>,
    /// How many training instances to take, the first ones; all when absent.
    #[serde(default)]
    pub train_limit: Option<usize>,
    /// How many test instances to take, the first ones; all when absent.
    #[serde(default)]
    pub test_limit: Option<usize>,
    /// What to do with a row that cannot be used.
    #[serde(default)]
    pub on_bad_row: OnBadRow,
}

impl TaskSource {
    /// A task called `name` of this form, with all else as the form has it.
    pub fn new(name: impl Into<String>, form: TaskForm, train: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            form,
            train: train.into(),
            test: None,
            instruction: None,
            template: None,
            metric: None,
            choices: None,
            chance: None,
            steps: None,
            paraphrases: Vec::new(),
            train_limit: None,
            test_limit: None,
            on_bad_row: OnBadRow::default(),
        }
    }

    /// Reads both parts, the paths relative to `root`, and checks the task. The report counts the rows of both, headers
    /// included.
    ///
    /// # Errors
    /// A file that is not there; no test part; a row that is not of the form, with its line, unless `on_bad_row` skips
    /// it; a file without an instance; labels that differ between the parts; a template that is not one; and what
    /// [`Task::check`] refuses.
    pub fn read(&self, root: &Path) -> Result<(Task, ReadReport)> {
        let template = self.template.clone().map_or_else(|| Ok(self.form.template()), Template::new)?;
        let (train_path, test_path) = (root.join(&self.train), self.test_path(root)?);
        let given = Given {
            instruction: self.instruction.as_deref(),
            choices: self.choices.as_deref(),
            on_bad_row: self.on_bad_row,
        };
        let mut report = ReadReport::default();
        let mut train = self.form.read(&train_path, given, &mut report)?;
        let mut test = self.form.read(&test_path, given, &mut report)?;
        if train.labels != test.labels && self.choices.is_none() {
            let reason = format!("its labels differ from those of {}: give `choices`", train_path.display());
            return Err(Error::file(test_path, reason));
        }
        train.instances.truncate(self.train_limit.unwrap_or(usize::MAX));
        test.instances.truncate(self.test_limit.unwrap_or(usize::MAX));
        let task = Task {
            name: self.name.clone(),
            train: train.instances,
            test: test.instances,
            metric: self.metric.unwrap_or_else(|| self.form.metric()),
            choices: self.choices.clone().or(train.labels),
            chance: self.chance,
            template,
            steps: self.steps,
            paraphrases: self.paraphrases.clone(),
        };
        task.check()?;
        Ok((task, report))
    }

    /// The given test part, else the one beside the training part.
    fn test_path(&self, root: &Path) -> Result<PathBuf> {
        if let Some(test) = &self.test {
            return Ok(root.join(test));
        }
        let train = root.join(&self.train);
        let name = train.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let plain = COMPRESSED.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let Some(stem) = plain.strip_suffix(".train.jsonl") else {
            let reason =
                "no test part is named for it: give `test`, or call the two NAME.train.jsonl and NAME.test.jsonl";
            return Err(Error::file(train, reason));
        };
        let test = train.with_file_name(format!("{stem}.test.jsonl"));
        let mut beside = [""].iter().chain(&COMPRESSED).map(|end| PathBuf::from(format!("{}{end}", test.display())));
        let missing =
            || format!("it has no test part: there is no {} beside it, nor compressed; give `test`", test.display());
        beside.find(|path| path.is_file()).ok_or_else(|| Error::file(&train, missing()))
    }
}

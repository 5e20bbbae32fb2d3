//! Tasks in the order in which they are trained.

use std::path::Path;

use super::{Task, TaskSource};
use crate::corpus::ReadReport;
use crate::{Error, Result};

/// Tasks in the order in which they are trained, checked: what is wrong with the last of them is known before the first
/// is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskSequence(Vec<Task>);

impl TaskSequence {
    /// Checks every task, and that they can be told apart.
    ///
    /// # Errors
    /// Without tasks, when two have the same name, and what [`Task::check`] refuses.
    pub fn new(tasks: Vec<Task>) -> Result<Self> {
        check_names(tasks.iter().map(|task| task.name.as_str()))?;
        tasks.iter().try_for_each(Task::check)?;
        Ok(Self(tasks))
    }

    /// Reads all tasks, their files relative to `root`. A report for each says how many rows were left out.
    ///
    /// # Errors
    /// As [`new`](Self::new) and [`TaskSource::read`]. Names are looked at before any file is opened.
    pub fn read(sources: &[TaskSource], root: &Path) -> Result<(Self, Vec<ReadReport>)> {
        check_names(sources.iter().map(|source| source.name.as_str()))?;
        let read = sources.iter().map(|source| source.read(root)).collect::<Result<Vec<_>>>()?;
        let (tasks, reports) = read.into_iter().unzip();
        Ok((Self(tasks), reports))
    }

    /// The tasks, in order; at least one.
    pub fn tasks(&self) -> &[Task] {
        &self.0
    }

    /// Their names, in order, for [`Scores::of_tasks`](crate::continual::Scores::of_tasks).
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|task| task.name.as_str())
    }
}

fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<()> {
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        return Err(Error::Invalid("a sequence needs at least one task".into()));
    }
    match names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
        Some((_, name)) => {
            Err(Error::Invalid(format!("two tasks are called '{name}': reports could not tell them apart")))
        }
        None => Ok(()),
    }
}

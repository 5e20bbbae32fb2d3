//! Instruction tasks: what a model is taught one after the other, and how each is scored.
//!
//! ```text
//! TaskSource ─► Task ─► TaskSequence      read and checked before anything is trained
//!                └────► Prompts ─► Example ─► Loader
//! ```
//!
//! A file is JSON lines, plain or compressed by gzip, bzip2 or zstd, in one of the forms of [`TaskForm`]. A row that
//! cannot be used is named by file, line and reason.

mod form;
mod in_context;
mod paraphrase;
mod prompts;
mod retained;
mod score;
mod sequence;
mod source;
mod template;
#[cfg(test)]
mod tests;

pub(crate) use form::Given;
pub use form::TaskForm;
pub use in_context::{InContext, InContextPrompt};
pub use prompts::{Limits, Prompts, TaskExamples};
pub use retained::retained;
pub use sequence::TaskSequence;
pub use source::TaskSource;
pub use template::{ALPACA, Template};

use crate::metric::Metric;
use crate::{Error, Result};

/// One thing to do, and what counts as having done it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instance {
    /// What is to be done.
    pub instruction: String,
    /// What it is to be done with; may be empty.
    pub input: String,
    /// The acceptable answers, none of them blank; at least one. The first is the one that is trained.
    pub outputs: Vec<String>,
}

/// A task: what to train on, what to test on, and how to score that.
///
/// ```
/// use orbit_data::instruct::{Instance, Task, Template};
/// use orbit_data::metric::Metric;
/// let instance = |input: &str, output: &str| Instance {
///     instruction: "Is the review good or bad?".into(),
///     input: input.into(),
///     outputs: vec![output.into()],
/// };
/// let mut task = Task {
///     name: "reviews".into(),
///     train: vec![instance("Lovely.", "good"), instance("Dull.", "bad")],
///     test: vec![instance("A delight.", "good")],
///     metric: Metric::Accuracy,
///     choices: Some(vec!["good".into(), "bad".into()]),
///     chance: None,
///     template: Template::plain(),
///     steps: None,
///     paraphrases: vec![],
/// };
/// task.check()?;
/// assert_eq!(task.chance(), Some(0.5));
///
/// task.test[0].outputs = vec!["fine".into()];
/// assert!(task.check().unwrap_err().to_string().contains("'fine' is not one of the choices: good, bad"));
/// # Ok::<(), orbit_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// What reports call it; unique in a sequence.
    pub name: String,
    /// What is trained on.
    pub train: Vec<Instance>,
    /// What is scored.
    pub test: Vec<Instance>,
    /// How it is scored.
    pub metric: Metric,
    /// The labels, where every answer is one of them; at least two.
    pub choices: Option<Vec<String>>,
    /// The score of guessing, in `[0, 1)`, where it is known otherwise than from `choices`.
    pub chance: Option<f64>,
    /// How an instance is put to the model.
    pub template: Template,
    /// The optimizer steps of this task's stage, at least 1, where it has its own number.
    pub steps: Option<u64>,
    /// Other wordings of the instruction, see [`Task::paraphrased`].
    pub paraphrases: Vec<String>,
}

impl Task {
    /// The score of guessing: what was given, else one in the number of choices for a metric that asks for the one
    /// right choice, else none.
    pub fn chance(&self) -> Option<f64> {
        let guessed = matches!(self.metric, Metric::Accuracy | Metric::ExactMatch);
        let choices = self.choices.as_ref().filter(|choices| guessed && !choices.is_empty());
        self.chance.or_else(|| choices.map(|choices| 1.0 / choices.len() as f64))
    }

    /// The index in `choices` of an instance's first answer.
    pub fn gold(&self, instance: &Instance) -> Option<usize> {
        let output = instance.outputs.first()?;
        self.choices.as_ref()?.iter().position(|choice| choice == output)
    }

    /// Checks that the task can be trained and scored.
    ///
    /// # Errors
    /// No name, no training or no test part, an instance without an answer or with a blank one or one that is not among
    /// the choices, fewer than two choices or the same one twice, [`Metric::Accuracy`] without choices, a chance
    /// outside `[0, 1)`, a stage of no steps, a paraphrase that is blank, given twice, or an instruction of the task.
    pub fn check(&self) -> Result<()> {
        let fail = |reason: String| Err(Error::Invalid(format!("task '{}': {reason}", self.name)));
        if self.name.trim().is_empty() {
            return fail("a task needs a name, for reports".into());
        }
        for (part, instances) in [("training", &self.train), ("test", &self.test)] {
            if instances.is_empty() {
                return fail(format!("there is nothing in its {part} part"));
            }
            for (index, instance) in instances.iter().enumerate() {
                if let Err(reason) = check_outputs(&instance.outputs, self.choices.as_deref()) {
                    return fail(format!("{part} instance {index}, from 0: {reason}"));
                }
            }
        }
        if let Some(choices) = &self.choices
            && let Err(reason) = check_choices(choices)
        {
            return fail(reason);
        }
        if self.metric == Metric::Accuracy && self.choices.is_none() {
            return fail("accuracy picks one of several choices: give `choices`, or another metric".into());
        }
        if let Some(chance) = self.chance.filter(|chance| !(0.0..1.0).contains(chance)) {
            return fail(format!("a chance of {chance} is not in [0, 1)"));
        }
        if self.steps == Some(0) {
            return fail("0 steps would train nothing: give at least 1, or leave the task out".into());
        }
        self.check_paraphrases().or_else(fail)
    }
}

fn check_choices(choices: &[String]) -> Result<(), String> {
    if choices.len() < 2 {
        return Err(format!("{} choice: give at least two, or none", choices.len()));
    }
    match choices.iter().enumerate().find(|(i, choice)| choice.trim().is_empty() || choices[..*i].contains(choice)) {
        Some((_, choice)) => Err(format!("the choice '{choice}' is blank or is given twice")),
        None => Ok(()),
    }
}

/// Why these answers cannot be learned or scored.
fn check_outputs(outputs: &[String], choices: Option<&[String]>) -> Result<(), String> {
    if outputs.is_empty() {
        return Err("there is no output: give at least one acceptable answer".to_owned());
    }
    for output in outputs {
        if output.trim().is_empty() {
            return Err("an output is empty, and would teach the model to say nothing".to_owned());
        }
        if let Some(choices) = choices.filter(|choices| !choices.contains(output)) {
            return Err(format!("the output '{output}' is not one of the choices: {}", choices.join(", ")));
        }
    }
    Ok(())
}

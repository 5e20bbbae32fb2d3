//! Tasks as in-context prompts put them: of a file of examples, half to show and half to ask.

use std::path::Path;

use anyhow::{Result, bail};
use orbit_data::TextTokenizer;
use orbit_data::instruct::{InContext, InContextPrompt, Instance, Task, TaskForm, TaskSource};
use orbit_models::instruction_vector::Prompt;

use crate::usage::Usage;

/// The task of a file: its first half as the training part, its second as the test.
///
/// # Errors
/// When the file cannot be read, or has fewer than two examples.
pub(crate) fn halves(file: &Path, form: TaskForm) -> Result<Task> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = name.split('.').next().unwrap_or_default().to_owned();
    let source = TaskSource { test: Some(file.to_owned()), ..TaskSource::new(name, form, file) };
    let (mut task, _) = source.read(Path::new(""))?;
    task.test = task.train.split_off(task.train.len().div_ceil(2));
    if task.test.is_empty() {
        return Err(Usage::new(format!("{}: a task needs two examples at least", file.display())).into());
    }
    Ok(task)
}

/// `count` instances of the first half, from the beginning again where it has fewer.
pub(crate) fn some(task: &Task, count: usize) -> Vec<Instance> {
    task.train.iter().cycle().take(count).cloned().collect()
}

/// Prompts that ask `instances`, in tokens and in words.
///
/// # Errors
/// When there are too few examples to show, or a prompt is longer than the model reads.
pub(crate) fn prompts(
    task: &Task,
    instances: &[Instance],
    how: InContext,
    tokenizer: &TextTokenizer,
    longest: usize,
) -> Result<(Vec<Prompt>, Vec<InContextPrompt>)> {
    let texts = how.prompts(task, instances)?;
    let tokens = texts.iter().map(|InContextPrompt { prompt, answer }| {
        let (tokens, answer) = tokenizer.continued(prompt, answer)?;
        let prompt = Prompt { tokens, answer };
        let length = prompt.tokens.len() + prompt.answer.len();
        if length > longest {
            bail!(
                "task {}: a prompt has {length} tokens, and the model reads {longest}: show fewer examples",
                task.name
            );
        }
        Ok(prompt)
    });
    Ok((tokens.collect::<Result<_>>()?, texts))
}

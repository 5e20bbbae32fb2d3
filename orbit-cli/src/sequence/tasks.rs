//! How well a model does the tasks.

use anyhow::{Context, Result};
use orbit_core::score::{Choices, choices};
use orbit_data::TextTokenizer;
use orbit_data::instruct::{Prompts, Task};
use orbit_data::metric::Score;
use orbit_data::text::likeliest;
use orbit_models::LanguageModel;
use orbit_models::generate::{Answering, answers};
use serde::{Deserialize, Serialize};

use crate::progress::Progress;

/// Tokens a forward pass when choices are scored, at most.
const BATCH_TOKENS: usize = 2048;

/// What one task came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TaskResult {
    pub(crate) name: String,
    pub(crate) score: Score,
    /// What the model wrote for each test instance; the choices it took, where it was asked to choose.
    pub(crate) answers: Vec<String>,
}

/// How a model is asked.
#[derive(Clone, Copy)]
pub(crate) struct Examiner<'a> {
    pub(crate) prompts: &'a Prompts<'a>,
    pub(crate) tokenizer: &'a TextTokenizer,
    /// Tokens an answer, at most.
    pub(crate) longest: usize,
    /// Answers at a time.
    pub(crate) batch: usize,
    pub(crate) quiet: bool,
}

impl Examiner<'_> {
    /// The score of a task's test part. `adapters` chooses one of the model's adapters for every instance; empty for a model
    /// without.
    pub(crate) fn score(&self, model: &LanguageModel, task: &Task, adapters: &[Option<usize>]) -> Result<TaskResult> {
        let scored = if task.metric.generates() {
            self.written(model, task, adapters)
        } else {
            self.chosen(model, task, adapters)
        };
        scored.with_context(|| format!("task {}", task.name))
    }

    fn written(&self, model: &LanguageModel, task: &Task, adapters: &[Option<usize>]) -> Result<TaskResult> {
        let prompts = task.test.iter().map(|instance| self.prompts.prompt(task, instance));
        let prompts = prompts.collect::<orbit_data::Result<Vec<_>>>()?;
        let answers = self.answers(model, &task.name, &prompts, adapters)?;
        Ok(TaskResult { name: task.name.clone(), score: task.score(&answers)?, answers })
    }

    /// What the model writes after each prompt.
    pub(crate) fn answers(
        &self,
        model: &LanguageModel,
        label: &str,
        prompts: &[Vec<u32>],
        adapters: &[Option<usize>],
    ) -> Result<Vec<String>> {
        let ends: Vec<u32> = model.end_tokens().iter().copied().chain(self.prompts.closing()).collect();
        let how = Answering { ends: &ends, longest: self.longest, batch: self.batch, draw: None };
        let mut progress = Progress::new(label, 0, prompts.len() as u64, self.quiet);
        let mut done = 0;
        let written = answers(model, prompts, adapters, how, &mut |rows| {
            tracing::debug!(rows, "answer batch");
            done += rows as u64;
            progress.set(done, &[]);
        })?;
        progress.finish();
        let text = |tokens: &Vec<u32>| Ok(self.tokenizer.decode_answer(tokens)?.trim().to_owned());
        written.iter().map(text).collect()
    }

    fn chosen(&self, model: &LanguageModel, task: &Task, adapters: &[Option<usize>]) -> Result<TaskResult> {
        let items = task.test.iter().enumerate().map(|(at, instance)| {
            let (context, continuations) = self.prompts.choices(task, instance)?;
            Ok(Choices { context, continuations, adapter: adapters.get(at).copied().flatten() })
        });
        let items = items.collect::<Result<Vec<_>>>()?;
        let scores = choices(model, &items, BATCH_TOKENS, &mut |_| {})?;
        let taken: Vec<usize> = scores.iter().map(|scores| likeliest(scores)).collect();
        let words = task.choices.as_deref().unwrap_or_default();
        let answers = taken.iter().map(|&at| words.get(at).cloned().unwrap_or_default()).collect();
        Ok(TaskResult { name: task.name.clone(), score: task.score_choices(&taken)?, answers })
    }
}

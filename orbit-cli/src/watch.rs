//! The warning: how the instruction vectors of tasks that are not trained move while a model is trained, beside how well it
//! still does the tasks.
//!
//! The cosine between the vector before and after fine-tuning goes with what is left of the skill (arXiv 2502.11019, R² .87 in one
//! of its settings). The heads stay those of the vector's file; what they find, and what their output projections make of it, is
//! taken anew at every look.

use anyhow::{Context, Result};
use orbit_core::score::{Choices, choices};
use orbit_data::TextTokenizer;
use orbit_data::instruct::{InContext, Prompts, Task};
use orbit_models::LanguageModel;
use orbit_models::instruction_vector::{ChosenHead, InstructionVector, Prompt, prompt_ends, vector_of};
use serde::{Deserialize, Serialize};

use crate::config::{WatchSection, WatchedTask};
use crate::in_context;

/// Prompts a forward pass.
const BATCH: usize = 16;
/// Tokens a forward pass where answers are scored, at most.
const BATCH_TOKENS: usize = 2048;

/// The tasks that a run watches.
pub(crate) struct Watch {
    /// Steps between looks.
    pub(crate) every: u64,
    tasks: Vec<Watched>,
}

struct Watched {
    name: String,
    heads: Vec<ChosenHead>,
    /// That show examples.
    shown: Vec<Prompt>,
    /// That give the instruction alone, with the answer.
    instructed: Vec<Choices>,
    before: Vec<f32>,
}

/// What a look at one task came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// The task.
    pub task: String,
    /// Of the vector now with the vector before training.
    pub cosine: f64,
    /// The share of prompts that show examples after which the answer's first token is the likeliest.
    pub in_context: f64,
    /// −log-likelihood of the answers where the instruction is given and nothing is shown, in nats a token.
    pub loss: f64,
}

impl Watch {
    /// Looks at the untrained model once.
    ///
    /// # Errors
    /// For a file that cannot be read, a vector of other weights, a task with too few examples to show.
    pub(crate) fn open(
        section: &WatchSection,
        model: &LanguageModel,
        tokenizer: &TextTokenizer,
        prompts: &Prompts<'_>,
    ) -> Result<Self> {
        let digest = model.base_digest();
        let watched = section.tasks.iter().map(|watched| {
            let vector = InstructionVector::load(&watched.vector)?;
            vector.check(&digest).with_context(|| watched.vector.display().to_string())?;
            Watched::open(section, watched, vector.about.heads, (model, tokenizer, prompts))
                .with_context(|| format!("the watched task {}", watched.path.display()))
        });
        Ok(Self { every: section.every, tasks: watched.collect::<Result<_>>()? })
    }

    /// Looks at every task. A forward pass over its prompts.
    pub(crate) fn look(&self, model: &LanguageModel) -> Result<Vec<Seen>> {
        self.tasks.iter().map(|task| task.look(model)).collect()
    }
}

impl Watched {
    fn open(
        section: &WatchSection,
        WatchedTask { path, form, .. }: &WatchedTask,
        heads: Vec<ChosenHead>,
        (model, tokenizer, prompts): (&LanguageModel, &TextTokenizer, &Prompts<'_>),
    ) -> Result<Self> {
        let task = in_context::halves(path, *form)?;
        let how = InContext { shots: section.shots, shuffled: false, seed: 0 };
        let asked = in_context::some(&task, section.prompts);
        let (shown, _) = in_context::prompts(&task, &asked, how, tokenizer, model.longest_text())?;
        let instructed = instructed(prompts, &task, section.prompts)?;
        let before = vector_of(model, &prompt_ends(model, &shown, BATCH)?.means, &heads)?;
        Ok(Self { name: task.name, heads, shown, instructed, before })
    }

    fn look(&self, model: &LanguageModel) -> Result<Seen> {
        let ends = prompt_ends(model, &self.shown, BATCH)?;
        let now = vector_of(model, &ends.means, &self.heads)?;
        let right = ends.ranks.iter().filter(|rank| **rank == 0).count();
        let scores = choices(model, &self.instructed, BATCH_TOKENS, &mut |_| {})?;
        let tokens: usize = self.instructed.iter().map(|item| item.continuations[0].len()).sum();
        Ok(Seen {
            task: self.name.clone(),
            cosine: cosine(&self.before, &now),
            in_context: right as f64 / ends.ranks.len() as f64,
            loss: -scores.iter().flatten().sum::<f64>() / tokens as f64,
        })
    }
}

/// Instances of the second half, asked by their instruction.
fn instructed(prompts: &Prompts<'_>, task: &Task, count: usize) -> Result<Vec<Choices>> {
    let asked = &task.test[..count.min(task.test.len())];
    let examples = prompts.examples(task, asked)?.examples.into_iter();
    let item = |example: orbit_data::Example| Choices {
        context: example.prompt().to_vec(),
        continuations: vec![example.learned().to_vec()],
        adapter: None,
    };
    Ok(examples.map(item).collect())
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_do_not_depend_on_lengths() {
        assert!((cosine(&[1.0, 2.0], &[3.0, 6.0]) - 1.0).abs() < 1e-12);
        assert!(cosine(&[1.0, 0.0], &[0.0, 2.0]).abs() < 1e-12);
        assert!((cosine(&[1.0, 0.0], &[-1.0, 0.0]) + 1.0).abs() < 1e-12);
    }
}

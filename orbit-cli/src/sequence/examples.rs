//! What a stage trains on: the examples of its task, and old ones among them.

use std::path::Path;

use anyhow::{Context, Result, bail};
use orbit_data::example::{ExampleSource, Replay as Mixed, Windows};
use orbit_data::instruct::{Prompts, Task};
use orbit_data::text::TextSource;
use orbit_data::{Example, Loader, TextTokenizer};
use orbit_models::LanguageModel;
use orbit_models::generate::{Answering, answers};

use crate::config::{ReplayFrom, SequenceFile};
use crate::training;

/// New examples, and old ones of any kind.
pub(crate) type Examples = Mixed<Vec<Example>, Box<dyn ExampleSource>>;

/// What the model wrote before the run.
const GENERATED: &str = "generated.json";

/// The examples of a stage in seeded order.
pub(crate) fn loader(
    run: &SequenceFile,
    prompts: &Prompts<'_>,
    tasks: &[Task],
    stage: usize,
    replayed: &Replayed,
) -> Result<Loader<Examples>> {
    let task = &tasks[stage];
    let new = learned(prompts, task)?;
    let old = replayed.at(prompts, &tasks[..stage])?;
    let share = run.replay.as_ref().map_or(0.0, |replay| if old.is_empty() { 0.0 } else { replay.share });
    let seed = run.seed.wrapping_add(stage as u64);
    let mixed = Mixed::new(new, old, share, seed)?;
    training::loader(mixed, &run.train, seed).with_context(|| format!("task {}", task.name))
}

/// The training part of a task as examples.
pub(crate) fn learned(prompts: &Prompts<'_>, task: &Task) -> Result<Vec<Example>> {
    Ok(prompts.examples(task, &task.train)?.examples)
}

/// What a run replays, but for earlier tasks, which depend on the stage.
pub(crate) enum Replayed {
    Nothing,
    Tasks,
    Text(Windows),
    Written(Vec<Example>),
}

impl Replayed {
    /// Reads or makes what is replayed. What the model is to write, it writes once a run directory.
    pub(crate) fn new(
        run: &SequenceFile,
        model: &LanguageModel,
        tokenizer: &TextTokenizer,
        dir: &Path,
    ) -> Result<Self> {
        Ok(match run.replay.as_ref().map(|replay| &replay.from) {
            None => Self::Nothing,
            Some(ReplayFrom::Tasks) => Self::Tasks,
            Some(ReplayFrom::Text { sources, window }) => {
                Self::Text(Windows::new(stream(sources, tokenizer, model)?, *window))
            }
            Some(&ReplayFrom::Generated { texts, length }) => {
                let path = dir.join(GENERATED);
                if !path.exists() {
                    let texts = written(run, model, texts, length)?;
                    super::write_json(&path, &texts)?;
                }
                let texts: Vec<Vec<u32>> = super::read_json(&path)?;
                if texts.is_empty() {
                    bail!("replay.from.generated: the model wrote nothing, so there is nothing to replay");
                }
                Self::Written(texts.into_iter().map(|tokens| Example { tokens, answer: 1 }).collect())
            }
        })
    }

    fn at(&self, prompts: &Prompts<'_>, earlier: &[Task]) -> Result<Box<dyn ExampleSource>> {
        Ok(match self {
            Self::Nothing => Box::new(Vec::new()),
            Self::Tasks => {
                let examples = earlier.iter().map(|task| learned(prompts, task)).collect::<Result<Vec<_>>>()?;
                Box::new(examples.concat())
            }
            Self::Text(windows) => Box::new(windows.clone()),
            Self::Written(examples) => Box::new(examples.clone()),
        })
    }
}

/// All documents as one row of tokens, each behind the token that a text begins with.
fn stream(sources: &[TextSource], tokenizer: &TextTokenizer, model: &LanguageModel) -> Result<Vec<u32>> {
    let mut tokens = Vec::new();
    for source in sources {
        for document in source.documents(Path::new(""))? {
            tokens.push(model.first_token());
            tokens.extend(tokenizer.text(&document)?);
        }
    }
    Ok(tokens)
}

/// Texts that the model writes by itself, each behind the token that a text begins with. Empty ones are left out.
fn written(run: &SequenceFile, model: &LanguageModel, texts: usize, length: usize) -> Result<Vec<Vec<u32>>> {
    let first = model.first_token();
    let how = Answering { ends: model.end_tokens(), longest: length, batch: run.evaluate.batch, draw: Some(run.seed) };
    let texts = answers(model, &vec![vec![first]; texts], &[], how, &mut |_| {})?;
    Ok(texts.into_iter().filter(|text| !text.is_empty()).map(|text| [vec![first], text].concat()).collect())
}

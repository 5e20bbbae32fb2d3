use std::path::Path;

use orbit_data::instruct::{Prompts, TaskSequence};

use super::Data;
use super::base::Base;
use crate::config::{ReplayFrom, RunFile, SequenceFile, Source};

/// Tokens that a chat template writes around a question and its answer, roughly.
const AROUND: usize = 32;

/// The longest texts of a run, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Texts {
    /// A prompt with its answer.
    pub(super) width: usize,
    /// What is learned of it.
    pub(super) answer: usize,
}

impl Texts {
    /// Those of a run whose semantic IDs have these codes, and whose longest history has so many items.
    pub(super) fn of_run(run: &RunFile, base: &Base, codes: &[usize], longest: usize) -> Self {
        // An item is its codes between two special tokens.
        let item = codes.len() + 2;
        let text = run.examples.text_tokens;
        let (question, answer) = match run.corpus.source() {
            Ok(Source::Documents(_)) => (text, item),
            _ => {
                let history = run.examples.max_history.min(longest).saturating_mul(item);
                let title = if run.examples.title_to_id > 0.0 { text } else { 0 };
                (history.max(title), item)
            }
        };
        let described = if run.examples.id_to_title > 0.0 { text } else { 0 };
        let words = question.saturating_add(answer).max(described.saturating_add(item));
        // An answer ends with a token that closes it.
        Self {
            width: words.saturating_add(base.around(codes).unwrap_or(AROUND)),
            answer: answer.max(described).saturating_add(1),
        }
    }

    /// Those of a sequence of tasks.
    pub(super) fn of_sequence(run: &SequenceFile, base: &Base, data: Data) -> Self {
        let (prompt, answer) = (run.sequence.prompt, run.sequence.answer);
        let read = (data == Data::Read).then(|| longest_example(run, base)).flatten();
        let new = read.unwrap_or(Self { width: prompt.saturating_add(answer), answer });
        let old = match run.replay.as_ref().map(|replay| &replay.from) {
            Some(ReplayFrom::Text { window, .. }) => window.saturating_add(1),
            Some(ReplayFrom::Generated { length, .. }) => length.saturating_add(1),
            Some(ReplayFrom::Tasks) | None => 0,
        };
        // All of an old text is learned.
        Self { width: new.width.max(old), answer: new.answer.max(old) }
    }
}

/// The longest example, and the longest answer, of all tasks.
fn longest_example(run: &SequenceFile, base: &Base) -> Option<Texts> {
    let (tasks, _) = TaskSequence::read(&run.tasks, Path::new("")).ok()?;
    let (tokenizer, chat) = base.speech().ok()?;
    let prompts = Prompts::new(&chat, &tokenizer, run.limits(base.positions())).ok()?;
    let mut longest: Option<Texts> = None;
    for task in tasks.tasks() {
        for example in prompts.examples(task, &task.train).ok()?.examples {
            let Texts { width, answer } = longest.unwrap_or(Texts { width: 0, answer: 0 });
            let learned = example.tokens.len() - example.answer;
            longest = Some(Texts { width: width.max(example.tokens.len()), answer: answer.max(learned) });
        }
    }
    longest
}

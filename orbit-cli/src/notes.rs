//! What is said of a run before it begins and in its report: what is cut, what is never closed, what can never be right.
//!
//! Nothing here needs the weights, so that `orbit explain` can say it, and `orbit train` before it writes anything.

use std::path::Path;

use anyhow::{Context, Result};
use orbit_data::chat::ChatTemplate;
use orbit_data::corpus::ReadReport;
use orbit_data::instruct::{Prompts, TaskSequence};
use orbit_data::{TextTokenizer, Vocabulary};
use orbit_models::Extension;

use crate::config::{RunFile, SequenceFile, Text};
use crate::memory::{self, Base};
use crate::usage::Usage;
use crate::{job, language, pipeline, training};

/// Of a run whose paths are absolute.
///
/// # Errors
/// When rows have more tokens than the model has positions or do not fill a batch, and what is wrong with the model's files, the
/// data, the suites or the device.
pub(crate) fn of_run(run: &RunFile) -> Result<Vec<String>> {
    check_untaught(run)?;
    let base = Base::of(run)?;
    let (tokenizer, chat) = base.speech()?;
    let data = pipeline::read(&run.corpus)?;
    // The codes are not made yet; how many there are is what lengths depend on.
    let levels = memory::codes_per_level(run, Some(&data.corpus));
    let codes = vec![vec![0; levels.len()]; data.corpus.items.len()];
    let vocabulary = Vocabulary::new(tokenizer, &levels)?;
    let spoken = (&chat, &vocabulary, codes.as_slice());
    let subject = job::subject(run, data, base.positions(), spoken)?;
    job::check_lengths(run, &*subject, base.positions())?;
    job::loader(run, &*subject)?;
    check_surroundings(&run.device, run.evaluate.text.as_ref())?;
    let mut notes = subject.notes(run)?;
    notes.extend(never_closed(job::closes(spoken)?));
    Ok(notes)
}

/// That the model has no semantic IDs yet.
fn check_untaught(run: &RunFile) -> Result<()> {
    let Some(path) = run.model.path.as_ref().filter(|path| path.is_dir()) else { return Ok(()) };
    if Extension::read(path)?.is_none_or(|extension| extension.semantic_ids.is_none()) {
        return Ok(());
    }
    let model = run.model.label();
    Err(Usage::new(format!("{model} has learned semantic IDs already: start from the model it came from")).into())
}

/// Of a sequence whose paths are absolute.
///
/// # Errors
/// As [`of_run`].
pub(crate) fn of_sequence(run: &SequenceFile) -> Result<Vec<String>> {
    let base = Base::read(&run.model.path)?;
    let (tokenizer, chat) = base.speech()?;
    let (tasks, reports) = TaskSequence::read(&run.tasks, Path::new(""))?;
    let mut notes: Vec<String> =
        tasks.names().zip(&reports).filter_map(|(task, report)| skipped(task, report)).collect();
    notes.extend(of_tasks(run, &tasks, (&tokenizer, &chat), base.positions())?);
    check_surroundings(&run.device, run.evaluate.text.as_ref())?;
    Ok(notes)
}

/// What else can be wrong before a run has cost anything: its device, and the suites that it ends with.
fn check_surroundings(device: &str, suites: Option<&Text>) -> Result<()> {
    orbit_core::device(device)?;
    suites.map(language::suites).transpose()?;
    Ok(())
}

fn of_tasks(
    run: &SequenceFile,
    tasks: &TaskSequence,
    (tokenizer, chat): (&TextTokenizer, &ChatTemplate),
    positions: Option<usize>,
) -> Result<Vec<String>> {
    let limits = run.limits(positions);
    let prompts = Prompts::new(chat, tokenizer, limits)?;
    let mut notes = Vec::new();
    if limits.prompt < run.sequence.prompt {
        let (kept, wanted) = (limits.prompt, run.sequence.prompt);
        notes.push(format!("prompts keep {kept} tokens, not {wanted}: the model has no more positions"));
    }
    for task in tasks.tasks() {
        let made = prompts.examples(task, &task.train)?;
        let all = made.examples.len();
        for (what, cut, limit, what_follows) in [
            ("inputs", made.cut_inputs, limits.prompt, ""),
            ("answers", made.cut_answers, limits.answer, "; they are not closed"),
        ] {
            if cut > 0 {
                let name = &task.name;
                notes.push(format!("task {name}: {cut} of {all} {what} were cut to {limit} tokens{what_follows}"));
            }
        }
        let tested = task.test.iter().map(|instance| Ok(prompts.prompt(task, instance)?.len() + 1));
        let lengths = made.examples.iter().map(|example| Ok(example.tokens.len())).chain(tested);
        check_lengths(&task.name, &lengths.collect::<Result<Vec<_>>>()?, positions)?;
        // What is replayed fills batches, too, and some of it the model has yet to write.
        if run.replay.is_none() {
            training::loader(made.examples, &run.train, run.seed).with_context(|| format!("task {}", task.name))?;
        }
    }
    notes.extend(never_closed(prompts.closing().is_some()));
    Ok(notes)
}

fn check_lengths(task: &str, lengths: &[usize], positions: Option<usize>) -> Result<()> {
    let Some(positions) = positions else { return Ok(()) };
    let long = lengths.iter().filter(|length| **length > positions).count();
    if long == 0 {
        return Ok(());
    }
    let (all, longest) = (lengths.len(), lengths.iter().max().unwrap_or(&0));
    Err(Usage::new(format!(
        "task {task}: {long} of {all} rows have more tokens than the model has positions, {positions}: the longest has \
         {longest}. Lower sequence.prompt or sequence.answer, or set train.too_long to \"cut\""
    ))
    .into())
}

fn skipped(task: &str, report: &ReadReport) -> Option<String> {
    let first = report.first.as_ref()?;
    Some(format!("task {task}: {} of {} rows were skipped; the first: {first}", report.skipped, report.rows))
}

/// What is said of a template that does not close an answer.
pub(crate) fn never_closed(closes: bool) -> Option<String> {
    let note = "the chat template closes no answer with a special token: the model does not learn where to stop";
    (!closes).then(|| note.to_owned())
}

/// Says them on the terminal.
pub(crate) fn warn(notes: &[String]) {
    notes.iter().for_each(|note| tracing::warn!("{note}"));
}

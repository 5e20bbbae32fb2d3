//! The new job: what is to be named by its semantic ID, how a model is taught to, and what it is asked.

mod documents;
mod items;

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use orbit_data::chat::ChatTemplate;
use orbit_data::example::{ExampleSource, ItemForm, Mixed};
use orbit_data::{Loader, SemanticIds, Trie, Vocabulary};

use crate::catalogue::Catalogue;
use crate::config::{self, Retrieval, RunFile, TooLong};
use crate::pipeline::{self, Base, Data};
use crate::report::Baselines;
use crate::usage::Usage;
use crate::{notes, semantic_ids, training};

pub(crate) use items::{User, counts, unreachable, users};

/// The largest cut-off that is reported.
pub(crate) const CUTOFF: usize = 20;
/// Of the choice of users or queries: the same for every run, so that runs can be compared.
const SEED: u64 = 0;

/// Kinds of examples, and how often those of each come in an epoch.
type Kinds = Vec<(Box<dyn ExampleSource>, f64)>;

/// A prompt of an evaluation.
pub(crate) struct Asked {
    /// In tokens.
    pub(crate) prompt: Vec<u32>,
    /// What may be answered.
    pub(crate) right: Vec<u32>,
    /// What the user has met.
    pub(crate) seen: Vec<u32>,
    /// Tokens of an answer.
    pub(crate) answer: usize,
}

/// What a job is about: items and their users, or documents and queries.
pub(crate) trait Subject {
    /// A digest of the data.
    fn digest(&self) -> String;

    /// What is learned.
    fn kinds(&self, run: &RunFile) -> Result<Kinds>;

    /// At most `count` prompts that the model has not learned from.
    fn asked(&self, count: usize) -> Result<Vec<Asked>>;

    /// What needs no model, on the same prompts.
    fn baselines(&self, how: &Retrieval) -> Baselines;

    /// What a directory of the trained model says of its items.
    fn catalogue(&self) -> Catalogue;

    /// What of the data is cut, or can never be right: a sentence each.
    fn notes(&self, run: &RunFile) -> Result<Vec<String>>;
}

/// The job of a run.
pub(crate) struct Job {
    pub(crate) ids: SemanticIds,
    pub(crate) vocabulary: Vocabulary,
    subject: Box<dyn Subject>,
    closes: bool,
}

impl Job {
    /// Reads the data, and makes the semantic IDs unless they are `known` and in a file.
    pub(crate) fn new(run: &RunFile, base: &Base, known: Option<PathBuf>, quiet: bool) -> Result<Self> {
        let data = pipeline::read(&run.corpus)?;
        let from_file = known.map(|file| config::SemanticIds { file: Some(file), ..Default::default() });
        let section = from_file.as_ref().unwrap_or(&run.semantic_ids);
        let ids = semantic_ids::trainable(section, &data.corpus, data.embeddings.as_ref(), quiet)?;
        let vocabulary = Vocabulary::new(base.speech.tokenizer.clone(), ids.codes_per_level())?;
        let codes: Vec<Vec<u16>> = ids.iter().map(<[u16]>::to_vec).collect();
        let positions = base.model.positions();
        let spoken = (&base.speech.chat, &vocabulary, codes.as_slice());
        let closes = closes(spoken)?;
        let subject = subject(run, data, positions, spoken)?;
        check_lengths(run, &*subject, positions)?;
        Ok(Self { ids, vocabulary, subject, closes })
    }

    /// What is learned, in seeded order.
    pub(crate) fn loader(&self, run: &RunFile) -> Result<Loader<Mixed>> {
        loader(run, &*self.subject)
    }

    /// The sequences that an answer may be.
    pub(crate) fn valid_ids(&self) -> Result<Trie> {
        valid_ids(&self.ids, &self.vocabulary)
    }

    /// A digest of the data.
    pub(crate) fn digest(&self) -> String {
        self.subject.digest()
    }

    /// At most `count` prompts that the model has not learned from.
    pub(crate) fn asked(&self, count: usize) -> Result<Vec<Asked>> {
        self.subject.asked(count)
    }

    /// What needs no model, on the same prompts.
    pub(crate) fn baselines(&self, how: &Retrieval) -> Baselines {
        self.subject.baselines(how)
    }

    /// What a directory of the trained model says of its items.
    pub(crate) fn catalogue(&self) -> Catalogue {
        self.subject.catalogue()
    }

    /// What of the data is cut, never closed, or can never be right.
    pub(crate) fn notes(&self, run: &RunFile) -> Result<Vec<String>> {
        Ok(self.subject.notes(run)?.into_iter().chain(notes::never_closed(self.closes)).collect())
    }
}

/// What a run is about, whose items are called by `codes`. Where it says so, rows are cut to a model's `positions`.
pub(crate) fn subject(
    run: &RunFile,
    data: Data,
    positions: Option<usize>,
    spoken: (&ChatTemplate, &Vocabulary, &[Vec<u16>]),
) -> Result<Box<dyn Subject>> {
    let (chat, vocabulary, codes) = spoken;
    let mut examples = run.examples.clone();
    if let Some(positions) = positions.filter(|_| run.train.too_long == TooLong::Cut) {
        let users = usize::from(vocabulary.users().is_some());
        let (history, text) = ItemForm::new(chat, vocabulary, codes)?.fitting(positions, users);
        if history == 0 || text == 0 {
            let reason = format!("the model's {positions} positions have no room for a question and an answer");
            return Err(Usage::new(reason).into());
        }
        examples.max_history = examples.max_history.min(history);
        examples.text_tokens = examples.text_tokens.min(text);
    }
    Ok(match data.documents {
        Some(corpus) => Box::new(documents::Documents::new(corpus, examples.text_tokens, spoken)?),
        None => Box::new(items::Items::new(data.corpus, &examples, spoken)?),
    })
}

/// Whether an answer ends with a special token.
pub(crate) fn closes((chat, vocabulary, codes): (&ChatTemplate, &Vocabulary, &[Vec<u16>])) -> Result<bool> {
    let form = ItemForm::new(chat, vocabulary, codes)?;
    Ok(form.closing().last().is_some_and(|&token| vocabulary.text().is_special(token)))
}

/// What is learned, in seeded order.
pub(crate) fn loader(run: &RunFile, subject: &dyn Subject) -> Result<Loader<Mixed>> {
    training::loader(Mixed::new(subject.kinds(run)?, run.seed)?, &run.train, run.seed)
}

/// That no row has more tokens than the model has positions, in training or in what is asked.
pub(crate) fn check_lengths(run: &RunFile, subject: &dyn Subject, positions: Option<usize>) -> Result<()> {
    let Some(positions) = positions else { return Ok(()) };
    let mut lengths: Vec<usize> = Vec::new();
    for (kind, _) in subject.kinds(run)?.iter().filter(|(_, weight)| *weight > 0.0) {
        lengths.extend((0..kind.len()).map(|row| kind.length(row)));
    }
    if let Some(how) = &run.evaluate.retrieval {
        lengths.extend(subject.asked(how.users)?.iter().map(|asked| asked.prompt.len() + asked.answer));
    }
    let long = lengths.iter().filter(|length| **length > positions).count();
    if long == 0 {
        return Ok(());
    }
    Err(Usage::new(format!(
        "{long} of {} rows have more tokens than the model has positions, {positions}: the longest has {}. Lower \
         examples.max_history or examples.text_tokens, or set train.too_long to \"cut\"",
        lengths.len(),
        lengths.iter().max().unwrap_or(&0)
    ))
    .into())
}

/// The IDs of all items, in tokens.
pub(crate) fn valid_ids(ids: &SemanticIds, vocabulary: &Vocabulary) -> Result<Trie> {
    let sequences = ids.iter().map(|codes| vocabulary.sid(codes)).collect::<orbit_data::Result<Vec<_>>>()?;
    Ok(Trie::new(sequences.iter().map(Vec::as_slice))?)
}

/// Whether there is anything to ask.
fn some<T>(asked: Vec<T>, what: &str) -> Result<Vec<T>> {
    if asked.is_empty() { Err(anyhow!("there is nothing to measure: {what}")) } else { Ok(asked) }
}

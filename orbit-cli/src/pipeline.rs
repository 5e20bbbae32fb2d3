//! The path of the data: from the files that a run names to a model and its examples.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use burn::tensor::Device;
use orbit_core::Model;
use orbit_data::chat::ChatTemplate;
use orbit_data::example::{NextItem, NextItems};
use orbit_data::semantic_id::Verdict;
use orbit_data::{Corpus, ItemEmbeddings, Loader, SemanticIds, Split, Trie, Vocabulary};
use orbit_models::generate::Constraint;
use orbit_models::{LanguageModel, gguf};
use tokenizers::Tokenizer;

use crate::config::{Corpus as CorpusSection, RunFile, SemanticIds as IdSection, Source};
use crate::progress::Progress;

/// A model as it was published, with what it speaks.
pub(crate) struct Base {
    pub(crate) model: LanguageModel,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) chat: ChatTemplate,
    /// Codes of each level of the semantic IDs that it has learned; none for a model that has learned none.
    codes_per_level: Vec<usize>,
}

/// The semantic IDs beside a model that has learned them.
pub(crate) const IDS_FILE: &str = "semantic_ids.json";

impl Base {
    /// Opens a Hugging Face directory or a GGUF file.
    pub(crate) fn open(path: &Path, device: &Device) -> Result<Self> {
        if path.is_file() {
            return Self::open_gguf(path, device);
        }
        let file = path.join("tokenizer.json");
        let tokenizer = Tokenizer::from_file(&file).map_err(|e| anyhow!("{}: {e}", file.display()))?;
        let ids = path.join(IDS_FILE);
        let codes_per_level =
            if ids.exists() { SemanticIds::load(&ids)?.codes_per_level().to_vec() } else { Vec::new() };
        Ok(Self {
            model: LanguageModel::load(path, device)?,
            tokenizer,
            chat: ChatTemplate::read(path)?,
            codes_per_level,
        })
    }

    fn open_gguf(path: &Path, device: &Device) -> Result<Self> {
        let file = gguf::read(path)?;
        let tokenizer = serde_json::to_vec(&file.tokenizer)?;
        let tokenizer = Tokenizer::from_bytes(tokenizer).map_err(|e| anyhow!("{}: {e}", path.display()))?;
        let config = file.tokenizer_config.as_object().cloned().unwrap_or_default();
        let model = orbit_models::from_weights(file.config, file.weights, path, device)?.into();
        Ok(Self { model, tokenizer, chat: ChatTemplate::from_config(config)?, codes_per_level: Vec::new() })
    }

    /// The words of the model, with the semantic IDs that it has learned.
    pub(crate) fn vocabulary(&self) -> Result<Vocabulary> {
        Ok(Vocabulary::new(
            self.tokenizer.clone(),
            u32::try_from(self.model.base_vocabulary())?,
            &self.codes_per_level,
        )?)
    }
}

/// The job: items with their IDs, and how the model speaks of them.
pub(crate) struct Job {
    pub(crate) corpus: Corpus,
    pub(crate) ids: SemanticIds,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) form: NextItem,
}

impl Job {
    pub(crate) fn new(run: &RunFile, base: &Base, quiet: bool) -> Result<Self> {
        let (corpus, embeddings) = read_corpus(run)?;
        let ids = trainable_ids(run, &corpus, embeddings, quiet)?;
        let rows = u32::try_from(base.model.base_vocabulary())?;
        let vocabulary = Vocabulary::new(base.tokenizer.clone(), rows, ids.codes_per_level())?;
        let codes: Vec<Vec<u16>> = ids.iter().map(<[u16]>::to_vec).collect();
        let form = NextItem::new(&base.chat, &vocabulary, &codes, run.examples.max_history)?;
        Ok(Self { corpus, ids, vocabulary, form })
    }

    /// Every training position of every user as an example, in seeded order.
    pub(crate) fn loader(&self, run: &RunFile) -> Result<Loader<NextItems>> {
        let split = Split::leave_one_out(&self.corpus);
        let examples = NextItems::new(self.form.clone(), split.users().iter().map(|user| user.train()))?;
        Ok(Loader::new(examples, run.train.batch, run.train.micro_batch(), run.seed)?)
    }

    /// The sequences that a recommendation may be.
    pub(crate) fn valid_ids(&self) -> Result<ValidIds> {
        ValidIds::new(&self.ids, &self.vocabulary)
    }
}

/// The corpus of a run, and embeddings where it has them. Says how many rows were skipped, and why the first was.
pub(crate) fn read_corpus(run: &RunFile) -> Result<(Corpus, Option<ItemEmbeddings>)> {
    corpus_of(&run.corpus)
}

/// As [`read_corpus`], of the section alone.
pub(crate) fn corpus_of(section: &CorpusSection) -> Result<(Corpus, Option<ItemEmbeddings>)> {
    let source = section.source()?;
    let (corpus, report) = match source {
        Source::Generated(catalogue) => {
            let (corpus, embeddings) = catalogue.generate();
            return Ok((corpus, Some(embeddings)));
        }
        Source::Sequences(sequences, items) => Corpus::read_sequences(sequences, items, section.on_bad_row)?,
        Source::Interactions(interactions, items) => Corpus::read_jsonl(interactions, items, section.on_bad_row)?,
    };
    if let Some(first) = &report.first {
        tracing::warn!("{} of {} rows were skipped; the first: {first}", report.skipped, report.rows);
    }
    let embeddings = section.embeddings.as_ref().map(|path| ItemEmbeddings::read_npy(path, corpus.items.len()));
    Ok((corpus, embeddings.transpose()?))
}

/// The IDs of a run: read from its file, or made from its embeddings.
pub(crate) fn semantic_ids(
    run: &RunFile,
    corpus: &Corpus,
    embeddings: Option<ItemEmbeddings>,
    quiet: bool,
) -> Result<SemanticIds> {
    let section = &run.semantic_ids;
    let ids = match (&section.file, &section.field) {
        (Some(file), Some(field)) => SemanticIds::read_published(file, field, corpus, section.collisions)?,
        (Some(file), None) => SemanticIds::load(file)?,
        (None, _) => {
            let embeddings = embeddings.context("corpus.embeddings is missing: semantic IDs are made from it")?;
            match section.recipe() {
                Some(recipe) => recipe.assign(&embeddings)?,
                None => learned_ids(section, &embeddings, quiet)?,
            }
        }
    };
    if ids.len() != corpus.items.len() {
        return Err(anyhow!("there are semantic IDs of {} items, but {} items", ids.len(), corpus.items.len()));
    }
    Ok(ids)
}

/// IDs by an RQ-VAE. It is small, and trained on the CPU wherever the run computes, so that its IDs do not depend on that.
fn learned_ids(section: &IdSection, embeddings: &ItemEmbeddings, quiet: bool) -> Result<SemanticIds> {
    let settings = section.rq_vae.clone().unwrap_or_default();
    let device = orbit_core::device("flex")?;
    let mut progress = Progress::new("rq_vae", 0, settings.epochs as u64, quiet);
    let mut done = 0;
    let trained = settings.train(embeddings, section.shape(), section.seed, &device, |epoch| {
        done += 1;
        progress.set(done, &[("reconstruction", epoch.reconstruction), ("quantisation", epoch.quantisation)]);
    })?;
    progress.finish();
    Ok(SemanticIds::from_quantiser(trained.quantiser, embeddings, section.collisions)?)
}

/// The IDs that a model is to write: of no two items the same, and not of codebooks that have collapsed.
fn trainable_ids(
    run: &RunFile,
    corpus: &Corpus,
    embeddings: Option<ItemEmbeddings>,
    quiet: bool,
) -> Result<SemanticIds> {
    let ids = semantic_ids(run, corpus, embeddings, quiet)?;
    ids.check_unique()?;
    match ids.health().verdict() {
        Verdict::Sound => {}
        Verdict::Warning(advice) => advice.iter().for_each(|advice| tracing::warn!("semantic IDs: {advice}")),
        Verdict::Collapsed(advice) => tracing::error!("semantic IDs have collapsed: {}", advice.join("; ")),
    }
    Ok(ids)
}

/// A [`Trie`] as decoding wants it.
pub(crate) struct ValidIds(Trie);

impl ValidIds {
    /// Of all items that have an ID.
    pub(crate) fn new(ids: &SemanticIds, vocabulary: &Vocabulary) -> Result<Self> {
        let sequences = ids.iter().map(|codes| vocabulary.sid(codes)).collect::<orbit_data::Result<Vec<_>>>()?;
        Ok(Self(Trie::new(sequences.iter().map(Vec::as_slice))?))
    }
}

impl Constraint for ValidIds {
    fn root(&self) -> u32 {
        self.0.root()
    }
    fn children(&self, node: u32) -> (&[u32], u32) {
        self.0.children(node)
    }
    fn item(&self, node: u32) -> Option<u32> {
        self.0.item(node)
    }
}

//! The path of the data: from the files that a run names to a model and its examples.

use std::path::Path;

use anyhow::{Result, anyhow};
use burn::tensor::Device;
use orbit_core::Model;
use orbit_data::chat::ChatTemplate;
use orbit_data::document::Document;
use orbit_data::vocabulary::{item_tokenizer, read_tokenizer, tokenizer_of};
use orbit_data::{Corpus, DocumentCorpus, Item, ItemEmbeddings, SemanticIds, Vocabulary};
use orbit_models::{EncoderDecoder, LanguageModel, gguf};
use tokenizers::Tokenizer;

use crate::config::{Corpus as CorpusSection, Fresh, RunFile, Source};

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
    /// The model that a run begins with: opened, or made.
    pub(crate) fn of(run: &RunFile, device: &Device) -> Result<Self> {
        match (&run.model.path, &run.model.fresh) {
            (Some(path), _) => Self::open(path, device),
            (None, Some(shape)) => Self::fresh(shape, run.seed, device),
            (None, None) => Err(anyhow!("the run names no model")),
        }
    }

    /// A model from scratch that speaks of nothing but items.
    fn fresh(shape: &Fresh, seed: u64, device: &Device) -> Result<Self> {
        let tokenizer = item_tokenizer(shape.users)?;
        let config = shape.config(tokenizer.get_vocab_size(true));
        let chat = ChatTemplate::plain("</s>")?;
        let model = EncoderDecoder::random(config, seed, device).into();
        Ok(Self { model, tokenizer, chat, codes_per_level: Vec::new() })
    }

    /// Opens a Hugging Face directory or a GGUF file.
    pub(crate) fn open(path: &Path, device: &Device) -> Result<Self> {
        if path.is_file() {
            return Self::open_gguf(path, device);
        }
        let tokenizer = read_tokenizer(&path.join("tokenizer.json"))?;
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
        let tokenizer = tokenizer_of(&serde_json::to_vec(&file.tokenizer)?, path)?;
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

/// What a run reads.
pub(crate) struct Data {
    /// Items and their users. Documents are items too, called by their text, and nobody has met them.
    pub(crate) corpus: Corpus,
    /// The documents with their queries, where that is what is read.
    pub(crate) documents: Option<DocumentCorpus>,
    pub(crate) embeddings: Option<ItemEmbeddings>,
}

impl From<Corpus> for Data {
    fn from(corpus: Corpus) -> Self {
        Self { corpus, documents: None, embeddings: None }
    }
}

/// The data of a run. Says how many rows were skipped, and why the first was.
pub(crate) fn read(section: &CorpusSection) -> Result<Data> {
    let (data, report) = match section.source()? {
        Source::Generated(catalogue) => {
            let (corpus, embeddings) = catalogue.generate();
            return Ok(Data { embeddings: Some(embeddings), ..corpus.into() });
        }
        Source::Sequences(sequences, items) => {
            let (corpus, report) = Corpus::read_sequences(sequences, items, section.on_bad_row)?;
            (corpus.into(), report)
        }
        Source::Interactions(interactions, items) => {
            let (corpus, report) = Corpus::read_jsonl(interactions, items, section.on_bad_row)?;
            (corpus.into(), report)
        }
        Source::Documents(documents) => {
            let (documents, report) = documents.read(section.on_bad_row)?;
            (Data { documents: Some(documents.clone()), ..as_items(documents.documents).into() }, report)
        }
    };
    if let Some(first) = &report.first {
        tracing::warn!("{} of {} rows were skipped; the first: {first}", report.skipped, report.rows);
    }
    let embeddings = section.embeddings.as_ref();
    let embeddings = embeddings.map(|path| ItemEmbeddings::read_npy(path, data.corpus.items.len())).transpose()?;
    Ok(Data { embeddings, ..data })
}

fn as_items(documents: Vec<Document>) -> Corpus {
    let item = |Document { id, text }| Item { id, title: text, ..Item::default() };
    Corpus { items: documents.into_iter().map(item).collect(), users: Vec::new() }
}

//! The path of the data: from the files that a run names to a model and its examples.

use std::path::Path;

use anyhow::{Result, anyhow};
use burn::tensor::Device;
use orbit_data::chat::ChatTemplate;
use orbit_data::document::Document;
use orbit_data::instruct::{Limits, Prompts};
use orbit_data::tokenizer::{Reader, read_tokenizer, tokenizer_of};
use orbit_data::vocabulary::item_tokenizer;
use orbit_data::{Corpus, DocumentCorpus, Item, ItemEmbeddings, SemanticIds, TextTokenizer, Vocabulary};
use orbit_models::{EncoderDecoder, GenerationConfig, LanguageModel, gguf};
use tokenizers::Tokenizer;

use crate::config::{Corpus as CorpusSection, Fresh, RunFile, Source};

/// A model as it was published, with what it speaks.
pub(crate) struct Base {
    pub(crate) model: LanguageModel,
    pub(crate) speech: Speech,
    /// Codes of each level of the semantic IDs that it has learned; none for a model that has learned none.
    codes_per_level: Vec<usize>,
}

/// How a model reads and writes.
pub(crate) struct Speech {
    pub(crate) tokenizer: TextTokenizer,
    pub(crate) chat: ChatTemplate,
    generation: GenerationConfig,
}

impl Speech {
    pub(crate) fn new(
        model: &LanguageModel,
        tokenizer: Tokenizer,
        chat: ChatTemplate,
        generation: Option<GenerationConfig>,
        now: Option<&str>,
    ) -> Result<Self> {
        let chat = match now {
            Some(now) => chat.with_now(now)?,
            None => chat,
        };
        let reader = match model {
            LanguageModel::Decoder(_) => Reader::Decoder,
            LanguageModel::EncoderDecoder(_) => Reader::Encoder,
        };
        let tokenizer = TextTokenizer::new(tokenizer, reader)?;
        let named = ["bos_token", "eos_token"].into_iter().find_map(|name| tokenizer.id(chat.special_token(name)?));
        let tokenizer = tokenizer.with_prefix(named.unwrap_or_else(|| model.first_token()));
        Ok(Self { tokenizer, chat, generation: generation.unwrap_or_else(|| GenerationConfig::of(model)) })
    }

    /// The prompt that puts a user's words to the model.
    pub(crate) fn prompt(&self, words: &str) -> Result<Vec<u32>> {
        let turn = self.chat.turn(&self.tokenizer.guard(words), "?")?;
        Ok(self.tokenizer.prompt(&turn.prompt, !self.chat.is_plain())?)
    }

    /// Writes the files that say so beside a model of the given tokenizer, which may have grown. Where other tools let the model
    /// write, it stops at the token that closes an answer.
    pub(crate) fn save(&self, tokenizer: &TextTokenizer, place: &Path) -> Result<()> {
        tokenizer.save(place)?;
        self.chat.save(place)?;
        let mut generation = self.generation.clone();
        generation.ends_with(Prompts::new(&self.chat, tokenizer, Limits::NONE)?.closing().as_slice());
        Ok(generation.write(place)?)
    }
}

/// The semantic IDs beside a model that has learned them.
pub(crate) const IDS_FILE: &str = "semantic_ids.json";

impl Base {
    /// The model that a run begins with: opened, or made.
    pub(crate) fn of(run: &RunFile, device: &Device) -> Result<Self> {
        match (&run.model.path, &run.model.fresh) {
            (Some(path), _) => Self::open_at(path, run.model.now.as_deref(), device),
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
        Ok(Self { speech: Speech::new(&model, tokenizer, chat, None, None)?, model, codes_per_level: Vec::new() })
    }

    /// Opens a Hugging Face directory or a GGUF file.
    pub(crate) fn open(path: &Path, device: &Device) -> Result<Self> {
        Self::open_at(path, None, device)
    }

    /// As [`open`](Self::open), with the time that a chat template is given.
    pub(crate) fn open_at(path: &Path, now: Option<&str>, device: &Device) -> Result<Self> {
        if path.is_file() {
            return Self::open_gguf(path, now, device);
        }
        LanguageModel::check_directory(path)?;
        let tokenizer = read_tokenizer(&path.join("tokenizer.json"))?;
        let ids = path.join(IDS_FILE);
        let codes_per_level =
            if ids.exists() { SemanticIds::load(&ids)?.codes_per_level().to_vec() } else { Vec::new() };
        let chat = ChatTemplate::read(path)?;
        let generation = GenerationConfig::read(path)?;
        let model = LanguageModel::load(path, device)?;
        Ok(Self { speech: Speech::new(&model, tokenizer, chat, generation, now)?, model, codes_per_level })
    }

    fn open_gguf(path: &Path, now: Option<&str>, device: &Device) -> Result<Self> {
        let file = gguf::read(path)?;
        let tokenizer = tokenizer_of(&serde_json::to_vec(&file.tokenizer)?, path)?;
        let config = file.tokenizer_config.as_object().cloned().unwrap_or_default();
        let model = orbit_models::from_weights(file.config, file.weights, path, device)?.into();
        let speech = Speech::new(&model, tokenizer, ChatTemplate::from_config(config)?, None, now)?;
        Ok(Self { model, speech, codes_per_level: Vec::new() })
    }

    /// The words of the model with the semantic IDs that it has learned.
    pub(crate) fn vocabulary(&self) -> Result<Vocabulary> {
        Ok(Vocabulary::new(self.speech.tokenizer.clone(), &self.codes_per_level)?)
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

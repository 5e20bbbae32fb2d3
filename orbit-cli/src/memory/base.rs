use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use orbit_data::chat::ChatTemplate;
use orbit_data::example::Turns;
use orbit_data::tokenizer::{Reader, tokenizer_of};
use orbit_data::vocabulary::item_tokenizer;
use orbit_data::{TextTokenizer, Vocabulary};
use orbit_models::{DecoderConfig, T5Config, gguf};

use super::shape::Shape;
use super::{A_WORD, PROGRAM};
use crate::config::RunFile;

/// The model that a run begins with, as far as it is known without its weights.
pub(crate) struct Base {
    pub(super) shape: Shape,
    from: From,
    /// Bytes of its largest file of weights.
    pub(super) file: f64,
}

enum From {
    Path(PathBuf),
    /// From scratch, with so many tokens for users.
    Scratch(usize),
}

impl Base {
    /// The model of a run.
    pub(crate) fn of(run: &RunFile) -> Result<Self> {
        if let Some(path) = &run.model.path {
            return Self::read(path);
        }
        let fresh = run.model.fresh.as_ref().context("the run names no model")?;
        let rows = item_tokenizer(fresh.users)?.get_vocab_size(true);
        Ok(Self { shape: Shape::from(&fresh.config(rows)), from: From::Scratch(fresh.users), file: 0.0 })
    }

    /// A Hugging Face directory or a GGUF file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let shape = match path.is_dir() {
            true => T5Config::read(path)
                .map(|config| Shape::from(&config))
                .or_else(|_| DecoderConfig::read(path).map(|config| Shape::from(&config)))?,
            false => Shape::from(&gguf::read_config(path)?),
        };
        let files: Vec<PathBuf> = match path.is_dir() {
            true => fs::read_dir(path)?.filter_map(|entry| Some(entry.ok()?.path())).collect(),
            false => vec![path.to_owned()],
        };
        let weights = |file: &PathBuf| file.extension().is_some_and(|end| end == "safetensors" || end == "gguf");
        let sizes = files.iter().filter(|file| weights(file)).filter_map(|file| Some(file.metadata().ok()?.len()));
        Ok(Self { shape, from: From::Path(path.to_owned()), file: sizes.max().unwrap_or(0) as f64 })
    }

    /// Bytes of all that is not numbers of the model.
    pub(super) fn program(&self) -> f64 {
        PROGRAM + A_WORD * self.shape.vocabulary as f64
    }

    /// Tokens of a row that it can tell apart by their place; none where there is no end to them.
    pub(crate) fn positions(&self) -> Option<usize> {
        self.shape.positions
    }

    /// Its tokenizer and its chat template.
    pub(crate) fn speech(&self) -> Result<(TextTokenizer, ChatTemplate)> {
        let reader = if self.shape.reads_with_encoder() { Reader::Encoder } else { Reader::Decoder };
        match &self.from {
            From::Path(path) if path.is_file() => {
                let described = gguf::describe(path)?;
                let tokenizer = tokenizer_of(&serde_json::to_vec(&described.tokenizer)?, path)?;
                let config = described.tokenizer_config.as_object().cloned().unwrap_or_default();
                Ok((TextTokenizer::new(tokenizer, reader)?, ChatTemplate::from_config(config)?))
            }
            From::Path(path) => Ok((TextTokenizer::read(path, reader)?, ChatTemplate::read(path)?)),
            From::Scratch(users) => {
                Ok((TextTokenizer::new(item_tokenizer(*users)?, reader)?, ChatTemplate::plain("</s>")?))
            }
        }
    }

    /// Tokens that the chat template writes around a question and its answer.
    pub(super) fn around(&self, codes: &[usize]) -> Option<usize> {
        let (tokenizer, chat) = self.speech().ok()?;
        let vocabulary = Vocabulary::new(tokenizer, codes).ok()?;
        let Turns { before, between, after } = Turns::new(&chat, &vocabulary).ok()?;
        Some(before.len() + between.len() + after.len())
    }
}

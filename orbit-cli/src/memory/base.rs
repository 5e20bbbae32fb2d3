use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use orbit_data::Vocabulary;
use orbit_data::chat::ChatTemplate;
use orbit_data::example::Turns;
use orbit_models::{DecoderConfig, gguf};
use tokenizers::Tokenizer;

use super::{A_WORD, F32, PROGRAM};
use crate::config::RunFile;

/// The model that a run begins with, as far as it is known without its weights.
pub(super) struct Base {
    pub(super) config: DecoderConfig,
    path: PathBuf,
    /// Bytes of its largest file of weights.
    pub(super) file: f64,
}

impl Base {
    /// The model of a run.
    pub(super) fn of(run: &RunFile) -> Result<Self> {
        let path = run.model.path.as_deref();
        Self::read(path.context("a model from scratch is an encoder-decoder, and only decoders are known")?)
    }

    /// A Hugging Face directory or a GGUF file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let config = if path.is_dir() { DecoderConfig::read(path)? } else { gguf::read(path)?.config };
        let files: Vec<PathBuf> = match path.is_dir() {
            true => fs::read_dir(path)?.filter_map(|entry| Some(entry.ok()?.path())).collect(),
            false => vec![path.to_owned()],
        };
        let weights = |file: &PathBuf| file.extension().is_some_and(|end| end == "safetensors" || end == "gguf");
        let sizes = files.iter().filter(|file| weights(file)).filter_map(|file| Some(file.metadata().ok()?.len()));
        Ok(Self { config, path: path.to_owned(), file: sizes.max().unwrap_or(0) as f64 })
    }

    /// Bytes of the weights as they are computed with.
    pub(super) fn weights(&self) -> f64 {
        self.config.parameter_count() as f64 * F32
    }

    /// Bytes of a table of tokens.
    pub(super) fn table(&self) -> f64 {
        self.config.vocab_size as f64 * self.config.hidden_size as f64 * F32
    }

    /// Bytes of the largest tensor.
    pub(super) fn largest(&self) -> f64 {
        self.table().max(self.config.intermediate_size as f64 * self.config.hidden_size as f64 * F32)
    }

    /// Bytes of all that is not numbers of the model.
    pub(super) fn program(&self) -> f64 {
        PROGRAM + A_WORD * self.config.vocab_size as f64
    }

    /// Its tokenizer and its chat template, where it is a directory that has both.
    pub(super) fn speech(&self) -> Option<(Tokenizer, ChatTemplate)> {
        Some((Tokenizer::from_file(self.path.join("tokenizer.json")).ok()?, ChatTemplate::read(&self.path).ok()?))
    }

    /// Tokens that the chat template writes around a question and its answer.
    pub(super) fn around(&self, codes: &[usize]) -> Option<usize> {
        let (tokenizer, chat) = self.speech()?;
        let vocabulary = Vocabulary::new(tokenizer, u32::try_from(self.config.vocab_size).ok()?, codes).ok()?;
        let Turns { before, between, after } = Turns::new(&chat, &vocabulary).ok()?;
        Some(before.len() + between.len() + after.len())
    }
}

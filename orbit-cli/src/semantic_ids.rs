//! The semantic IDs of a run: read, or made.

use anyhow::{Context, Result, anyhow};
use orbit_data::semantic_id::Verdict;
use orbit_data::{Corpus, ItemEmbeddings, SemanticIds};

use crate::config::{IdMethod, SemanticIds as Section};
use crate::progress::Progress;

/// The IDs of a catalogue: read from their file, or made, most of them from its embeddings.
pub(crate) fn of(
    section: &Section,
    corpus: &Corpus,
    embeddings: Option<&ItemEmbeddings>,
    quiet: bool,
) -> Result<SemanticIds> {
    let items = corpus.items.len();
    let ids = match (&section.file, &section.field) {
        (Some(file), Some(field)) => SemanticIds::read_published(file, field, corpus, section.collisions)?,
        (Some(file), None) => SemanticIds::load(file)?,
        (None, _) => made(section, items, embeddings, quiet)?,
    };
    if ids.len() != items {
        return Err(anyhow!("there are semantic IDs of {} items, but {items} items", ids.len()));
    }
    Ok(ids)
}

/// The IDs that a model is to write: of no two items the same, and not of codebooks that have collapsed.
pub(crate) fn trainable(
    section: &Section,
    corpus: &Corpus,
    embeddings: Option<&ItemEmbeddings>,
    quiet: bool,
) -> Result<SemanticIds> {
    let ids = of(section, corpus, embeddings, quiet)?;
    ids.check_unique()?;
    match ids.health().verdict() {
        Verdict::Sound => {}
        Verdict::Warning(advice) => advice.iter().for_each(|advice| tracing::warn!("semantic IDs: {advice}")),
        Verdict::Collapsed(advice) => tracing::error!("semantic IDs have collapsed: {}", advice.join("; ")),
    }
    Ok(ids)
}

fn made(section: &Section, items: usize, embeddings: Option<&ItemEmbeddings>, quiet: bool) -> Result<SemanticIds> {
    if section.method == IdMethod::Atomic {
        return Ok(SemanticIds::atomic(items)?);
    }
    let embeddings = embeddings.context("corpus.embeddings is missing: semantic IDs are made from it")?;
    match section.recipe() {
        Some(recipe) => Ok(recipe.assign(embeddings)?),
        None => learned(section, embeddings, quiet),
    }
}

/// IDs by an RQ-VAE. It is small, and trained on the CPU wherever the run computes, so that its IDs do not depend on that.
fn learned(section: &Section, embeddings: &ItemEmbeddings, quiet: bool) -> Result<SemanticIds> {
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

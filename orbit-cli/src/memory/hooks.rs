//! What hooks keep.

use orbit_regularizers::{At, HookEntry, Use};

use super::pass::Batch;
use super::shape::Shape;
use super::{F32, Part};

/// Vectors of the hooks' own, of a model of which so many bytes are `trained`.
pub(super) fn vectors(hooks: &[HookEntry], shape: &Shape, trained: f64) -> Vec<Part> {
    parts(hooks, |hook| match hook {
        Use::Ema(_) => Some(("ema", trained)),
        Use::Ewc(_) => Some(("ewc", 2.0 * trained)),
        Use::Mas(_) => Some(("mas", 2.0 * trained)),
        Use::Si(_) => Some(("si", 5.0 * trained)),
        Use::Freeze(freeze) => Some(("freeze", bottom(shape, freeze.layers, freeze.embeddings))),
        Use::Half(_) => Some(("half", trained / 2.0)),
        _ => None,
    })
}

/// What terms of the loss add to a step: logits of the original and of the model, and their gradient. The original's weights
/// are the origin's.
pub(super) fn terms(hooks: &[HookEntry], batch: &Batch, vocabulary: usize) -> Vec<Part> {
    let logits = |at: At| {
        let positions = if at == At::All { batch.tokens() } else { batch.answers() };
        3.0 * F32 * vocabulary as f64 * positions
    };
    parts(hooks, |hook| match hook {
        Use::Kl(kl) => Some(("kl", logits(kl.at))),
        Use::Lwf(_) => Some(("lwf", logits(At::All))),
        Use::InstructionVector(guidance) => Some(("instruction_vector", logits(guidance.positions))),
        _ => None,
    })
}

fn parts(hooks: &[HookEntry], bytes: impl Fn(&Use) -> Option<(&'static str, f64)>) -> Vec<Part> {
    let part = |(position, entry): (usize, &HookEntry)| {
        let (name, bytes) = bytes(&entry.r#use)?;
        Some((format!("hook {position}, {name}"), bytes))
    };
    (1..).zip(hooks).filter_map(part).collect()
}

/// The bottom layers, with or without the embedding.
fn bottom(shape: &Shape, layers: usize, embeddings: bool) -> f64 {
    let embedding = shape.vocabulary * shape.width;
    let layer = shape.parameters.saturating_sub(embedding) / shape.layers.max(1);
    F32 * (layer * layers.min(shape.layers) + if embeddings { embedding } else { 0 }) as f64
}

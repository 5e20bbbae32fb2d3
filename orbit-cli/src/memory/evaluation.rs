//! What measuring a model takes beside the model.

use orbit_core::score::LOGIT_ROWS;
use orbit_models::generate::CPU_PROMPTS;

use super::F32;
use super::pass::passing;
use super::shape::Shape;
use super::texts::Texts;
use crate::config::{Evaluate, EvaluateTasks, Retrieval, Text};
use crate::language::WINDOW;

/// Tokens of a question with its choices, roughly.
const QUESTION: usize = 128;

/// Of a run whose semantic IDs have this many levels, and whose longest history in training this many items.
pub(super) fn of_run(evaluate: &Evaluate, shape: &Shape, texts: Texts, (levels, longest): (usize, usize)) -> f64 {
    let text = evaluate.text.as_ref().map_or(0.0, |text| language(text, shape));
    let retrieval = evaluate.retrieval.as_ref().map_or(0.0, |how| search(how, shape, texts, (levels, longest)));
    text.max(retrieval)
}

/// Of a sequence.
pub(super) fn of_sequence(evaluate: &EvaluateTasks, shape: &Shape, texts: Texts) -> f64 {
    let text = evaluate.text.as_ref().map_or(0.0, |text| language(text, shape));
    let rows = evaluate.batch;
    let written =
        kept_tokens(shape, rows, texts.width) + passing(shape, rows, texts.width) + 2.0 * logits(shape, rows as f64);
    text.max(written)
}

/// Questions, and windows of running text, with a few hundred rows of logits.
fn language(text: &Text, shape: &Shape) -> f64 {
    let window = WINDOW.min(shape.longest);
    let questions = passing(shape, text.batch_tokens.div_ceil(QUESTION), QUESTION);
    questions.max(passing(shape, 1, window)) + 2.0 * logits(shape, LOGIT_ROWS as f64)
}

/// A search with beams over valid IDs, on every core.
fn search(how: &Retrieval, shape: &Shape, texts: Texts, (levels, longest): (usize, usize)) -> f64 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let rows = how.batch.min(cores.saturating_mul(CPU_PROMPTS));
    // It is wider by what a user has met: what was learned, the two that are held out before the test.
    let met = if how.exclude_seen { longest.saturating_add(2) } else { 0 };
    let beams = how.beams.saturating_add(met);
    let tokens = texts.width.saturating_add(beams.saturating_mul(levels));
    kept_tokens(shape, rows, tokens)
        + passing(shape, rows, texts.width)
        + 3.0 * logits(shape, rows as f64 * beams as f64)
}

/// Keys and values.
fn kept_tokens(shape: &Shape, rows: usize, width: usize) -> f64 {
    let a_token = 2 * shape.layers * shape.groups * shape.head_width;
    F32 * rows as f64 * width as f64 * a_token as f64
}

fn logits(shape: &Shape, rows: f64) -> f64 {
    F32 * rows * shape.vocabulary as f64
}

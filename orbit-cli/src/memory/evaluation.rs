//! What measuring a model takes beside the model.

use super::F32;
use super::pass::passing;
use super::shape::Shape;
use super::texts::Texts;
use crate::config::{Evaluate, EvaluateTasks, Retrieval, Text};
use crate::language::WINDOW;

/// Rows of logits that are computed at a time.
const LOGIT_ROWS: usize = 512;
/// Tokens of a question with its choices, roughly.
const QUESTION: usize = 128;
/// Prompts that a core searches at once.
const PROMPTS_A_CORE: usize = 8;

/// Of a run whose semantic IDs have this many levels.
pub(super) fn of_run(evaluate: &Evaluate, shape: &Shape, texts: Texts, levels: usize) -> f64 {
    let text = evaluate.text.as_ref().map_or(0.0, |text| language(text, shape));
    let retrieval = evaluate.retrieval.as_ref().map_or(0.0, |how| search(how, shape, texts, levels));
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
fn search(how: &Retrieval, shape: &Shape, texts: Texts, levels: usize) -> f64 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let rows = how.batch.min(cores.saturating_mul(PROMPTS_A_CORE));
    let tokens = texts.width.saturating_add(how.beams.saturating_mul(levels));
    kept_tokens(shape, rows, tokens)
        + passing(shape, rows, texts.width)
        + 3.0 * logits(shape, rows as f64 * how.beams as f64)
}

/// Keys and values.
fn kept_tokens(shape: &Shape, rows: usize, width: usize) -> f64 {
    let a_token = 2 * shape.layers * shape.groups * shape.head_width;
    F32 * rows as f64 * width as f64 * a_token as f64
}

fn logits(shape: &Shape, rows: f64) -> f64 {
    F32 * rows * shape.vocabulary as f64
}

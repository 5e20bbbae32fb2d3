//! SARI of a sentence.

use super::edits::{Edits, tokens};

/// The longest n-grams that count.
const ORDERS: usize = 4;

/// SARI of one simplification, in `[0, 100]`, as Hugging Face's `evaluate` (metric `sari`) computes it; over a corpus
/// it takes the mean of its sentences. [`Sari`](super::Sari) says what SARI is; prefer it but for comparing with
/// numbers that were made by `evaluate`.
///
/// It differs in that deletion counts by precision, and in that 0/0 is 1: a prediction that deletes nothing has deleted
/// without fault. So a prediction equal to its only reference scores 100, and a copy of the source scores high: 53.8 on
/// the test part of ASSET, where a person scores 43.7. An n-gram that the source has more often than the prediction
/// counts as wrongly deleted to the extent that the references have it at all.
///
/// 0 without references.
///
/// ```
/// use orbit_data::metric::sentence_sari;
/// let references = [
///     "About 95 species are currently known .",
///     "About 95 species are now accepted .",
///     "95 species are now accepted .",
/// ];
/// let score = sentence_sari("About 95 species are currently accepted .", "About 95 you now get in .", &references);
/// // The example in the documentation of `evaluate`.
/// assert!((score - 26.953601953601954).abs() < 1e-9);
/// ```
pub fn sentence_sari(source: &str, prediction: &str, references: &[impl AsRef<str>]) -> f64 {
    if references.is_empty() {
        return 0.0;
    }
    let (source, prediction) = (split(source), split(prediction));
    let references: Vec<_> = references.iter().map(|reference| split(reference.as_ref())).collect();
    let order = |n| {
        let edits = Edits::new(&source, &prediction, &references, n);
        keep(&edits) + delete(&edits) + add(&edits)
    };
    let sum: f64 = (1..=ORDERS).map(order).sum();
    100.0 * sum / (3 * ORDERS) as f64
}

/// The words of a text. Of an empty one it is one empty word, as Python's `"".split(" ")` has it.
fn split(text: &str) -> Vec<String> {
    let words = tokens(text);
    if words.is_empty() { vec![String::new()] } else { words }
}

/// F of the n-grams of the source that were kept: the precision is a mean over n-grams, the recall counts occurrences.
fn keep(edits: &Edits<'_>) -> f64 {
    let (mut precision, mut recall) = (Share::default(), Share::default());
    for [source, predicted, wanted] in edits.of_source() {
        let kept = source.min(predicted);
        let good = kept.min(wanted);
        if kept > 0 {
            precision.push(good as f64 / kept as f64, 1);
        }
        recall.push(good as f64, source.min(wanted));
    }
    harmonic(precision.value(), recall.value())
}

/// Precision of the n-grams of the source that were deleted, a mean over n-grams.
fn delete(edits: &Edits<'_>) -> f64 {
    let mut precision = Share::default();
    for [source, predicted, wanted] in edits.of_source() {
        let deleted = source.saturating_sub(predicted);
        if deleted > 0 {
            precision.push(deleted.saturating_sub(wanted) as f64 / deleted as f64, 1);
        }
    }
    precision.value()
}

/// F of the n-grams that are not in the source, each counted once.
fn add(edits: &Edits<'_>) -> f64 {
    let (mut precision, mut recall) = (Share::default(), Share::default());
    edits.added().for_each(|good| precision.push(f64::from(good), 1));
    edits.to_add().for_each(|good| recall.push(f64::from(good), 1));
    harmonic(precision.value(), recall.value())
}

/// A share of a whole that may be empty, which makes it 1.
#[derive(Default)]
struct Share {
    good: f64,
    all: usize,
}

impl Share {
    fn push(&mut self, good: f64, all: usize) {
        self.good += good;
        self.all += all;
    }

    fn value(&self) -> f64 {
        if self.all == 0 { 1.0 } else { self.good / self.all as f64 }
    }
}

fn harmonic(a: f64, b: f64) -> f64 {
    if a + b > 0.0 { 2.0 * a * b / (a + b) } else { 0.0 }
}

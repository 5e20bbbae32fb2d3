//! What a simplification did to the n-grams of its source, and what the references did.

use super::ngrams::NGrams;
use super::words;

/// The words of a text for SARI: those of `sacrebleu`'s tokenizer `13a` on the lowercased text.
pub(super) fn tokens(text: &str) -> Vec<String> {
    words::thirteen_a(&text.to_lowercase())
}

/// N-grams of one length of a source, a prediction and all references together.
pub(super) struct Edits<'a> {
    source: NGrams<'a>,
    prediction: NGrams<'a>,
    wanted: NGrams<'a>,
    references: usize,
}

impl<'a> Edits<'a> {
    pub(super) fn new(source: &'a [String], prediction: &'a [String], references: &'a [Vec<String>], n: usize) -> Self {
        let mut wanted = NGrams::default();
        for reference in references {
            wanted.add(&NGrams::new(reference, n));
        }
        let (source, prediction) = (NGrams::new(source, n), NGrams::new(prediction, n));
        Self { source, prediction, wanted, references: references.len() }
    }

    /// For each n-gram of the source its counts in source, prediction and references. Those of source and prediction
    /// count once for each reference, so that they compare with those of all references.
    pub(super) fn of_source(&self) -> impl Iterator<Item = [usize; 3]> {
        self.source.0.iter().map(|(gram, count)| {
            let predicted = self.prediction.count(gram);
            [count * self.references, predicted * self.references, self.wanted.count(gram)]
        })
    }

    /// For each n-gram that the prediction added, whether a reference added it too.
    pub(super) fn added(&self) -> impl Iterator<Item = bool> {
        self.new_in(&self.prediction).map(|gram| self.wanted.count(gram) > 0)
    }

    /// For each n-gram that a reference added, whether the prediction added it too.
    pub(super) fn to_add(&self) -> impl Iterator<Item = bool> {
        self.new_in(&self.wanted).map(|gram| self.prediction.count(gram) > 0)
    }

    fn new_in(&self, grams: &NGrams<'a>) -> impl Iterator<Item = &'a [String]> {
        grams.0.keys().copied().filter(|gram| self.source.count(gram) == 0)
    }
}

//! SARI of a corpus.

use std::ops::AddAssign;

use super::edits::{Edits, tokens};

/// The longest n-grams that count.
const ORDERS: usize = 4;

/// What SARI counts in a simplification: which n-grams of the source were kept and deleted, and which were added.
/// Counts add up, and the SARI of a corpus is that of the sum of its sentences' counts.
///
/// SARI of Xu et al., *Optimizing Statistical Machine Translation for Text Simplification* (2016), for a source, a
/// prediction and its references: `(F_keep + F_delete + F_add) / 3`, each the mean over n-grams of one to four words.
/// Implementations differ in their numbers. This is the one of EASSE (arXiv 1908.04567), by which papers report: counts
/// are pooled over the corpus, deletion counts by F too, and 0/0 is 0. Words are those of `sacrebleu`'s tokenizer `13a`
/// on lowercased text. On the test part of ASSET (arXiv 2005.00481) a copy of the source scores 20.7 and a person,
/// against the nine others, 44.9; [`sentence_sari`](super::sentence_sari) gives the copy 53.8, more than the person.
///
/// The score needs the source. What the published code of SwitchCIT (arXiv 2407.11780) calls SARI is ROUGE-1 of
/// prediction and reference, which rewards copying as well.
///
/// ```
/// use orbit_data::metric::Sari;
/// // Words: a is kept, b is deleted, c is added, all rightly. Pairs: "a b" is deleted and "a c" added, none is kept.
/// // Longer n-grams: none. So keep has F of 1, 0, 0, 0, delete and add have 1, 1, 0, 0.
/// let score = Sari::new("a b", "a c", &["a c"]).score();
/// assert!((score - 100.0 * (1.0 + 2.0 + 2.0) / 4.0 / 3.0).abs() < 1e-9);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sari {
    keep: [Hits; ORDERS],
    delete: [Hits; ORDERS],
    add: [Hits; ORDERS],
}

impl Sari {
    /// Counts for one prediction. Without references nothing counts.
    pub fn new(source: &str, prediction: &str, references: &[impl AsRef<str>]) -> Self {
        let mut counts = Self::default();
        if references.is_empty() {
            return counts;
        }
        let (source, prediction) = (tokens(source), tokens(prediction));
        let references: Vec<_> = references.iter().map(|reference| tokens(reference.as_ref())).collect();
        for n in 1..=ORDERS {
            let edits = Edits::new(&source, &prediction, &references, n);
            for [source, predicted, wanted] in edits.of_source() {
                counts.keep[n - 1].push(source.min(predicted), source.min(wanted));
                counts.delete[n - 1].push(source.saturating_sub(predicted), source.saturating_sub(wanted));
            }
            let right = edits.added().filter(|&wanted| wanted).count();
            counts.add[n - 1] = Hits { right, done: edits.added().count(), wanted: edits.to_add().count() };
        }
        counts
    }

    /// SARI, in `[0, 100]`. The reference itself scores 100 only if n-grams of every length are kept, deleted and
    /// added.
    pub fn score(&self) -> f64 {
        let orders = self.keep.iter().chain(&self.delete).chain(&self.add);
        100.0 * orders.map(Hits::f_measure).sum::<f64>() / (3 * ORDERS) as f64
    }
}

impl AddAssign for Sari {
    fn add_assign(&mut self, other: Self) {
        for n in 0..ORDERS {
            self.keep[n] += other.keep[n];
            self.delete[n] += other.delete[n];
            self.add[n] += other.add[n];
        }
    }
}

/// How many n-grams something was done to, how many the references did it to, and how many are both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Hits {
    right: usize,
    done: usize,
    wanted: usize,
}

impl Hits {
    fn push(&mut self, done: usize, wanted: usize) {
        *self += Self { right: done.min(wanted), done, wanted };
    }

    /// The harmonic mean of `right / done` and `right / wanted`, 0 when nothing is right.
    fn f_measure(&self) -> f64 {
        if self.right == 0 { 0.0 } else { 2.0 * self.right as f64 / (self.done + self.wanted) as f64 }
    }
}

impl AddAssign for Hits {
    fn add_assign(&mut self, other: Self) {
        self.right += other.right;
        self.done += other.done;
        self.wanted += other.wanted;
    }
}

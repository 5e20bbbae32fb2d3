//! BLEU.

use std::ops::AddAssign;

use super::ngrams::NGrams;
use super::words;

/// The longest n-grams that count.
const ORDERS: usize = 4;

/// What BLEU counts in a prediction. Counts add up, and the BLEU of a corpus is that of the sum of its sentences'
/// counts.
///
/// BLEU of Papineni et al., *BLEU: a Method for Automatic Evaluation of Machine Translation* (2002), with the numbers
/// of the Python package `sacrebleu` 2.6 and its defaults: case kept, tokenizer `13a`, n-grams of up to four words, the
/// reference nearest in length (the shorter of two as near), and `exp` smoothing, in which the k-th order without a
/// match is taken to have `1 / 2^k` of a match (Chen and Cherry, 2014, method 3).
///
/// ```
/// use orbit_data::metric::Bleu;
/// // Of 5, 4, 3 and 2 n-grams 4, 3, 2 and 1 are right, and the prediction is no shorter than the reference.
/// let counts = Bleu::new("the cat sat down here", &["the cat sat down there"]);
/// let by_hand = 100.0 * (4.0 / 5.0 * 3.0 / 4.0 * 2.0 / 3.0 * 1.0 / 2.0_f64).powf(0.25);
/// assert!((counts.corpus() - by_hand).abs() < 1e-9);
///
/// let mut corpus = counts;
/// corpus += Bleu::new("", &["nothing was said"]);
/// // Two sentences, 5 words for 8: the brevity penalty is exp(1 - 8 / 5).
/// assert!((corpus.corpus() - by_hand * (1.0 - 8.0 / 5.0_f64).exp()).abs() < 1e-9);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bleu {
    /// Words predicted.
    words: usize,
    /// Words of the references nearest in length.
    reference_words: usize,
    /// N-grams that a reference has too, by `n - 1`.
    right: [usize; ORDERS],
    /// N-grams predicted, by `n - 1`.
    all: [usize; ORDERS],
}

impl Bleu {
    /// Counts for one prediction. Without references nothing is right and no length is missed.
    pub fn new(prediction: &str, references: &[impl AsRef<str>]) -> Self {
        let prediction = words::thirteen_a(prediction);
        let references: Vec<_> = references.iter().map(|reference| words::thirteen_a(reference.as_ref())).collect();
        let lengths = references.iter().map(Vec::len);
        let nearest = lengths.min_by_key(|&length| (length.abs_diff(prediction.len()), length));
        let (mut right, mut all) = ([0; ORDERS], [0; ORDERS]);
        for n in 1..=ORDERS {
            let mut allowed = NGrams::default();
            for reference in &references {
                allowed.raise(&NGrams::new(reference, n));
            }
            let predicted = NGrams::new(&prediction, n);
            all[n - 1] = predicted.total();
            right[n - 1] = predicted.shared(&allowed);
        }
        Self { words: prediction.len(), reference_words: nearest.unwrap_or(0), right, all }
    }

    /// BLEU of a corpus, in `[0, 100]`, as `sacrebleu.corpus_bleu` gives it. 0 when no word is right, and when all
    /// predictions are shorter than four words; [`sentence`](Self::sentence) is for those.
    pub fn corpus(&self) -> f64 {
        self.score(ORDERS)
    }

    /// BLEU of one sentence, in `[0, 100]`, as `sacrebleu.sentence_bleu` gives it: the orders that a prediction is too
    /// short for do not count.
    pub fn sentence(&self) -> f64 {
        self.score(self.all.iter().take_while(|&&all| all > 0).count())
    }

    fn score(&self, orders: usize) -> f64 {
        if self.right[0] == 0 || self.all[..orders].contains(&0) {
            return 0.0;
        }
        let mut unmatched = 1.0;
        let mut logs = 0.0;
        for (&right, &all) in self.right.iter().zip(&self.all).take(orders) {
            let right = if right == 0 {
                unmatched /= 2.0;
                unmatched
            } else {
                right as f64
            };
            logs += (right / all as f64).ln();
        }
        // Rounding alone would lift a perfect score above 100.
        (100.0 * self.brevity() * (logs / orders as f64).exp()).min(100.0)
    }

    /// `exp(1 - r / c)` for predictions shorter than their references, else 1.
    fn brevity(&self) -> f64 {
        (1.0 - self.reference_words as f64 / self.words.max(1) as f64).exp().min(1.0)
    }
}

impl AddAssign for Bleu {
    fn add_assign(&mut self, other: Self) {
        self.words += other.words;
        self.reference_words += other.reference_words;
        for n in 0..ORDERS {
            self.right[n] += other.right[n];
            self.all[n] += other.all[n];
        }
    }
}

//! ROUGE-1 and ROUGE-L.

use super::ngrams::NGrams;
use super::words;

/// The F-measure of the words that a prediction shares with a reference, in `[0, 1]`; of several references the best
/// one counts.
///
/// ROUGE-1 of C.-Y. Lin, *ROUGE: A Package for Automatic Evaluation of Summaries* (2004), with the numbers of the
/// Python package `rouge-score` 0.1.2. Words are runs of ASCII letters and digits, so a text in another script has none.
/// `stemmed` cuts them to their Porter stem first, which the evaluation of Super-NaturalInstructions does
/// (arXiv 2204.07705). 0 when a side has no words, and without references.
///
/// ```
/// use orbit_data::metric::rouge_1;
/// // 2 of 3 predicted words are right, 2 of 4 right words are there: F = 2 * 2/3 * 2/4 / (2/3 + 2/4) = 4/7.
/// let f = rouge_1("the cat sleeps", &["the black cat slept"], false);
/// assert!((f - 4.0 / 7.0).abs() < 1e-12);
/// ```
pub fn rouge_1(prediction: &str, references: &[impl AsRef<str>], stemmed: bool) -> f64 {
    best(prediction, references, stemmed, |a, b| NGrams::new(a, 1).shared(&NGrams::new(b, 1)))
}

/// [`rouge_1`] for the longest common subsequence of words instead of the words in any order: ROUGE-L of the same paper
/// and package. Costs the product of the two lengths in time, and one length in memory.
///
/// ```
/// use orbit_data::metric::rouge_l;
/// // "the cat" stands in both in this order, "black" does not: F = 2 * 2/3 * 2/3 / (4/3) = 2/3.
/// let f = rouge_l("black the cat", &["The cat, black."], false);
/// assert!((f - 2.0 / 3.0).abs() < 1e-12);
/// ```
pub fn rouge_l(prediction: &str, references: &[impl AsRef<str>], stemmed: bool) -> f64 {
    best(prediction, references, stemmed, common_subsequence)
}

fn best(
    prediction: &str,
    references: &[impl AsRef<str>],
    stemmed: bool,
    hits: impl Fn(&[String], &[String]) -> usize,
) -> f64 {
    let prediction = words::rouge(prediction, stemmed);
    let score = |reference: &str| {
        let reference = words::rouge(reference, stemmed);
        f_measure(hits(&prediction, &reference), prediction.len(), reference.len())
    };
    references.iter().map(|reference| score(reference.as_ref())).fold(0.0, f64::max)
}

/// The harmonic mean of `hits / predicted` and `hits / wanted`.
fn f_measure(hits: usize, predicted: usize, wanted: usize) -> f64 {
    if hits == 0 { 0.0 } else { 2.0 * hits as f64 / (predicted + wanted) as f64 }
}

/// The length of the longest common subsequence, by the usual table of which one row is kept.
fn common_subsequence(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for word in a {
        let mut diagonal = 0;
        for (column, other) in b.iter().enumerate() {
            let above = row[column + 1];
            row[column + 1] = if word == other { diagonal + 1 } else { above.max(row[column]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

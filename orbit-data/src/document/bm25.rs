//! The BM25 ranking of documents by the words they share with a query.

use std::collections::HashMap;

use super::Document;
use crate::metric::stem::stem;

/// How soon more of a word counts no more, and how much the length of a document counts: Lucene's defaults.
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// Words that are not indexed: Lucene's English stop words.
const STOP_WORDS: [&str; 33] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of",
    "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with",
];

/// An index of documents for BM25 (Robertson and Zaragoza, *The Probabilistic Relevance Framework: BM25 and Beyond*,
/// 2009), as Lucene has it since version 8:
///
/// ```text
/// score(q, d) = Σ_w ln(1 + (N - n_w + 0.5) / (n_w + 0.5)) · f_wd / (f_wd + k1 · (1 - b + b · |d| / mean |d|))
/// ```
///
/// over the words of the query, with `N` documents, `n_w` of them with the word, `f_wd` times it is in the document,
/// `k1 = 1.2` and `b = 0.75`. Words are runs of letters and digits in lowercase without Lucene's English stop words, cut to
/// their Porter stem. Everything is kept exactly, in f64.
///
/// ```
/// use orbit_data::document::{Bm25, Document};
/// let document = |text: &str| Document { id: String::new(), text: text.into() };
/// let bm25 = Bm25::fit(&[document("Boats on lakes"), document("A boat is a boat"), document("Trains")]);
/// assert_eq!(bm25.rank("boating", 10), [1, 0]);
/// ```
#[derive(Debug, Clone)]
pub struct Bm25 {
    /// The documents that hold each word, and how often.
    postings: HashMap<String, Vec<(u32, f64)>>,
    /// `k1 · (1 - b + b · |d| / mean |d|)` of each document.
    norms: Vec<f64>,
}

impl Bm25 {
    /// Indexes `documents`.
    pub fn fit(documents: &[Document]) -> Self {
        let mut postings: HashMap<String, Vec<(u32, f64)>> = HashMap::new();
        let mut lengths = Vec::with_capacity(documents.len());
        for (index, document) in (0_u32..).zip(documents) {
            let words = words(&document.text);
            lengths.push(words.len() as f64);
            for word in words {
                let list = postings.entry(word).or_default();
                match list.last_mut() {
                    Some((last, count)) if *last == index => *count += 1.0,
                    _ => list.push((index, 1.0)),
                }
            }
        }
        let mean = (lengths.iter().sum::<f64>() / lengths.len() as f64).max(f64::MIN_POSITIVE);
        Self { postings, norms: lengths.into_iter().map(|length| K1 * (1.0 - B + B * length / mean)).collect() }
    }

    /// The `k` best documents with a word of the query, best first, the lower index on a tie.
    pub fn rank(&self, query: &str, k: usize) -> Vec<u32> {
        let mut scored: Vec<(f64, u32)> = self.scores(query).into_iter().zip(0..).filter(|&(s, _)| s > 0.0).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        scored.into_iter().take(k).map(|(_, document)| document).collect()
    }

    /// The score of every document; 0 for one that shares no word with the query.
    pub fn scores(&self, query: &str) -> Vec<f64> {
        let mut scores = vec![0.0; self.norms.len()];
        for list in words(query).iter().filter_map(|word| self.postings.get(word)) {
            let (all, with) = (self.norms.len() as f64, list.len() as f64);
            let weight = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
            for &(document, count) in list {
                scores[document as usize] += weight * count / (count + self.norms[document as usize]);
            }
        }
        scores
    }
}

/// The words that are indexed, in order. Porter's rules are for ASCII alone.
fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && !STOP_WORDS.contains(word))
        .map(|word| if word.is_ascii() { stem(word) } else { word.to_owned() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(texts: &[&str]) -> Bm25 {
        let document = |text: &&str| Document { id: String::new(), text: (*text).to_owned() };
        Bm25::fit(&texts.iter().map(document).collect::<Vec<_>>())
    }

    #[test]
    fn scores_match_a_hand_count() {
        // Lengths 2, 4 and 3, so 3 on average; `red` is in two documents of three, `blue` in one.
        let bm25 = index(&["red car", "the red red blue bus", "old green van"]);
        let red = (1.0_f64 + 1.5 / 2.5).ln();
        let blue = (1.0_f64 + 2.5 / 1.5).ln();
        let norm = |length: f64| 1.2 * (0.25 + 0.75 * length / 3.0);
        assert!((norm(2.0) - 0.9).abs() < 1e-12 && (norm(4.0) - 1.5).abs() < 1e-12);
        let expected = [red / 1.9, red * 2.0 / 3.5 + blue / 2.5, 0.0];
        let scores = bm25.scores("a red or blue thing");
        assert!(scores.iter().zip(expected).all(|(score, expected)| (score - expected).abs() < 1e-12), "{scores:?}");
        assert!((scores[0] - 0.247_370_3).abs() < 1e-6 && (scores[1] - 0.660_905_7).abs() < 1e-6, "{scores:?}");
        // A word asked for twice counts twice.
        assert!((bm25.scores("red red")[0] - 2.0 * red / 1.9).abs() < 1e-12);
        assert_eq!(bm25.rank("red blue", 9), [1, 0]);
    }

    #[test]
    fn words_are_stems_without_stop_words() {
        assert_eq!(words("The heated WINGS, at 30° (Été)"), ["heat", "wing", "30", "été"]);
    }

    #[test]
    fn without_documents_or_shared_words_nothing_is_found() {
        assert_eq!(index(&[]).rank("red", 5), [0; 0]);
        assert_eq!(index(&["red", "the"]).rank("the blue", 5), [0; 0]);
        assert_eq!(index(&["red", "red"]).rank("red", 5), [0, 1]);
    }
}

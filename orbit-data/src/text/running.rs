//! Running text as lm-evaluation-harness scores it: in rolling windows, by words and by bytes.

use std::ops::AddAssign;

use super::python;
use crate::{Error, Result};

/// The size of a text, by which its log-likelihood is divided. Lengths of several documents add up: the harness takes
/// the log-likelihoods and the lengths of all documents together.
///
/// ```
/// use orbit_data::text::TextLength;
/// let length = TextLength::of("four words, é here");
/// assert_eq!(length, TextLength { words: 4, bytes: 19 });
/// assert_eq!(length.word_perplexity(-4.0 * 2.0_f64.ln()), 2.0);
/// assert!((length.bits_per_byte(-19.0 * 2.0_f64.ln()) - 1.0).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextLength {
    /// Words as the harness counts them: the parts between runs of white space, also the empty ones at the ends. An
    /// empty text counts one.
    pub words: usize,
    /// Bytes of the text in UTF-8.
    pub bytes: usize,
}

impl TextLength {
    /// The length of one document.
    pub fn of(text: &str) -> Self {
        Self { words: python::words(text), bytes: text.len() }
    }

    /// `exp(-loglik / words)`, where `loglik` is the log-likelihood of the whole text in nats.
    pub fn word_perplexity(self, loglik: f64) -> f64 {
        (-loglik / self.words as f64).exp()
    }

    /// `exp(-loglik / bytes)`. NaN for an empty text.
    pub fn byte_perplexity(self, loglik: f64) -> f64 {
        (-loglik / self.bytes as f64).exp()
    }

    /// `-loglik / bytes / ln 2`: the base-2 logarithm of the byte perplexity. NaN for an empty text.
    pub fn bits_per_byte(self, loglik: f64) -> f64 {
        -loglik / self.bytes as f64 / std::f64::consts::LN_2
    }
}

impl AddAssign for TextLength {
    fn add_assign(&mut self, other: Self) {
        self.words += other.words;
        self.bytes += other.bytes;
    }
}

/// A part of a text, and what a model reads before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// At least one token, none of which is scored.
    pub context: Vec<u32>,
    /// The tokens to score. The log-likelihood of the text is the sum over all windows.
    pub continuation: Vec<u32>,
}

/// The windows in which the harness scores a text: every token is scored once, and the first follows `prefix`, the
/// model's first token. A model reads at most `longest` tokens at a time, without the last token of the continuation,
/// which it only predicts. Every token but those of the first window is predicted from at least `context` tokens; the
/// harness itself takes 1. The windows are `get_rolling_token_windows` after `make_disjoint_window`; none for an empty
/// text.
///
/// ```
/// use orbit_data::text::rolling_windows;
/// let windows: Vec<_> = rolling_windows(&[1, 2, 3, 4, 5], 0, 2, 1)?.collect();
/// let pairs = windows.iter().map(|window| (&window.context[..], &window.continuation[..]));
/// assert!(pairs.eq([(&[0][..], &[1, 2][..]), (&[2], &[3, 4]), (&[3, 4], &[5])]));
/// # Ok::<(), orbit_data::Error>(())
/// ```
///
/// # Errors
/// When `context` is 0 or above `longest`.
pub fn rolling_windows(
    tokens: &[u32],
    prefix: u32,
    longest: usize,
    context: usize,
) -> Result<impl Iterator<Item = Window>> {
    if !(1..=longest).contains(&context) {
        let reason = format!("rolling windows of {longest} tokens with {context} of context: give 1 to {longest}");
        return Err(Error::Invalid(reason));
    }
    let first = longest.min(tokens.len());
    let first_window = (first > 0).then(|| Window { context: vec![prefix], continuation: tokens[..first].to_vec() });
    let step = longest - context + 1;
    let rest = (first..tokens.len()).step_by(step).map(move |start| {
        let end = (start + step).min(tokens.len());
        // The input of a window is `longest` tokens, of which all but one of the continuation's are its own.
        let context = tokens[end - longest - 1..start].to_vec();
        Window { context, continuation: tokens[start..end].to_vec() }
    });
    Ok(first_window.into_iter().chain(rest))
}

//! Exact match.

use std::sync::LazyLock;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::words;

/// What is made equal before two answers are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalization {
    /// As the evaluation of Super-NaturalInstructions (arXiv 2204.07705): lower case, no ASCII punctuation, one space
    /// between words and none around them.
    #[default]
    SuperNi,
    /// As the evaluation of SQuAD (arXiv 1606.05250): as [`Normalization::SuperNi`], and the words `a`, `an` and `the`
    /// left out.
    Squad,
}

impl Normalization {
    /// `text` as it is compared.
    ///
    /// ```
    /// use orbit_data::metric::Normalization;
    /// assert_eq!(Normalization::SuperNi.apply(" The  U.S.\tArmy! "), "the us army");
    /// assert_eq!(Normalization::Squad.apply(" The  U.S.\tArmy! "), "us army");
    /// ```
    pub fn apply(self, text: &str) -> String {
        let mut text = text.to_lowercase();
        text.retain(|c| !c.is_ascii_punctuation());
        if self == Self::Squad
            && let Some(article) = ARTICLE.as_ref()
        {
            text = article.replace_all(&text, " ").into_owned();
        }
        words::split(&text).collect::<Vec<_>>().join(" ")
    }
}

static ARTICLE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\b(a|an|the)\b").ok());

/// Whether a prediction equals one of the references once both are normalized.
///
/// Nothing equals nothing: an empty prediction matches a reference of which normalization leaves nothing, as it does in
/// the evaluations this follows. `false` without references.
///
/// ```
/// use orbit_data::metric::{Normalization, exact_match};
/// assert!(exact_match("Paris.", &["Lyon", "paris"], Normalization::SuperNi));
/// assert!(!exact_match("the Paris", &["Paris"], Normalization::SuperNi));
/// assert!(exact_match("the Paris", &["Paris"], Normalization::Squad));
/// ```
pub fn exact_match(prediction: &str, references: &[impl AsRef<str>], normalization: Normalization) -> bool {
    let prediction = normalization.apply(prediction);
    references.iter().any(|reference| normalization.apply(reference.as_ref()) == prediction)
}

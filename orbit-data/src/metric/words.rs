//! How texts are cut into words, each way that of a reference package.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::stem::stem;

/// The words of `rouge-score`: runs of ASCII letters and digits of the lowercased text. With `stemmed`, words of more
/// than three characters are cut to their Porter stem.
pub(super) fn rouge(text: &str, stemmed: bool) -> Vec<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| if stemmed && word.len() > 3 { stem(word) } else { word.to_owned() }).collect()
}

/// The words of mteval-v13a, `sacrebleu`'s default tokenizer `13a`.
pub(super) fn thirteen_a(text: &str) -> Vec<String> {
    // The order of the replacements is the script's.
    let text = text.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    let text = text.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
    let mut text = format!(" {text} ");
    for (pattern, replacement) in RULES.iter() {
        if let Cow::Owned(replaced) = pattern.replace_all(&text, *replacement) {
            text = replaced;
        }
    }
    split(&text).map(str::to_owned).collect()
}

/// The language-dependent part of mteval-v13a.
static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rules = [
        // All ASCII punctuation but the apostrophe, comma, hyphen and full stop; the space changes nothing.
        (r"[{-~\[-` -&(-+:-@/]", " $0 "),
        // A full stop or comma, unless a digit precedes it, and unless one follows it.
        (r"([^0-9])([.,])", "$1 $2 "),
        (r"([.,])([^0-9])", " $1 $2"),
        // A hyphen behind a digit.
        (r"([0-9])(-)", "$1 $2 "),
    ];
    rules.into_iter().filter_map(|(pattern, replacement)| Some((Regex::new(pattern).ok()?, replacement))).collect()
});

/// The words between white space, as Python's `str.split` finds them: it also splits at the four ASCII separators.
pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    let space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    text.split(space).filter(|word| !word.is_empty())
}

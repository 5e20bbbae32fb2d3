//! Byte-level BPE: text is cut into pieces, and the bytes of each piece are merged.
//!
//! For the cutting, a GGUF file has only a name, which llama.cpp gives (`llama_vocab::impl::load` in
//! `src/llama-vocab.cpp` of <https://github.com/ggml-org/llama.cpp>). The expressions are those of the `tokenizer.json`
//! that the first models of that name were published with.

use serde_json::{Value, json};

use super::metadata::{Metadata, needed};
use super::tokenizer::{Steps, Tokens};

const KEY: &str = "tokenizer.ggml.pre";

/// Llama 3: words with the character before them, numbers of up to three digits.
const LLAMA_3: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*",
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// Qwen 2: as Llama 3, with digits one by one.
const QWEN_2: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*",
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// Mistral's Tekken: words are cut where the case changes from lower to upper.
const TEKKEN: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

pub(super) fn steps(metadata: &Metadata<'_>, tokens: &Tokens<'_>) -> Result<Steps, String> {
    let PreTokenizer { normalizer, definition, ignore_merges, add_bos } = pre_tokenizer(metadata)?;
    Ok(Steps {
        normalizer,
        pre_tokenizer: definition,
        model: bpe(metadata, tokens, ignore_merges)?,
        decoder: json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
        add_bos,
    })
}

fn bpe(metadata: &Metadata<'_>, tokens: &Tokens<'_>, ignore_merges: bool) -> Result<Value, String> {
    let vocabulary = tokens.vocabulary()?;
    let key = "tokenizer.ggml.merges";
    let merges = needed(key, metadata.texts(key)?)?;
    let merges: Vec<(&str, &str)> = merges
        .iter()
        .map(|merge| split_merge(merge))
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{key}: one is not a pair"))?;
    Ok(json!({
        "type": "BPE",
        "dropout": null,
        "unk_token": null,
        "continuing_subword_prefix": null,
        "end_of_word_suffix": null,
        "fuse_unk": false,
        "byte_fallback": false,
        "ignore_merges": ignore_merges,
        "vocab": vocabulary,
        "merges": merges,
    }))
}

/// Byte-level tokens hold no spaces, so the only one stands between the two.
fn split_merge(merge: &str) -> Option<(&str, &str)> {
    merge.split_once(' ').filter(|(left, right)| !left.is_empty() && !right.is_empty() && !right.contains(' '))
}

/// What the name of a pre-tokenizer stands for.
struct PreTokenizer {
    /// `normalizer` of `tokenizer.json`.
    normalizer: Value,
    /// `pre_tokenizer` of `tokenizer.json`.
    definition: Value,
    /// Whether a piece that is a token as a whole stays whole, even where the merges would not lead to it.
    ignore_merges: bool,
    /// Whether the first token comes before every text where the file does not say.
    add_bos: bool,
}

impl PreTokenizer {
    fn new(definition: Value) -> Self {
        Self { normalizer: Value::Null, definition, ignore_merges: false, add_bos: false }
    }
}

/// The pre-tokenizer that the file names.
///
/// # Errors
///
/// The name is missing, or not known. llama.cpp then guesses, and text comes out in other tokens than the model knows.
fn pre_tokenizer(metadata: &Metadata<'_>) -> Result<PreTokenizer, String> {
    match needed(KEY, metadata.text(KEY)?)? {
        "gpt-2" => Ok(PreTokenizer::new(byte_level(true))),
        "smollm" | "starcoder" | "refact" | "command-r" => Ok(PreTokenizer::new(digits())),
        "llama-bpe" | "llama3" | "llama-v3" => Ok(whole_tokens_first(LLAMA_3)),
        // Llama 3 tokenizers from before `ignore_merges`.
        "smaug-bpe" => Ok(PreTokenizer::new(split(LLAMA_3))),
        "tekken" => Ok(whole_tokens_first(TEKKEN)),
        "qwen2" => Ok(PreTokenizer { normalizer: json!({"type": "NFC"}), ..PreTokenizer::new(split(QWEN_2)) }),
        other => Err(format!(
            "{KEY} is {other:?}; \"gpt-2\", \"smollm\", \"llama-bpe\", \"smaug-bpe\", \"tekken\" and \"qwen2\" can be \
             read: give the model as a Hugging Face directory, which says how text is cut"
        )),
    }
}

fn whole_tokens_first(expression: &str) -> PreTokenizer {
    PreTokenizer { ignore_merges: true, add_bos: true, ..PreTokenizer::new(split(expression)) }
}

/// `cut`: whether GPT-2's expression cuts the text, too.
fn byte_level(cut: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": cut})
}

/// Digits one by one, the rest as GPT-2.
fn digits() -> Value {
    sequence(json!({"type": "Digits", "individual_digits": true}), byte_level(true))
}

fn split(expression: &str) -> Value {
    let split = json!({"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": false});
    sequence(split, byte_level(false))
}

fn sequence(first: Value, second: Value) -> Value {
    json!({"type": "Sequence", "pretokenizers": [first, second]})
}

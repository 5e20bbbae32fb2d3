//! SentencePiece's BPE, as Llama 2 and Mistral 7B have it: of all neighbours in a text, those merge first whose union
//! has the highest score (Kudo and Richardson 2018, arXiv 1808.06226). A character that is no token becomes its bytes.
//!
//! `tokenizer.json` has a list of merges instead of scores. A merge stands for two tokens whose union is a token; the
//! list is in the order of the scores of the unions, and transformers makes it in the same way (`generate_merges`).

use std::cmp::Reverse;
use std::collections::HashMap;

use serde_json::{Value, json};

use super::metadata::{Metadata, needed};
use super::tokenizer::{Steps, Tokens, kind};

/// What stands for a space in tokens.
const SPACE: &str = "\u{2581}";

/// The longest token in bytes that is believed, since every place in it may be where two tokens met. SentencePiece's
/// default is 16 characters.
const LONGEST: usize = 512;

pub(super) fn steps(metadata: &Metadata<'_>, tokens: &Tokens<'_>) -> Result<Steps, String> {
    // llama.cpp does so at the beginning and behind special tokens, and so does the `Prepend` of transformers.
    let prefix = metadata.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
    let mut normalizers = vec![json!({"type": "Prepend", "prepend": SPACE}), replace];
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
        json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}),
    ];
    if !prefix {
        normalizers.remove(0);
        decoders.pop();
    }
    Ok(Steps {
        normalizer: json!({"type": "Sequence", "normalizers": normalizers}),
        pre_tokenizer: Value::Null,
        model: bpe(metadata, tokens)?,
        decoder: json!({"type": "Sequence", "decoders": decoders}),
        add_bos: true,
    })
}

fn bpe(metadata: &Metadata<'_>, tokens: &Tokens<'_>) -> Result<Value, String> {
    let key = "tokenizer.ggml.scores";
    let scores = needed(key, metadata.floats(key)?)?;
    if scores.len() != tokens.texts.len() {
        return Err(format!("{key} has {} entries for {} tokens", scores.len(), tokens.texts.len()));
    }
    if let Some(id) = tokens.texts.iter().position(|token| token.len() > LONGEST) {
        let len = tokens.texts[id].len();
        return Err(format!("tokenizer.ggml.tokens: token {id} has {len} bytes, more than {LONGEST}"));
    }
    let unknown = tokens.kinds.iter().position(|kind| *kind == kind::UNKNOWN).map(|id| tokens.texts[id]);
    let unknown = unknown.ok_or("tokenizer.ggml.token_type: no token is the one for unknown characters (2)")?;
    Ok(json!({
        "type": "BPE",
        "dropout": null,
        "unk_token": unknown,
        "continuing_subword_prefix": null,
        "end_of_word_suffix": null,
        "fuse_unk": true,
        "byte_fallback": true,
        "ignore_merges": false,
        "vocab": tokens.vocabulary()?,
        "merges": merges(tokens, &scores),
    }))
}

/// Every pair of tokens whose union is a token, those of the highest score first. Of equal scores, the pair with the
/// longer first part comes first. Only normal tokens merge.
fn merges<'a>(tokens: &Tokens<'a>, scores: &[f64]) -> Vec<(&'a str, &'a str)> {
    let normal = |id: &usize| tokens.kinds[*id] == kind::NORMAL;
    let by_text: HashMap<&str, usize> =
        (0..tokens.texts.len()).filter(normal).map(|id| (tokens.texts[id], id)).collect();
    let mut pairs = Vec::new();
    for id in (0..tokens.texts.len()).filter(normal) {
        let text = tokens.texts[id];
        let places = text.char_indices().map(|(at, _)| text.split_at(at)).enumerate().skip(1);
        let met = places.filter(|(_, (left, right))| by_text.contains_key(left) && by_text.contains_key(right));
        pairs.extend(met.map(|(characters, pair)| (id, characters, pair)));
    }
    pairs.sort_by(|(a, a_left, _), (b, b_left, _)| {
        scores[*b].total_cmp(&scores[*a]).then(Reverse(a_left).cmp(&Reverse(b_left)))
    });
    pairs.into_iter().map(|(.., pair)| pair).collect()
}

use std::collections::BTreeMap;

use serde::Deserialize;
use tokenizers::{
    NormalizedString, Normalizer, NormalizerWrapper, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
    PreTokenizerWrapper,
};

use super::super::container::Value as Entry;
use super::*;

/// How transformers and llama.cpp cut some texts.
const PIECES: &str = include_str!("../../../../testdata/gguf/pieces.json");

/// A SentencePiece tokenizer, some texts, and the tokens that SentencePiece finds in them.
const SENTENCE_PIECE: &str = include_str!("../../../../testdata/gguf/sentence_piece.json");

#[derive(Deserialize)]
struct SentencePiece {
    tokens: Vec<String>,
    scores: Vec<f64>,
    token_type: Vec<i64>,
    texts: Vec<String>,
    ids: Vec<Vec<u32>>,
}

impl SentencePiece {
    fn golden() -> Self {
        serde_json::from_str(SENTENCE_PIECE).unwrap()
    }

    fn metadata(&self, more: &[(&str, Entry)]) -> BTreeMap<String, Entry> {
        let tokens: Vec<&str> = self.tokens.iter().map(String::as_str).collect();
        let sentence_piece = [
            ("tokenizer.ggml.model", Entry::String("llama".to_owned())),
            ("tokenizer.ggml.tokens", texts(&tokens)),
            ("tokenizer.ggml.scores", Entry::Array(self.scores.iter().map(|x| Entry::Float(*x)).collect())),
            (
                "tokenizer.ggml.token_type",
                Entry::Array(self.token_type.iter().map(|kind| Entry::Signed(*kind)).collect()),
            ),
            ("tokenizer.ggml.bos_token_id", Entry::Unsigned(1)),
            ("tokenizer.ggml.eos_token_id", Entry::Unsigned(2)),
        ];
        metadata("default", &[&sentence_piece[..], more].concat())
    }

    fn tokenizer(&self, more: &[(&str, Entry)]) -> tokenizers::Tokenizer {
        read(&Metadata(&self.metadata(more))).unwrap().definition.to_string().parse().unwrap()
    }

    fn id(&self, token: &str) -> u32 {
        self.tokens.iter().position(|other| other == token).unwrap().try_into().unwrap()
    }
}

#[derive(Deserialize)]
struct Pieces {
    texts: Vec<String>,
    pieces: BTreeMap<String, Vec<Vec<String>>>,
}

fn texts(texts: &[&str]) -> Entry {
    Entry::Array(texts.iter().map(|text| Entry::String((*text).to_owned())).collect())
}

/// The tokens `<s> </s> a b c ab`, of which merges lead to none.
fn metadata(pre: &str, more: &[(&str, Entry)]) -> BTreeMap<String, Entry> {
    let mut out = BTreeMap::from([
        ("tokenizer.ggml.model".to_owned(), Entry::String("gpt2".to_owned())),
        ("tokenizer.ggml.pre".to_owned(), Entry::String(pre.to_owned())),
        ("tokenizer.ggml.tokens".to_owned(), texts(&["<s>", "</s>", "a", "b", "c", "ab"])),
        ("tokenizer.ggml.merges".to_owned(), texts(&[])),
        ("tokenizer.ggml.bos_token_id".to_owned(), Entry::Unsigned(0)),
        ("tokenizer.ggml.eos_token_id".to_owned(), Entry::Unsigned(1)),
    ]);
    out.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    out
}

fn tokenizer(pre: &str, more: &[(&str, Entry)]) -> tokenizers::Tokenizer {
    read(&Metadata(&metadata(pre, more))).unwrap().definition.to_string().parse().unwrap()
}

fn ids(tokenizer: &tokenizers::Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode(text, true).unwrap().get_ids().to_vec()
}

fn message(metadata: &BTreeMap<String, Entry>) -> String {
    read(&Metadata(metadata)).err().unwrap()
}

fn cut(definition: &Value, text: &str) -> Vec<String> {
    let mut text = NormalizedString::from(text);
    let normalizer: Option<NormalizerWrapper> = serde_json::from_value(definition["normalizer"].clone()).unwrap();
    normalizer.inspect(|normalizer| normalizer.normalize(&mut text).unwrap());
    let pre_tokenizer: PreTokenizerWrapper = serde_json::from_value(definition["pre_tokenizer"].clone()).unwrap();
    let mut pieces = PreTokenizedString::from(text);
    pre_tokenizer.pre_tokenize(&mut pieces).unwrap();
    pieces
        .get_splits(OffsetReferential::Normalized, OffsetType::Byte)
        .into_iter()
        .map(|(piece, ..)| piece.to_owned())
        .collect()
}

#[test]
fn texts_are_cut_as_the_reference_does() {
    let golden: Pieces = serde_json::from_str(PIECES).unwrap();
    assert_eq!(golden.pieces.len(), 8);
    for (name, expected) in &golden.pieces {
        let definition = read(&Metadata(&metadata(name, &[]))).unwrap().definition;
        assert_eq!(expected.len(), golden.texts.len());
        for (text, expected) in golden.texts.iter().zip(expected) {
            assert_eq!(&cut(&definition, text), expected, "{name}: {text:?}");
        }
    }
}

#[test]
fn a_pre_tokenizer_that_is_not_known_is_refused() {
    for name in ["default", "deepseek-llm", "falcon", "gpt-4o", ""] {
        let text = message(&metadata(name, &[]));
        assert!(text.starts_with(&format!("tokenizer.ggml.pre is {name:?}; \"gpt-2\", ")), "{text}");
        assert!(text.contains("give the model as a Hugging Face directory"), "{text}");
    }
    let mut unnamed = metadata("", &[]);
    unnamed.remove("tokenizer.ggml.pre");
    assert_eq!(message(&unnamed), "metadata key tokenizer.ggml.pre is not there");
}

#[test]
fn a_tokenizer_of_another_kind_is_refused() {
    for name in ["bert", "t5", "rwkv", "no_vocab"] {
        let text = message(&metadata("gpt-2", &[("tokenizer.ggml.model", Entry::String(name.to_owned()))]));
        assert!(
            text.starts_with(&format!("tokenizer.ggml.model is {name:?}; \"gpt2\" (byte-level BPE) and")),
            "{text}"
        );
    }
}

#[test]
fn special_tokens_are_added_where_the_file_asks_for_them() {
    let flag = |name, value| (name, Entry::Bool(value));
    let (bos, eos) = ("tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token");
    for pre in ["gpt-2", "smollm", "qwen2", "smaug-bpe"] {
        assert_eq!(ids(&tokenizer(pre, &[]), "c"), [4], "{pre}");
        assert_eq!(ids(&tokenizer(pre, &[flag(bos, true)]), "c"), [0, 4], "{pre}");
        assert_eq!(ids(&tokenizer(pre, &[flag(eos, true)]), "c"), [4, 1], "{pre}");
    }
    // Files of these kinds may leave out that they want the first token.
    for pre in ["llama-bpe", "llama3", "llama-v3", "tekken"] {
        assert_eq!(ids(&tokenizer(pre, &[]), "c"), [0, 4], "{pre}");
        assert_eq!(ids(&tokenizer(pre, &[flag(eos, true)]), "c"), [0, 4, 1], "{pre}");
        assert_eq!(ids(&tokenizer(pre, &[flag(bos, false)]), "c"), [4], "{pre}");
    }
    let pair = tokenizer("llama-bpe", &[flag(eos, true)]).encode(("a", "b"), true).unwrap();
    assert_eq!(pair.get_ids(), [0, 2, 1, 0, 3, 1]);
    assert_eq!(pair.get_type_ids(), [0, 0, 0, 1, 1, 1]);
}

#[test]
fn a_special_token_that_is_to_be_added_must_be_there() {
    for name in ["bos", "eos"] {
        let mut metadata = metadata("gpt-2", &[]);
        metadata.insert(format!("tokenizer.ggml.add_{name}_token"), Entry::Bool(true));
        metadata.remove(&format!("tokenizer.ggml.{name}_token_id"));
        assert_eq!(message(&metadata), format!("metadata key tokenizer.ggml.{name}_token_id is not there"));
    }
    let text = message(&metadata("gpt-2", &[("tokenizer.ggml.add_bos_token", Entry::Unsigned(1))]));
    assert_eq!(text, "tokenizer.ggml.add_bos_token is not a boolean");
}

#[test]
fn a_piece_that_is_a_token_stays_whole_in_a_llama_3() {
    let plain = [("tokenizer.ggml.add_bos_token", Entry::Bool(false))];
    assert_eq!(ids(&tokenizer("llama-bpe", &plain), "ab"), [5]);
    assert_eq!(ids(&tokenizer("tekken", &plain), "ab"), [5]);
    assert_eq!(ids(&tokenizer("smaug-bpe", &plain), "ab"), [2, 3]);
    assert_eq!(ids(&tokenizer("qwen2", &plain), "ab"), [2, 3]);
}

#[test]
fn sentence_piece_finds_the_same_tokens() {
    let golden = SentencePiece::golden();
    let tokenizer = golden.tokenizer(&[]);
    assert_eq!(golden.texts.len(), golden.ids.len());
    for (text, expected) in golden.texts.iter().zip(&golden.ids) {
        assert_eq!(ids(&tokenizer, text), [&[1], &expected[..]].concat(), "{text:?}");
        assert_eq!(&tokenizer.decode(expected, true).unwrap(), &text.replace('\u{2581}', " "));
    }
}

#[test]
fn sentence_piece_adds_what_the_file_asks_for() {
    let golden = SentencePiece::golden();
    let flag = |name, value| (name, Entry::Bool(value));
    let (bos, eos) = ("tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token");
    let (spaced, plain) = (golden.id("\u{2581}a"), golden.id("a"));
    assert_eq!(ids(&golden.tokenizer(&[flag(bos, false)]), "a"), [spaced]);
    assert_eq!(ids(&golden.tokenizer(&[flag(eos, true)]), "a"), [1, spaced, 2]);
    assert_eq!(ids(&golden.tokenizer(&[]), "a</s>a"), [1, spaced, 2, spaced]);
    let unspaced = golden.tokenizer(&[flag("tokenizer.ggml.add_space_prefix", false)]);
    assert_eq!(ids(&unspaced, "a"), [1, plain]);
    assert_eq!(unspaced.decode(&[spaced, plain], true).unwrap(), " aa");
}

#[test]
fn a_broken_sentence_piece_is_named() {
    let golden = SentencePiece::golden();
    let kinds = Entry::Array(vec![Entry::Signed(1); golden.tokens.len()]);
    let long = texts(&vec!["x".repeat(513).as_str(); golden.tokens.len()]);
    let cases = [
        ("tokenizer.ggml.scores", Entry::Array(vec![]), "tokenizer.ggml.scores has 0 entries for 450 tokens"),
        ("tokenizer.ggml.scores", texts(&["1"]), "tokenizer.ggml.scores is not an array of floats"),
        ("tokenizer.ggml.token_type", Entry::Array(vec![]), "tokenizer.ggml.token_type has 0 entries for 450 tokens"),
        ("tokenizer.ggml.token_type", kinds, "tokenizer.ggml.token_type: no token is the one for unknown"),
        ("tokenizer.ggml.tokens", long, "tokenizer.ggml.tokens: token 0 has 513 bytes, more than 512"),
    ];
    for (key, value, expected) in cases {
        let text = message(&golden.metadata(&[(key, value)]));
        assert!(text.starts_with(expected), "{text}");
    }
}

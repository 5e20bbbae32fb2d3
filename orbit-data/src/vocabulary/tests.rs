#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use tokenizers::Tokenizer;

use super::*;
use crate::tokenizer::tokenizer_of;

const TEXT: &str = "the cat sat on the mat, and 12 cats sat on 34 mats.\n";

fn tokenizer() -> Tokenizer {
    train_bpe([TEXT; 4].into_iter(), 290, &SPECIAL_TOKENS).unwrap()
}

fn rows() -> u32 {
    tokenizer().get_vocab_size(true) as u32
}

fn vocabulary_of(codes: &[usize]) -> Result<Vocabulary> {
    Vocabulary::new(TextTokenizer::new(tokenizer(), Reader::Decoder)?, codes)
}

fn vocabulary() -> Vocabulary {
    vocabulary_of(&[3, 4]).unwrap()
}

#[test]
fn new_tokens_have_the_ids_that_the_tokenizer_gives() {
    let vocabulary = vocabulary();
    let base = rows();
    assert_eq!((vocabulary.start(), vocabulary.end(), vocabulary.new_tokens()), (base, base + 1, 9));
    assert_eq!(vocabulary.base_tokens(), base as usize);
    assert_eq!(vocabulary.sid(&[2, 3]).unwrap(), [base, base + 4, base + 8, base + 1]);
    assert_eq!(vocabulary.text().name(base + 8).unwrap(), "<sid_1_3>");
}

#[test]
fn codes_that_are_not_there_are_errors() {
    let vocabulary = vocabulary();
    assert_eq!((vocabulary.code(0, 3), vocabulary.code(2, 0)), (None, None));
    assert!(vocabulary.sid(&[3, 0]).unwrap_err().to_string().contains("no code 3 at level 0"));
    assert!(vocabulary.sid(&[1]).unwrap_err().to_string().contains("1 codes for 2 levels"));
}

#[test]
fn a_saved_vocabulary_takes_the_same_semantic_ids_only() {
    let dir = tempfile::tempdir().unwrap();
    vocabulary().text().save(dir.path()).unwrap();
    let read = |codes: &[usize]| Vocabulary::read(dir.path(), Reader::Decoder, codes);
    assert_eq!(read(&[3, 4]).unwrap().sid(&[2, 3]).unwrap(), vocabulary().sid(&[2, 3]).unwrap());
    for others in [&[4, 4][..], &[3, 3], &[3]] {
        assert!(read(others).unwrap_err().to_string().contains("start from a tokenizer without semantic IDs"));
    }
    assert!(Vocabulary::read(&dir.path().join("none"), Reader::Decoder, &[3]).is_err());
    // What encloses semantic IDs may be there already.
    vocabulary_of(&[]).unwrap().text().save(dir.path()).unwrap();
    assert_eq!(read(&[3, 4]).unwrap().sid(&[2, 3]).unwrap(), vocabulary().sid(&[2, 3]).unwrap());
}

#[test]
fn training_gives_the_same_tokenizer_every_time() {
    let first = tokenizer().to_string(false).unwrap();
    assert!((0..5).all(|_| tokenizer().to_string(false).unwrap() == first));
    for (id, token) in SPECIAL_TOKENS.iter().enumerate() {
        assert_eq!(tokenizer().token_to_id(token), Some(id as u32));
    }
}

#[test]
fn trained_tokenizers_write_back_any_text() {
    let tokenizer = TextTokenizer::new(tokenizer(), Reader::Decoder).unwrap();
    for text in [TEXT, "  déjà vu\t2024 🙂\r\n", ""] {
        assert_eq!(tokenizer.decode(&tokenizer.text(text).unwrap()).unwrap(), text);
    }
    assert_eq!(tokenizer.text("2024").unwrap().len(), 4);
}

#[test]
fn a_size_without_room_for_the_bytes_is_an_error() {
    let message = train_bpe([TEXT].into_iter(), 258, &SPECIAL_TOKENS).unwrap_err().to_string();
    assert!(message.contains("at least 259"), "{message}");
}

#[test]
fn semantic_ids_beyond_any_vocabulary_are_an_error() {
    let why = |codes: &[usize]| vocabulary_of(codes).unwrap_err().to_string();
    assert!(why(&[usize::MAX, 2]).contains("there may be"));
    assert!(why(&[65_536; 1000]).contains("65536002 new tokens"));
    let last = r#"{"model": {"type": "WordLevel", "vocab": {"<u>": 4294967280}, "unk_token": "<u>"}}"#;
    let last = TextTokenizer::new(tokenizer_of(last.as_bytes(), Path::new("t")).unwrap(), Reader::Decoder).unwrap();
    assert!(Vocabulary::new(last, &[20]).is_err());
}

/// The ids of a file may be any, also the last that there is.
#[test]
fn tokens_for_users_may_have_the_last_id() {
    let definition = r#"{"model": {"type": "WordLevel", "vocab": {"<user_0>": 4294967295}, "unk_token": "<user_0>"}}"#;
    let users = UserTokens::of_tokenizer(&tokenizer_of(definition.as_bytes(), Path::new("t")).unwrap()).unwrap();
    assert_eq!(users.of("anybody"), u32::MAX);
}

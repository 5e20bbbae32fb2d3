#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

const TEXT: &str = "the cat sat on the mat, and 12 cats sat on 34 mats.\n";

fn tokenizer() -> Tokenizer {
    train_bpe([TEXT; 4].into_iter(), 290, &SPECIAL_TOKENS).unwrap()
}

fn rows() -> u32 {
    tokenizer().get_vocab_size(true) as u32
}

fn vocabulary() -> Vocabulary {
    Vocabulary::new(tokenizer(), rows(), &[3, 4]).unwrap()
}

#[test]
fn new_tokens_run_on_from_the_model_rows() {
    let vocabulary = vocabulary();
    let base = rows();
    assert_eq!((vocabulary.start(), vocabulary.end(), vocabulary.new_tokens()), (base, base + 1, 9));
    assert_eq!(vocabulary.sid(&[2, 3]).unwrap(), [base, base + 4, base + 8, base + 1]);
    assert_eq!(vocabulary.name(base + 8).unwrap(), "<sid_1_3>");
}

#[test]
fn codes_that_are_not_there_are_errors() {
    let vocabulary = vocabulary();
    assert_eq!((vocabulary.code(0, 3), vocabulary.code(2, 0)), (None, None));
    assert!(vocabulary.sid(&[3, 0]).unwrap_err().to_string().contains("no code 3 at level 0"));
    assert!(vocabulary.sid(&[1]).unwrap_err().to_string().contains("1 codes for 2 levels"));
}

#[test]
fn encoding_finds_special_tokens_and_adds_none() {
    let vocabulary = vocabulary();
    let text = "<|im_start|>the<start_of_sid><sid_0_1><sid_1_0><end_of_sid> cat";
    let tokens = vocabulary.encode(text).unwrap();
    let sid = vocabulary.sid(&[1, 0]).unwrap();
    assert_eq!(tokens[0], 1);
    assert!(tokens.windows(4).any(|window| window == sid));
    assert_eq!(vocabulary.decode(&tokens).unwrap(), text);
    assert!(vocabulary.is_special(1) && vocabulary.is_special(sid[1]) && !vocabulary.is_special(70));
}

#[test]
fn a_tokenizer_that_does_not_fit_the_model_is_an_error() {
    for rows in [rows() - 1, rows() + 1] {
        let message = Vocabulary::new(tokenizer(), rows, &[3, 4]).unwrap_err().to_string();
        assert!(message.contains(&format!("model's {rows} embedding rows")), "{message}");
    }
}

#[test]
fn a_saved_vocabulary_takes_the_same_semantic_ids_only() {
    let dir = tempfile::tempdir().unwrap();
    vocabulary().save(dir.path()).unwrap();
    let read = Vocabulary::read(dir.path(), rows(), &[3, 4]).unwrap();
    assert_eq!(read.sid(&[2, 3]).unwrap(), vocabulary().sid(&[2, 3]).unwrap());
    assert!(Vocabulary::read(dir.path(), rows(), &[4, 4]).is_err());
    assert!(Vocabulary::read(dir.path(), rows(), &[3, 3]).is_err());
    assert!(Vocabulary::read(&dir.path().join("none"), rows(), &[3]).is_err());
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
    let vocabulary = vocabulary();
    for text in [TEXT, "  déjà vu\t2024 🙂\r\n", ""] {
        assert_eq!(vocabulary.decode(&vocabulary.encode(text).unwrap()).unwrap(), text);
    }
    assert_eq!(vocabulary.encode("2024").unwrap().len(), 4);
}

#[test]
fn a_size_without_room_for_the_bytes_is_an_error() {
    let message = train_bpe([TEXT].into_iter(), 258, &SPECIAL_TOKENS).unwrap_err().to_string();
    assert!(message.contains("at least 259"), "{message}");
}

/// The library that reads tokenizers panics on the first; the others are of ids and sizes that do not fit.
#[test]
fn a_broken_tokenizer_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokenizer.json");
    let whole = tokenizer().to_string(false).unwrap();
    let decoder = whole.find("\"decoder\":").unwrap() + "\"decoder\":".len();
    let broken = format!("{}{{\"type\":\"ByteLevel\",\"use_", &whole[..decoder]);
    for definition in [broken.as_str(), "{}", "", &"[".repeat(100_000)] {
        std::fs::write(&path, definition).unwrap();
        let why = read_tokenizer(&path).unwrap_err().to_string();
        assert!(why.contains("tokenizer.json"), "{why}");
    }
}

#[test]
fn semantic_ids_beyond_any_vocabulary_are_an_error() {
    let why = |rows: u32, codes: &[usize]| Vocabulary::new(tokenizer(), rows, codes).unwrap_err().to_string();
    assert!(why(rows(), &[usize::MAX, 2]).contains("there may be"));
    assert!(why(rows(), &[65_536; 1000]).contains("65536002 new tokens"));
    assert!(why(u32::MAX - 1, &[2]).contains("behind 4294967294"));
}

/// The ids of a file may be any, also the last that there is.
#[test]
fn tokens_for_users_may_have_the_last_id() {
    let definition = r#"{"model": {"type": "WordLevel", "vocab": {"<user_0>": 4294967295}, "unk_token": "<user_0>"}}"#;
    let users = UserTokens::of_tokenizer(&tokenizer_of(definition.as_bytes(), Path::new("t")).unwrap()).unwrap();
    assert_eq!(users.of("anybody"), u32::MAX);
}

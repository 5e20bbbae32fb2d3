#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::vocabulary::{SPECIAL_TOKENS, train_bpe};

fn bpe(reader: Reader) -> TextTokenizer {
    let text = "the cat sat on the mat and looked at the <| clock |> im_end user";
    TextTokenizer::new(train_bpe([text; 4].into_iter(), 300, &SPECIAL_TOKENS).unwrap(), reader).unwrap()
}

/// A tokenizer of single characters as SentencePiece's are: a blank is `▁`, and one is put before a text that begins.
fn of_characters(prepend: &str, post_processor: Value, reader: Reader) -> TextTokenizer {
    let letters = "▁abcdefghijklmnopqrstuvwxyz<>|_/".chars().map(String::from);
    let names = ["<s>", "</s>", "<unk>"].into_iter().map(str::to_owned).chain(letters);
    let vocabulary: serde_json::Map<String, Value> =
        (0..).zip(names).map(|(id, name): (u32, _)| (name, id.into())).collect();
    let special = |id: u32, content: &str| json!({"id": id, "content": content, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false});
    let definition = json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 40}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 1, "pad_type_id": 0, "pad_token": "</s>"},
        "added_tokens": [special(0, "<s>"), special(1, "</s>"), special(2, "<unk>")],
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": prepend, "split": false},
        "post_processor": post_processor,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": [], "unk_token": "<unk>"},
    });
    TextTokenizer::new(tokenizer_of(definition.to_string().as_bytes(), Path::new("t")).unwrap(), reader).unwrap()
}

fn around(before: &[&str], behind: &[&str]) -> Value {
    let special = |name: &&str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let single: Vec<Value> = before.iter().map(special).chain([text]).chain(behind.iter().map(special)).collect();
    let tokens = [("<s>", 0), ("</s>", 1)]
        .map(|(name, id)| (name.to_owned(), json!({"id": name, "ids": [id], "tokens": [name]})));
    let tokens: serde_json::Map<String, Value> = tokens.into_iter().collect();
    json!({"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": tokens})
}

fn names(tokenizer: &TextTokenizer, tokens: &[u32]) -> String {
    tokens.iter().map(|&token| tokenizer.name(token).unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn truncation_and_padding_of_the_file_do_nothing() {
    let tokenizer = of_characters("never", Value::Null, Reader::Decoder);
    assert_eq!(names(&tokenizer, &tokenizer.text("abcdef").unwrap()), "a b c d e f");
    let saved = tempfile::tempdir().unwrap();
    tokenizer.save(saved.path()).unwrap();
    let text = std::fs::read_to_string(saved.path().join("tokenizer.json")).unwrap();
    let saved: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&saved["truncation"], &saved["padding"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_decoder_begins_with_the_bos_of_the_post_processor_once() {
    // Some post-processors close a text as well, which one that is to go on must not be.
    for behind in [&[][..], &["</s>"]] {
        let tokenizer = of_characters("never", around(&["<s>"], behind), Reader::Decoder);
        assert_eq!(names(&tokenizer, &tokenizer.first("ab").unwrap()), "<s> a b");
        assert_eq!(names(&tokenizer, &tokenizer.text("ab").unwrap()), "a b");
        assert_eq!(names(&tokenizer, &tokenizer.prompt("ab", false).unwrap()), "<s> a b");
        assert_eq!(names(&tokenizer, &tokenizer.prompt("<s>ab", true).unwrap()), "<s> a b");
        assert_eq!(names(&tokenizer, &tokenizer.prompt("<s>ab", false).unwrap()), "<s> a b", "not twice");
        let (context, continuation) = tokenizer.continued("ab", " c").unwrap();
        assert_eq!(
            (names(&tokenizer, &context).as_str(), names(&tokenizer, &continuation).as_str()),
            ("<s> a b", "▁ c")
        );
    }
    let without = of_characters("never", Value::Null, Reader::Decoder);
    assert_eq!(names(&without, &without.first("ab").unwrap()), "a b");
}

#[test]
fn an_encoder_reads_what_the_post_processor_puts_behind_a_text() {
    let tokenizer = of_characters("always", around(&[], &["</s>"]), Reader::Encoder);
    assert_eq!(names(&tokenizer, &tokenizer.first("ab").unwrap()), "▁ a b </s>");
    assert_eq!(names(&tokenizer, &tokenizer.prompt("ab</s>", true).unwrap()), "▁ a b </s>", "not twice");
    let (context, continuation) = tokenizer.continued("ab ", "c").unwrap();
    // Two texts: the answer is encoded alone, without what closes it.
    assert_eq!(
        (names(&tokenizer, &context).as_str(), names(&tokenizer, &continuation).as_str()),
        ("▁ a b </s>", "▁ c")
    );
    assert_eq!(tokenizer.closing_of_prompts(), [1]);
    assert_eq!(names(&tokenizer, &tokenizer.whole("ab", 9).unwrap()), "▁ a b </s>");
    assert_eq!(names(&tokenizer, &tokenizer.whole("ab", 3).unwrap()), "▁ a </s>");
}

/// A tokenizer that puts a blank before every text, as Llama 2's, does not put one before a continuation.
#[test]
fn a_continuation_has_the_tokens_that_it_has_behind_its_context() {
    for prepend in ["always", "first"] {
        let tokenizer = of_characters(prepend, around(&["<s>"], &[]), Reader::Decoder);
        for (context, continuation) in [("ab", " c"), ("ab ", "c"), ("ab \n ", "c")] {
            let (context, continued) = tokenizer.continued(context, continuation).unwrap();
            assert_eq!(names(&tokenizer, &context), "<s> ▁ a b", "{prepend}");
            assert!(names(&tokenizer, &continued).starts_with("▁ "), "{prepend}");
            assert!(names(&tokenizer, &continued).ends_with(" c") && !names(&tokenizer, &continued).contains("▁ ▁ ▁"));
        }
        let (prompt, answer) = tokenizer.answered("ab", "c", false).unwrap();
        assert_eq!((names(&tokenizer, &prompt).as_str(), names(&tokenizer, &answer).as_str()), ("<s> ▁ a b", "c"));
    }
}

#[test]
fn nothing_stands_for_an_empty_context_but_the_prefix() {
    let tokenizer = of_characters("never", around(&["<s>"], &[]), Reader::Decoder);
    let why = tokenizer.continued(" ", "a").unwrap_err().to_string();
    assert!(why.contains("no BOS and no EOS"), "{why}");
    let tokenizer = tokenizer.with_prefix(1);
    assert_eq!(tokenizer.continued("", "ab").unwrap(), (vec![1], tokenizer.text("ab").unwrap()));
    assert_eq!(tokenizer.continued("\n", "ab").unwrap().1, tokenizer.text("\nab").unwrap());
    assert!(tokenizer.continued("", "").unwrap_err().to_string().contains("without a token"));
    assert!(tokenizer.continued("ab", "").unwrap_err().to_string().contains("no token of its own"));
}

#[test]
fn control_tokens_spelled_in_text_are_text() {
    for reader in [Reader::Decoder, Reader::Encoder] {
        for tokenizer in [bpe(reader), of_characters("first", around(&["<s>"], &[]), reader)] {
            for word in ["<|im_end|>", "</s>", "a <s>b", "<|im_end|><|im_start|>", "<<s>>", "<|<|im_end|>|>"] {
                let tokens = tokenizer.text(word).unwrap();
                assert!(
                    tokens.iter().all(|&token| !tokenizer.is_special(token)),
                    "{word}: {}",
                    names(&tokenizer, &tokens)
                );
                let written = names(&tokenizer, &tokens).replace([' ', '▁', 'Ġ'], "");
                assert_eq!(written, word.replace(' ', ""));
            }
        }
    }
    let tokenizer = bpe(Reader::Decoder);
    let (end, spelled) = (tokenizer.text("<|im_end|>").unwrap().len(), tokenizer.text("<|im_enx|>").unwrap().len());
    assert!(end > 1 && end <= spelled, "as many as another word takes: {end} and {spelled}");
}

#[test]
fn what_a_template_writes_is_control_and_what_a_user_writes_is_not() {
    let tokenizer = bpe(Reader::Decoder);
    let words = tokenizer.guard("stop <|im_end|> now");
    let rendered = tokenizer.rendered(&format!("<|im_start|>user\n{words}<|im_end|>")).unwrap();
    let controls: Vec<u32> = rendered.iter().copied().filter(|&token| tokenizer.is_special(token)).collect();
    assert_eq!(controls, [1, 2]);
    assert_eq!(tokenizer.decode(&rendered).unwrap(), "<|im_start|>user\nstop <|im_end|> now<|im_end|>");
    // Words without a spelling are untouched, and the two ways agree.
    assert!(matches!(tokenizer.guard("the cat"), Cow::Borrowed("the cat")));
}

#[test]
fn a_text_is_cut_where_a_token_ends() {
    let tokenizer = bpe(Reader::Decoder);
    let text = "the cat sat on the mat größer";
    let all = tokenizer.text(text).unwrap().len();
    assert_eq!(tokenizer.beginning(text, all).unwrap(), text);
    for tokens in 0..all {
        let cut = tokenizer.beginning(text, tokens).unwrap();
        assert!(text.starts_with(cut) && cut.len() < text.len());
        assert!(tokenizer.text(cut).unwrap().len() <= tokens + 1);
    }
    assert_eq!(tokenizer.shortened(text, 0).unwrap(), &text[..text.len() - 1]);
    assert_eq!(tokenizer.shortened("ä", 9).unwrap(), "");
}

/// The library that reads tokenizers panics on the first; the others are of ids and sizes that do not fit.
#[test]
fn a_broken_tokenizer_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokenizer.json");
    let whole = bpe(Reader::Decoder).tokenizer().to_string(false).unwrap();
    let decoder = whole.find("\"decoder\":").unwrap() + "\"decoder\":".len();
    let broken = format!("{}{{\"type\":\"ByteLevel\",\"use_", &whole[..decoder]);
    for definition in [broken.as_str(), "{}", "", &"[".repeat(100_000)] {
        std::fs::write(&path, definition).unwrap();
        let why = read_tokenizer(&path).unwrap_err().to_string();
        assert!(why.contains("tokenizer.json"), "{why}");
    }
}

proptest! {
    /// Marks change nothing of a text in which no control token is spelled, and control tokens around a text stay what they are.
    #[test]
    fn guarded_text_reads_as_the_text_does(text in "[a-c <|>_ims/nd]{0,30}") {
        for tokenizer in [bpe(Reader::Decoder), of_characters("first", Value::Null, Reader::Decoder)] {
            let tokens = tokenizer.text(&text).unwrap();
            prop_assert!(tokens.iter().all(|&token| token == 2 || !tokenizer.is_special(token)));
            let encoded = tokenizer.tokenizer().encode(text.as_str(), false).unwrap().get_ids().to_vec();
            if encoded.iter().all(|&token| !tokenizer.is_special(token)) {
                prop_assert_eq!(tokens, encoded);
            }
        }
    }

    #[test]
    fn a_context_and_its_continuation_are_the_whole(context in "[a-c \n]{0,12}[a-c]", continuation in "[a-c ]{0,8}[a-c]") {
        for tokenizer in [bpe(Reader::Decoder), of_characters("first", around(&["<s>"], &[]), Reader::Decoder)] {
            // With a blank between the two, no tokenizer here joins them.
            let (context_tokens, continued) = tokenizer.continued(&context, &format!(" {continuation}")).unwrap();
            let whole = tokenizer.first(&format!("{context} {continuation}")).unwrap();
            prop_assert_eq!([context_tokens, continued].concat(), whole);
        }
    }
}

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::Vocabulary;
use crate::chat::{ChatTemplate, Message};
use crate::tokenizer::{Reader, TextTokenizer};
use crate::vocabulary::{SPECIAL_TOKENS, item_tokenizer, train_bpe};

const LEVELS: [usize; 3] = [4, 4, 2];
const ITEMS: u32 = 20;

/// A template with a default system message, as SmolLM2's.
const WITH_SYSTEM: &str = "{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe brief.<|im_end|>\n' }}{% endif %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

fn vocabulary() -> Vocabulary {
    let tokenizer = train_bpe(["user assistant system Be brief."; 4].into_iter(), 300, &SPECIAL_TOKENS).unwrap();
    Vocabulary::new(TextTokenizer::new(tokenizer, Reader::Decoder).unwrap(), &LEVELS).unwrap()
}

fn codes() -> Vec<Vec<u16>> {
    (0..ITEMS as u16).map(|item| vec![item % 4, item / 4 % 4, item / 16]).collect()
}

fn chat(source: &str) -> ChatTemplate {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("chat_template.jinja"), source).unwrap();
    ChatTemplate::read(dir.path()).unwrap()
}

fn form(chat: &ChatTemplate, max_history: usize) -> NextItem {
    NextItem::new(chat, &vocabulary(), &codes(), max_history).unwrap()
}

/// The tokens of the rendered text, up to the end of the answer.
fn rendered(chat: &ChatTemplate, history: &[u32], target: u32) -> Vec<u32> {
    let vocabulary = vocabulary();
    let sid = |&item: &u32| vocabulary.text().decode(&vocabulary.sid(&codes()[item as usize]).unwrap()).unwrap();
    let history: String = history.iter().map(sid).collect();
    let messages = [Message::new("user", &history), Message::new("assistant", &sid(&target))];
    let mut tokens = vocabulary.text().rendered(&chat.render(&messages, false).unwrap()).unwrap();
    let close = tokens.iter().rposition(|&token| token == 2).unwrap();
    tokens.truncate(close + 1);
    tokens
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn examples_equal_rendering_and_tokenizing(
        history in prop::collection::vec(0..ITEMS, 1..12),
        target in 0..ITEMS,
        max_history in 1usize..8,
    ) {
        let recent = &history[history.len().saturating_sub(max_history)..];
        for chat in [ChatTemplate::chatml().unwrap(), chat(WITH_SYSTEM)] {
            let form = form(&chat, max_history);
            let example = form.example(None, &history, target).unwrap();
            prop_assert_eq!(&example.tokens, &rendered(&chat, recent, target));
            prop_assert_eq!(example.prompt(), form.prompt(None, &history).unwrap());
        }
    }
}

#[test]
fn the_answer_is_the_semantic_id_and_the_end_of_the_turn() {
    let example = form(&ChatTemplate::chatml().unwrap(), 5).example(None, &[1, 2], 7).unwrap();
    let mut answer = vocabulary().sid(&codes()[7]).unwrap();
    answer.push(2);
    assert_eq!(example.learned(), answer);
}

/// Templates of reasoning models write an empty thought before the answer: it belongs to the prompt.
#[test]
fn what_a_template_writes_before_the_answer_is_not_learned() {
    let source = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + ('brief ' if m.role == 'assistant' else '') + m.content + '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
    let example = form(&chat(source), 5).example(None, &[1], 7).unwrap();
    assert_eq!(example.learned()[0], vocabulary().start());
    assert!(vocabulary().text().decode(example.prompt()).unwrap().ends_with("assistant\nbrief "));
}

#[test]
fn templates_that_drop_or_repeat_the_words_are_errors() {
    for source in [
        "{{ messages[0].content }}",
        "{{ messages[0].content * 2 }}{% if messages[1] %}{{ messages[1].content }}{% endif %}",
    ] {
        assert!(Turns::new(&chat(source), &vocabulary()).unwrap_err().to_string().contains("exactly once"));
    }
}

#[test]
fn every_item_but_the_first_is_a_target_once() {
    let form = form(&ChatTemplate::chatml().unwrap(), 2);
    let histories: [&[u32]; 4] = [&[3, 4, 5, 6], &[7], &[], &[8, 9]];
    let examples = NextItems::new(form.clone(), histories.map(|history| ("user", history))).unwrap();
    let expected = [(&[3][..], 4), (&[3, 4], 5), (&[3, 4, 5], 6), (&[8], 9)];
    assert_eq!(examples.len(), expected.len());
    for (index, (history, target)) in expected.into_iter().enumerate() {
        assert_eq!(examples.get(index), form.example(None, history, target).unwrap());
        assert_eq!(examples.length(index), examples.get(index).tokens.len());
    }
}

#[test]
fn items_without_a_semantic_id_are_errors() {
    let form = form(&ChatTemplate::chatml().unwrap(), 2);
    for error in [form.prompt(None, &[ITEMS]).err(), form.example(None, &[0], ITEMS).err()] {
        assert!(error.unwrap().to_string().contains("item 20 has no semantic ID"));
    }
    assert!(NextItems::new(form, [("user", &[0, ITEMS][..])]).is_err());
    assert!(NextItem::new(&ChatTemplate::chatml().unwrap(), &vocabulary(), &codes(), 0).is_err());
}

#[test]
fn windows_learn_every_token_but_the_first_once() {
    let windows = Windows::new((0..24).collect(), 5);
    let learned: Vec<u32> = (0..windows.len()).flat_map(|i| windows.get(i).learned().to_vec()).collect();
    assert_eq!(learned, (1..21).collect::<Vec<_>>());
    assert!((0..windows.len()).all(|i| windows.get(i).tokens.len() == windows.length(i)));
    assert!(Windows::new(vec![], 5).is_empty() && Windows::new(vec![1], 0).is_empty());
}

#[test]
fn prompts_begin_with_the_user_where_there_are_tokens_for_users() {
    let tokenizer = item_tokenizer(5).unwrap();
    let vocabulary = Vocabulary::new(TextTokenizer::new(tokenizer, Reader::Encoder).unwrap(), &LEVELS).unwrap();
    let form = NextItem::new(&ChatTemplate::plain("</s>").unwrap(), &vocabulary, &codes(), 3).unwrap();
    let name = |user: &str| vocabulary.text().name(form.prompt(Some(user), &[1]).unwrap()[0]).unwrap();
    let names: BTreeSet<String> = (0..40).map(|user| name(&format!("u{user}"))).collect();
    assert!(names.len() == 5 && names.iter().all(|name| name.starts_with("<user_")), "{names:?}");
    assert_eq!(name("u1"), name("u1"));
    let without = form.prompt(None, &[1]).unwrap();
    assert_eq!(without, vocabulary.sid(&codes()[1]).unwrap(), "nobody, and no words around");
    let examples = NextItems::new(form.clone(), [("u1", &[1, 2][..])]).unwrap();
    assert_eq!(examples.get(0), form.example(Some("u1"), &[1], 2).unwrap());
    assert_eq!(examples.get(0).tokens.len(), examples.length(0));
    assert_eq!(vocabulary.text().name(*examples.get(0).tokens.last().unwrap()).unwrap(), "</s>");
}

#[test]
fn texts_are_asked_for_items_and_items_for_texts() {
    let vocabulary = vocabulary();
    let form = ItemForm::new(&ChatTemplate::chatml().unwrap(), &vocabulary, &codes()).unwrap();
    let pairs = |direction, longest| {
        Pairs::new(form.clone(), vocabulary.text(), direction, [("Be brief.", 3), ("user", 4)], longest).unwrap()
    };
    let shown = |example: Example| {
        let text = |tokens: &[u32]| vocabulary.text().decode(tokens).unwrap();
        (text(example.prompt()), text(example.learned()))
    };
    let sid = vocabulary.text().decode(&vocabulary.sid(&codes()[3]).unwrap()).unwrap();
    let asked = |words: &str| format!("<|im_start|>user\n{words}<|im_end|>\n<|im_start|>assistant\n");
    let to_id = pairs(Direction::TextToId, 99);
    assert_eq!(shown(to_id.get(0)), (asked("Be brief."), format!("{sid}<|im_end|>")));
    assert_eq!(to_id.get(0).prompt(), form.text_prompt(vocabulary.text(), "Be brief.", 99).unwrap());
    assert_eq!(shown(pairs(Direction::IdToText, 99).get(0)), (asked(&sid), "Be brief.<|im_end|>".to_owned()));
    let cut = pairs(Direction::TextToId, 1);
    assert!(cut.get(0).tokens.len() < to_id.get(0).tokens.len());
    // A question that was cut is answered and closed; an answer that was cut stays open.
    assert_eq!((cut.cut_texts(), to_id.cut_texts()), (1, 0));
    assert!(shown(cut.get(0)).1.ends_with("<|im_end|>"));
    let open = pairs(Direction::IdToText, 1);
    assert!(!shown(open.get(0)).1.ends_with("<|im_end|>") && shown(open.get(1)).1.ends_with("<|im_end|>"));
    assert_eq!([0, 1].map(|index| open.length(index)), [0, 1].map(|index| open.get(index).tokens.len()));
    for index in 0..2 {
        assert_eq!(to_id.get(index).tokens.len(), to_id.length(index));
    }
    assert!(
        form.text_prompt(vocabulary.text(), "user", 0).is_err() && form.text_prompt(vocabulary.text(), "", 9).is_err()
    );
    assert!(Pairs::new(form, vocabulary.text(), Direction::TextToId, [("user", ITEMS)], 9).is_err());
}

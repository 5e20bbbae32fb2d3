//! Templates render as transformers renders them; `testdata/chat/make_golden.py` says what is in the golden file.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{ChatTemplate, Message, Source};
use crate::Result;

/// What transformers renders and orbit refuses, because the engine does not have it.
const REFUSED: [&str; 17] = [
    r"{% macro f(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ f(1, 2, 3) }}",
    r"{% macro f(a) %}{{ a }}{{ kwargs }}{% endmacro %}{{ f(1, b=2) }}",
    r"{{ '%s and %d' % ('a', 3) }}",
    r"{{ '%s' % 'a' }} {{ '%05.2f' % 3.14159 }}",
    r"{{ '{!r}'.format('a') }}",
    r"{{ 'a\nb' | indent('> ') }}",
    r"{{ +1 }}",
    r"{{ 'Straße'.casefold() }}",
    r"{{ 'a\tb'.expandtabs(4) }}",
    r"{{ 'a b c' | wordcount }}",
    r"{{ 'hello world foo' | truncate(9) }} {{ 'hello world' | truncate(8, true) }} {{ 'hello world' | truncate(8, true, '..', 0) }} {{ 'short' | truncate(20) }}",
    r"{{ '<p>a  b</p>' | striptags }}",
    r"{{ 'a b/c?d=é' | urlencode }} {{ {'a': 'b c'} | urlencode }}",
    r"{{ 'ab cd ef' | wordwrap(5) }}",
    r"{{ 1234567 | filesizeformat }}",
    r"{{ {'a': 1} | attr('a') is defined }} {{ messages[0] | attr('role') is defined }}",
    r"{{ {'a': [1, 'x']} | pprint }}",
];

/// What transformers refuses and orbit renders, because the engine is more lenient.
const ALLOWED: [&str; 5] = [
    r"{{ range(3) | tojson }}",
    r"{{ {'a': 1}.items() | tojson }}",
    r"{{ 'a' < 1 }}",
    r"{{ ','.join([1]) }}",
    r"{% for x in none %}a{% else %}b{% endfor %}",
];

/// What orbit renders in another way: floats beyond 16 digits, and methods that are named and not called.
const OTHERWISE: [&str; 3] =
    [r"{{ 1e16 }} {{ 1e-5 }}", r"{{ messages[0].items is defined }}", r"{{ messages[0].content.strip is defined }}"];

#[derive(Deserialize)]
struct Golden {
    now: String,
    tokens: Map<String, Value>,
    conversations: BTreeMap<String, Vec<Message>>,
    snippets: Vec<(String, Option<String>)>,
    templates: BTreeMap<String, BTreeMap<String, Option<String>>>,
    directories: BTreeMap<String, (BTreeMap<String, Value>, Option<String>)>,
}

impl Golden {
    fn read() -> Self {
        serde_json::from_str(include_str!("../../testdata/chat/golden.json")).unwrap()
    }

    fn render(&self, template: &str, conversation: &str, prompt: bool) -> Result<String> {
        let source = Source { text: template.to_owned(), origin: "a test".into() };
        let chat = ChatTemplate::new(source, self.tokens.clone())?.with_now(&self.now)?;
        chat.render(&self.conversations[conversation], prompt)
    }
}

/// Every idiom gives the text that transformers gives, and fails where it fails, except for those listed above.
#[test]
fn idioms_render_as_in_transformers() {
    let golden = Golden::read();
    let mut listed: Vec<&str> = [&REFUSED[..], &ALLOWED, &OTHERWISE].concat();
    for (source, expected) in &golden.snippets {
        let got = golden.render(source, "pair", true);
        let is_as_expected = match listed.iter().position(|other| other == source) {
            Some(at) => {
                let source = listed.swap_remove(at);
                let (expected, got) = (expected.as_ref(), got.as_ref().ok());
                match (REFUSED.contains(&source), ALLOWED.contains(&source)) {
                    (true, _) => expected.is_some() && got.is_none(),
                    (_, true) => expected.is_none() && got.is_some(),
                    _ => expected.is_some() && got.is_some() && expected != got,
                }
            }
            None => got.as_ref().ok() == expected.as_ref(),
        };
        assert!(is_as_expected, "{source}\nin transformers: {expected:?}\nhere: {got:?}");
    }
    assert!(listed.is_empty(), "listed as different and not tried: {listed:?}");
}

/// Whole templates with the idioms of published models.
#[test]
fn templates_render_as_in_transformers() {
    let golden = Golden::read();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/chat/templates");
    assert!(golden.templates.len() >= 8);
    for (name, conversations) in &golden.templates {
        let template = std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
        for (conversation, expected) in conversations {
            let got = golden.render(&template, conversation.trim_end_matches('+'), conversation.ends_with('+'));
            assert_eq!(got.as_ref().ok(), expected.as_ref(), "{name} of {conversation}: {got:?}");
        }
    }
}

/// The template and the tokens come from the same files as in transformers.
#[test]
fn directories_are_read_as_in_transformers() {
    let golden = Golden::read();
    for (name, (files, expected)) in &golden.directories {
        let dir = tempfile::tempdir().unwrap();
        for (file, content) in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content.as_str().map_or_else(|| content.to_string(), str::to_owned)).unwrap();
        }
        let got = ChatTemplate::read(dir.path()).and_then(|chat| chat.render(&golden.conversations["pair"], true));
        assert_eq!(got.as_ref().ok(), expected.as_ref(), "{name}: {got:?}");
    }
}

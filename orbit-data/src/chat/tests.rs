#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn user(content: &str) -> [Message; 1] {
    [Message::new("user", content)]
}

fn parse(source: &str) -> Result<ChatTemplate> {
    ChatTemplate::new(Source { text: source.to_owned(), origin: "a test".into() }, Map::new())
}

fn template(source: &str) -> ChatTemplate {
    parse(source).unwrap()
}

#[test]
fn blocks_are_trimmed_as_transformers_does() {
    let text = template(
        "{% for m in messages %}\n    {% if m.role == 'user' %}\n{{ m.content.strip() }}\n    {% endif %}\n{% endfor %}\n",
    );
    assert_eq!(text.render(&user(" a "), false).unwrap(), "a\n");
}

/// The idioms of recent models' templates; the expected text is what transformers 5.23 writes for it.
#[test]
fn renders_what_transformers_renders() {
    let chat = template(include_str!("../../testdata/idioms.jinja"));
    let messages =
        [("user", " hi "), ("assistant", "hm</think>\n\nyes "), ("user", "<tool>")].map(|(r, c)| Message::new(r, c));
    let expected = "<user0>hi\n\n<a>yes</a><user0><tool>\n\n<a>\n";
    assert_eq!(chat.render(&messages, true).unwrap(), expected);
}

#[test]
fn a_template_that_refuses_says_why() {
    let error = template("{{ raise_exception('roles must alternate') }}").render(&user("a"), false).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("roles must alternate"), "{source}");
}

/// In the way of Gemma's: a special token first, another name for the assistant, trimmed words.
#[test]
fn reads_the_template_and_the_special_tokens_of_a_model() {
    let dir = tempfile::tempdir().unwrap();
    let source = "{{ bos_token }}{% for m in messages %}{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}{{ '<s>' + role + '\\n' + m['content'] | trim + eos_token + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<s>model\\n' }}{% endif %}";
    let config = json!({
        "bos_token": {"content": "<bos>", "lstrip": false},
        "eos_token": "<end>",
        "chat_template": [{"name": "tool_use", "template": ""}, {"name": "default", "template": source}],
    });
    std::fs::write(dir.path().join(CONFIG), config.to_string()).unwrap();
    let turn = ChatTemplate::read(dir.path()).unwrap().turn(" hi ", "yes").unwrap();
    assert_eq!(turn.prompt, "<bos><s>user\nhi<end>\n<s>model\n");
    assert_eq!(turn.answer, "yes<end>\n");

    std::fs::write(dir.path().join(TEMPLATE), "{{ messages[0].content }}").unwrap();
    assert_eq!(ChatTemplate::read(dir.path()).unwrap().render(&user("a"), false).unwrap(), "a");
}

#[test]
fn a_directory_without_a_template_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(CONFIG), "{}").unwrap();
    let message = ChatTemplate::read(dir.path()).unwrap_err().to_string();
    assert!(message.contains("no chat_template here"), "{message}");
}

#[test]
fn a_model_without_a_template_reads_the_words_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(CONFIG), json!({"eos_token": "</s>"}).to_string()).unwrap();
    let turn = ChatTemplate::read(dir.path()).unwrap().turn("Translate: cat", "chat").unwrap();
    assert_eq!((turn.prompt.as_str(), turn.answer.as_str()), ("Translate: cat", "chat</s>"));
}

#[test]
fn a_template_without_the_prefix_property_is_an_error() {
    let source =
        "{{ messages[0].content }}{% if add_generation_prompt %}<think>{% else %}{{ messages[1].content }}{% endif %}";
    let message = template(source).turn("a", "b").unwrap_err().to_string();
    assert!(message.contains("does not start with \"a<think>\""), "{message}");
}

#[test]
fn a_template_that_never_ends_is_stopped() {
    for source in [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
        "{% include 'chat' %}",
    ] {
        let error = template(source).render(&user("a"), false).unwrap_err();
        assert!(error.to_string().contains("rendering the chat template"), "{source}: {error}");
    }
    // Few instructions may make a text of any size.
    for source in [
        "{{ 'a' * 100000000 }}",
        "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(40) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    ] {
        let error = template(source).render(&user("a"), false).unwrap_err();
        assert!(error.to_string().contains("rendering the chat template"), "{source}: {error}");
    }
    let nested = format!("{{{{ {}1 }}}}", "(".repeat(1 << 16));
    assert!(parse(&nested).is_err());
}

/// A long conversation is far from what stops a template.
#[test]
fn a_long_conversation_is_rendered() {
    let messages: Vec<Message> = (0..10_000).map(|at| Message::new("user", &format!("message {at}"))).collect();
    let text = ChatTemplate::chatml().unwrap().render(&messages, true).unwrap();
    assert!(text.contains("message 9999<|im_end|>"));
}

#[test]
fn a_template_reads_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "a secret").unwrap();
    for way in ["{% include P %}", "{% extends P %}", "{% import P as p %}{{ p }}", "{% from P import p %}{{ p }}"] {
        let source = way.replace('P', &format!("{:?}", secret.to_str().unwrap()));
        assert!(template(&source).render(&user("a"), false).is_err(), "{source}");
    }
}

#[test]
fn code_that_a_tokenizer_names_is_not_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = json!({"eos_token": "</s>", "auto_map": {"AutoTokenizer": ["someone/else--code.Tokenizer", null]}});
    std::fs::write(dir.path().join(CONFIG), config.to_string()).unwrap();
    ChatTemplate::read(dir.path()).unwrap().save(dir.path()).unwrap();
    let saved = std::fs::read_to_string(dir.path().join(CONFIG)).unwrap();
    assert!(saved.contains("eos_token") && !saved.contains("code.Tokenizer"), "{saved}");
}

#[test]
fn what_is_saved_reads_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let chat = ChatTemplate::chatml().unwrap();
    chat.save(dir.path()).unwrap();
    let read = ChatTemplate::read(dir.path()).unwrap();
    assert_eq!((read.source.text, read.config["eos_token"].as_str()), (chat.source.text, Some("<|im_end|>")));
}

/// A value that is nested without end would exhaust the stack when it is dropped or printed.
#[test]
fn a_template_that_nests_values_without_end_is_stopped() {
    for (grows, says) in [
        ("[ns.x]", "nested deeper"),
        ("{'a': ns.x}", "nested deeper"),
        ("(ns.x, '%}')", "nested deeper"),
        ("ns", "could contain itself"),
        ("[ns]", "could contain itself"),
        ("namespace(y=ns)", "could contain itself"),
        ("[ns.x, ns.x]", "does not come to an end"),
    ] {
        let source = format!(
            "{{% set ns = namespace(x=[]) %}}{{% for i in range(90000) %}}{{%- set ns.x = {grows} -%}}{{% endfor %}}{{{{ ns.x }}}}"
        );
        let error = template(&source).render(&user("a"), false).unwrap_err().to_string();
        assert!(error.contains(says), "{grows}: {error}");
    }
}

#[test]
fn a_failure_names_the_file_and_the_line_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    for (source, line, said) in [
        ("a\n{% if %}", "line 2: ", "syntax error"),
        ("a\nb\n{{ raise_exception('no system message') }}", "line 3: ", "refuses the conversation: no system message"),
        ("{{ 'a' | nofilter }}", "line 1: ", "nofilter"),
        ("\n{{ nothing.a }}", "line 2: ", "undefined"),
    ] {
        std::fs::write(dir.path().join(TEMPLATE), source).unwrap();
        let read = ChatTemplate::read(dir.path());
        let error = read.and_then(|chat| chat.render(&user("a"), true)).unwrap_err().to_string();
        for part in [
            line,
            said,
            &dir.path().join(TEMPLATE).display().to_string(),
            "to use another template, write it to chat_template.jinja",
        ] {
            assert!(error.contains(part), "{source}: {error} does not say {part:?}");
        }
    }
}

#[test]
fn templates_without_a_default_are_refused_with_their_names() {
    let dir = tempfile::tempdir().unwrap();
    for (config, said) in [
        (json!([{"name": "tool_use", "template": "t"}, {"name": "rag", "template": "r"}]), "found `rag`, `tool_use`"),
        (json!({"rag": "r"}), "found `rag`"),
        (json!([]), "found none"),
        (json!([{"name": "default"}]), "\"default\" is null, not a text"),
        (json!([{"template": "t"}]), "chat_template[0] has no `name`"),
        (json!(3), "chat_template is 3"),
    ] {
        let config = json!({"eos_token": "</s>", "chat_template": config});
        std::fs::write(dir.path().join(CONFIG), config.to_string()).unwrap();
        let error = ChatTemplate::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains(CONFIG), "{error}");
        let error = ChatTemplate::from_config(config.as_object().unwrap().clone()).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    std::fs::create_dir(dir.path().join("additional_chat_templates")).unwrap();
    std::fs::write(dir.path().join("additional_chat_templates/rag.jinja"), "r").unwrap();
    let error = ChatTemplate::read(dir.path()).unwrap_err().to_string();
    assert!(error.contains("additional_chat_templates") && error.contains("`rag`"), "{error}");
    assert!(error.contains("write the one that you want to chat_template.jinja"), "{error}");
    std::fs::write(dir.path().join(TEMPLATE), "mine").unwrap();
    assert_eq!(ChatTemplate::read(dir.path()).unwrap().render(&user("a"), false).unwrap(), "mine");
}

#[test]
fn the_time_stands_still_and_can_be_set() {
    let chat = template("{{ strftime_now('%Y-%m-%d %H:%M:%S') }}");
    assert!(chat.uses_the_date() && !template("{{ date_string }}").uses_the_date());
    let text = chat.render(&user("a"), false).unwrap();
    let now = chat.now();
    assert_eq!(now.replace('T', " ").trim_end_matches('Z'), text);
    let later = chat.with_now("2031-01-02T05:04:05.678+02:00").unwrap();
    assert_eq!(later.now(), "2031-01-02T03:04:05Z");
    assert_eq!(later.render(&user("a"), false).unwrap(), "2031-01-02 03:04:05");
    assert_eq!(later.clone().with_now(&now).unwrap().render(&user("a"), false).unwrap(), text);
    let error = later.with_now("yesterday").unwrap_err().to_string();
    assert!(error.contains("\"yesterday\" is not a time"), "{error}");
}

#[test]
fn a_plain_model_stays_plain_when_it_is_saved() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(CONFIG), json!({"eos_token": {"content": "</s>"}}).to_string()).unwrap();
    let chat = ChatTemplate::read(dir.path()).unwrap();
    assert_eq!((chat.is_plain(), chat.special_token("eos_token")), (true, Some("</s>")));
    chat.save(dir.path()).unwrap();
    assert!(ChatTemplate::read(dir.path()).unwrap().is_plain());
    assert!(!ChatTemplate::chatml().unwrap().is_plain());
}

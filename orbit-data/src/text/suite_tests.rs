//! Files in forms that are wrong, and what is said about them.

#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

const KINDS: [Suite; 10] = [
    Suite::Piqa,
    Suite::Hellaswag,
    Suite::Arc,
    Suite::Openbookqa,
    Suite::SocialIqa,
    Suite::Winogrande,
    Suite::Mmlu,
    Suite::Boolq,
    Suite::Lambada,
    Suite::Jsonl,
];

/// Reads files of a suite; the first is the suite's own.
fn read(kind: Suite, files: &[(&str, &str)], keys: serde_json::Value) -> Result<Tasks, String> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let mut task = serde_json::json!({"name": "s", "kind": kind, "path": dir.path().join(files[0].0)});
    let path = |value: serde_json::Value| match value {
        serde_json::Value::String(name) => dir.path().join(name).display().to_string().into(),
        other => other,
    };
    for (key, value) in keys.as_object().unwrap() {
        task[key] = if key == "shots_from" { path(value.clone()) } else { value.clone() };
    }
    let task: TextTask = serde_json::from_value(task).map_err(|error| error.to_string())?;
    task.read().map_err(|error| error.to_string())
}

fn error(kind: Suite, name: &str, text: &str) -> String {
    read(kind, &[(name, text)], serde_json::json!({})).unwrap_err()
}

fn questions(kind: Suite, files: &[(&str, &str)]) -> Vec<MultipleChoice> {
    match read(kind, files, serde_json::json!({})).unwrap() {
        Tasks::MultipleChoice(questions) => questions,
        _ => panic!("no multiple choice"),
    }
}

const SWAG: &str =
    r#"{"activity_label": "a", "ctx_a": "b", "ctx_b": "c", "endings": ["1", "2", "3", "4"], "label": LABEL}"#;
const SOCIAL: &str =
    r#"{"context": "c", "question": "q", "answerA": "1", "answerB": "2", "answerC": "3", "label": LABEL}"#;
const WINO: &str = r#"{"sentence": "a _ b", "option1": "1", "option2": "2", "answer": LABEL}"#;
const MMLU: &str = r#"{"question": "q", "choices": ["1", "2", "3", "4"], "subject": "s", "answer": LABEL}"#;
const BOOLQ: &str = r#"{"question": "q", "passage": "p", "label": LABEL}"#;
const PIQA: &str = r#"{"goal": "g", "sol1": "1", "sol2": "2", "label": LABEL}"#;
const ARC: &str = r#"{"question": "q", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": LABEL}"#;

#[test]
fn answers_that_are_kept_back_are_named() {
    let kinds = [
        (Suite::Hellaswag, SWAG),
        (Suite::SocialIqa, SOCIAL),
        (Suite::Winogrande, WINO),
        (Suite::Mmlu, MMLU),
        (Suite::Boolq, BOOLQ),
        (Suite::Piqa, PIQA),
        (Suite::Arc, ARC),
    ];
    for (kind, row) in kinds {
        for label in ["\"\"", "-1", "\" \"", "-1.0"] {
            let message = error(kind, "t.jsonl", &row.replace("LABEL", label));
            assert!(message.contains("t.jsonl:1: ") && message.contains("is not published"), "{kind:?}: {message}");
        }
        let message = error(kind, "t.jsonl", &row.replace("LABEL", "null"));
        assert!(message.contains("missing field `"), "{kind:?}: {message}");
        assert!(message.contains("Expected") && message.contains("found `"), "{kind:?}: {message}");
        for label in ["7", "\"Z\"", "true and", "[0]", "\"seven\"", "-3", "1e300"] {
            let message = error(kind, "t.jsonl", &row.replace("LABEL", label));
            assert!(message.contains("t.jsonl:1: "), "{kind:?}: {message}");
        }
    }
}

#[test]
fn answers_are_letters_or_numbers_as_strings_or_not() {
    let gold = |kind, row: &str, label: &str| questions(kind, &[("t.jsonl", &row.replace("LABEL", label))])[0].gold;
    for label in ["1", "\"1\"", "1.0", "\"B\""] {
        assert_eq!(gold(Suite::Hellaswag, SWAG, label), 1);
        assert_eq!(gold(Suite::Mmlu, MMLU, label), 1);
    }
    for label in ["3", "\"3\"", "\"C\"", "\" 3 \""] {
        assert_eq!(gold(Suite::SocialIqa, SOCIAL, label), 2);
    }
    assert_eq!(gold(Suite::Winogrande, WINO, "2"), 1);
    for (label, index) in [("true", 1), ("0", 0), ("\"yes\"", 1), ("\"False\"", 0), ("1.0", 1)] {
        assert_eq!(gold(Suite::Boolq, BOOLQ, label), index);
    }
    let choices = r#"[{"text": "x", "label": 1}, {"text": "y", "label": 2}]"#;
    let digits = &format!("{{\"question\": {{\"stem\": \"q\", \"choices\": {choices}}}, \"answerKey\": LABEL}}");
    assert_eq!(gold(Suite::Arc, digits, "2"), 1);
    assert_eq!(gold(Suite::Arc, digits, "\"1\""), 0);
    let bare = r#"{"question": "q", "choices": ["x", "y"], "answerKey": LABEL}"#;
    assert_eq!(gold(Suite::Arc, bare, "\"B\""), 1);
    assert_eq!(gold(Suite::Arc, bare, "\"1\""), 0);
}

#[test]
fn a_wrong_form_says_what_is_expected_and_what_was_found() {
    for kind in KINDS {
        let message = error(kind, "w.jsonl", "{\"prompt\": \"x\", \"b\": 1}");
        assert!(message.contains("w.jsonl:1: "), "{kind:?}: {message}");
        if kind != Suite::Jsonl {
            assert!(message.contains("missing field `") && message.ends_with("found `b`, `prompt`"), "{message}");
        }
    }
    assert!(
        error(Suite::Arc, "a.jsonl", "[{}]")
            .contains("a.jsonl:1: a row must be a JSON object, {...}, not a JSON array")
    );
    assert!(
        error(Suite::Boolq, "a.jsonl", "{\"question\": 1").contains("Expected a JSON object a line with `question`")
    );
    assert!(error(Suite::Boolq, "a.jsonl", "{\"question\": 1, \"passage\": 2}").contains("`passage` is a number"));
    let many: String = (0..40).map(|key| format!("\"k{key}\": 1, ")).collect();
    let message = error(Suite::Piqa, "a.jsonl", &format!("{{{many}\"z\": 0}}"));
    assert!(message.ends_with("`k18`, `k19`, ..."), "{message}");
    assert!(error(Suite::Piqa, "a.jsonl", "{}").ends_with("found no keys"));
}

#[test]
fn choices_and_labels_fit_each_other() {
    let arc = |choices: &str, key: &str| {
        error(Suite::Arc, "a.jsonl", &format!("{{\"question\": \"q\", \"choices\": {choices}, \"answerKey\": {key}}}"))
    };
    assert!(arc(r#"{"text": ["a", "b"], "label": ["A"]}"#, "\"A\"").contains("1 labels for 2 choices"));
    assert!(arc(r#"{"text": ["a", "b"]}"#, "\"A\"").contains("missing field `choices.text` or `choices.label`"));
    assert!(arc(r#"[{"text": "a"}, {"text": "b"}]"#, "\"A\"").contains("a `label` is null"));
    assert!(arc(r#"[{"label": "A"}]"#, "\"A\"").contains("`choices.text` is null"));
    assert!(arc(r#"[["A", "a"]]"#, "\"A\"").contains("`choices.text` is null"));
    assert!(arc("7", "\"A\"").contains("`choices` is a number"));
    assert!(arc("[]", "\"A\"").contains("right choice A of 0"));
    assert!(arc(r#"["a"]"#, "\"A\"").contains("1 of at least 2 choices"));
    assert!(arc(r#"{"text": ["a", "b"], "label": ["A", "B"]}"#, "\"E\"").contains("is 'E', where the labels are A, B"));
    let swag = SWAG.replace("\"1\", \"2\", \"3\", \"4\"", "").replace("LABEL", "0");
    assert!(error(Suite::Hellaswag, "h.jsonl", &swag).contains("right choice 0 of 0"));
    let three = MMLU.replace(", \"4\"", "").replace("LABEL", "0");
    assert!(error(Suite::Mmlu, "m.jsonl", &three).contains("3 of 4 choices"));
}

#[test]
fn labels_stand_in_the_rows_or_beside_them() {
    let (with, without) = (PIQA.replace("LABEL", "1"), PIQA.replace(", \"label\": LABEL", ""));
    let beside = |rows: &str, labels: &str| {
        read(Suite::Piqa, &[("p.jsonl", rows), ("p-labels.lst", labels)], serde_json::json!({}))
    };
    // A label of its own counts more than a file that lies there by chance.
    let Tasks::MultipleChoice(own) = beside(&with, "0\n").unwrap() else { panic!() };
    assert_eq!(own[0].gold, 1);
    assert!(
        beside(&format!("{with}\n{without}\n"), "0\n1\n").unwrap_err().contains("p.jsonl:2: missing field `label`")
    );
    assert!(beside(&format!("{without}\n{with}\n"), "0\n1\n").unwrap_err().contains("p.jsonl:2: it has a label"));
    assert!(beside(&without, "").unwrap_err().contains("p-labels.lst: no label for "));
    assert!(beside(&without, "-1\n").unwrap_err().contains("p-labels.lst:1: the label is '-1'"));
    assert!(error(Suite::Piqa, "p.jsonl", &without).contains("NAME-labels.lst beside NAME.jsonl"));
    assert!(error(Suite::Piqa, "p.txt", &without).contains("NAME-labels.lst beside NAME.jsonl"));
}

#[test]
fn blanks_that_leave_nothing_to_score_are_named() {
    let wino =
        |sentence: &str| error(Suite::Winogrande, "w.jsonl", &WINO.replace("a _ b", sentence).replace("LABEL", "1"));
    assert!(wino("no blank").contains("`sentence` has no blank `_`"));
    assert!(wino("a _ ").contains("nothing follows the blank"));
    let empty = WINO.replace("a _ b", "_ b").replace("\"option1\": \"1\"", "\"option1\": \"\"").replace("LABEL", "1");
    assert!(error(Suite::Winogrande, "w.jsonl", &empty).contains("an option is blank"));
    assert!(error(Suite::Lambada, "l.txt", "two words\nword\n").contains("l.txt:2: the passage needs words"));
    assert!(
        error(Suite::Lambada, "l.jsonl", "{\"text\": \"ends \"}").contains("l.jsonl:1: the passage ends with a blank")
    );
    let stem = r#"{"question_stem": " ", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "A"}"#;
    assert!(error(Suite::Openbookqa, "o.jsonl", stem).contains("the question is blank"));
}

#[test]
fn the_subject_of_mmlu_is_in_the_row_or_the_name() {
    let row = "Two?,1,\"2, \"\"two\"\"\",3,4,B\r\n\r\n\"A\nline\",a,b,c,d,A\n";
    for name in
        ["abstract_algebra_test.csv", "abstract_algebra_dev.csv", "abstract_algebra_val.csv", "abstract_algebra.csv"]
    {
        let questions = questions(Suite::Mmlu, &[(name, row)]);
        let about = "The following are multiple choice questions (with answers) about abstract algebra.\n\n";
        assert_eq!(questions[0].context, format!("{about}Two?\nA. 1\nB. 2, \"two\"\nC. 3\nD. 4\nAnswer:"));
        assert_eq!((questions[0].gold, questions[1].gold, questions.len()), (1, 0, 2));
    }
    assert!(error(Suite::Mmlu, "m.csv", "a,b\n").contains("m.csv:1: 2 fields. Expected `question`"));
    assert!(error(Suite::Mmlu, "m.csv", "q,1,2,3,4,A\nq,1,2,3,4,E\n").contains("m.csv:2: right choice E of 4"));
    let open = format!("q,\"{}", "\n".repeat(2000));
    assert!(error(Suite::Mmlu, "m.csv", &open).contains("m.csv:1: a quotation mark is not closed"));
    // Rows of several subjects: examples are of the same one.
    let of = |subject: &str, n: usize| {
        MMLU.replace("\"s\"", &format!("\"{subject}\"")).replace("\"q\"", &format!("\"q{n}\"")).replace("LABEL", "0")
    };
    let rows = [of("law", 0), of("art", 1), of("law", 2)].join("\n");
    let dev = [of("law", 7), of("art", 8), of("law", 9)].join("\n");
    let files = [("m.jsonl", rows.as_str()), ("d.jsonl", dev.as_str())];
    let asked = |shots: usize| read(Suite::Mmlu, &files, serde_json::json!({"shots": shots, "shots_from": "d.jsonl"}));
    let Tasks::MultipleChoice(questions) = asked(1).unwrap() else { panic!() };
    let shown: Vec<bool> = questions
        .iter()
        .zip(["law.\n\nq7\n", "art.\n\nq8\n", "law.\n\nq7\n"])
        .map(|(question, start)| question.context.contains(start))
        .collect();
    assert_eq!(shown, [true; 3]);
    assert!(asked(2).unwrap_err().contains("d.jsonl: `shots` is 2, and 1 rows can stand before a question"));
}

#[test]
fn examples_need_rows_and_a_kind_that_has_them() {
    let rows: String =
        (0..3).map(|n| format!("{}\n", PIQA.replace("\"g\"", &format!("\"g{n}\"")).replace("LABEL", "0"))).collect();
    let piqa = |keys| read(Suite::Piqa, &[("p.jsonl", &rows)], keys);
    let Tasks::MultipleChoice(questions) = piqa(serde_json::json!({"shots": 2, "limit": 2})).unwrap() else { panic!() };
    assert_eq!(questions.len(), 2);
    for (n, question) in questions.iter().enumerate() {
        assert_eq!(question.context.matches(&format!("g{n}")).count(), 1, "{}", question.context);
        assert_eq!((question.context.matches("\n\n").count(), question.choices[0].as_str()), (2, " 1"));
    }
    assert!(piqa(serde_json::json!({"shots": 3})).unwrap_err().contains("p.jsonl: `shots` is 3, and 2 rows can stand"));
    assert!(piqa(serde_json::json!({"shots": u64::MAX})).unwrap_err().contains("2 rows can stand"));
    assert!(piqa(serde_json::json!({"shots": 3, "shots_from": "p.jsonl"})).is_err());
    assert!(piqa(serde_json::json!({"shots_from": "p.jsonl"})).unwrap_err().contains("give their number as `shots`"));
    assert!(piqa(serde_json::json!({"shots": 1, "ask": "instruction"})).unwrap_err().contains("leave `shots` out"));
    assert!(piqa(serde_json::json!({"shots": 1, "ask": "knowledge"})).is_ok());
    assert!(piqa(serde_json::json!({"shoots": 1})).unwrap_err().contains("unknown field `shoots`"));
    assert!(piqa(serde_json::json!({"shots": -1})).is_err());
    let text = |keys| read(Suite::Perplexity, &[("p.txt", "words")], keys);
    assert!(text(serde_json::json!({"shots": 1})).unwrap_err().contains("`shots` is for questions"));
    let mmlu = MMLU.replace("LABEL", "0");
    let asked = read(Suite::Mmlu, &[("m.jsonl", &mmlu)], serde_json::json!({"ask": "knowledge"}));
    assert!(asked.unwrap_err().contains("score their letters: leave `ask` out"));
    let words = read(Suite::Lambada, &[("l.txt", "some words")], serde_json::json!({"ask": "knowledge"}));
    assert!(words.unwrap_err().contains("`ask` is for multiple choice alone"));
}

#[test]
fn the_seed_is_that_of_the_harness_when_nobody_gives_one() {
    let task: TextTask = serde_json::from_str(r#"{"name": "x", "kind": "openbookqa", "path": "x"}"#).unwrap();
    assert_eq!((task.seed, task.shots, task.shots_from), (1234, 0, None));
    let names = ["openbookqa", "social_iqa", "winogrande", "mmlu", "boolq", "lambada"];
    for name in names {
        serde_json::from_value::<Suite>(name.into()).unwrap();
    }
}

#[test]
fn a_sentence_with_a_gap_is_asked_by_letter_too() {
    let rows = WINO.replace("LABEL", "2");
    let task = read(
        Suite::Winogrande,
        &[("w.jsonl", &rows)],
        serde_json::json!({"ask": "instruction", "instruction": "Which?"}),
    );
    let Tasks::MultipleChoice(questions) = task.unwrap() else { panic!() };
    assert_eq!(questions[0].context, "Which?\n\nA. a 1 b\nB. a 2 b\nAnswer:");
    assert_eq!((questions[0].suffix.as_deref(), questions[0].gold), (None, 1));
}

#[test]
fn last_words_have_no_chance_to_be_guessed() {
    let tasks = read(Suite::Lambada, &[("l.txt", "a b c\nd e\n")], serde_json::json!({"limit": 1})).unwrap();
    assert_eq!((tasks.len(), tasks.chance()), (1, Some(0.0)));
    let passage = Cloze { context: "a b".into(), target: " c".into() };
    assert_eq!(tasks, Tasks::LastWord(vec![passage]));
}

#[test]
fn windows_need_room_for_their_context() {
    for (longest, context) in [(0, 0), (0, 1), (4, 0), (4, 5)] {
        assert!(rolling_windows(&[1, 2], 0, longest, context).is_err());
    }
    assert_eq!(rolling_windows(&[1, 2], 0, usize::MAX, 1).unwrap().count(), 1);
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        (-2_i64..5).prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "[AB12_ é]{0,4}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let key = prop::sample::select(vec!["text", "label", "stem", "choices"]).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(key, inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

const KEYS: [&str; 24] = [
    "question",
    "choices",
    "answerKey",
    "gold",
    "goal",
    "sol1",
    "sol2",
    "label",
    "context",
    "answerA",
    "answerB",
    "answerC",
    "sentence",
    "option1",
    "option2",
    "answer",
    "subject",
    "passage",
    "title",
    "text",
    "activity_label",
    "ctx_a",
    "ctx_b",
    "endings",
];

proptest! {
    /// Whatever the rows are: what is read can be scored, and nothing panics.
    #[test]
    fn rows_are_read_or_refused(
        rows in prop::collection::vec(prop::collection::vec(value(), KEYS.len()), 1..4),
        kind in prop::sample::select(KINDS.to_vec()),
        shots in 0_usize..3,
    ) {
        let row = |values: &Vec<serde_json::Value>| {
            let fields: serde_json::Map<_, _> = KEYS.iter().map(|key| (*key).to_owned()).zip(values.clone()).collect();
            serde_json::Value::Object(fields).to_string() + "\n"
        };
        let text: String = rows.iter().map(row).collect();
        if let Ok(tasks) = read(kind, &[("r.jsonl", &text)], serde_json::json!({"shots": shots})) {
            match tasks {
                Tasks::MultipleChoice(questions) => for question in questions {
                    prop_assert!(question.gold < question.choices.len() && question.choices.len() >= 2);
                    prop_assert_eq!(question.lengths().len(), question.choices.len());
                    let requests = question.requests();
                    let count: usize = requests.iter().map(|request| request.continuations.len()).sum();
                    prop_assert_eq!(count, question.choices.len());
                    prop_assert!(requests.iter().all(|request| !request.context.trim().is_empty()));
                },
                Tasks::LastWord(passages) => {
                    prop_assert!(passages.iter().all(|passage| !passage.target.trim().is_empty()));
                }
                _ => prop_assert!(false),
            }
        }
    }

    #[test]
    fn text_is_read_or_refused(
        text in "[{}\"a,_ \n]{0,40}",
        kind in prop::sample::select(KINDS.to_vec()),
        csv in any::<bool>(),
    ) {
        let name = if csv { "r.csv" } else { "r.jsonl" };
        let _ = read(kind, &[(name, &text)], serde_json::json!({}));
    }

    /// The windows are the text, and none is longer than a model reads.
    #[test]
    fn windows_cover_the_text_once(length in 0_u32..60, longest in 1_usize..12, context in 1_usize..12) {
        prop_assume!(context <= longest);
        let tokens: Vec<u32> = (1..=length).collect();
        let windows: Vec<_> = rolling_windows(&tokens, 0, longest, context).unwrap().collect();
        let scored: Vec<u32> = windows.iter().flat_map(|window| window.continuation.clone()).collect();
        prop_assert_eq!(scored, tokens);
        for window in &windows {
            prop_assert!(window.context.len() + window.continuation.len() <= longest + 1);
            prop_assert_eq!(window.context.last().copied().unwrap() + 1, window.continuation[0]);
        }
    }
}

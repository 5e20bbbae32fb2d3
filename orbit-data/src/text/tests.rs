#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

fn task(kind: Suite, path: PathBuf, limit: Option<usize>) -> TextTask {
    TextTask {
        name: "suite".into(),
        kind,
        path,
        limit,
        group: None,
        instruction: None,
        ask: None,
        shots: 0,
        shots_from: None,
        seed: 1234,
    }
}

fn file(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn error(kind: Suite, path: PathBuf) -> String {
    task(kind, path, None).read().unwrap_err().to_string()
}

#[test]
fn piqa_pairs_rows_with_labels() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "v.jsonl", "{\"goal\":\"g\",\"sol1\":\"a\",\"sol2\":\"b\"}\n".repeat(2).as_str());
    file(dir.path(), "v-labels.lst", "1\n0\n");
    let choices = vec![" a".into(), " b".into()];
    let first = MultipleChoice { context: "Question: g\nAnswer:".into(), choices, suffix: None, gold: 1 };
    assert_eq!(task(Suite::Piqa, path.clone(), Some(1)).read().unwrap(), Tasks::MultipleChoice(vec![first]));
    file(dir.path(), "v-labels.lst", "1\n");
    assert!(error(Suite::Piqa, path.clone()).contains("no label for"));
    file(dir.path(), "v-labels.lst", "1\n2\n");
    assert!(error(Suite::Piqa, path).contains("v-labels.lst:2: right choice 2 of 2"));
}

#[test]
fn hellaswag_reads_blocks_of_six_lines() {
    let dir = tempfile::tempdir().unwrap();
    let block = "A man. he\n3\nruns.\nsits.\neats.\nsleeps.\n";
    let path = file(dir.path(), "h.txt", &block.repeat(3));
    let tasks = task(Suite::Hellaswag, path, Some(2)).read().unwrap();
    assert_eq!((tasks.len(), tasks.chance()), (2, Some(0.25)));
    let Tasks::MultipleChoice(questions) = tasks else { panic!() };
    assert_eq!((questions[1].context.as_str(), questions[1].gold), ("A man. he", 3));
    assert_eq!(questions[1].choices[3], " sleeps.");

    let cut = file(dir.path(), "cut.txt", &block[..20]);
    assert!(error(Suite::Hellaswag, cut).contains("cut.txt:1: 2 of 4 endings"));
    let shifted = file(dir.path(), "shifted.txt", &(block[10..].to_owned() + block));
    assert!(error(Suite::Hellaswag, shifted).contains("shifted.txt:2: 'runs.'"));
}

#[test]
fn arc_names_the_line_of_a_bad_row() {
    let dir = tempfile::tempdir().unwrap();
    let good = "{\"question\":\"q\",\"choices\":[\"a\",\"b\",\"c\"],\"gold\":2}\n";
    let path = file(dir.path(), "a.jsonl", &format!("{good}\n{{\"question\":\"q\"}}\n"));
    assert!(error(Suite::Arc, path.clone()).contains("a.jsonl:3: missing field `choices`"));
    assert_eq!(task(Suite::Arc, path, Some(1)).read().unwrap().chance(), Some(1.0 / 3.0));
    assert!(error(Suite::Arc, file(dir.path(), "empty.jsonl", "")).contains("nothing to score"));
}

#[test]
fn blimp_takes_from_its_paradigms_in_turn() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.zip");
    let mut zip = ZipWriter::new(File::create(&path).unwrap());
    for name in ["data/y.jsonl", "data/x.jsonl", "__MACOSX/data/._x.jsonl"] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        for row in 0..3 {
            writeln!(zip, "{{\"sentence_good\":\"{name} {row}\",\"sentence_bad\":\"\"}}").unwrap();
        }
    }
    zip.finish().unwrap();
    let Tasks::MinimalPairs(pairs) = task(Suite::Blimp, path, Some(3)).read().unwrap() else { panic!() };
    let good: Vec<&str> = pairs.iter().map(|pair| pair.good.as_str()).collect();
    assert_eq!(good, [" data/x.jsonl 0", " data/y.jsonl 0", " data/x.jsonl 1"]);
    assert_eq!(Tasks::MinimalPairs(pairs).kinds(), [("x", vec![0, 2]), ("y", vec![1])].into());

    let row = "{\"sentence_good\":\"a\",\"sentence_bad\":\"b\"}\n";
    let one = task(Suite::Blimp, file(dir.path(), "drop_argument.jsonl", &row.repeat(3)), Some(2)).read().unwrap();
    assert_eq!(one.kinds(), [("drop_argument", vec![0, 1])].into());
    assert!(
        error(Suite::Blimp, file(dir.path(), "w.jsonl", "{}")).contains("w.jsonl:1: missing field `sentence_good`")
    );
    assert!(error(Suite::Blimp, file(dir.path(), "w.txt", row)).contains("w.txt: "));
}

#[test]
fn crows_pairs_have_the_more_stereotyping_sentence_first() {
    let dir = tempfile::tempdir().unwrap();
    let head = ",sent_more,sent_less,stereo_antistereo,bias_type,annotations\n";
    let rows = "0,\"The poor, they say.\",\"The rich, they say.\",stereo,socioeconomic,[]\n1,He codes.,She codes.,antistereo,gender,[]\n";
    let path = file(dir.path(), "c.csv", &format!("{head}{rows}"));
    let tasks = task(Suite::CrowsPairs, path.clone(), None).read().unwrap();
    assert_eq!((tasks.len(), tasks.chance()), (2, Some(0.5)));
    assert_eq!(tasks.kinds(), [("gender", vec![1]), ("socioeconomic", vec![0])].into());
    let pair =
        |good: &str, bad: &str, kind: &str| MinimalPair { good: good.into(), bad: bad.into(), kind: Some(kind.into()) };
    let poor = pair("The poor, they say.", "The rich, they say.", "socioeconomic");
    assert_eq!(tasks, Tasks::MinimalPairs(vec![poor, pair("He codes.", "She codes.", "gender")]));
    assert_eq!(task(Suite::CrowsPairs, path, Some(1)).read().unwrap().len(), 1);

    let bad = |row: &str| error(Suite::CrowsPairs, file(dir.path(), "bad.csv", &format!("{head}{row}\n")));
    assert!(bad("0,a,b,both,gender,[]").contains("bad.csv:2: the direction 'both' is neither"));
    assert!(bad("0,a, ,stereo,gender,[]").contains("bad.csv:2: `sent_less` is blank"));
    assert!(bad("0,a,b,stereo,,[]").contains("`bias_type` is blank"));
    assert!(error(Suite::CrowsPairs, file(dir.path(), "no.csv", "a,b\n")).contains("no column `sent_more`"));
}

#[test]
fn plain_json_lines_are_multiple_choice() {
    let dir = tempfile::tempdir().unwrap();
    let rows = "{\"context\": \"Q\\nA:\", \"choices\": [\"a\", \" b\"], \"gold\": 1}\n{\"context\": \"Q\", \"choices\": [\"a\", \"b\", \"c\", \"d\"], \"gold\": 0, \"id\": 7}\n";
    let tasks = task(Suite::Jsonl, file(dir.path(), "m.jsonl", rows), None).read().unwrap();
    assert_eq!(tasks.chance(), Some((0.5 + 0.25) / 2.0));
    assert!(tasks.kinds().is_empty());
    let Tasks::MultipleChoice(questions) = tasks else { panic!() };
    let first =
        MultipleChoice { context: "Q\nA:".into(), choices: vec![" a".into(), " b".into()], suffix: None, gold: 1 };
    assert_eq!(questions[0], first);

    let bad = |row: &str| error(Suite::Jsonl, file(dir.path(), "bad.jsonl", row));
    assert!(bad("{\"context\": \"Q\", \"choices\": [\"a\"], \"gold\": 0}").contains("bad.jsonl:1: 1 of at least 2"));
    assert!(bad("{\"context\": \"Q\", \"choices\": [\"a\", \"b\"], \"gold\": 2}").contains("right choice 2 of 2"));
    assert!(bad("{\"instruction\": \"Sum up.\", \"output\": \"x\"}").contains("bad.jsonl:1: no `choices`"));
    assert!(bad("{\"choices\": [\"a\", \"b\"], \"gold\": 0}").contains("missing field `context`"));
    assert!(bad("{\"context\": \"Q\", \"choices\": [\"a\", \"b\"]}").contains("missing field `gold`"));
    assert!(bad("{\"context\": \" \", \"choices\": [\"a\", \"b\"], \"gold\": 0}").contains("`context` is blank"));
    assert!(bad("{\"context\": \"Q\", \"choices\": [\"a\", \" \"], \"gold\": 0}").contains("a choice is blank"));
}

#[test]
fn an_instruction_task_asks_for_its_labels() {
    let dir = tempfile::tempdir().unwrap();
    let rows = "{\"labels\": [\"True\", \"False\"]}\n{\"input\": \"question: is it\\npassage: It is.\", \"output\": \"True\"}\n{\"input\": \"x\", \"output\": \"False\"}\n";
    let path = file(dir.path(), "b.jsonl", rows);
    let silent = task(Suite::OLora, path.clone(), None);
    let asked = |instruction: &str| TextTask { instruction: Some(instruction.into()), ..silent.clone() };
    let tasks = asked("True or false?").read().unwrap();
    assert_eq!((tasks.len(), tasks.chance()), (2, Some(0.5)));
    let Tasks::MultipleChoice(questions) = tasks else { panic!() };
    let context = "True or false?\nOption: True, False\nquestion: is it\npassage: It is.\nAnswer:".to_owned();
    let first = MultipleChoice { context, choices: vec![" True".into(), " False".into()], suffix: None, gold: 0 };
    assert_eq!((&questions[0], questions[1].gold), (&first, 1));
    assert_eq!(TextTask { limit: Some(1), ..asked("?") }.read().unwrap().len(), 1);

    assert!(silent.read().unwrap_err().to_string().contains("suite 'suite': files of kind `olora` do not say"));
    assert!(asked(" ").read().unwrap_err().to_string().contains("give the suite's `instruction`"));
    let other = TextTask { kind: Suite::Arc, ..asked("?") };
    assert!(other.read().unwrap_err().to_string().contains("an `instruction` is for kind `olora`"));
    assert!(error(Suite::Jsonl, path).contains("b.jsonl:1: no `choices`"));
}

#[test]
fn a_suite_is_in_a_group_that_it_can_be_in() {
    let json = r#"{"name": "x", "kind": "hellaswag", "path": "x", "group": "reading_comprehension"}"#;
    let suite: TextTask = serde_json::from_str(json).unwrap();
    assert_eq!(suite.belongs_to(), Some(Group::ReadingComprehension));
    let crows = TextTask { kind: Suite::CrowsPairs, ..suite.clone() };
    assert!(crows.read().unwrap_err().to_string().contains("leave `group` out"));
    assert_eq!(TextTask { group: None, ..suite }.belongs_to(), None);

    let dir = tempfile::tempdir().unwrap();
    let row = |choices: &str| format!("{{\"context\": \"Q\", \"choices\": [{choices}], \"gold\": 0}}\n");
    let biased = |text: &str| {
        let path = file(dir.path(), "m.jsonl", text);
        TextTask { group: Some(Group::Bias), ..task(Suite::Jsonl, path, None) }.read()
    };
    assert_eq!(biased(&row("\"a\", \"b\"")).unwrap().len(), 1);
    let message = biased(&row("\"a\", \"b\", \"c\"")).unwrap_err().to_string();
    assert!(message.contains("a neutral model prefers either"), "{message}");
}

#[test]
fn lengths_are_characters_without_the_blank_before_them() {
    let choices = vec![" é".into(), "  ab".into(), "c".into()];
    let question = MultipleChoice { context: String::new(), choices, suffix: None, gold: 0 };
    assert_eq!(question.lengths(), [1, 3, 1]);
    let partial = MultipleChoice { suffix: Some(" x".into()), ..question };
    assert_eq!(partial.lengths(), [2, 4, 1]);
}

#[test]
fn the_first_of_equal_choices_wins() {
    assert_eq!(score_choices(&[-2.0, -2.0], &[2, 2]), (0, 0));
    assert_eq!(score_choices(&[f64::NAN, -2.0], &[2, 2]), (1, 1));
}

#[test]
fn the_embedded_suites_need_no_file() {
    let suites = embedded();
    let names: Vec<&str> = suites.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["grammar", "passage"]);
    assert_eq!((suites[0].1.len(), suites[0].1.chance()), (320, Some(0.5)));
    assert!(PASSAGE.is_ascii() && (1700..1900).contains(&PASSAGE.split_whitespace().count()));
    assert_eq!(suites, embedded());
}

#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn the_public_suites_have_the_published_sizes() {
    let fallback = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let data = std::env::var("ORBIT_DATA").unwrap_or_else(|_| fallback.to_owned());
    let mc = Path::new(&data).join("mc");
    if !mc.is_dir() {
        eprintln!("skipped: no {}", mc.display());
        return;
    }
    let read = |kind, name: &str| task(kind, mc.join(name), None).read().unwrap();
    assert_eq!(read(Suite::Piqa, "piqa_valid.jsonl.gz").len(), 1838);
    assert_eq!(read(Suite::Hellaswag, "hellaswag_val_full.txt.bz2").len(), 10_042);
    assert_eq!(read(Suite::Arc, "arc-easy_test.jsonl.gz").len(), 2376);
    assert_eq!(read(Suite::Arc, "arc-challenge_test.jsonl.gz").len(), 1172);
    assert_eq!(read(Suite::Blimp, "BLiMP.zip").len(), 67_000);
    let crows = read(Suite::CrowsPairs, "crows_pairs_anonymized.csv.gz");
    let kinds: Vec<(&str, usize)> = crows.kinds().into_iter().map(|(kind, items)| (kind, items.len())).collect();
    let expected =
        [("age", 87), ("disability", 60), ("gender", 262), ("nationality", 159), ("physical-appearance", 63)];
    let rest = [("race-color", 516), ("religion", 105), ("sexual-orientation", 84), ("socioeconomic", 172)];
    assert_eq!((crows.len(), kinds), (1508, [&expected[..], &rest].concat()));
    let boolq = Path::new(&data).join("instruct/olora/boolq.test.jsonl.gz");
    let boolq = TextTask { instruction: Some("True or false?".into()), ..task(Suite::OLora, boolq, None) };
    assert_eq!((boolq.read().unwrap().len(), boolq.read().unwrap().chance()), (3270, Some(0.5)));
    let wikitext = Path::new(&data).join("text/wikitext-2/test.txt.gz");
    assert!(task(Suite::Perplexity, wikitext, None).read().unwrap().len() > 1_200_000);
}

#[test]
fn a_question_is_asked_for_its_content_or_for_a_letter() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("capitals.jsonl");
    let row = r#"{"context": "Question: Of France?\nAnswer:", "choices": ["Rome", "Paris", "Bonn"], "gold": 1}"#;
    std::fs::write(&path, format!("{row}\n")).unwrap();
    let ask = |ask, instruction: Option<&str>| {
        let task = TextTask { ask, instruction: instruction.map(Into::into), ..task(Suite::Jsonl, path.clone(), None) };
        match task.read() {
            Ok(Tasks::MultipleChoice(mut questions)) => Ok(questions.remove(0)),
            Ok(_) => unreachable!("multiple choice"),
            Err(error) => Err(error.to_string()),
        }
    };
    assert_eq!(ask(Some(Ask::Knowledge), None), ask(None, None));
    let asked = ask(Some(Ask::Instruction), Some("Which?")).unwrap();
    assert_eq!(asked.context, "Which?\n\nQuestion: Of France?\nA. Rome\nB. Paris\nC. Bonn\nAnswer:");
    assert_eq!((asked.choices, asked.gold), (vec![" A".into(), " B".into(), " C".into()], 1));
    assert!(ask(Some(Ask::Instruction), None).unwrap().context.starts_with("Choose the right answer"));
    assert!(ask(Some(Ask::Knowledge), Some("Which?")).unwrap_err().contains("`instruction` is for"));
    assert!(ask(None, Some("Which?")).unwrap_err().contains("`instruction` is for"));
}

#[test]
fn the_probability_is_that_among_the_choices() {
    let question =
        MultipleChoice { context: "?".into(), choices: vec![" a".into(), " b".into()], suffix: None, gold: 1 };
    assert!((question.probability(&[-1000.0, -1000.0 + 3.0_f64.ln()]) - 0.75).abs() < 1e-12);
    assert_eq!(question.probability(&[-5.0, -5.0]), 0.5);
}

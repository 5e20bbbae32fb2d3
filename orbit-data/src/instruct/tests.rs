#![allow(clippy::unwrap_used, reason = "tests")]

mod prompts;

use std::path::{Path, PathBuf};

use super::*;
use crate::continual::Scores;
use crate::corpus::OnBadRow;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/instruct")
}

fn source(name: &str, form: TaskForm) -> TaskSource {
    let instruction = (form == TaskForm::OLora).then(|| "How does it taste?".to_owned());
    TaskSource { instruction, ..TaskSource::new(name, form, format!("{name}.train.jsonl")) }
}

fn read(name: &str, form: TaskForm) -> Task {
    source(name, form).read(&testdata()).unwrap().0
}

/// One task of every form.
fn sources() -> Vec<TaskSource> {
    vec![
        source("weather", TaskForm::SuperNi),
        source("fruit", TaskForm::OLora),
        source("plain", TaskForm::Ct0Simplification),
        source("why", TaskForm::Ct0Explanation),
        source("sums", TaskForm::Jsonl),
    ]
}

fn instance(instruction: &str, input: &str, outputs: &[&str]) -> Instance {
    let outputs = outputs.iter().map(ToString::to_string).collect();
    Instance { instruction: instruction.into(), input: input.into(), outputs }
}

fn words(task: &Task, instance: &Instance) -> String {
    let choices = task.choices.clone().unwrap_or_default();
    task.template.render(&choices, &instance.instruction, &instance.input).unwrap()
}

#[test]
fn super_natural_instructions_have_their_definition_first() {
    let task = read("weather", TaskForm::SuperNi);
    let definition = "Say what to wear in the weather that is described.";
    assert_eq!(task.train.len(), 3);
    let rain = instance(definition, "It rains and a wind blows.", &["a raincoat", "a coat against rain"]);
    assert_eq!(task.train[0], rain);
    assert_eq!(task.train[2].outputs, ["warm boots"]);
    assert_eq!(task.test[0].input, "Hail – größer als Erbsen.");
    assert_eq!(task.test[1].outputs, ["a bright jacket"]);
    assert_eq!((task.metric, task.chance()), (Metric::RougeL, None));
    assert_eq!(
        words(&task, &task.train[1]),
        format!("Definition: {definition}\n\nNow complete the following example -\nInput: The sun burns.\nOutput:")
    );
}

#[test]
fn o_lora_has_its_labels_first() {
    let task = read("fruit", TaskForm::OLora);
    assert_eq!(task.choices.as_deref().unwrap(), ["sweet", "sour"]);
    assert_eq!((task.gold(&task.train[0]), task.gold(&task.test[0])), (Some(1), Some(0)));
    assert_eq!((task.metric, task.chance()), (Metric::ExactMatch, Some(0.5)));
    let expected = "How does it taste?\nOption: sweet, sour\nText: a lemon\nAnswer:";
    assert_eq!(words(&task, &task.train[0]), expected);
}

#[test]
fn ct0_has_references_and_explanations() {
    let task = read("plain", TaskForm::Ct0Simplification);
    assert_eq!(task.test[0].outputs.len(), 3);
    assert_eq!(task.metric, Metric::Sari);
    let expected = "Reformulate this text with simpler words: \"He commenced his employment in May.\"";
    assert_eq!(words(&task, &task.test[0]), expected);

    let task = read("why", TaskForm::Ct0Explanation);
    assert_eq!(
        (task.metric, task.train[0].outputs[0].as_str()),
        (Metric::Bleu, "a dog is an animal and sleep is rest .")
    );
    let instructions: Vec<_> = task.train.iter().chain(&task.test).map(|row| row.instruction.as_str()).collect();
    let relations = ["entail each other", "do not entail each other", "are unrelated"];
    assert_eq!(instructions, relations.map(|how| format!("Explain why the two following sentences {how}:")));
    assert_eq!(task.train[1].input, "Sentence 1: A dog sleeps .\nSentence 2: The dog runs .");
}

#[test]
fn plain_json_lines_need_no_input() {
    let task = read("sums", TaskForm::Jsonl);
    assert_eq!(task.train[1], instance("Write down the number seven.", "", &["7", "seven"]));
    assert_eq!(words(&task, &task.train[0]), "Add the numbers.\n\n2 and 3");
    assert_eq!(words(&task, &task.train[1]), "Write down the number seven.");
}

#[test]
fn a_config_overrides_what_the_form_says() {
    let json = r#"{"name": "w", "form": "super_ni", "train": "weather.train.jsonl", "test": "weather.train.jsonl",
        "instruction": "Dress.", "template": "{{ input }} {{ instruction }}", "metric": "rouge_1", "chance": 0.125,
        "train_limit": 2, "test_limit": 1, "steps": 40, "paraphrases": ["What should one wear?"]}"#;
    let source: TaskSource = serde_json::from_str(json).unwrap();
    let (task, report) = source.read(&testdata()).unwrap();
    assert_eq!((task.train.len(), task.test.len(), report.rows), (2, 1, 8));
    assert_eq!((task.metric, task.chance()), (Metric::Rouge1, Some(0.125)));
    assert_eq!(words(&task, &task.test[0]), "It rains and a wind blows. Dress.");
    assert_eq!(task.steps, Some(40));
    assert_eq!(words(&task, &task.paraphrased(0).unwrap()[0]), "It rains and a wind blows. What should one wear?");
    assert!(serde_json::from_str::<TaskSource>(r#"{"name": "w", "form": "olora", "train": "x", "trian": 1}"#).is_err());
}

#[test]
fn a_sequence_reads_every_form_and_names_the_columns_of_r() {
    let (sequence, reports) = TaskSequence::read(&sources(), &testdata()).unwrap();
    assert_eq!((sequence.tasks().len(), reports.len()), (5, 5));
    let scores = Scores::of_tasks(sequence.names()).unwrap();
    assert_eq!(scores.stages(), ["weather", "fruit", "plain", "why", "sums"]);
    assert_eq!(TaskSequence::new(sequence.tasks().to_vec()).unwrap(), sequence);
}

#[test]
fn tasks_with_the_same_name_are_an_error_before_any_file_is_read() {
    let twice = [source("a", TaskForm::Jsonl), source("b", TaskForm::Jsonl), source("a", TaskForm::SuperNi)];
    let message = TaskSequence::read(&twice, Path::new("nowhere")).unwrap_err().to_string();
    assert!(message.contains("two tasks are called 'a'"), "{message}");
    let task = read("sums", TaskForm::Jsonl);
    let message = TaskSequence::new(vec![task.clone(), task]).unwrap_err().to_string();
    assert!(message.contains("two tasks are called 'sums'"), "{message}");
    assert!(TaskSequence::new(vec![]).unwrap_err().to_string().contains("at least one task"));
}

/// Reads a training part of `text`, with a test part that is fine.
fn read_rows(
    form: TaskForm,
    text: &str,
    change: impl Fn(&mut TaskSource),
) -> Result<(Task, crate::corpus::ReadReport)> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x.train.jsonl"), text).unwrap();
    let good = match form {
        TaskForm::Jsonl => "sums",
        TaskForm::SuperNi => "weather",
        TaskForm::OLora => "fruit",
        TaskForm::Ct0Simplification => "plain",
        TaskForm::Ct0Explanation => "why",
    };
    let test = Some(testdata().join(format!("{good}.test.jsonl")));
    let mut source = TaskSource { test, train: "x.train.jsonl".into(), ..source("x", form) };
    change(&mut source);
    source.read(dir.path())
}

#[test]
fn a_bad_row_is_named_by_file_line_and_reason() {
    const NI: &str = "{\"definition\": \"d\"}\n";
    const LABELS: &str = "{\"labels\": [\"sweet\", \"sour\"]}\n";
    let cases = [
        (TaskForm::Jsonl, "{\"input\": \n", 1, "malformed JSON"),
        (TaskForm::Jsonl, "[null, \"input\", \"output\"]", 1, "must be a JSON object"),
        (TaskForm::Jsonl, "{\"output\": \"x\"}", 1, "missing field `instruction`"),
        (TaskForm::Jsonl, "{\"instruction\": \"x\"}", 1, "missing field `output`"),
        (
            TaskForm::Jsonl,
            "\n{\"instruction\": 3, \"output\": \"x\"}",
            2,
            "invalid type: integer `3`, expected a string (col",
        ),
        (TaskForm::Jsonl, "{\"instruction\": \"x\", \"output\": 3}", 1, "string or a list of strings, not 3"),
        (TaskForm::Jsonl, "{\"instruction\": \"x\", \"output\": [\"a\", null]}", 1, "list of strings, not null"),
        (TaskForm::Jsonl, "{\"instruction\": \"x\", \"output\": []}", 1, "at least one acceptable answer"),
        (TaskForm::Jsonl, "{\"instruction\": \"x\", \"output\": \" \\n\"}", 1, "an output is empty"),
        (TaskForm::Jsonl, "{\"instruction\": \"x\", \"output\": [\"a\", \"\"]}", 1, "an output is empty"),
        (TaskForm::SuperNi, "{\"input\": \"i\", \"output\": [\"a\"]}", 1, "the first line holds the definition"),
        (TaskForm::SuperNi, &format!("{NI}\n{{\"input\": [\"i\"], \"output\": [\"a\"]}}"), 3, "invalid type: sequence"),
        (TaskForm::OLora, "{\"input\": \"i\", \"output\": \"sweet\"}", 1, "the first line holds the labels"),
        (TaskForm::OLora, "{\"labels\": [\"sweet\"]}", 1, "1 choice: give at least two"),
        (TaskForm::OLora, "{\"labels\": [\"sweet\", \"sweet\"]}", 1, "'sweet' is blank or is given twice"),
        (
            TaskForm::OLora,
            &format!("{LABELS}{{\"input\": \"i\", \"output\": \"salty\"}}"),
            2,
            "'salty' is not one of the choices: sweet, sour",
        ),
        (TaskForm::Ct0Simplification, "{\"input\": \"i\", \"refs\": \"r\"}", 1, "expected a sequence"),
        (TaskForm::Ct0Simplification, "{\"input\": \"i\", \"refs\": []}", 1, "at least one acceptable answer"),
        (TaskForm::Ct0Explanation, "{\"premise\": \"p\"}", 1, "missing field `hypothesis`"),
        (
            TaskForm::Ct0Explanation,
            "{\"premise\": \"p\", \"hypothesis\": \"h\", \"label\": \"-\", \"explanation\": \"e\"}",
            1,
            "the label '-' is not one of entailment",
        ),
    ];
    for (form, text, line, reason) in cases {
        let message = read_rows(form, text, |_| ()).unwrap_err().to_string();
        assert!(message.contains(&format!("x.train.jsonl:{line}: ")) && message.contains(reason), "{text}\n{message}");
    }
}

#[test]
fn bad_rows_are_skipped_and_counted_when_that_is_asked_for() {
    let text = "{\"instruction\": \"x\", \"output\": \"\"}\n{\"instruction\": \"x\", \"output\": \"good\"}\n{]\n";
    let skip = |source: &mut TaskSource| source.on_bad_row = OnBadRow::Skip;
    let (task, report) = read_rows(TaskForm::Jsonl, text, skip).unwrap();
    assert_eq!((task.train.len(), report.rows, report.skipped), (1, 4, 2));
    assert!(report.first.unwrap().contains("x.train.jsonl:1: an output is empty"));

    let message = read_rows(TaskForm::Jsonl, "{]\n", skip).unwrap_err().to_string();
    assert!(message.contains("there is no instance in it; the first row left out was"), "{message}");
    let message = read_rows(TaskForm::SuperNi, "{\"input\": \"i\", \"output\": \"o\"}", skip).unwrap_err().to_string();
    assert!(message.contains("the first line must be {\"definition\""), "{message}");
    let message = read_rows(TaskForm::OLora, "{\"input\": \"i\", \"output\": \"o\"}", skip).unwrap_err().to_string();
    assert!(message.contains("the first line must be {\"labels\""), "{message}");
}

#[test]
fn a_label_outside_the_given_choices_is_an_error_with_its_line() {
    let give = |choices: &[&str]| {
        let choices: Vec<String> = choices.iter().map(ToString::to_string).collect();
        move |source: &mut TaskSource| source.choices = Some(choices.clone())
    };
    let text = "{\"instruction\": \"x\", \"output\": \"joy\"}\n{\"instruction\": \"x\", \"output\": \"sadness\"}";
    let message = read_rows(TaskForm::Jsonl, text, give(&["joy", "love"])).unwrap_err().to_string();
    assert!(
        message.contains("x.train.jsonl:2: the output 'sadness' is not one of the choices: joy, love"),
        "{message}"
    );
    let (task, _) = read_rows(TaskForm::Jsonl, text, give(&["joy", "sadness", "23"])).unwrap();
    assert_eq!(task.chance(), Some(1.0 / 3.0));
}

#[test]
fn files_that_do_not_make_a_task_are_errors_that_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let row = "{\"instruction\": \"x\", \"output\": \"y\"}";
    let message = |form, name: &str| source(name, form).read(dir.path()).unwrap_err().to_string();

    assert!(message(TaskForm::Jsonl, "a").contains("it has no test part: there is no"));
    write("a.test.jsonl", "\n");
    assert!(message(TaskForm::Jsonl, "a").contains("a.train.jsonl: no such file"));
    write("a.train.jsonl", row);
    let text = message(TaskForm::Jsonl, "a");
    assert!(text.contains("a.test.jsonl: there is no instance in it"), "{text}");

    let odd = TaskSource { train: "a.jsonl".into(), ..source("a", TaskForm::Jsonl) };
    assert!(odd.read(dir.path()).unwrap_err().to_string().contains("no test part is named"));
    let gone = TaskSource { test: Some("gone.jsonl".into()), ..source("a", TaskForm::Jsonl) };
    assert!(gone.read(dir.path()).unwrap_err().to_string().contains("gone.jsonl: no such file"));

    write("b.train.jsonl", "{\"labels\": [\"x\", \"y\"]}\n{\"input\": \"i\", \"output\": \"x\"}");
    write("b.test.jsonl", "{\"labels\": [\"y\", \"x\"]}\n{\"input\": \"i\", \"output\": \"x\"}");
    assert!(message(TaskForm::OLora, "b").contains("its labels differ"));
    let silent = TaskSource { instruction: None, ..source("b", TaskForm::OLora) };
    assert!(silent.read(dir.path()).unwrap_err().to_string().contains("hold no instruction"));

    let accurate = TaskSource { metric: Some(Metric::Accuracy), ..source("sums", TaskForm::Jsonl) };
    assert!(accurate.read(&testdata()).unwrap_err().to_string().contains("give `choices`"));
    for (template, reason) in [("{{ input", "parsing"), ("{{ instruction }}", "must write the `input`")] {
        let bad = TaskSource { template: Some(template.into()), ..source("sums", TaskForm::Jsonl) };
        assert!(bad.read(&testdata()).unwrap_err().to_string().contains(reason));
    }
}

#[test]
fn tasks_made_in_memory_are_checked_alike() {
    let good = read("fruit", TaskForm::OLora);
    let message = |change: &dyn Fn(&mut Task)| {
        let mut task = good.clone();
        change(&mut task);
        TaskSequence::new(vec![task]).unwrap_err().to_string()
    };
    assert!(message(&|task| task.name = " ".into()).contains("needs a name"));
    assert!(message(&|task| task.test.clear()).contains("nothing in its test part"));
    assert!(message(&|task| task.train.clear()).contains("nothing in its training part"));
    assert!(message(&|task| task.train[1].outputs.clear()).contains("training instance 1, from 0: there is no output"));
    assert!(message(&|task| task.test[0].outputs[0].clear()).contains("test instance 0, from 0: an output is empty"));
    assert!(
        message(&|task| task.choices = Some(vec!["sweet".into(), "bitter".into()])).contains("'sour' is not one of")
    );
    assert!(message(&|task| task.chance = Some(1.0)).contains("not in [0, 1)"));
    assert!(message(&|task| task.chance = Some(f64::NAN)).contains("not in [0, 1)"));
    assert!(message(&|task| task.steps = Some(0)).contains("0 steps would train nothing"));
    let reworded = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        message(&|task| task.paraphrases = words.clone())
    };
    assert!(reworded(&["Sweet or sour?", " \n"]).contains("paraphrase 1, from 0, is blank"));
    assert!(reworded(&["Sweet or sour?", "Sweet or sour? "]).contains("'Sweet or sour?' is given twice"));
    assert!(reworded(&[" How does it taste?"]).contains("is the instruction itself"));
    assert!(good.paraphrased(0).unwrap_err().to_string().contains("no paraphrase 0, from 0: it has 0"));
    let one = |task: &mut Task| {
        task.choices = Some(vec!["sweet".into()]);
        task.train.remove(0);
    };
    assert!(message(&one).contains("1 choice"));
    let open = |task: &mut Task| (task.choices, task.metric) = (None, Metric::Accuracy);
    assert!(message(&open).contains("give `choices`"));
}

#[test]
fn a_task_is_scored_by_its_metric() {
    let task = read("weather", TaskForm::SuperNi);
    // Of "a hard hat" one word of three: F = 2 * 1 * 1/3 / (1 + 1/3) = 1/2.
    let score = task.score(&["hat", "a bright jacket"]).unwrap();
    assert!((score.items[0] - 0.5).abs() < 1e-12 && score.items[1] == 1.0);
    assert!(task.score(&["hat"]).unwrap_err().to_string().contains("1 answers for 2 test instances"));

    let plain = read("plain", TaskForm::Ct0Simplification);
    let row = &plain.test[0];
    let copy = plain.score(std::slice::from_ref(&row.input)).unwrap().value;
    assert!((100.0 * copy - crate::metric::Sari::new(&row.input, &row.input, &row.outputs).score()).abs() < 1e-9);

    let fruit = read("fruit", TaskForm::OLora);
    assert_eq!((fruit.score_choices(&[0]).unwrap().value, fruit.score_choices(&[1]).unwrap().value), (1.0, 0.0));
    assert!(fruit.score_choices(&[2]).unwrap_err().to_string().contains("no choice 2"));
    assert!(fruit.score_choices(&[]).is_err());
}

#[test]
fn the_preamble_of_alpaca_is_a_template() {
    let text = Template::new(ALPACA).unwrap().render(&[], "Add.", "1 and 2").unwrap();
    assert!(text.ends_with("request.\n\nAdd.\n\n### Input:\n1 and 2\n\n### Response:"), "{text}");
}

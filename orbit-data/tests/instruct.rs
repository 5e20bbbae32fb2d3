//! The real instruction tasks, where they are there.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use orbit_data::OnBadRow;
use orbit_data::chat::ChatTemplate;
use orbit_data::instruct::{Limits, Prompts, Task, TaskForm, TaskSequence, TaskSource};
use orbit_data::metric::{Generated, Metric};
use orbit_data::tokenizer::{Reader, TextTokenizer};
use orbit_data::vocabulary::{SPECIAL_TOKENS, train_bpe};

/// The folder of instruction tasks under `ORBIT_DATA` or beside the repository.
fn folder() -> Option<PathBuf> {
    let data = std::env::var_os("ORBIT_DATA")
        .map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data").into(), PathBuf::from);
    let folder = data.join("instruct");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: there is no {}; give the data folder by ORBIT_DATA", folder.display());
    None
}

/// A source for every training part in a folder, in the order of their names.
fn sources(folder: &Path, form: TaskForm) -> Vec<TaskSource> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |path: &Path| {
        path.file_name().unwrap().to_str().unwrap().split_once(".train.").map(|(name, _)| name.to_owned())
    };
    files.iter().filter_map(|path| Some(TaskSource::new(name(path)?, form, path))).collect()
}

fn sizes(tasks: &[Task]) -> (usize, usize, usize) {
    (tasks.len(), tasks.iter().map(|task| task.train.len()).sum(), tasks.iter().map(|task| task.test.len()).sum())
}

#[test]
fn super_natural_instructions_are_fifteen_tasks() {
    let Some(folder) = folder() else { return };
    let folder = folder.join("superni15");
    let mut sources = sources(&folder, TaskForm::SuperNi);
    // Six summaries of Reddit posts are empty in the source.
    let message = TaskSequence::read(&sources, Path::new("")).unwrap_err().to_string();
    assert!(message.contains("task511") && message.contains("an output is empty"), "{message}");

    sources.iter_mut().for_each(|source| source.on_bad_row = OnBadRow::Skip);
    let (sequence, reports) = TaskSequence::read(&sources, Path::new("")).unwrap();
    assert_eq!(reports.iter().map(|report| report.skipped).sum::<usize>(), 6);
    assert_eq!(sizes(sequence.tasks()), (15, 11_741 - 6, 1_197));
    assert!(sequence.tasks().iter().all(|task| task.train.iter().chain(&task.test).all(|row| !row.input.is_empty())));
}

/// With the lengths that methods use on these tasks (arXiv 2502.11019): long articles are cut, short tasks are not.
#[test]
fn real_prompts_fit_their_limits() {
    let Some(folder) = folder() else { return };
    let read = |name: &str| {
        let train = folder.join("superni15").join(name);
        TaskSource::new(name, TaskForm::SuperNi, train).read(Path::new("")).unwrap().0
    };
    let tasks =
        ["task1290_xsum_summarization.train.jsonl.gz", "task363_sst2_polarity_classification.train.jsonl"].map(read);
    let text = tasks[0].train.iter().take(200).map(|row| row.input.as_str());
    let tokenizer = train_bpe(text, 2000, &SPECIAL_TOKENS).unwrap();
    let tokenizer = TextTokenizer::new(tokenizer, Reader::Decoder).unwrap();
    let chat = ChatTemplate::chatml().unwrap();
    let prompts = Prompts::new(&chat, &tokenizer, Limits { prompt: 512, answer: 128 }).unwrap();
    let start = Instant::now();
    let [xsum, sst2] = tasks.each_ref().map(|task| prompts.examples(task, &task.train).unwrap());
    eprintln!("{:.2?} for {} examples, {} inputs cut", start.elapsed(), 2000, xsum.cut_inputs);
    assert!(xsum.cut_inputs > 200 && sst2.cut_inputs == 0 && sst2.cut_answers == 0);
    for example in xsum.examples.iter().chain(&sst2.examples) {
        assert!(example.answer <= 512 && (1..=128).contains(&example.learned().len()));
    }
    let cut = xsum.examples.iter().filter(|example| example.answer == 512).count();
    assert!(cut > 100, "{cut}: what is cut keeps as much as fits");
}

/// The definition of task 875 names five emotions and the data has six.
#[test]
fn a_label_that_the_definition_forgot_is_found() {
    let Some(folder) = folder() else { return };
    let path = folder.join("superni15/task875_emotion_classification.train.jsonl");
    let source = |choices: &[&str]| {
        let choices = Some(choices.iter().map(ToString::to_string).collect());
        TaskSource { choices, metric: Some(Metric::Accuracy), ..TaskSource::new("emotion", TaskForm::SuperNi, &path) }
    };
    let message = source(&["joy", "love", "anger", "fear", "surprise"]).read(Path::new("")).unwrap_err().to_string();
    assert!(message.contains("'sadness' is not one of the choices"), "{message}");
    let (task, _) = source(&["joy", "love", "anger", "fear", "surprise", "sadness"]).read(Path::new("")).unwrap();
    assert_eq!(task.chance(), Some(1.0 / 6.0));
}

#[test]
fn o_lora_is_seven_tasks_with_labels() {
    let Some(folder) = folder() else { return };
    let mut sources = sources(&folder.join("olora"), TaskForm::OLora);
    sources.iter_mut().for_each(|source| source.instruction = Some("Choose one from the option.".into()));
    let (sequence, _) = TaskSequence::read(&sources, Path::new("")).unwrap();
    let train = 4000 + 2000 + 250 + 400 + 2000 + 2000 + 2000;
    let test = 2000 + 3270 + 56 + 100 + 277 + 872 + 638;
    assert_eq!(sizes(sequence.tasks()), (7, train, test));
    let chances: Vec<f64> = sequence.tasks().iter().map(|task| task.chance().unwrap()).collect();
    assert_eq!(chances, [0.25, 0.5, 1.0 / 3.0, 0.5, 0.5, 0.5, 0.5]);
}

/// ASSET's own sentences as answers: people who simplify score far above a copy of the source by SARI, and below it by
/// ROUGE-1.
#[test]
fn asset_and_e_snli_are_read_and_scored() {
    let Some(folder) = folder() else { return };
    let part = |name: &str| folder.join("ct0").join(name);
    let source =
        |form, train, test| TaskSource { test: Some(part(test)), ..TaskSource::new("task", form, part(train)) };
    let asset = source(TaskForm::Ct0Simplification, "asset.valid.jsonl.gz", "asset.test.jsonl.gz");
    let (asset, _) = asset.read(Path::new("")).unwrap();
    assert_eq!((asset.train.len(), asset.test.len()), (2000, 359));
    assert!(asset.test.iter().all(|row| row.outputs.len() == 10));

    let score = |metric: Metric, person: bool| {
        let answers = asset.test.iter().map(|row| Generated {
            source: &row.input,
            prediction: if person { &row.outputs[0] } else { &row.input },
            references: &row.outputs[1..],
        });
        metric.score(&answers.collect::<Vec<_>>()).unwrap().value
    };
    // By the formula in Python it is 20.734 for a copy; the person is the first annotator, against the other nine.
    let copies = asset.score(&asset.test.iter().map(|row| row.input.as_str()).collect::<Vec<_>>()).unwrap().value;
    assert!((copies - 0.20734).abs() < 0.00001, "{copies}");
    assert!((score(Metric::Sari, true) - 0.449).abs() < 0.01, "{}", score(Metric::Sari, true));
    assert!(score(Metric::Sari, true) > 2.0 * score(Metric::Sari, false));
    assert!(score(Metric::Rouge1, false) > score(Metric::Rouge1, true));

    let (esnli, _) =
        source(TaskForm::Ct0Explanation, "esnli.dev.jsonl.gz", "esnli.test.jsonl.gz").read(Path::new("")).unwrap();
    assert_eq!((esnli.train.len(), esnli.test.len()), (9842, 9824));
}

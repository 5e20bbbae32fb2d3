//! What lm-evaluation-harness makes of the same rows, byte for byte: `testdata/suites/make_suites.py` asks it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use serde::Deserialize;

use super::draw::Sampler;
use super::*;

#[derive(Deserialize)]
struct Expected {
    cases: Vec<Case>,
    pairs: BTreeMap<String, Vec<(String, Vec<String>)>>,
    samples: Vec<Sample>,
    windows: Vec<Rolled>,
    measures: Vec<Measured>,
    capitals: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Case {
    kind: Suite,
    shots: usize,
    seed: u64,
    limit: Option<usize>,
    forms: Vec<Published>,
    asked: Vec<Answered>,
}

#[derive(Deserialize)]
struct Published {
    path: String,
    shots_from: Option<String>,
    files: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Answered {
    requests: Vec<(String, Vec<String>)>,
    gold: Option<usize>,
    lengths: Option<Vec<usize>>,
}

#[derive(Deserialize)]
struct Sample {
    seed: u64,
    size: usize,
    count: usize,
    drawn: Vec<usize>,
}

#[derive(Deserialize)]
struct Rolled {
    length: u32,
    most: usize,
    context: usize,
    windows: Vec<(Vec<u32>, Vec<u32>)>,
}

#[derive(Deserialize)]
struct Measured {
    text: String,
    loglik: f64,
    words: usize,
    bytes: usize,
    measures: [Option<f64>; 3],
}

fn expected() -> Expected {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/suites/expected.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn read(case: &Case, form: &Published) -> Tasks {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in &form.files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let task = TextTask {
        name: "suite".into(),
        kind: case.kind,
        path: dir.path().join(&form.path),
        limit: case.limit,
        group: None,
        instruction: None,
        ask: None,
        shots: case.shots,
        shots_from: form.shots_from.as_ref().map(|name| dir.path().join(name)),
        seed: case.seed,
    };
    task.read().unwrap()
}

fn check(case: &Case, form: &Published) {
    let name = format!("{:?}, {} shots, {:?}", case.kind, case.shots, form.files);
    let owned = |request: Request<'_>| {
        let continuations = request.continuations.into_iter().map(str::to_owned).collect();
        (request.context.into_owned(), continuations)
    };
    match read(case, form) {
        Tasks::MultipleChoice(questions) => {
            assert_eq!(questions.len(), case.asked.len(), "{name}");
            for (question, asked) in questions.iter().zip(&case.asked) {
                let requests: Vec<_> = question.requests().into_iter().map(owned).collect();
                assert_eq!(requests, asked.requests, "{name}");
                assert_eq!(
                    (Some(question.gold), Some(question.lengths())),
                    (asked.gold, asked.lengths.clone()),
                    "{name}"
                );
            }
        }
        Tasks::LastWord(passages) => {
            let requests = passages.into_iter().map(|passage| vec![(passage.context, vec![passage.target])]);
            let expected = case.asked.iter().map(|asked| asked.requests.clone());
            assert_eq!(requests.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{name}");
        }
        _ => panic!("{name}"),
    }
}

#[test]
fn prompts_are_those_of_the_harness() {
    let cases = expected().cases;
    let forms = cases.iter().flat_map(|case| case.forms.iter().map(move |form| (case, form)));
    assert!(forms.clone().count() > 80);
    forms.for_each(|(case, form)| check(case, form));
}

#[test]
fn sentences_of_pairs_are_those_of_the_harness() {
    let dir = tempfile::tempdir().unwrap();
    let expected = expected().pairs;
    let pairs = |kind, name: &str| {
        let task = serde_json::json!({"name": "x", "kind": kind, "path": dir.path().join(name)});
        let task: TextTask = serde_json::from_value(task).unwrap();
        let Tasks::MinimalPairs(pairs) = task.read().unwrap() else { panic!() };
        pairs.into_iter().map(|pair| (String::new(), vec![pair.good, pair.bad])).collect::<Vec<_>>()
    };
    let mut zip = zip::ZipWriter::new(std::fs::File::create(dir.path().join("b.zip")).unwrap());
    zip.start_file("a.jsonl", zip::write::SimpleFileOptions::default()).unwrap();
    let row = "{\"sentence_good\": \"Who sleeps?\", \"sentence_bad\": \"Who sleep?\"}\n";
    std::io::Write::write_all(&mut zip, row.as_bytes()).unwrap();
    zip.finish().unwrap();
    assert_eq!(pairs(Suite::Blimp, "b.zip"), expected["blimp"]);
    let row = "sent_more,sent_less,stereo_antistereo,bias_type\nHe codes.,She codes.,antistereo,gender\n";
    std::fs::write(dir.path().join("c.csv"), row).unwrap();
    assert_eq!(pairs(Suite::CrowsPairs, "c.csv"), expected["crows_pairs"]);
}

#[test]
fn samples_are_those_of_python() {
    let mut at = None;
    for sample in expected().samples {
        // The samples of a seed follow each other.
        let (_, sampler) = match &mut at {
            Some((seed, sampler)) if *seed == sample.seed => (seed, sampler),
            at => {
                let (seed, sampler) = at.insert((sample.seed, Sampler::new(sample.seed)));
                (seed, sampler)
            }
        };
        let name = format!("{} of {} by {}", sample.count, sample.size, sample.seed);
        assert_eq!(sampler.sample(sample.size, sample.count), sample.drawn, "{name}");
    }
}

#[test]
fn windows_are_those_of_the_harness() {
    for case in expected().windows {
        let tokens: Vec<u32> = (1..=case.length).collect();
        let windows = rolling_windows(&tokens, 0, case.most, case.context).unwrap();
        let windows: Vec<_> = windows.map(|window| (window.context, window.continuation)).collect();
        assert_eq!(windows, case.windows, "{} tokens by {}, {}", case.length, case.most, case.context);
    }
}

#[test]
fn measures_of_running_text_are_those_of_the_harness() {
    for case in expected().measures {
        let length = TextLength::of(&case.text);
        assert_eq!(length, TextLength { words: case.words, bytes: case.bytes }, "{:?}", case.text);
        let all = [length.word_perplexity(case.loglik), length.byte_perplexity(case.loglik)];
        for (value, expected) in all.into_iter().chain([length.bits_per_byte(case.loglik)]).zip(case.measures) {
            let Some(expected) = expected else { continue };
            assert!((value / expected - 1.0).abs() < 1e-12, "{:?}: {value} for {expected}", case.text);
        }
    }
}

#[test]
fn capitals_are_those_of_python() {
    for (text, capital) in expected().capitals {
        assert_eq!(python::capitalize(&text), capital, "{text:?}");
    }
}

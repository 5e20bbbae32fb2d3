//! The same run file and seed leave the same bytes, and a model has the same scores in batches of any size.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::program::{done, on, orbit, run_file};
use crate::reliability::{assert_same, resume, timeless, train};
use crate::sequence::kill_at;

/// Hooks of every phase but the forward pass, one of them on every other step.
const HOOKS: &str = "
    [[hooks]]
    use.orbit = { metric = 'l2', max_drift = 0.8 }
    [[hooks]]
    every = 2
    use.l2_sp = { strength = 0.1 }
    [[hooks]]
    use.kl = { strength = 0.5 }
    [[hooks]]
    use.ema = { decay = 0.5 }
    [evaluate]
    untouched = false
    [evaluate.retrieval]
    users = 6
    batch = 4
";

/// A run over epochs and micro-batches. Six users have 35 examples, so that an epoch is five steps of six; a checkpoint
/// is saved after step 7, in the middle of the second epoch, and the run ends in the middle of the third.
fn epochs(dir: &Path) -> PathBuf {
    let run = run_file(dir, HOOKS);
    let mut text = fs::read_to_string(&run).unwrap();
    for (from, to) in [
        ("users = 80", "users = 6"),
        ("items = 60", "items = 30"),
        ("batch = 8", "batch = 6\nmicro_batch = 2"),
        ("save_every = 5", "save_every = 7"),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    fs::write(&run, text).unwrap();
    run
}

#[test]
fn a_seed_has_its_bytes_on_any_number_of_threads_stopped_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let run = epochs(dir.path());
    let [whole, again, cut, other] = ["whole", "again", "cut", "other"].map(|name| dir.path().join(name));
    done(on(1, &mut train(&run, &whole)));
    done(on(3, &mut train(&run, &again)));
    assert_same(&whole, &again, "a second time");

    let place = cut.join("checkpoints/step-00000007");
    assert!(kill_at(on(2, &mut train(&run, &cut)), &place), "it was over before it was killed");
    assert!(!cut.join("model").exists(), "it was over before it was killed");
    done(on(3, &mut resume(&cut)));
    assert_same(&whole, &cut, "stopped on two threads, resumed on three");

    done(train(&run, &other).args(["--seed", "2"]));
    let model = |out: &Path| fs::read(out.join("model/model.safetensors")).unwrap();
    assert!(model(&whole) != model(&other), "another seed changes nothing");
}

/// Questions of different lengths, with two to five choices, no two of one question alike.
fn questions() -> String {
    const WORDS: [&str; 16] = [
        "bird", "garden", "mother", "bread", "old", "small", "went", "home", "dog", "saw", "girl", "men", "red",
        "green", "eat", "with",
    ];
    let words =
        |from: usize, count: usize| (0..count).map(|at| WORDS[(from + at) % WORDS.len()]).collect::<Vec<_>>().join(" ");
    let question = |at: usize| {
        // They begin with different words: at most twelve on from the first one's, of sixteen.
        let choices: Vec<String> =
            (0..2 + at % 4).map(|choice| words(at + 3 * choice, 1 + (at + choice) % 4)).collect();
        json!({"context": words(5 * at, 3 + at % 9), "choices": choices, "gold": at % 2}).to_string() + "\n"
    };
    (0..24).map(question).collect()
}

/// The scores of a model with so many rows a forward pass, or about so many where tokens are counted.
fn scores(dir: &Path, rows: usize, threads: usize) -> Value {
    let evaluated = format!(
        "[evaluate.retrieval]
        users = 20
        batch = {rows}
        [evaluate.text]
        batch_tokens = {}
        [[evaluate.text.tasks]]
        name = 'right'
        kind = 'jsonl'
        path = 'questions.jsonl'
        [[evaluate.text.tasks]]
        name = 'sure'
        kind = 'jsonl'
        path = 'questions.jsonl'
        ask = 'knowledge'",
        24 * rows
    );
    let run = run_file(dir, &evaluated);
    let printed = done(on(threads, orbit().arg("eval").arg(dir.join("out/model")).arg("--run").arg(run)));
    timeless(serde_json::from_str(&printed).unwrap())
}

/// Takes the mean probability of right answers and its interval out of some scores.
fn take_probabilities(scores: &mut Value) -> [f64; 3] {
    let suite = scores["results"].as_object_mut().unwrap().remove("sure").unwrap();
    let interval = &suite["interval_95,none"];
    [&suite["probability,none"], &interval[0], &interval[1]].map(|number| number.as_f64().unwrap())
}

/// Whatever counts places and right answers is the same number. A probability is the same to rounding, no more: a
/// product of matrices sums in an order that depends on how many rows it has, which shows in the last digits of single
/// precision.
#[test]
fn a_model_has_its_scores_in_batches_of_any_size() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("questions.jsonl"), questions()).unwrap();
    let run = run_file(dir.path(), "[evaluate]\nuntouched = false");
    done(train(&run, &dir.path().join("out")).args(["--steps", "4"]));
    let one = scores(dir.path(), 1, 1);
    assert!(one["orbit"]["retrieval"]["recall"]["20"].is_number(), "{one}");
    assert!(one["results"]["right"]["acc,none"].is_number(), "{one}");
    for rows in [3, 16] {
        let (mut one, mut many) = (one.clone(), scores(dir.path(), rows, 1));
        assert_eq!(many, scores(dir.path(), rows, 3), "{rows} rows at once, on three threads");
        for (one, many) in take_probabilities(&mut one).into_iter().zip(take_probabilities(&mut many)) {
            assert!((one - many).abs() <= 1e-6, "{rows} rows at once: {many}, alone: {one}");
        }
        assert_eq!(one, many, "{rows} rows at once");
    }
}

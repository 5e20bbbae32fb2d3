//! SASRec: what its scores depend on, and a run of it from the outside.

use std::fs;
use std::path::Path;

use orbit_core::device;
use orbit_models::sasrec::{SasRec, SasRecConfig};

use crate::program::{done, json, orbit, stderr};

fn config() -> SasRecConfig {
    SasRecConfig { width: 8, layers: 2, heads: 2, max_history: 4, dropout: 0.5 }
}

fn model() -> SasRec {
    SasRec::random(config(), 12, 3, &device("flex").unwrap())
}

fn scores(model: &SasRec, histories: &[&[u32]]) -> Vec<f32> {
    model.scores(histories).unwrap().into_data().try_into_vec().unwrap()
}

#[test]
fn scores_are_those_of_the_last_items_alone() {
    let model = model();
    let alone = scores(&model, &[&[3, 1, 4]]);
    let among = scores(&model, &[&[9], &[3, 1, 4], &[2, 6, 5, 3]]);
    assert!(alone.iter().zip(&among[12..24]).all(|(a, b)| (a - b).abs() < 1e-6));
    // Only the last four are read, and their order counts.
    assert_eq!(scores(&model, &[&[7, 7, 2, 6, 5, 3]]), scores(&model, &[&[2, 6, 5, 3]]));
    assert_ne!(scores(&model, &[&[1, 3, 4]]), alone);
    assert!(model.scores(&[&[1], &[]]).unwrap_err().to_string().contains("history 1 is empty"));
    assert!(model.scores(&[&[12]]).unwrap_err().to_string().contains("12"));
}

#[test]
fn a_saved_model_scores_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let model = model();
    model.save(dir.path(), &config()).unwrap();
    let loaded = SasRec::load(dir.path(), &device("flex").unwrap()).unwrap();
    assert_eq!(scores(&loaded, &[&[3, 1, 4]]), scores(&model, &[&[3, 1, 4]]));
    let path = dir.path().join("config.json");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("sasrec", "llama")).unwrap();
    let message = SasRec::load(dir.path(), &device("flex").unwrap()).unwrap_err().to_string();
    assert!(message.contains("model_type") && message.contains("llama"), "{message}");
}

/// Item k is always followed by item k + 1 of 30: what a recommender of sequences has to find. Users are of several lengths, so
/// that every position is trained.
fn write_run(dir: &Path, more: &str) {
    let user = |user: usize| {
        let items = (0..5 + user % 4).map(|at| (1 + (user * 7 + at) % 30).to_string()).collect::<Vec<_>>().join(" ");
        format!("{} {items}\n", user + 1)
    };
    fs::write(dir.join("sequences.txt"), (0..60).map(user).collect::<String>()).unwrap();
    let items: String = (1..=30).map(|id| format!("{{\"id\": {id}, \"title\": \"Tea {id}\"}}\n")).collect();
    fs::write(dir.join("items.jsonl"), items).unwrap();
    let run = format!(
        "name = 'circle'
         corpus = {{ sequences = 'sequences.txt', items = 'items.jsonl' }}
         sasrec = {{ width = 16, heads = 2, max_history = 8, dropout = 0.1 }}
         train = {{ steps = 120, batch = 20, learning_rate = 1e-2, warmup = 5, save_every = 50 }}
         {more}"
    );
    fs::write(dir.join("run.toml"), run).unwrap();
}

const EXPECTED: &str = "expected = { minutes = 1.0, machine = 'a desk', seeds = [1, 2], values = [
    { measure = 'recall@1', value = 1.0, tolerance = TOLERANCE },
    { measure = 'ndcg@10', value = 1.0, tolerance = 0.1 },
] }";

#[test]
fn a_recipe_is_reproduced_or_not() {
    let dir = tempfile::tempdir().unwrap();
    write_run(dir.path(), &EXPECTED.replace("TOLERANCE", "0.1"));
    let reproduce = |out: &str| {
        let mut command = orbit();
        command.arg("reproduce").arg(dir.path().join("run.toml")).arg("--out").arg(dir.path().join(out));
        command
    };
    let text = done(&mut reproduce("out"));
    assert!(text.contains("recall@1") && !text.contains("outside"), "{text}");
    let report = json(&dir.path().join("out/seed-2/report.json"));
    assert_eq!((&report["seed"], &report["runs"][0]["retrieval"]["users"]), (&2.into(), &60.into()));
    assert!(report["runs"][0]["retrieval"]["recall"]["1"].as_f64().unwrap() > 0.9);

    // The runs that are there are compared again, with a recipe that expects the impossible.
    write_run(dir.path(), &EXPECTED.replace("value = 1.0, tolerance = TOLERANCE", "value = 0.2, tolerance = 0.1"));
    let output = reproduce("out").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("outside"));
    assert!(stderr(&output).contains("1 of 2 measures"), "{}", stderr(&output));

    write_run(dir.path(), "");
    let output = reproduce("other").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("[expected]") && !dir.path().join("other").exists(), "{}", stderr(&output));
}

#[test]
fn a_run_that_was_cut_short_resumes_to_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    write_run(dir.path(), "");
    let train = |out: &str| {
        let mut command = orbit();
        command.arg("train").arg(dir.path().join("run.toml")).arg("--out").arg(dir.path().join(out));
        command
    };
    done(&mut train("whole"));
    done(&mut train("cut"));
    for place in ["model", "report.json", "checkpoints/step-00000120"] {
        let place = dir.path().join("cut").join(place);
        if place.is_dir() { fs::remove_dir_all(place).unwrap() } else { fs::remove_file(place).unwrap() }
    }
    done(orbit().arg("resume").arg(dir.path().join("cut")));
    let weights = |out: &str| fs::read(dir.path().join(out).join("model/model.safetensors")).unwrap();
    assert_eq!(weights("whole"), weights("cut"));
}

#[test]
fn mistakes_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |more: &str, words: &[&str]| {
        write_run(dir.path(), more);
        let output =
            orbit().arg("train").arg(dir.path().join("run.toml")).arg("--out").arg(dir.path().join("out")).output();
        let output = output.unwrap();
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(words.iter().all(|word| message.contains(word)), "{words:?} are not in: {message}");
        assert!(!dir.path().join("out").exists());
    };
    refused("sasrec.heads = 3", &["sasrec"]);
    refused("evaluate.on = 'tests'", &["tests", "validation"]);
    refused("evaluate.batch = 0", &["evaluate.batch"]);
    refused("corpus.embeddings = 'x.npy'", &["corpus"]);
    let expected = EXPECTED.replace("TOLERANCE", "0.1");
    refused(&expected.replace("recall@1", "recall@3"), &["expected.values.measure", "recall@3"]);
    refused(&expected.replace("[1, 2]", "[]"), &["expected.seeds"]);
}

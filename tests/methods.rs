//! A study of ways to train, with instruction vectors in training and watched, from the outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{ROOT, done, json, orbit, stderr};

fn tiny() -> PathBuf {
    Path::new(ROOT).join("orbit-cli/assets/tiny-lm")
}

/// The vector of a task of the recipes.
fn extract(task: &str, out: &Path) {
    let mut command = orbit();
    command.args(["iv", "extract", "--shots", "2", "--averaged", "6", "--patched", "2", "--heads", "3"]);
    command.arg("--model").arg(tiny()).arg("--out").arg(out);
    done(command.arg("--task").arg(Path::new(ROOT).join(format!("recipes/functions/{task}.jsonl"))));
}

/// A study of two methods in a folder that has the vectors of two tasks.
fn study(dir: &Path, change: &[(&str, &str)]) -> Command {
    let functions = Path::new(ROOT).join("recipes/functions");
    let file = |task: &str| functions.join(format!("{task}.jsonl"));
    let (antonym, plural, past) = (file("antonym"), file("singular-plural"), file("present-past"));
    let model = tiny();
    let text = format!(
        r#"
        models = [{{ name = "tiny", path = {model:?} }}]
        train = {{ steps = 4, batch = 4, learning_rate = 2e-3, warmup = 1, save_every = 0, drift_every = 4 }}
        evaluate = {{ batch = 8, divergence = 2, watch = {{ every = 3, prompts = 6, shots = 2, tasks = [
            {{ path = {antonym:?}, vector = "antonym.safetensors" }},
        ] }} }}
        sequence.answer = 4
        tasks = [
            {{ name = "plural", form = "jsonl", train = {plural:?}, test = {plural:?}, test_limit = 4 }},
            {{ name = "past", form = "jsonl", train = {past:?}, test = {past:?}, test_limit = 4 }},
        ]
        [[methods]]
        name = "plain"
        [[methods]]
        name = "guided"
        hooks = [{{ use.instruction_vector = {{ vectors = ["antonym.safetensors"], site = "layers.1.attn_out" }} }}]
        "#
    );
    let text = change.iter().fold(text, |text, (old, new)| {
        assert!(text.contains(old), "{old}");
        text.replace(old, new)
    });
    fs::write(dir.join("study.toml"), text).unwrap();
    let mut command = orbit();
    command.args(["study", "run"]).arg(dir.join("study.toml")).arg("--out").arg(dir.join("out"));
    command
}

#[test]
fn methods_are_compared_and_vectors_watched() {
    let dir = tempfile::tempdir().unwrap();
    extract("antonym", &dir.path().join("antonym.safetensors"));
    let text = done(&mut study(dir.path(), &[]));
    assert!(text.contains("2 ways to tune a model") && text.contains("Watched tasks"), "{text}");
    assert!(!text.contains("five claims"), "methods say nothing about sizes: {text}");

    let report = json(&dir.path().join("out/report.json"));
    for (at, method) in ["plain", "guided"].into_iter().enumerate() {
        let model = &report["models"][at];
        assert_eq!((&model["name"], &model["method"]), (&method.into(), &method.into()));
        let looks = model["runs"][0]["watched"][0]["looks"].as_array().unwrap();
        let steps: Vec<u64> = looks.iter().map(|look| look["step"].as_u64().unwrap()).collect();
        assert_eq!(steps, [0, 3, 4, 7, 8], "every third step of a stage, and its end");
        let cosine = |at: usize| looks[at]["cosine"].as_f64().unwrap();
        assert!((cosine(0) - 1.0).abs() < 1e-6 && (0.0..0.999_999).contains(&cosine(4)), "{} {}", cosine(0), cosine(4));
        assert!(looks[4]["loss"] != looks[0]["loss"]);
    }
    assert_eq!(report["models"][0]["runs"][0]["hooks"], serde_json::json!([]));
    assert_eq!(report["models"][1]["runs"][0]["hooks"], serde_json::json!(["instruction_vector"]));
    let untouched =
        |method: &str| fs::read(dir.path().join(format!("out/runs/{method}/seed-1/untouched.json"))).unwrap();
    assert_eq!(untouched("plain"), untouched("guided"));
    assert!(fs::read_to_string(dir.path().join("out/report.html")).unwrap().contains("The methods and the sequence"));
}

#[test]
fn mistakes_about_vectors_are_named_before_anything_is_trained() {
    let dir = tempfile::tempdir().unwrap();
    extract("antonym", &dir.path().join("antonym.safetensors"));
    let refused = |change: &[(&str, &str)], words: &[&str]| {
        let output = study(dir.path(), change).output().unwrap();
        let message = stderr(&output);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{message}");
        assert!(words.iter().all(|word| message.contains(word)), "{words:?} are not in: {message}");
        assert!(!dir.path().join("out/runs/plain/seed-1/stages").exists(), "{words:?} came late");
        let _ = fs::remove_dir_all(dir.path().join("out"));
    };
    refused(&[("name = \"guided\"", "name = \"plain\"")], &["methods", "two", "plain"]);
    refused(&[("every = 3", "every = 0")], &["evaluate.watch.every"]);
    refused(&[("vector = \"antonym.safetensors\"", "vector = \"none.safetensors\"")], &["none.safetensors", "missing"]);
    refused(&[("shots = 2", "shots = 200")], &["antonym", "200", "demonstrations"]);
    let others = [(
        "name = \"plain\"",
        "name = \"plain\"\nhooks = [{ use.instruction_vector = { vectors = [\"antonym.safetensors\"], site = \"layers.99.out\" } }]",
    )];
    refused(&others, &["instruction_vector", "layers.99.out"]);
    // A vector of other weights.
    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    for entry in fs::read_dir(tiny()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, other.join(path.file_name().unwrap())).unwrap();
    }
    let weights = other.join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&weights, bytes).unwrap();
    let model = (format!("{:?}", tiny()), format!("{other:?}"));
    refused(&[(&model.0, &model.1)], &["antonym.safetensors", "extract it anew"]);
}

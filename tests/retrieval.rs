//! Recommenders from scratch and finders of documents, from the outside.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::program::{ROOT, done, json as read, orbit, stderr};

/// Item k is always followed by item k + 1 of 30.
fn write_circle(dir: &Path) {
    let user = |user: usize| {
        let items = (0..5 + user % 4).map(|at| (1 + (user * 7 + at) % 30).to_string()).collect::<Vec<_>>().join(" ");
        format!("{} {items}\n", user + 1)
    };
    fs::write(dir.join("sequences.txt"), (0..60).map(user).collect::<String>()).unwrap();
    let items: String = (1..=30).map(|id| format!("{{\"id\": {id}, \"title\": \"Tea {id}\"}}\n")).collect();
    fs::write(dir.join("items.jsonl"), items).unwrap();
}

fn write_run(dir: &Path, more: &str) {
    let run = format!(
        "name = 'circle'
         model.fresh = {{ hidden_size = 32, intermediate_size = 64, layers = 1, heads = 2, head_width = 16, users = 5 }}
         corpus = {{ sequences = 'sequences.txt', items = 'items.jsonl' }}
         semantic_ids.method = 'atomic'
         train = {{ steps = 150, batch = 20, learning_rate = 1e-2, warmup = 5, schedule = 'cosine' }}
         {more}"
    );
    fs::write(dir.join("run.toml"), run).unwrap();
}

fn train(dir: &Path) -> std::process::Command {
    let mut command = orbit();
    command.arg("train").arg(dir.join("run.toml")).arg("--overwrite").arg("--out").arg(dir.join("out"));
    command
}

#[test]
fn a_recommender_from_scratch_learns_and_recommends_to_a_user() {
    let dir = tempfile::tempdir().unwrap();
    write_circle(dir.path());
    write_run(dir.path(), "evaluate = { untouched = false, retrieval = { users = 60, exclude_seen = true } }");
    done(&mut train(dir.path()));
    let report = read(&dir.path().join("out/report.json"));
    let found = &report["runs"][0]["retrieval"];
    assert!(found["recall"]["1"].as_f64().unwrap() > 0.6 && found["mrr"]["10"].as_f64().unwrap() > 0.6, "{found}");

    let model = dir.path().join("out/model");
    let recommend = |more: &[&str]| {
        let mut command = orbit();
        command.arg("recommend").arg("--model").arg(&model).arg("--json").args(more);
        if !more.contains(&"--count") {
            command.args(["--count", "3"]);
        }
        command
    };
    let one: Value = serde_json::from_str(&done(&mut recommend(&["--history", "3,4,5", "--user", "7"]))).unwrap();
    assert_eq!(one[0]["id"], "6");
    // As a batch, in the order of the file.
    let lines = [json!({"user": "7", "history": ["3", "4", "5"]}), json!({"history": ["20", "21"]})];
    let file = dir.path().join("histories.jsonl");
    fs::write(&file, lines.map(|line| format!("{line}\n")).concat()).unwrap();
    let text = done(&mut recommend(&["--histories", file.to_str().unwrap()]));
    let all: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((all.len(), &all[1][0]["id"]), (2, &json!("22")));
    assert_eq!(all[0][0]["id"], one[0]["id"]);
    let difference = all[0][0]["log_probability"].as_f64().unwrap() - one[0]["log_probability"].as_f64().unwrap();
    assert!(difference.abs() < 1e-4, "{difference}");

    // With more beams than there are items, every item comes once.
    let everything = ["--history", "3,4", "--count", "40", "--beams", "500"];
    let all: Vec<Value> = serde_json::from_str(&done(&mut recommend(&everything))).unwrap();
    let ids: BTreeSet<&str> = all.iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!((all.len(), ids.len()), (30, 30));

    fs::write(&file, "{\"history\": [\"3\"]}\n{\"history\": [\"99\"]}\n").unwrap();
    let message = stderr(&recommend(&["--histories", file.to_str().unwrap()]).output().unwrap());
    assert!(message.contains("histories.jsonl:2") && message.contains("99"), "{message}");
    let message = stderr(&recommend(&["--query", "tea"]).output().unwrap());
    assert!(message.contains("--history"), "{message}");
}

#[test]
fn a_model_from_scratch_is_not_asked_for_words() {
    let dir = tempfile::tempdir().unwrap();
    write_circle(dir.path());
    let refused = |more: &str, key: &str| {
        write_run(dir.path(), more);
        let output = train(dir.path()).output().unwrap();
        let message = stderr(&output);
        assert!(output.status.code() == Some(2) && message.contains(key), "{more}: {message}");
    };
    refused("evaluate.text.embedded = true", "evaluate.text");
    refused("examples.title_to_id = 0.5", "model.fresh");
    refused("model.path = 'somewhere'", "model has both");
    write_run(dir.path(), "");
    let text = fs::read_to_string(dir.path().join("run.toml")).unwrap().replace("heads = 2", "heads = 0");
    fs::write(dir.path().join("run.toml"), text).unwrap();
    assert!(stderr(&train(dir.path()).output().unwrap()).contains("model.fresh.heads"));
}

#[test]
fn alignment_tasks_are_mixed_among_histories() {
    let dir = tempfile::tempdir().unwrap();
    write_circle(dir.path());
    let model = Path::new(ROOT).join("orbit-cli/assets/tiny-lm");
    let tokens = |examples: &str| {
        let run = format!(
            "model.path = {model:?}
             corpus = {{ sequences = 'sequences.txt', items = 'items.jsonl' }}
             semantic_ids.method = 'atomic'
             examples = {{ {examples} }}
             train = {{ steps = 4, batch = 20, warmup = 1 }}"
        );
        fs::write(dir.path().join("run.toml"), run).unwrap();
        done(&mut train(dir.path()));
        fs::read_to_string(dir.path().join("out/metrics.jsonl")).unwrap()
    };
    assert_ne!(tokens("title_to_id = 1.0, id_to_title = 1.0"), tokens(""));
}

#[test]
fn documents_are_found_by_what_was_learned_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let words = ["river", "house", "dog", "king", "ship", "garden", "letter", "winter"];
    let line = |(at, word): (usize, &&str)| {
        format!(
            "{}\n",
            json!({"id": format!("d{at}"), "text": format!("This is about the {word}, and about no other thing than the {word}.")})
        )
    };
    fs::write(dir.path().join("documents.jsonl"), words.iter().enumerate().map(line).collect::<String>()).unwrap();
    let query = |split: &str, at: usize, text: String| {
        let line = json!({"id": text, "text": text, "relevant": [format!("d{at}")], "split": split});
        format!("{line}\n")
    };
    let queries: String = (words.iter().enumerate())
        .flat_map(|(at, word)| {
            [query("train", at, format!("Where is the {word}?")), query("test", at, format!("Tell me of the {word}"))]
        })
        .collect();
    fs::write(dir.path().join("queries.jsonl"), queries).unwrap();
    let model = Path::new(ROOT).join("orbit-cli/assets/tiny-lm");
    let run = format!(
        "name = 'finder'
         model.path = {model:?}
         corpus.documents.jsonl = {{ documents = 'documents.jsonl', queries = 'queries.jsonl' }}
         semantic_ids.method = 'atomic'
         train = {{ steps = 60, batch = 8, learning_rate = 2e-3, warmup = 5 }}
         evaluate = {{ untouched = false, retrieval = {{ users = 8, beams = 8 }} }}
         expected = {{ minutes = 1.0, machine = 'a desk', seeds = [1], values = [
             {{ measure = 'mrr@10', value = 0.9, tolerance = 0.3 }},
         ] }}"
    );
    fs::write(dir.path().join("run.toml"), run).unwrap();
    let mut reproduce = orbit();
    reproduce.arg("reproduce").arg(dir.path().join("run.toml")).arg("--out").arg(dir.path().join("out"));
    assert!(done(&mut reproduce).contains("mrr@10"));
    let report = read(&dir.path().join("out/seed-1/report.json"));
    assert_eq!(report["baselines"]["bm25"]["recall"]["1"], 1.0, "the words are there");
    assert_eq!(report["runs"][0]["retrieval"]["users"], 8);
    let page = fs::read_to_string(dir.path().join("out/seed-1/report.html")).unwrap();
    assert!(page.contains("BM25") && page.contains("Hits@k") && page.contains("8 queries"));

    let model = dir.path().join("out/seed-1/model");
    let ask = |more: &[&str]| {
        let mut command = orbit();
        command.arg("recommend").arg("--model").arg(&model).args(more);
        command
    };
    let text = done(&mut ask(&["--query", "Where is the king?", "--count", "1"]));
    assert!(text.contains("d3") && text.contains("king"), "{text}");
    let message = stderr(&ask(&["--history", "d1"]).output().unwrap());
    assert!(message.contains("--query"), "{message}");
}

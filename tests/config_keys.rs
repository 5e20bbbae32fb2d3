//! Every key of a run file changes something.
//!
//! The list of keys is read off the JSON schema, so that a new key without a case here fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::{ROOT, orbit};

/// A run file as dotted keys with TOML values.
type Keys = BTreeMap<&'static str, String>;

/// Written as `key: value`, or `key: value where other: value and ...`: a run in which the key has the value and the others have
/// theirs must come out differently from one in which only the others have theirs. An empty value leaves the key out.
const CASES: &str = r#"
name: "another"
seed: 2
device: "ndarray"
model.path: "nowhere"
corpus.sequences: "other-sequences.txt"
corpus.items: "other-items.jsonl"
corpus.interactions: "interactions.jsonl" where corpus.sequences:
corpus.generated: { items = 31, users = 40 } where corpus.sequences: and corpus.items: and corpus.embeddings:
corpus.generated.items: 33 where corpus.sequences: and corpus.items: and corpus.embeddings: and corpus.generated.users: 40
corpus.generated.users: 45 where corpus.sequences: and corpus.items: and corpus.embeddings: and corpus.generated.items: 30
corpus.generated.seed: 9 where corpus.sequences: and corpus.items: and corpus.embeddings: and corpus.generated.items: 30
corpus.embeddings: "other-embeddings.npy"
corpus.on_bad_row: "skip" where corpus.sequences: "bad-sequences.txt"
semantic_ids.file: "ids.json"
semantic_ids.levels: 3
semantic_ids.codes: 6
semantic_ids.iterations: 1
semantic_ids.seed: 5
semantic_ids.normalize_residuals: false where semantic_ids.levels: 3 and semantic_ids.codes: 5
examples.max_history: 2
train.steps: 3
train.batch: 6
train.micro_batch: 2
train.learning_rate: 2e-3
train.warmup: 2
train.schedule: "cosine"
train.weight_decay: 0.5
train.beta1: 0.5
train.beta2: 0.5
train.epsilon: 1e-2
train.max_norm: 1e-3
train.drift_every: 2
train.save_every: 1
train.keep: 1 where train.save_every: 1 and train.steps: 4
hooks: [{ use = { decay = { strength = 10.0 } } }]
hooks.only: [{ only = "layers.0.*", use = { decay = { strength = 10.0 } } }] where hooks: [{ use = { decay = { strength = 10.0 } } }]
hooks.every: [{ every = 2, use = { decay = { strength = 10.0 } } }] where hooks: [{ use = { decay = { strength = 10.0 } } }]
evaluate.untouched: false
evaluate.retrieval.users: 7
evaluate.retrieval.beams: 2
evaluate.retrieval.batch: 3
evaluate.text.batch_tokens: 64
evaluate.text.embedded: true
evaluate.text.tasks.name: [{ name = "other", kind = "arc", path = "questions.jsonl", limit = 4 }]
evaluate.text.tasks.kind: [{ name = "questions", kind = "perplexity", path = "questions.jsonl", limit = 4 }]
evaluate.text.tasks.path: [{ name = "questions", kind = "arc", path = "other-questions.jsonl", limit = 4 }]
evaluate.text.tasks.limit: [{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 3 }]
evaluate.text.tasks.group: [{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 4, group = "reasoning" }]
evaluate.text.tasks.instruction: [{ name = "x", kind = "olora", path = "labelled.jsonl", instruction = "Say which of the colours that were given to you in the option is the one that fits the words below it best, if one does." }] where evaluate.text.batch_tokens: 200 and evaluate.text.tasks: [{ name = "x", kind = "olora", path = "labelled.jsonl", instruction = "Which?" }]
"#;

fn base() -> Keys {
    let model = Path::new(ROOT).join("orbit-cli/assets/tiny-lm");
    let keys = [
        ("model.path", format!("{model:?}")),
        ("corpus.sequences", r#""sequences.txt""#.into()),
        ("corpus.items", r#""items.jsonl""#.into()),
        ("corpus.embeddings", r#""embeddings.npy""#.into()),
        ("semantic_ids.levels", "2".into()),
        ("semantic_ids.codes", "4".into()),
        ("train.steps", "2".into()),
        ("train.batch", "4".into()),
        ("train.warmup", "1".into()),
        ("train.drift_every", "1".into()),
        ("evaluate.retrieval.users", "8".into()),
        ("evaluate.retrieval.beams", "30".into()),
        (
            "evaluate.text.tasks",
            r#"[{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 4 }]"#.into(),
        ),
    ];
    keys.into_iter().collect()
}

/// The key in the file for a key of the schema: entries of a list are given as the whole list.
fn written(key: &'static str) -> &'static str {
    let lists = ["hooks", "evaluate.text.tasks"];
    lists.into_iter().find(|list| key.starts_with(list)).unwrap_or(key)
}

struct Case {
    key: &'static str,
    value: &'static str,
    others: Vec<(&'static str, &'static str)>,
}

fn cases() -> Vec<Case> {
    let lines = CASES.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (setting, others) = line.split_once(" where ").unwrap_or((line, ""));
            let (key, value) = setting.split_once(": ").unwrap();
            let others = others.split(" and ").filter(|other| !other.is_empty());
            let others = others.map(|other| other.split_once(':').unwrap());
            Case { key, value, others: others.map(|(key, value)| (key.trim(), value.trim())).collect() }
        })
        .collect()
}

fn set(keys: &mut Keys, key: &'static str, value: &str) {
    if value.is_empty() {
        keys.remove(key);
    } else {
        keys.insert(key, value.into());
    }
}

/// Small files that runs are made of.
fn write_files(dir: &Path) {
    let sequences = |shift: usize| {
        let line = |user: usize| {
            let items = (0..3 + user % 6).map(|at| 1 + (user * 7 + at * at * 3 + shift * at) % 30);
            format!("{} {}\n", user + 1, items.map(|item| item.to_string()).collect::<Vec<_>>().join(" "))
        };
        (0..40).map(line).collect::<String>()
    };
    let items = |word: &str| {
        (1..=30).fold(String::new(), |mut text, id| {
            writeln!(text, r#"{{"id": {id}, "title": "{word} {id}"}}"#).unwrap();
            text
        })
    };
    let interactions = sequences(1).lines().fold(String::new(), |mut text, line| {
        let mut words = line.split(' ');
        let user = words.next().unwrap();
        for (time, item) in words.enumerate() {
            writeln!(text, r#"{{"user": "u{user}", "item": {item}, "time": {time}}}"#).unwrap();
        }
        text
    });
    let questions = |word: &str| {
        (0..6).fold(String::new(), |mut text, at| {
            writeln!(
                text,
                r#"{{"question": "Which is {word} {at}?", "choices": ["a dog", "the {word}", "two men"], "gold": 1}}"#
            )
            .unwrap();
            text
        })
    };
    let labelled = (0..6).fold(r#"{"labels": ["red", "green"]}"#.to_owned() + "\n", |mut text, at| {
        writeln!(text, r#"{{"input": "a dog {at}", "output": "red"}}"#).unwrap();
        text
    });
    let files = [
        ("sequences.txt", sequences(0)),
        ("other-sequences.txt", sequences(2)),
        ("bad-sequences.txt", sequences(0) + "41 5 x 6\n"),
        ("items.jsonl", items("Soap")),
        ("other-items.jsonl", items("Brush")),
        ("interactions.jsonl", interactions),
        ("questions.jsonl", questions("red")),
        ("other-questions.jsonl", questions("green")),
        ("labelled.jsonl", labelled),
    ];
    for (name, text) in files {
        fs::write(dir.join(name), text).unwrap();
    }
    fs::write(dir.join("embeddings.npy"), embeddings(7)).unwrap();
    fs::write(dir.join("other-embeddings.npy"), embeddings(11)).unwrap();
}

/// A `.npy` file of 30 rows of 8 numbers.
fn embeddings(factor: u32) -> Vec<u8> {
    let mut header = "{'descr': '<f4', 'fortran_order': False, 'shape': (30, 8), }".to_owned();
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    for entry in 0..240_u32 {
        file.extend(((entry * factor * 37 % 101) as f32 / 50.0 - 1.0).to_le_bytes());
    }
    file
}

/// Everything that a run leaves behind, but for times.
fn outcome(dir: &Path, keys: &Keys) -> String {
    let mut text = String::new();
    for (key, value) in keys {
        writeln!(text, "{key} = {value}").unwrap();
    }
    fs::write(dir.join("run.toml"), &text).unwrap();
    let out = dir.join("out");
    let mut train = orbit();
    train.env("ORBIT_LOG", "orbit=debug,orbit_core=debug");
    let result =
        train.arg("train").arg(dir.join("run.toml")).arg("--overwrite").arg("--out").arg(&out).output().unwrap();
    let mut outcome = format!("{:?}\n", result.status.code());
    if !result.status.success() {
        return outcome + &String::from_utf8_lossy(&result.stderr);
    }
    // How work was cut into batches is told in the log alone.
    let log = String::from_utf8_lossy(&result.stderr).into_owned();
    outcome.extend(log.lines().filter(|line| line.contains("batch")).map(|line| format!("{line}\n")));
    let mut report: Value = serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap();
    // The digest of the run file would differ for a key that does nothing.
    for key in ["config", "started", "command"] {
        report.as_object_mut().unwrap().remove(key);
    }
    for key in ["seconds", "tokens_per_second", "peak_memory_bytes"] {
        report["runs"][0].as_object_mut().unwrap().remove(key);
    }
    outcome += &report.to_string();
    for line in fs::read_to_string(out.join("metrics.jsonl")).unwrap().lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        for key in ["seconds", "hook_seconds"] {
            line.as_object_mut().unwrap().remove(key);
        }
        writeln!(outcome, "{line}").unwrap();
    }
    for entry in fs::read_dir(out.join("checkpoints")).into_iter().flatten() {
        writeln!(outcome, "{:?}", entry.unwrap().file_name()).unwrap();
    }
    let ids = fs::read_to_string(out.join("model/semantic_ids.json")).unwrap();
    outcome + &ids
}

/// The keys of the schema, dotted; lists and options are looked through.
fn schema_keys() -> BTreeSet<String> {
    let output = orbit().arg("schema").output().unwrap();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut keys = BTreeSet::new();
    collect(&schema, &schema, "", &mut keys);
    keys
}

fn collect(schema: &Value, root: &Value, prefix: &str, keys: &mut BTreeSet<String>) {
    // A hook's own options are the business of its crate, which proves them alive there.
    if prefix == "hooks.use" {
        return;
    }
    if let Some(reference) = schema["$ref"].as_str() {
        return collect(root.pointer(&reference[1..]).unwrap(), root, prefix, keys);
    }
    for choice in schema["anyOf"].as_array().into_iter().flatten() {
        collect(choice, root, prefix, keys);
    }
    if !schema["items"].is_null() {
        collect(&schema["items"], root, prefix, keys);
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        keys.insert(key.clone());
        collect(inner, root, &key, keys);
    }
}

#[test]
fn every_key_has_a_case() {
    let tried: BTreeSet<&str> = cases().iter().map(|case| case.key).collect();
    let inner: BTreeSet<String> = schema_keys();
    // A table is tried through the keys in it; `use` through every case with a hook.
    let is_table = |key: &str| inner.iter().any(|other| other.starts_with(&format!("{key}.")));
    let missing: Vec<_> =
        inner.iter().filter(|key| !tried.contains(key.as_str()) && !is_table(key) && *key != "hooks.use").collect();
    assert!(missing.is_empty(), "no case tries {missing:?}");
}

#[test]
fn every_key_changes_something() {
    let dir = tempfile::tempdir().unwrap();
    write_files(dir.path());
    let mut ids = base();
    ids.insert("semantic_ids.seed", "77".into());
    let text: String = ids.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    fs::write(dir.path().join("run.toml"), text).unwrap();
    let saved =
        orbit().arg("ids").arg(dir.path().join("run.toml")).arg("--out").arg(dir.path().join("ids.json")).status();
    assert!(saved.unwrap().success());

    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut dead = Vec::new();
    for case in cases() {
        let mut keys = base();
        for (key, value) in &case.others {
            set(&mut keys, key, value);
        }
        let before = known.entry(format!("{keys:?}")).or_insert_with(|| outcome(dir.path(), &keys)).clone();
        set(&mut keys, written(case.key), case.value);
        let after = outcome(dir.path(), &keys);
        if after == before {
            dead.push(case.key);
        }
        let may_fail = ["device", "model.path"].contains(&case.key);
        assert!(may_fail || after.starts_with("Some(0)"), "{} = {} fails: {after}", case.key, case.value);
    }
    assert!(dead.is_empty(), "these keys change nothing: {dead:?}");
}

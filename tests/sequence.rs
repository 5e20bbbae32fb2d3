//! Runs over a sequence of tasks, from the outside: stopped anywhere they end as if they had not been, and mistakes are found
//! before anything is trained.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::program::{ROOT, done, json, on, orbit, stderr};
use crate::transformers::python;

/// Two tasks of a few rows: words to be written, and a choice of two.
fn write_tasks(dir: &Path) {
    let row = |input: String, output: &str| {
        serde_json::json!({"instruction": "Say it.", "input": input, "output": output}).to_string() + "\n"
    };
    let birds = |from: usize, count: usize| -> String {
        (from..from + count).map(|at| row(format!("a bird {at}"), ["two men", "a dog", "the girl"][at % 3])).collect()
    };
    let colours = |from: usize, count: usize| -> String {
        (from..from + count).map(|at| row(format!("the dog {at}"), ["red", "green"][at % 2])).collect()
    };
    for (name, text) in [
        ("birds.train.jsonl", birds(0, 20)),
        ("birds.test.jsonl", birds(50, 5)),
        ("colours.train.jsonl", colours(0, 20)),
        ("colours.test.jsonl", colours(50, 6)),
    ] {
        fs::write(dir.join(name), text).unwrap();
    }
}

pub(crate) const BIRDS: &str = r#"{ name = "birds", form = "jsonl", train = "birds.train.jsonl" }"#;
const COLOURS: &str = r#"{ name = "colours", form = "jsonl", train = "colours.train.jsonl", metric = "accuracy", choices = ["red", "green"] }"#;

/// A run file of these tasks. `more` is what comes after.
pub(crate) fn sequence_file(dir: &Path, tasks: &[&str], more: &str) -> PathBuf {
    write_tasks(dir);
    let model = Path::new(ROOT).join("orbit-cli/assets/tiny-lm");
    let text = format!(
        r#"
        name = "toy"
        tasks = [{}]
        model.path = {model:?}
        train = {{ steps = 10, batch = 4, micro_batch = 2, learning_rate = 2e-3, warmup = 2, save_every = 1, keep = 2, drift_every = 3, estimate_examples = 6 }}
        evaluate = {{ batch = 3, divergence = 2 }}
        {more}
        "#,
        tasks.join(", ")
    );
    let path = dir.join("run.toml");
    fs::write(&path, text).unwrap();
    path
}

/// Every way for stages to hang together, with replay and a hook that lives through them.
const MODES: [(&str, &str); 4] = [
    ("full", "hooks = [{ use.ewc = { strength = 50.0 } }]"),
    (
        "shared",
        "sequence.adapters = 'shared'
         lora = { rank = 3, dropout = 0.2, targets = ['q_proj', 'down_proj'] }
         hooks = [{ use.ewc = { strength = 50.0 } }]",
    ),
    (
        "merged",
        "sequence.adapters = 'merged'
         lora = { rank = 3, dropout = 0.2 }
         hooks = [{ use.o_lora = { strength = 0.5 } }, { use.kl = { strength = 0.1 } }]",
    ),
    (
        "per_task",
        "sequence.adapters = 'per_task'
         lora = { rank = 3, dropout = 0.2 }
         hooks = [{ use.orbit = { metric = 'l2', max_drift = 0.2 } }]",
    ),
];

fn train(run: &Path, out: &Path) -> Command {
    let mut command = orbit();
    command.arg("train").arg(run).arg("--out").arg(out);
    command
}

fn resume(out: &Path) -> Command {
    let mut command = orbit();
    command.arg("resume").arg(out);
    command
}

/// Kills a run as soon as a file or folder is there; whether it was still running.
pub(crate) fn kill_at(command: &mut Command, place: &Path) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while !place.exists() && child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < Duration::from_secs(300), "{} never came", place.display());
        std::thread::sleep(Duration::from_micros(200));
    }
    let running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(place.exists(), "{} never came", place.display());
    running
}

/// The files of a folder and their bytes, by their paths in it.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = PathBuf::from(path.file_name().unwrap());
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(inner, bytes)| (name.join(inner), bytes)));
        } else {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

/// What a run has trained: its model, its adapters, and the checkpoint it ended with.
fn trained(out: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let kept = |path: &Path| path.extension().is_some_and(|end| end == "safetensors") || path.ends_with("orbit.json");
    files(out).into_iter().filter(|(path, _)| kept(path)).collect()
}

/// A report without what the clock and the command line say.
fn timeless(path: &Path) -> Value {
    let mut report = json(path);
    for key in ["started", "command"] {
        report.as_object_mut().unwrap().remove(key);
    }
    for stage in report["stages"].as_array_mut().unwrap() {
        for key in ["seconds", "tokens_per_second"] {
            stage.as_object_mut().unwrap().remove(key);
        }
    }
    report
}

#[test]
fn a_run_that_was_killed_ends_with_the_same_bytes() {
    for (mode, more) in MODES {
        let dir = tempfile::tempdir().unwrap();
        let run = sequence_file(dir.path(), &[BIRDS, COLOURS], &format!("replay = {{ share = 0.4 }}\n{more}"));
        let [whole, cut] = ["whole", "cut"].map(|name| dir.path().join(name));
        done(&mut train(&run, &whole));
        // In the first stage, between the stages, in the second: none of these processes sees two of them, nor has the threads of
        // the one before.
        let stages = cut.join("stages");
        let killed = [
            kill_at(on(1, &mut train(&run, &cut)), &stages.join("01-birds/checkpoints/step-00000003")),
            kill_at(on(2, &mut resume(&cut)), &stages.join("01-birds/scores.json")),
            kill_at(on(3, &mut resume(&cut)), &stages.join("02-colours/checkpoints/step-00000004")),
        ];
        assert_eq!(killed, [true; 3], "{mode}: it was over before it was killed");
        assert!(!cut.join("report.json").exists());
        done(on(1, &mut resume(&cut)));

        let [expected, found] = [&whole, &cut].map(|out| trained(out));
        assert!(expected.keys().eq(found.keys()), "{mode}: {:?} and {:?}", expected.keys(), found.keys());
        for (path, bytes) in &expected {
            assert!(bytes == &found[path], "{mode}: {} differs", path.display());
        }
        assert_eq!(timeless(&cut.join("report.json")), timeless(&whole.join("report.json")), "{mode}");
        check_files(mode, &expected);
        check_report(mode, &whole);
    }
}

fn check_files(mode: &str, files: &BTreeMap<PathBuf, Vec<u8>>) {
    let adapters = ["01-birds", "02-colours"]
        .map(|stage| Path::new("stages").join(stage).join("adapter/adapter_model.safetensors"));
    let there = adapters.each_ref().map(|path| files.contains_key(path));
    assert_eq!(there, [mode != "full"; 2], "{mode}");
    assert_eq!(files.contains_key(Path::new("model/model.safetensors")), mode != "per_task", "{mode}");
    assert!(mode == "full" || files[&adapters[0]] != files[&adapters[1]], "{mode}");
    // A merged stage's adapter belongs to other weights than the first's.
    let base = |stage: &str| {
        let origin: Value =
            serde_json::from_slice(&files[&Path::new("stages").join(stage).join("adapter/orbit.json")]).unwrap();
        origin["base"].as_str().unwrap().to_owned()
    };
    assert!(mode == "full" || (base("01-birds") != base("02-colours")) == (mode == "merged"), "{mode}");
    let checkpoints: Vec<_> =
        files.keys().filter(|path| path.starts_with("stages") && path.to_string_lossy().contains("step-")).collect();
    assert!(checkpoints.is_empty(), "{mode}: {checkpoints:?} are left behind");
    let ends: Vec<_> = files.keys().filter(|path| path.starts_with("ends")).collect();
    assert!(ends.len() == 3 && ends.iter().all(|path| path.starts_with("ends/02-colours")), "{mode}: {ends:?}");
}

fn check_report(mode: &str, out: &Path) {
    let report = json(&out.join("report.json"));
    let stages = report["stages"].as_array().unwrap();
    assert_eq!(stages.len(), 2);
    for (stage, task) in stages.iter().zip(["birds", "colours"]) {
        assert_eq!((&stage["task"], &stage["steps"]), (&Value::from(task), &Value::from(10)));
        assert!(stage["drift"]["l2"].as_f64().unwrap() > 0.0 && stage["divergence"].as_f64().unwrap() > 0.0, "{mode}");
    }
    let acted = |stage: usize, hook: usize| stages[stage]["acted"][hook][1].as_u64().unwrap();
    match mode {
        "full" | "shared" => assert!(acted(0, 0) == 0 && acted(1, 0) > 0, "{mode}: EWC begins with the second stage"),
        _ => assert!(acted(1, 0) > 0, "{mode}: {:?}", stages[1]["acted"]),
    }
    let birds = &report["tasks"][0];
    assert_eq!(
        birds["after"].as_array().unwrap().iter().filter(|after| !after.is_null()).count(),
        if mode == "per_task" { 1 } else { 2 }
    );
    assert_eq!(report["trained_parameters"] == report["parameters"], mode == "full", "{mode}");
}

/// Paths in a folder with bytes and times, and the times of the folders.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, (SystemTime, Option<Vec<u8>>)> {
    let modified = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let mut found = BTreeMap::from([(dir.to_owned(), (modified(dir), None))]);
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(snapshot(&path));
        } else {
            found.insert(path.clone(), (modified(&path), Some(fs::read(&path).unwrap())));
        }
    }
    found
}

#[test]
fn a_task_added_behind_touches_no_stage_before() {
    for (mode, more) in MODES {
        let dir = tempfile::tempdir().unwrap();
        let more = format!("replay = {{ share = 0.4 }}\n{more}");
        let [grown, whole] = ["grown", "whole"].map(|name| dir.path().join(name));
        let short = sequence_file(dir.path(), &[BIRDS], &more);
        done(&mut train(&short, &grown));
        let stage = grown.join("stages/01-birds");
        let before = snapshot(&stage);
        let long = sequence_file(dir.path(), &[BIRDS, COLOURS], &more);
        let refused = train(&long, &grown).output().unwrap();
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr(&refused).contains("--extend"), "{}", stderr(&refused));
        done(train(&long, &grown).arg("--extend"));
        assert!(snapshot(&stage) == before, "{mode}: the first stage was touched");

        done(&mut train(&long, &whole));
        let [expected, found] = [&whole, &grown].map(|out| trained(out));
        assert!(expected == found, "{mode}: the model differs from that of one run");

        let other = sequence_file(dir.path(), &[BIRDS, COLOURS], &format!("seed = 7\n{more}"));
        let refused = train(&other, &grown).arg("--extend").output().unwrap();
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr(&refused).contains("only tasks can be added"), "{}", stderr(&refused));
        assert!(trained(&grown) == found, "{mode}: a refusal changes nothing");
    }
}

/// Loads a base with an adapter, and prints the likeliest next token after some tokens.
const SCRIPT: &str = r#"
import sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
base, adapter, merged = sys.argv[1:]
tokens = torch.tensor([[5, 9, 33, 2, 17, 1, 40, 7]])
with torch.no_grad():
    ours = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32)(tokens).logits
    net = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter)
    theirs = net(tokens).logits
print((ours - theirs).abs().max().item())
"#;

#[test]
fn the_adapter_and_the_model_of_a_run_are_one_in_peft() {
    let Some(python) = python("torch, transformers, peft") else { return };
    let dir = tempfile::tempdir().unwrap();
    let run = sequence_file(dir.path(), &[BIRDS], MODES[1].1);
    let out = dir.path().join("out");
    done(&mut train(&run, &out));
    let base = Path::new(ROOT).join("orbit-cli/assets/tiny-lm");
    let (adapter, model) = (out.join("stages/01-birds/adapter"), out.join("model"));
    let arguments = [base.as_os_str(), adapter.as_os_str(), model.as_os_str()];
    let difference: f64 = crate::transformers::run(&python, SCRIPT, &arguments).trim().parse().unwrap();
    assert!(difference <= 1e-4, "logits differ by {difference}");
}

#[test]
fn what_replay_mixes_in_changes_the_run() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("text.txt"), "The men are by the river. A dog sleeps. ".repeat(40)).unwrap();
    let trained_with = |more: &str, name: &str| {
        let run = sequence_file(dir.path(), &[BIRDS, COLOURS], more);
        let out = dir.path().join(name);
        done(train(&run, &out).args(["--steps", "4"]));
        let model = trained(&out);
        model[Path::new("model/model.safetensors")].clone()
    };
    let models = [
        trained_with("", "none"),
        trained_with("replay = { share = 0.5 }", "tasks"),
        trained_with(
            "replay = { share = 0.5, from.text = { sources = [{ path = 'text.txt', form = 'plain' }], window = 16 } }",
            "text",
        ),
        trained_with("replay = { share = 0.5, from.generated = { texts = 8, length = 12 } }", "generated"),
    ];
    for (at, model) in models.iter().enumerate() {
        assert!(!models[..at].contains(model), "run {at} is one of those before");
    }
    assert_eq!(json(&dir.path().join("generated/generated.json")).as_array().unwrap().len(), 8);
}

#[test]
fn mistakes_are_named_before_anything_is_trained() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let refused = |run: &Path, words: &[&str]| {
        let output = train(run, &out).output().unwrap();
        let message = stderr(&output);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{message}");
        assert!(words.iter().all(|word| message.contains(word)), "{words:?} are not in: {message}");
        assert!(!out.join("stages").exists() && !out.join("untouched.json").exists(), "{words:?} came late");
        let _ = fs::remove_dir_all(&out);
    };
    let file = |tasks: &[&str], more: &str| sequence_file(dir.path(), tasks, more);
    let both = [BIRDS, COLOURS];

    let run = file(&both, "");
    fs::remove_file(dir.path().join("colours.test.jsonl")).unwrap();
    refused(&run, &["colours.train.jsonl", "no test part"]);
    let run = file(&both, "");
    fs::write(
        dir.path().join("birds.train.jsonl"),
        "{\"instruction\": \"Say.\", \"input\": \"x\", \"output\": \"\"}\n",
    )
    .unwrap();
    refused(&run, &["birds.train.jsonl", "1", "empty"]);
    let run = file(&both, "");
    fs::write(
        dir.path().join("colours.test.jsonl"),
        "{\"instruction\": \"Say.\", \"input\": \"x\", \"output\": \"blue\"}\n",
    )
    .unwrap();
    refused(&run, &["colours.test.jsonl", "blue", "red, green"]);
    let run = file(&both, "");
    fs::remove_file(dir.path().join("birds.train.jsonl")).unwrap();
    refused(&run, &["birds.train.jsonl"]);
    let few = COLOURS.replace("name = ", "train_limit = 3, name = ");
    refused(&file(&[BIRDS, &few], ""), &["task colours", "3 examples", "batch of 4"]);
    refused(&file(&[BIRDS, BIRDS], ""), &["two tasks are called 'birds'"]);
    refused(&file(&[], ""), &["tasks"]);
    for adapters in ["merged", "per_task"] {
        refused(&file(&both, &format!("sequence.adapters = '{adapters}'")), &["sequence.adapters", "[lora]"]);
    }
    refused(&file(&both, "sequence.adapter = 'merged'"), &["adapter", "adapters", "line"]);
    refused(&file(&both, "lora.ranks = 3"), &["ranks", "rank", "line"]);
    refused(&file(&both, "lora.rank = 0"), &["lora.rank"]);
    refused(&file(&both, "lora.targets = ['q_prj']"), &["lora.targets", "q_prj", "q_proj"]);
    refused(&file(&both, "replay.share = 1.0"), &["replay.share"]);
    refused(&file(&both, "hooks = [{ use.o_lora = {} }]"), &["o_lora", "LoRA"]);
    let merged = "lora = {}\nsequence.adapters = 'merged'\n";
    refused(&file(&both, &format!("{merged}hooks = [{{ use.ewc = {{ strength = 1.0 }} }}]")), &["hooks[1]", "fresh"]);
    refused(&file(&both, &format!("{merged}sequence.origin = 'run'")), &["sequence.origin", "merged"]);
    refused(&file(&[&BIRDS.replace("form = \"jsonl\"", "form = \"json\"")], ""), &["json", "jsonl"]);
    refused(&file(&[&BIRDS.replace("name", "nam")], ""), &["nam", "name"]);
}

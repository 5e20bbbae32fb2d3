//! What a run takes of the machine's memory: `orbit explain` says it beforehand, resuming takes no more, and what cannot fit is
//! refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use orbit_models::weights::Dtype;
use orbit_models::{Decoder, DecoderConfig, Extension};
use serde_json::json;

use crate::program::{ROOT, done, orbit, run_file, stderr};
use crate::tiny::flex;

fn embedded() -> PathBuf {
    Path::new(ROOT).join("orbit-cli/assets/tiny-lm")
}

/// A folder with a model of 26 M parameters, beside which the program itself is small, and the embedded model's tokenizer.
fn wide(dir: &Path) -> PathBuf {
    let place = dir.join("wide");
    fs::create_dir(&place).unwrap();
    let config = DecoderConfig {
        hidden_size: 512,
        intermediate_size: 1408,
        num_hidden_layers: 8,
        num_attention_heads: 8,
        num_key_value_heads: 4,
        head_dim: 64,
        ..DecoderConfig::read(embedded()).unwrap()
    };
    orbit_models::save(&Decoder::random(config, 1, &flex()), &place, Dtype::F32, &Extension::default()).unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(embedded().join(file), place.join(file)).unwrap();
    }
    place
}

/// A run file about a made-up catalogue.
fn file(dir: &Path, name: &str, model: &Path, train: &str) -> PathBuf {
    let text = format!(
        r#"
        model.path = {model:?}
        corpus.generated = {{ items = 300, users = 400, seed = 3 }}
        semantic_ids = {{ levels = 2, codes = 16 }}
        examples.max_history = 8
        train = {{ warmup = 1, save_every = 2, {train} }}
        "#
    );
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path
}

/// A run file of one task, whose prompts are cut to 96 tokens.
fn sequence_file(dir: &Path, train: &str) -> PathBuf {
    let words = "the old house stands near a river and the girl walks along it with her dog until the sun goes down";
    let row = |at: usize| {
        let input: Vec<&str> = words.split(' ').cycle().skip(at % 21).take(120).collect();
        let output = ["two men", "a dog", "the girl"][at % 3];
        json!({"instruction": "Say it.", "input": input.join(" "), "output": output}).to_string() + "\n"
    };
    for (name, rows) in [("birds.train.jsonl", 0..200), ("birds.test.jsonl", 200..203)] {
        fs::write(dir.join(name), rows.map(row).collect::<String>()).unwrap();
    }
    let text = format!(
        r#"
        tasks = [{{ name = "birds", form = "jsonl", train = "birds.train.jsonl" }}]
        model.path = {:?}
        sequence = {{ prompt = 96, answer = 16 }}
        evaluate = {{ batch = 3, divergence = 0 }}
        train = {{ warmup = 1, {train} }}
        lora.rank = 8
        "#,
        embedded()
    );
    let path = dir.join("lora.toml");
    fs::write(&path, text).unwrap();
    path
}

fn train(run: &Path, out: &Path) -> Command {
    let mut command = orbit();
    command.arg("train").arg(run).arg("--out").arg(out);
    command
}

/// Runs the program to its end, and gives the most MiB that the system has counted for it.
fn measured(command: &mut Command) -> f64 {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0;
    loop {
        // The line is gone once the program has ended.
        let text = fs::read_to_string(&status).unwrap_or_default();
        if let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
            peak = line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0;
        }
        if let Some(ended) = child.try_wait().unwrap() {
            assert!(ended.success(), "{command:?}");
            return peak;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The MiB that `orbit explain` gives a run at its peak.
fn explained(run: &Path) -> f64 {
    let text = done(orbit().arg("explain").arg(run));
    let peak = text.lines().find_map(|line| line.trim().strip_prefix("at the peak")).unwrap();
    peak.trim().trim_end_matches(" MiB").parse().unwrap()
}

#[track_caller]
fn check(explained: f64, measured: f64) {
    let share = explained / measured;
    eprintln!("measured: explained {explained:.0} MiB, measured {measured:.0} MiB");
    assert!((0.85..1.15).contains(&share), "explained {explained:.0} MiB, measured {measured:.0} MiB: {share:.2}");
}

#[test]
fn a_whole_model_takes_what_is_explained_and_no_more_when_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let run = file(dir.path(), "run.toml", &wide(dir.path()), "steps = 4, batch = 8");
    let out = dir.path().join("out");
    // Runs of the same file differ by some percent: what counts is the least of three.
    let least = |run: &mut dyn FnMut() -> f64| (0..3).map(|_| run()).fold(f64::INFINITY, f64::min);
    let fresh = least(&mut || measured(train(&run, &out).arg("--overwrite")));
    check(explained(&run), fresh);
    let resumed = least(&mut || {
        // As if it had been killed in step 3.
        fs::remove_dir_all(out.join("checkpoints/step-00000004")).unwrap();
        fs::remove_dir_all(out.join("model")).unwrap();
        measured(orbit().arg("resume").arg(&out))
    });
    eprintln!("measured: {resumed:.0} MiB when resumed");
    assert!(resumed <= 1.02 * fresh, "resumed {resumed:.0} MiB, from the start {fresh:.0} MiB");
}

#[test]
fn micro_batches_take_what_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let model = wide(dir.path());
    let whole = file(dir.path(), "whole.toml", &model, "steps = 1, batch = 32");
    let split = file(dir.path(), "split.toml", &model, "steps = 1, batch = 32, micro_batch = 4");
    check(explained(&split), measured(&mut train(&split, &dir.path().join("out"))));
    assert!(explained(&split) < 0.8 * explained(&whole), "{} {}", explained(&split), explained(&whole));
}

#[test]
fn an_adapter_takes_what_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let run = sequence_file(dir.path(), "steps = 2, batch = 48");
    check(explained(&run), measured(&mut train(&run, &dir.path().join("out"))));
}

/// TIGER's model from scratch; prompts are as long as histories allow, answers have a few tokens. The sixth step has the widest rows.
#[test]
fn an_encoder_decoder_takes_what_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let text = r#"
        model.fresh = { hidden_size = 128, intermediate_size = 512, layers = 4, heads = 4, head_width = 32, users = 100 }
        corpus.generated = { items = 300, users = 400, seed = 3 }
        semantic_ids = { levels = 2, codes = 16 }
        examples.max_history = 8
        train = { warmup = 1, steps = 10, batch = 128 }
    "#;
    let run = dir.path().join("run.toml");
    fs::write(&run, text).unwrap();
    check(explained(&run), measured(&mut train(&run, &dir.path().join("out"))));
}

#[test]
fn what_cannot_fit_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let batch = "steps = 1, batch = 1000000000";
    for run in [file(dir.path(), "run.toml", &embedded(), batch), sequence_file(dir.path(), batch)] {
        let output = train(&run, &out).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        for word in ["MiB are available here", "weights", "activations", "at the peak", "--no-memory-check"] {
            assert!(said.contains(word), "no {word:?} in {said}");
        }
        assert!(!out.exists(), "a run that cannot fit leaves nothing");
    }
}

/// The arithmetic believes the run file; somebody who knows better may say so. A search has no more beams than there are items.
#[test]
fn the_check_can_be_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let run = run_file(dir.path(), "[evaluate.retrieval]\nusers = 5\nbeams = 1000000000");
    let out = dir.path().join("out");
    let shortly = || {
        let mut command = train(&run, &out);
        command.args(["--steps", "1"]);
        command
    };
    assert_eq!(shortly().output().unwrap().status.code(), Some(2));
    done(shortly().arg("--no-memory-check"));
    assert!(out.join("report.json").exists());
}

//! SmolLM2-135M-Instruct, dequantised from Q4_1, against figures computed with PyTorch.
//!
//! Skips unless `orbit pull smollm2-135m-instruct` was run and the data directory is there. Takes some minutes.

use std::path::{Path, PathBuf};

use orbit_data::TextTokenizer;
use orbit_data::tokenizer::Reader;
use serde_json::Value;

use crate::program::{ROOT, done, orbit};

fn data() -> Option<PathBuf> {
    let named = std::env::var_os("ORBIT_DATA").map(PathBuf::from);
    let folders = named.into_iter().chain([Path::new(ROOT).join("../shared/data")]);
    folders.into_iter().find(|folder| folder.join("mc").is_dir())
}

const RUN: &str = r#"
model.path = "unused"
corpus.generated = { items = 10, users = 10, seed = 1 }
[evaluate.text]
tasks = [
    { name = "wikitext-2", kind = "perplexity", path = "text/wikitext-2/test.txt.gz", limit = 20460 },
    { name = "piqa", kind = "piqa", path = "mc/piqa_valid.jsonl.gz", limit = 150 },
    { name = "hellaswag", kind = "hellaswag", path = "mc/hellaswag_val_full.txt.bz2", limit = 150 },
    { name = "arc-easy", kind = "arc", path = "mc/arc-easy_test.jsonl.gz", limit = 150 },
]
"#;

#[test]
fn smollm2_has_the_reference_figures() {
    let Some(data) = data() else {
        eprintln!("skipped: no data directory");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run.toml");
    std::fs::write(&run, RUN).unwrap();
    let mut eval = orbit();
    let samples = dir.path().join("samples.jsonl");
    eval.args(["eval", "smollm2-135m-instruct", "--run"]).arg(&run).arg("--data").arg(data);
    eval.arg("--log-samples").arg(&samples);
    let output = eval.output().unwrap();
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        assert!(reason.contains("orbit pull"), "{reason}");
        eprintln!("skipped: the model is not pulled");
        return;
    }
    let scores: Value = serde_json::from_slice(&output.stdout).unwrap();
    let samples = std::fs::read_to_string(samples).unwrap();
    let samples: Vec<Value> = samples.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    apart_is_together(&samples);
    let score = |suite: &str, metric: &str| scores["results"][suite][format!("{metric},none")].as_f64().unwrap();
    let perplexity = score("wikitext-2", "token_perplexity");
    assert!((perplexity - 20.6).abs() <= 0.2, "perplexity {perplexity}");
    for (suite, raw, normalised) in [("piqa", 0.647, 0.667), ("hellaswag", 0.373, 0.480), ("arc-easy", 0.520, 0.487)] {
        let with_blanks = right_by_length_with_blank(&samples, suite);
        for (rule, found, expected) in [("sum", score(suite, "acc"), raw), ("mean", with_blanks, normalised)] {
            let items = (found - expected) * 150.0;
            assert!(items.abs() <= 1.1, "{suite} by the {rule}: {items} items off {expected}");
        }
    }
}

/// The figures were computed with context and choice tokenized apart; orbit, as lm-evaluation-harness, tokenizes them together.
fn apart_is_together(samples: &[Value]) {
    let pulled = done(orbit().args(["pull", "smollm2-135m-instruct"]));
    let dir = pulled.trim().rsplit_once(" is in ").unwrap().1;
    let tokenizer = TextTokenizer::read(Path::new(dir), Reader::Decoder).unwrap();
    let texts = |list: &Value| {
        list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for sample in samples {
        let [prompt] = &texts(&sample["prompts"])[..] else { panic!("{sample}") };
        for choice in texts(&sample["choices"]) {
            let apart = (tokenizer.text(prompt).unwrap(), tokenizer.text(&choice).unwrap());
            assert_eq!(tokenizer.continued(prompt, &choice).unwrap(), apart, "{prompt:?} and {choice:?}");
        }
    }
}

/// The share of items whose best choice is right by the log-likelihood over the characters of the choice with the blank before it.
/// The figures were made in this way; lm-evaluation-harness, and with it `acc_norm`, leaves the blank out.
fn right_by_length_with_blank(samples: &[Value], suite: &str) -> f64 {
    let of_suite: Vec<&Value> = samples.iter().filter(|sample| sample["suite"] == suite).collect();
    let is_right = |sample: &&&Value| {
        let choices = sample["choices"].as_array().unwrap().iter().zip(sample["log_likelihoods"].as_array().unwrap());
        let means =
            choices.map(|(choice, sum)| sum.as_f64().unwrap() / choice.as_str().unwrap().chars().count() as f64);
        let best = means.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap().0;
        sample["target"] == best
    };
    of_suite.iter().filter(is_right).count() as f64 / of_suite.len() as f64
}

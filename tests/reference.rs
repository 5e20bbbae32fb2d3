//! SmolLM2-135M-Instruct, dequantised from Q4_1, against figures computed with PyTorch.
//!
//! Skips unless `orbit pull smollm2-135m-instruct` was run and the data directory is there. Takes some minutes.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::program::{ROOT, orbit};

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
    eval.args(["eval", "smollm2-135m-instruct", "--run"]).arg(&run).arg("--data").arg(data);
    let output = eval.output().unwrap();
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        assert!(reason.contains("orbit pull"), "{reason}");
        eprintln!("skipped: the model is not pulled");
        return;
    }
    let scores: Value = serde_json::from_slice(&output.stdout).unwrap();
    let score = |suite: &str, metric: &str| scores["results"][suite][format!("{metric},none")].as_f64().unwrap();
    let perplexity = score("wikitext-2", "token_perplexity");
    assert!((perplexity - 20.6).abs() <= 0.2, "perplexity {perplexity}");
    for (suite, raw, normalised) in [("piqa", 0.647, 0.667), ("hellaswag", 0.373, 0.480), ("arc-easy", 0.520, 0.487)] {
        for (metric, expected) in [("acc", raw), ("acc_norm", normalised)] {
            let items = (score(suite, metric) - expected) * 150.0;
            assert!(items.abs() <= 1.1, "{suite} {metric}: {items} items off {expected}");
        }
    }
}

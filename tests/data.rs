//! Recommendation data from the outside: raw data to a corpus that runs read, and semantic IDs side by side.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::program::{ROOT, done, json, orbit, stderr};

fn raw(name: &str) -> PathBuf {
    Path::new(ROOT).join("testdata/corpora").join(name)
}

/// Every published form of the same small shop comes to a folder that `data check` finds whole.
#[test]
fn raw_data_becomes_a_corpus() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, path, items) in [
        ("amazon_2014", "amazon_2014/reviews.json", Some("amazon_2014/meta.json")),
        ("amazon_2018", "amazon_2018/reviews.jsonl", Some("amazon_2018/meta.jsonl")),
        ("amazon_2023", "amazon_2023/reviews.jsonl", Some("amazon_2023/meta.jsonl")),
        ("movielens", "movielens/100k", None),
        ("movielens", "movielens/1m", None),
        ("movielens", "movielens/latest", None),
    ] {
        let out = dir.path().join(path.replace('/', "-"));
        let mut prepare = orbit();
        prepare.args(["data", "prepare", kind]).arg(raw(path)).arg("--out").arg(&out);
        items.map(|items| prepare.arg("--items").arg(raw(items)));
        let text = done(&mut prepare);
        assert!(text.contains("users: 3, items: 3, interactions: 7"), "{kind}: {text}");
        let report: Value = serde_json::from_str(&done(orbit().args(["data", "check", "--json"]).arg(&out))).unwrap();
        assert_eq!((&report["interactions"], &report["text"]["titles"]), (&7.into(), &3.into()), "{kind}");
        assert_eq!(report["changed"], serde_json::json!([]), "{kind}");
        // A file that was changed since is named.
        fs::write(out.join("items.jsonl"), fs::read_to_string(out.join("items.jsonl")).unwrap() + "\n").unwrap();
        assert!(done(orbit().args(["data", "check"]).arg(&out)).contains("items.jsonl"));
    }
    let refused = |args: &[&str], word: &str| {
        let output = orbit().args(["data", "prepare"]).args(args).arg("--out").arg(dir.path().join("no")).output();
        let output = output.unwrap();
        assert!(!output.status.success() && stderr(&output).contains(word), "{}", stderr(&output));
        assert!(!dir.path().join("no").exists());
    };
    refused(&["movielense", "x"], "movielens");
    refused(&["movielens", raw("amazon_2014").to_str().unwrap()], "ratings.dat");
    refused(&["csv", raw("amazon_2014/reviews.json").to_str().unwrap()], "reviews.json");
}

/// A run file over made-up items, with some way of making IDs.
fn ids(dir: &Path, name: &str, section: &str) -> (PathBuf, std::process::Output) {
    let run = dir.join(format!("{name}.toml"));
    let text = format!("model.path = 'none'\ncorpus.generated = {{ items = 60 }}\nsemantic_ids = {{ {section} }}");
    fs::write(&run, text).unwrap();
    let out = dir.join(format!("{name}.json"));
    (out.clone(), orbit().arg("ids").arg(&run).arg("--out").arg(out).output().unwrap())
}

#[test]
fn ways_to_make_ids_stand_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let make = |name: &str, section: &str| {
        let (out, output) = ids(dir.path(), name, section);
        assert!(output.status.success(), "{}", stderr(&output));
        out
    };
    let residual = make("residual", "levels = 2, codes = 16");
    let balanced = make("balanced", "levels = 2, codes = 16, method = 'balanced_kmeans', collisions = 'sinkhorn'");
    let random = make("random", "levels = 2, codes = 16, method = 'random'");
    let mut compare = orbit();
    compare.args(["ids", "compare"]).args([&residual, &balanced, &random]);
    let table = done(&mut compare);
    assert!(["residual", "balanced", "random"].iter().all(|name| table.contains(name)), "{table}");
    let rows: Value = serde_json::from_str(&done(compare.arg("--json"))).unwrap();
    assert_eq!(rows["rows"].as_array().unwrap().len(), 3);
    assert_eq!(rows["rows"][1]["collision_rate"], 0.0);

    // New items: those of the tiny corpus's own embeddings, coded behind the old.
    let npy = dir.path().join("new.npy");
    let dim = json(&residual)["codebooks"]["dim"].as_u64().unwrap_or(0) as usize;
    assert!(dim > 0, "{:?}", json(&residual)["codebooks"].as_object().map(|map| map.keys().collect::<Vec<_>>()));
    let rows = orbit_data::ItemEmbeddings::new(dim, (0..2 * dim).map(|at| ((at * at) as f32).sin()).collect()).unwrap();
    rows.write_npy(&npy).unwrap();
    let more = dir.path().join("more.json");
    let mut assign = orbit();
    assign.args(["ids", "assign"]).arg(&residual).arg("--embeddings").arg(&npy).arg("--out").arg(&more);
    assert!(done(&mut assign).contains("2 new items behind 60 old ones"));
    let codes = |path: &Path| json(path)["codes"].as_array().unwrap().clone();
    assert_eq!(codes(&more)[..60], codes(&residual)[..]);
    assert_eq!(codes(&more).len(), 62);
}

#[test]
fn a_collapsed_codebook_fails_and_is_saved_to_look_at() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<f32> = (0..60).flat_map(|at| [1.0, 1.0 + 1e-7 * at as f32]).collect();
    orbit_data::ItemEmbeddings::new(2, rows).unwrap().write_npy(&dir.path().join("alike.npy")).unwrap();
    let items: String = (1..=60).map(|id| format!("{{\"id\": {id}, \"title\": \"Tea\"}}\n")).collect();
    fs::write(dir.path().join("items.jsonl"), items).unwrap();
    fs::write(dir.path().join("sequences.txt"), "1 1 2 3\n").unwrap();
    let run = dir.path().join("run.toml");
    let text = "model.path = 'none'\ncorpus = { sequences = 'sequences.txt', items = 'items.jsonl', embeddings = 'alike.npy' }";
    fs::write(&run, text).unwrap();
    let out = dir.path().join("ids.json");
    let output = orbit().arg("ids").arg(&run).arg("--out").arg(&out).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("collapsed"), "{}", stderr(&output));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("standardize") && out.exists(), "{shown}");
}

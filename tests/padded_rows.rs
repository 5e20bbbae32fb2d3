//! Published models have more rows in their embedding than their tokenizer has tokens: they evaluate, train, save and reload.

use std::fs;
use std::path::Path;

use orbit_models::weights::Weights;
use serde_json::{Value, json};

use crate::generation::{Kind, base};
use crate::program::{done, json as read, orbit};

const RUN: &str = "
    model.path = 'base'
    corpus.generated = { items = 20, users = 20, seed = 0 }
    semantic_ids = { levels = 2, codes = 8 }
    train = { steps = 3, batch = 4, learning_rate = 1e-2 }
    evaluate.retrieval = { users = 5, batch = 5, beams = 4 }
    evaluate.text.tasks = [{ name = 'page', kind = 'perplexity', path = 'page.txt' }]
";

fn scores(model: &Path, run: &Path) -> Value {
    serde_json::from_str(&done(orbit().arg("eval").arg(model).arg("--run").arg(run))).unwrap()
}

/// How many tokens a saved tokenizer has.
fn tokens(dir: &Path) -> usize {
    let tokenizer = read(&dir.join("tokenizer.json"));
    let added = tokenizer["added_tokens"].as_array().unwrap();
    let vocabulary = tokenizer["model"]["vocab"].as_object().unwrap();
    vocabulary.len() + added.iter().filter(|token| !vocabulary.contains_key(token["content"].as_str().unwrap())).count()
}

fn id_of(dir: &Path, token: &str) -> usize {
    let tokenizer = read(&dir.join("tokenizer.json"));
    let all = tokenizer["added_tokens"].as_array().unwrap();
    all.iter().find(|added| added["content"] == token).unwrap()["id"].as_u64().unwrap() as usize
}

#[test]
fn every_family_trains_and_reloads_with_more_rows_than_tokens() {
    for kind in Kind::ALL {
        let root = tempfile::tempdir().unwrap();
        let (dir, run) = (root.path().join("base"), root.path().join("run.toml"));
        base(kind, &dir);
        let (rows, known) = (read(&dir.join("config.json"))["vocab_size"].as_u64().unwrap() as usize, tokens(&dir));
        assert!(rows > known, "{kind:?}");
        fs::write(root.path().join("page.txt"), "a bird flew\nthe dog ran\n").unwrap();
        fs::write(&run, RUN).unwrap();
        let untouched = scores(&dir, &run);
        assert!(untouched["results"]["page"]["token_perplexity,none"].as_f64().unwrap() > 1.0, "{kind:?}");

        let out = root.path().join("out");
        done(orbit().arg("train").arg(&run).arg("--out").arg(&out));
        let saved = out.join("model");
        // As `add_tokens` and `resize_token_embeddings`: the tokens take the ids behind the known ones, and each has a row.
        assert_eq!(id_of(&saved, "<start_of_sid>"), known, "{kind:?}");
        let config = read(&saved.join("config.json"));
        assert_eq!(config["vocab_size"], json!(tokens(&saved)), "{kind:?}");
        let report = read(&out.join("report.json"));
        let again = scores(&saved, &run);
        let (page, found) =
            (&again["results"]["page"]["token_perplexity,none"], &report["runs"][0]["text"]["suites"]["page"]);
        let difference = page.as_f64().unwrap() / found["score"].as_f64().unwrap();
        assert!((difference - 1.0).abs() < 1e-5, "{kind:?}: {page} and {found}");
        assert_eq!(again["orbit"]["retrieval"]["recall"], report["runs"][0]["retrieval"]["recall"], "{kind:?}");
    }
}

/// A head that is no longer the embedding cannot be scaled by one key of the configuration, which transformers 4 does not know.
#[test]
fn a_saved_t5_needs_no_scale() {
    let root = tempfile::tempdir().unwrap();
    base(Kind::T5, &root.path().join("base"));
    fs::write(root.path().join("page.txt"), "a bird flew\n").unwrap();
    fs::write(root.path().join("run.toml"), RUN).unwrap();
    let out = root.path().join("out");
    done(orbit().arg("train").arg(root.path().join("run.toml")).arg("--out").arg(&out));
    let config = read(&out.join("model/config.json"));
    let weights = Weights::read(out.join("model")).unwrap().tensors;
    let tied = config["tie_word_embeddings"].as_bool().unwrap();
    assert_eq!(tied, !weights.contains_key("lm_head.weight"));
    assert!(tied || config["scale_decoder_outputs"] != true, "{config}");
}

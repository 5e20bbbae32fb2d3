//! Files that other tools and people made: read as their makers mean them, or refused by name.

use std::fs;
use std::path::Path;
use std::process::Command;

use orbit_core::device;
use orbit_models::lora::{AdapterOrigin, LoraConfig};
use orbit_models::weights::{Dtype, Weights};
use orbit_models::{Extension, LanguageModel};
use serde_json::{Value, json};

use crate::generation::{Kind, base};
use crate::lora::drawn;
use crate::program::{done, json as read, orbit, run_file, stderr};

const RUN: &str = "
    model.path = 'base'
    corpus.generated = { items = 20, users = 20, seed = 0 }
    evaluate.text.tasks = [
        { name = 'page', kind = 'perplexity', path = 'page.txt' },
        { name = 'said', kind = 'jsonl', path = 'said.jsonl' },
    ]
";

/// A model, two suites and a run file in a directory.
fn workplace(kind: Kind) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    base(kind, &dir.path().join("base"));
    fs::write(dir.path().join("page.txt"), "a bird flew\nthe dog ran\n").unwrap();
    let items = [("a bird", ["flew", "sat"], 0), ("the dog", ["sang", "ran by the door"], 1)];
    let rows = items.map(|(context, choices, gold)| {
        json!({"context": context, "choices": choices.map(|choice| format!(" {choice}")), "gold": gold}).to_string()
            + "\n"
    });
    fs::write(dir.path().join("said.jsonl"), rows.concat()).unwrap();
    fs::write(dir.path().join("run.toml"), RUN).unwrap();
    dir
}

fn eval(dir: &Path, model: &str) -> Command {
    let mut command = orbit();
    command.arg("eval").arg(dir.join(model)).arg("--run").arg(dir.join("run.toml"));
    command
}

fn perplexity(command: &mut Command) -> f64 {
    let scores: Value = serde_json::from_str(&done(command)).unwrap();
    scores["results"]["page"]["token_perplexity,none"].as_f64().unwrap()
}

#[test]
fn a_run_file_may_have_a_byte_order_mark_and_carriage_returns() {
    let dir = workplace(Kind::Llama);
    let plain = perplexity(&mut eval(dir.path(), "base"));
    for text in [format!("\u{feff}{RUN}"), RUN.replace('\n', "\r\n")] {
        fs::write(dir.path().join("run.toml"), text).unwrap();
        assert_eq!(perplexity(&mut eval(dir.path(), "base")), plain);
    }
    // A file of another kind is told by its keys all the same.
    fs::write(
        dir.path().join("run.toml"),
        "\u{feff}tasks = [{ name = 't', form = 'jsonl', train = 't.jsonl' }]\r\nmodel.path = 'base'",
    )
    .unwrap();
    let explained = done(orbit().arg("explain").arg(dir.path().join("run.toml")));
    assert!(explained.contains("t.jsonl"), "{explained}");
    let wide: Vec<u8> = RUN.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(dir.path().join("run.toml"), [b"\xFF\xFE".as_slice(), &wide].concat()).unwrap();
    let message = stderr(&eval(dir.path(), "base").output().unwrap());
    assert!(message.contains("it is in UTF-16: save it in UTF-8"), "{message}");
}

#[test]
fn weights_that_are_not_finite_are_named() {
    for kind in Kind::ALL {
        let dir = workplace(kind);
        let mut weights = Weights::read(dir.path().join("base")).unwrap();
        let name = weights.tensors.keys().nth(3).unwrap().clone();
        for broken in [f32::NAN, f32::NEG_INFINITY] {
            weights.tensors.get_mut(&name).unwrap().data[5] = broken;
            weights.write_file(dir.path().join("base/model.safetensors"), Dtype::F32).unwrap();
            let output = eval(dir.path(), "base").output().unwrap();
            let message = stderr(&output);
            assert!(
                !output.status.success() && message.contains(&name) && message.contains("finite"),
                "{kind:?}: {message}"
            );
        }
    }
}

#[test]
fn an_adapter_is_evaluated_on_its_base() {
    for kind in Kind::ALL {
        let dir = workplace(kind);
        let flex = device("flex").unwrap();
        let model = LanguageModel::load(dir.path().join("base"), &flex).unwrap();
        let adapter = drawn(&model, &LoraConfig { rank: 2, alpha: 8.0, ..LoraConfig::default() }, 1);
        let named = dir.path().join("base");
        for (folder, base) in [("adapter", named.to_str().unwrap()), ("lost", "somebody/else")] {
            fs::create_dir(dir.path().join(folder)).unwrap();
            let origin = AdapterOrigin { base: model.base_digest(), task: None };
            adapter.save(dir.path().join(folder), model.task_type(), base, &origin).unwrap();
        }
        let merged = model.merge(&adapter, 1.0).unwrap();
        fs::create_dir(dir.path().join("merged")).unwrap();
        for entry in fs::read_dir(&named).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, dir.path().join("merged").join(path.file_name().unwrap())).unwrap();
        }
        merged.save(dir.path().join("merged"), Dtype::F32, &Extension::default()).unwrap();

        let plain = perplexity(&mut eval(dir.path(), "base"));
        let by_option = perplexity(eval(dir.path(), "base").arg("--adapter").arg(dir.path().join("adapter")));
        let by_name = perplexity(&mut eval(dir.path(), "adapter"));
        let expected = perplexity(&mut eval(dir.path(), "merged"));
        assert_eq!(by_option, by_name);
        assert!(
            (by_option / expected - 1.0).abs() < 1e-5 && (by_option / plain - 1.0).abs() > 1e-3,
            "{kind:?}: {plain}, {by_option}, {expected}"
        );

        let output = eval(dir.path(), "lost").output().unwrap();
        let message = stderr(&output);
        assert!(
            !output.status.success() && message.contains("adapter") && message.contains("somebody/else"),
            "{message}"
        );
    }
}

#[test]
fn what_was_prepared_can_be_embedded() {
    let dir = tempfile::tempdir().unwrap();
    // The items of the interactions come in another order than those of the item file, and 10 sorts before 9 as text.
    let rows: String =
        (0..40).map(|at| json!({"user": at % 4, "item": 3 + at * 7 % 11, "time": at}).to_string() + "\n").collect();
    let items: String =
        (0..14).rev().map(|id| json!({"id": id, "title": format!("Tea {id}")}).to_string() + "\n").collect();
    fs::write(dir.path().join("rows.jsonl"), rows).unwrap();
    fs::write(dir.path().join("items.jsonl"), items).unwrap();
    let prepared = dir.path().join("prepared");
    done(
        orbit()
            .args(["data", "prepare", "jsonl"])
            .arg(dir.path().join("rows.jsonl"))
            .arg("--items")
            .arg(dir.path().join("items.jsonl"))
            .arg("--out")
            .arg(&prepared),
    );
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../orbit-cli/assets/tiny-lm");
    let vectors = dir.path().join("vectors.npy");
    let count = fs::read_to_string(prepared.join("items.jsonl")).unwrap().lines().count();
    let said = done(
        orbit().arg("embed").arg(prepared.join("items.jsonl")).args(["--model", model]).arg("--out").arg(&vectors),
    );
    assert!(said.contains(&format!("{count} items")), "{said}");
    // A run takes them.
    let run = run_file(dir.path(), "[evaluate]\nuntouched = false");
    let text = fs::read_to_string(&run).unwrap();
    let corpus =
        "interactions = 'prepared/interactions.jsonl'\nitems = 'prepared/items.jsonl'\nembeddings = 'vectors.npy'";
    let text =
        text.replace("generated = { items = 60, users = 80, seed = 3 }", corpus).replace("codes = 8", "codes = 4");
    fs::write(&run, text).unwrap();
    done(orbit().arg("train").arg(&run).arg("--out").arg(dir.path().join("out")));
    let report = read(&dir.path().join("out/report.json"));
    assert_eq!(report["runs"][0]["steps"], 12);
}

#[test]
fn names_are_text_in_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let run = run_file(dir.path(), "[evaluate]\nuntouched = false");
    let text = fs::read_to_string(&run).unwrap().replace("steps = 12", "steps = 2");
    fs::write(&run, format!("name = '<img src=x onerror=alert(1)>'\n{text}")).unwrap();
    let out = dir.path().join("out");
    done(orbit().arg("train").arg(&run).arg("--out").arg(&out));
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("&lt;img src=x") && !page.contains("<img src=x"));
}

//! The program, from the outside.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

/// The workspace.
pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The folder of the program and of plugins' libraries, built the way this test was: cargo builds neither for another package's
/// test.
pub(crate) fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build.current_dir(ROOT).args(["build", "--workspace", "--bin", "orbit", "--lib", "--quiet"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success());
        // target/release/deps/all-HASH stands two below target/release/orbit.
        let own = std::env::current_exe().unwrap();
        own.parent().unwrap().parent().unwrap().to_owned()
    })
}

/// The program.
pub(crate) fn orbit() -> Command {
    let mut command = Command::new(built().join(format!("orbit{}", std::env::consts::EXE_SUFFIX)));
    command.env_remove("ORBIT_DATA").arg("--quiet");
    command
}

/// A command of the program with so many threads.
pub(crate) fn on(threads: usize, command: &mut Command) -> &mut Command {
    command.env("RAYON_NUM_THREADS", threads.to_string())
}

pub(crate) fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Whether tests that have a long form take it: `ORBIT_LONG=1`, as `stress` sets it.
pub(crate) fn long_form() -> bool {
    std::env::var_os("ORBIT_LONG").is_some()
}

/// When a test with a long form has to come to an end: `ORBIT_SECONDS` after its start, as `stress` sets it.
pub(crate) fn time_is_up(start: std::time::Instant) -> bool {
    let seconds = std::env::var("ORBIT_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    seconds.is_some_and(|seconds: f64| start.elapsed().as_secs_f64() > seconds)
}

/// A run of a few steps on a made-up catalogue.
pub(crate) fn run_file(dir: &Path, more: &str) -> PathBuf {
    let model = Path::new(ROOT).join("orbit-cli/assets/tiny-lm");
    let text = format!(
        r#"
        [model]
        path = {model:?}
        [corpus]
        generated = {{ items = 60, users = 80, seed = 3 }}
        [semantic_ids]
        levels = 2
        codes = 8
        [train]
        steps = 12
        batch = 8
        learning_rate = 2e-3
        warmup = 2
        save_every = 5
        keep = 3
        {more}
        "#
    );
    let path = dir.join("run.toml");
    std::fs::write(&path, text).unwrap();
    path
}

const MEASURED: &str = r#"
    [[hooks]]
    use.orbit = { metric = "l2", max_drift = 0.8 }
    [[hooks]]
    use.ema = { decay = 0.5 }
    [evaluate.retrieval]
    users = 20
    batch = 7
    [evaluate.text]
    embedded = true
"#;

#[test]
fn a_run_leaves_a_report_and_a_model_that_eval_measures_alike() {
    let dir = tempfile::tempdir().unwrap();
    let run = run_file(dir.path(), MEASURED);
    let out = dir.path().join("run");
    done(orbit().arg("train").arg(&run).arg("--out").arg(&out));
    let report = json(&out.join("report.json"));
    let trained = &report["runs"][0];
    assert_eq!(trained["hooks"], serde_json::json!(["orbit", "ema"]));
    assert_eq!(trained["steps"], 12);
    assert!(trained["merges"].as_u64().unwrap() > 0);
    assert!(trained["drift"]["l2"].as_f64().unwrap() <= 0.8);
    assert!(trained["text"]["retention"].is_number() && report["untouched"]["text"]["retention"] == 1.0);
    assert!(report["baselines"]["transitions"]["recall"]["10"].as_f64().unwrap() > 0.1);
    assert!(std::fs::read_to_string(out.join("report.html")).unwrap().contains("<svg"));
    assert_eq!(std::fs::read_to_string(out.join("metrics.jsonl")).unwrap().lines().count(), 12);

    let scores = done(orbit().arg("eval").arg(out.join("model")).arg("--run").arg(&run));
    let scores: Value = serde_json::from_str(&scores).unwrap();
    assert_eq!(scores["results"]["grammar"]["acc,none"], trained["text"]["suites"]["grammar"]["score"]);
    assert_eq!(scores["orbit"]["retrieval"]["recall"], trained["retrieval"]["recall"]);
    check_recommendations(&out.join("model"));

    // The semantic IDs are the model's own, so only other items are another job.
    let text = std::fs::read_to_string(&run).unwrap().replace("items = 60", "items = 61");
    std::fs::write(&run, text).unwrap();
    let output = orbit().arg("eval").arg(out.join("model")).arg("--run").arg(&run).output().unwrap();
    assert!(!output.status.success() && stderr(&output).contains("61 items"), "{}", stderr(&output));
}

/// The best of the catalogue, and the same scores when they are asked for by name.
fn check_recommendations(model: &Path) {
    let catalogue = json(&model.join("catalogue.json"));
    let id = |at: usize| catalogue["items"][at]["id"].as_str().unwrap().to_owned();
    let recommend = |more: &[&str]| {
        let mut command = orbit();
        command.arg("recommend").arg("--model").arg(model).arg("--history").arg(format!("{},{}", id(3), id(1)));
        command.args(more);
        command
    };
    let items: Value = serde_json::from_str(&done(&mut recommend(&["--count", "5", "--json"]))).unwrap();
    let score = |at: usize| items[at]["log_probability"].as_f64().unwrap();
    assert!(items.as_array().unwrap().len() == 5 && (1..5).all(|at| score(at) <= score(at - 1)));
    let named = format!("{},{}", items[4]["id"].as_str().unwrap(), items[0]["id"].as_str().unwrap());
    let asked: Value = serde_json::from_str(&done(&mut recommend(&["--candidates", &named, "--json"]))).unwrap();
    for (at, same) in [(0, 0), (1, 4)] {
        assert_eq!((&asked[at]["id"], &asked[at]["title"]), (&items[same]["id"], &items[same]["title"]));
        let difference = asked[at]["log_probability"].as_f64().unwrap() - score(same);
        assert!(difference.abs() < 1e-4, "{difference}");
    }
    let title = items[0]["title"].as_str().unwrap();
    assert!(done(&mut recommend(&[])).lines().next().unwrap().ends_with(title));

    let output = recommend(&["--candidates", "nothing,at-all"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("nothing, at-all"), "{}", stderr(&output));
    let output = orbit().arg("recommend").arg("--model").arg(model).output().unwrap();
    assert!(output.status.code() == Some(2) && stderr(&output).contains("history is empty"));
}

#[test]
fn a_resumed_run_ends_with_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let run = run_file(dir.path(), MEASURED);
    let [whole, cut] = ["whole", "cut"].map(|name| dir.path().join(name));
    for out in [&whole, &cut] {
        done(orbit().arg("train").arg(&run).arg("--out").arg(out));
    }
    // As if the second had been killed in step 8: the checkpoint of step 5 is the last.
    for later in ["checkpoints/step-00000010", "checkpoints/step-00000012"] {
        std::fs::remove_dir_all(cut.join(later)).unwrap();
    }
    std::fs::remove_dir_all(cut.join("model")).unwrap();
    let metrics = std::fs::read_to_string(cut.join("metrics.jsonl")).unwrap();
    let until: String = metrics.split_inclusive('\n').take(8).collect();
    std::fs::write(cut.join("metrics.jsonl"), until).unwrap();
    done(orbit().arg("resume").arg(&cut));
    for file in ["model.safetensors", "config.json", "tokenizer.json", "semantic_ids.json"] {
        let read = |out: &Path| std::fs::read(out.join("model").join(file)).unwrap();
        assert!(read(&whole) == read(&cut), "{file} differs");
    }
    let [whole, cut] = [whole, cut].map(|out| json(&out.join("report.json"))["runs"][0].clone());
    for key in ["retrieval", "text", "drift", "merges", "steps"] {
        assert_eq!(whole[key], cut[key], "{key}");
    }
}

#[test]
fn mistakes_exit_with_2_and_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let fails = |command: &mut Command, words: &[&str]| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        for word in words {
            assert!(stderr(&output).contains(word), "no {word:?} in {}", stderr(&output));
        }
    };
    let run = run_file(dir.path(), "");
    fails(orbit().arg("train").arg(&run).args(["--device", "abacus", "--out"]).arg(&out), &["abacus", "flex"]);
    fails(orbit().arg("train").arg(&run).args(["--device", "cuda:0", "--out"]).arg(&out), &["cuda"]);
    assert!(!out.exists(), "a run that cannot start leaves nothing");
    let run = run_file(dir.path(), "learning_rat = 1.0");
    fails(orbit().arg("train").arg(&run).arg("--out").arg(&out), &["learning_rat", "learning_rate", "line"]);
    let run = run_file(dir.path(), "[[hooks]]\nuse.orbit = { metric = 'l2', max_drift = -1 }");
    fails(orbit().arg("train").arg(&run).arg("--out").arg(&out), &["max_drift"]);
}

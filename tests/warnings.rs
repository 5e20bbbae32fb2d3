//! What is cut, too long, never closed or unreachable is said: before by `explain`, after by `train`, `eval` and the report.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::generation::{Kind, base};
use crate::program::{ROOT, built, json as read, run_file, stderr};

/// The program as users call it, without `--quiet` and `-v`.
fn orbit() -> Command {
    let mut command = Command::new(built().join(format!("orbit{}", std::env::consts::EXE_SUFFIX)));
    command.env_remove("ORBIT_DATA").env("NO_COLOR", "1");
    command
}

/// Everything that a command says.
fn said(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output))
}

fn explained(run: &Path) -> String {
    said(orbit().arg("explain").arg(run)).1
}

fn trained(run: &Path, out: &Path) -> (bool, String) {
    said(orbit().arg("train").arg(run).arg("--out").arg(out))
}

/// That `explain`, `train` and both forms of the report say it.
fn is_said_everywhere(run: &Path, out: &Path, what: &str) {
    let explained = explained(run);
    assert!(explained.contains(what), "{explained}");
    let (done, trained) = trained(run, out);
    assert!(done && trained.contains(what), "{trained}");
    assert!(read(&out.join("report.json")).to_string().contains(what));
    assert!(fs::read_to_string(out.join("report.html")).unwrap().contains(what));
}

/// Titles of items from 0, without which no semantic IDs are made.
fn write_items(dir: &Path, count: usize) {
    let items = (0..count).map(|id| json!({"id": id, "title": format!("Thing {id}")}).to_string() + "\n");
    fs::write(dir.join("items.jsonl"), items.collect::<String>()).unwrap();
}

#[test]
fn rows_beyond_the_positions_are_refused_or_cut() {
    let dir = tempfile::tempdir().unwrap();
    let rows = |user: usize| {
        (0..300)
            .map(|at| json!({"user": user, "item": (user + at) % 60, "time": at}).to_string() + "\n")
            .collect::<String>()
    };
    fs::write(dir.path().join("rows.jsonl"), (0..3).map(rows).collect::<String>()).unwrap();
    write_items(dir.path(), 60);
    let run =
        run_file(dir.path(), "[examples]\nmax_history = 200\n[evaluate.retrieval]\nusers = 3\nbatch = 3\nbeams = 4");
    let text = fs::read_to_string(&run).unwrap();
    let text = text.replace("levels = 2\n        codes = 8", "method = 'atomic'").replace(
        "generated = { items = 60, users = 80, seed = 3 }",
        "interactions = 'rows.jsonl'\nitems = 'items.jsonl'",
    );
    fs::write(&run, &text).unwrap();
    let out = dir.path().join("out");
    let (done, message) = trained(&run, &out);
    assert!(
        !done && message.contains("more tokens than the model has positions") && message.contains("train.too_long"),
        "{message}"
    );
    assert!(!out.exists());
    assert!(explained(&run).contains("more tokens than the model has positions"));

    fs::write(&run, text.replace("[train]", "[train]\ntoo_long = 'cut'")).unwrap();
    is_said_everywhere(&run, &out, "histories");
    let (_, evaluated) = said(orbit().arg("eval").arg(out.join("model")).arg("--run").arg(&run));
    assert!(evaluated.contains("histories"), "{evaluated}");
}

#[test]
fn targets_that_cannot_be_right_are_said() {
    let dir = tempfile::tempdir().unwrap();
    // Everybody comes back to where they began.
    let rows = |user: usize| {
        let row = |(time, at): (usize, usize)| json!({"user": user, "item": (user + at) % 9, "time": time});
        [0, 1, 2, 0].into_iter().enumerate().map(|met| row(met).to_string() + "\n").collect::<String>()
    };
    fs::write(dir.path().join("rows.jsonl"), (0..9).map(rows).collect::<String>()).unwrap();
    write_items(dir.path(), 9);
    let more = "[evaluate.retrieval]\nusers = 9\nbatch = 3\nbeams = 4\nexclude_seen = true";
    let run = run_file(dir.path(), more);
    let text = fs::read_to_string(&run).unwrap();
    let text = text.replace("levels = 2\n        codes = 8", "method = 'atomic'").replace(
        "generated = { items = 60, users = 80, seed = 3 }",
        "interactions = 'rows.jsonl'\nitems = 'items.jsonl'",
    );
    fs::write(&run, text.replace("steps = 12", "steps = 2")).unwrap();
    is_said_everywhere(&run, &dir.path().join("out"), "met before");
}

#[test]
fn a_run_that_cannot_be_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let plain = run_file(dir.path(), "[evaluate.text]\nembedded = true");
    let plain = fs::read_to_string(plain).unwrap().replace("steps = 12", "steps = 2");
    fs::write(dir.path().join("items.jsonl"), "{\"id\": 1, \"title\": \"tea\"}\n").unwrap();
    let suite = "tasks = [{ name = 'x', kind = 'arc', path = 'items.jsonl' }]";
    for (old, new, why) in [
        ("batch = 8", "batch = 5000", "train.batch: "),
        ("[corpus]", "[corpus]\nembeddings = 'nowhere.npy'", "corpus.embeddings"),
        ("embedded = true", suite, "items.jsonl:1"),
        ("[model]", "device = 'abacus'\n[model]", "abacus"),
    ] {
        assert!(plain.contains(old));
        fs::write(dir.path().join("run.toml"), plain.replacen(old, new, 1)).unwrap();
        let (done, message) = trained(&dir.path().join("run.toml"), &out);
        assert!(!done && message.contains(why) && !out.exists(), "{new}: {message}");
    }
    fs::write(dir.path().join("run.toml"), plain).unwrap();
    let (done, message) = trained(&dir.path().join("run.toml"), &out);
    assert!(done, "{message}");
    let text = fs::read_to_string(dir.path().join("run.toml")).unwrap();
    let again = dir.path().join("again.toml");
    let embedded = Path::new(ROOT).join("orbit-cli/assets/tiny-lm");
    fs::write(&again, text.replace(&format!("{embedded:?}"), &format!("{:?}", out.join("model")))).unwrap();
    let (done, message) = trained(&again, &dir.path().join("again"));
    assert!(!done && message.contains("has learned semantic IDs already") && !dir.path().join("again").exists());
}

#[test]
fn eval_says_that_a_template_closes_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    base(Kind::Llama, &dir.path().join("base"));
    open_template(&dir.path().join("base"));
    let run = dir.path().join("run.toml");
    let text = "
        model.path = 'base'
        corpus.generated = { items = 20, users = 20, seed = 0 }
        semantic_ids = { levels = 2, codes = 8 }
        train = { steps = 2, batch = 4 }
        evaluate.retrieval = { users = 5, batch = 5, beams = 4 }
    ";
    fs::write(&run, text).unwrap();
    let out = dir.path().join("out");
    is_said_everywhere(&run, &out, "closes no answer");
    let (_, evaluated) = said(orbit().arg("eval").arg(out.join("model")).arg("--run").arg(&run));
    assert!(evaluated.contains("closes no answer"), "{evaluated}");
}

/// Gives a model a template that ends answers with a line break alone.
fn open_template(model: &Path) {
    let open = "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}";
    let config = model.join("tokenizer_config.json");
    let mut tokenizer = read(&config);
    tokenizer["chat_template"] = json!(open);
    fs::write(config, tokenizer.to_string()).unwrap();
    let _ = fs::remove_file(model.join("chat_template.jinja"));
}

fn write_tasks(dir: &Path) {
    let row =
        json!({"instruction": "Say it.", "input": "a bird", "output": "flew by the old red door and the girl sang"});
    for part in ["train", "test"] {
        fs::write(dir.join(format!("said.{part}.jsonl")), format!("{row}\n").repeat(3)).unwrap();
    }
    let run = "
        tasks = [{ name = 'said', form = 'jsonl', train = 'said.train.jsonl' }]
        model.path = 'base'
        train = { steps = 2, batch = 2 }
        sequence = { prompt = 64, answer = 4 }
    ";
    fs::write(dir.join("run.toml"), run).unwrap();
}

#[test]
fn cut_answers_are_said() {
    let dir = tempfile::tempdir().unwrap();
    base(Kind::Llama, &dir.path().join("base"));
    write_tasks(dir.path());
    let what = "3 of 3 answers were cut to 4 tokens";
    is_said_everywhere(&dir.path().join("run.toml"), &dir.path().join("out"), what);
}

#[test]
fn a_template_that_closes_no_answer_is_said() {
    let dir = tempfile::tempdir().unwrap();
    base(Kind::Llama, &dir.path().join("base"));
    open_template(&dir.path().join("base"));
    write_tasks(dir.path());
    is_said_everywhere(&dir.path().join("run.toml"), &dir.path().join("out"), "closes no answer");
}

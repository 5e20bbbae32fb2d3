//! Nothing is lost: runs that are killed, checkpoints that are damaged, two at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::program::{done, json, long_form, orbit, run_file, stderr, time_is_up};
use crate::sequence::{BIRDS, sequence_file};

const MEASURED: &str = "
    [[hooks]]
    use.orbit = { metric = 'l2', max_drift = 0.8 }
    [[hooks]]
    use.ema = { decay = 0.5 }
    [evaluate.retrieval]
    users = 20
    [evaluate.text]
    embedded = true
";

pub(crate) fn train(run: &Path, out: &Path) -> Command {
    let mut command = orbit();
    command.arg("train").arg(run).arg("--out").arg(out).arg("--overwrite");
    command
}

pub(crate) fn resume(out: &Path) -> Command {
    let mut command = orbit();
    command.arg("resume").arg(out);
    command
}

/// Whatever the clock and the machine say is left out, and the command, which is another one.
pub(crate) fn timeless(mut value: Value) -> Value {
    match &mut value {
        Value::Object(entries) => {
            const CLOCK: [&str; 6] =
                ["seconds", "hook_seconds", "started", "command", "tokens_per_second", "peak_memory_bytes"];
            CLOCK.iter().for_each(|key| drop(entries.remove(*key)));
            entries.values_mut().for_each(|entry| *entry = timeless(entry.take()));
        }
        Value::Array(entries) => entries.iter_mut().for_each(|entry| *entry = timeless(entry.take())),
        _ => {}
    }
    value
}

/// All that a run leaves: files by name, JSON without times, and everything else by its bytes.
fn left(out: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![out.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            match name.as_str() {
                _ if path.is_dir() => folders.push(path),
                // The page is made of the report, and who works here is nobody's result.
                "report.html" | "lock" => {}
                "report.json" | "metrics.jsonl" => {
                    let text = fs::read_to_string(&path).unwrap();
                    let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
                    let lines: Vec<String> = values.map(|value| timeless(value.unwrap()).to_string()).collect();
                    found.push((path, lines.join("\n").into_bytes()));
                }
                _ => found.push((path.clone(), fs::read(&path).unwrap())),
            }
        }
    }
    let mut named: Vec<_> =
        found.into_iter().map(|(path, bytes)| (path.strip_prefix(out).unwrap().to_owned(), bytes)).collect();
    named.sort();
    named
}

pub(crate) fn assert_same(whole: &Path, other: &Path, title: &str) {
    let (whole, other) = (left(whole), left(other));
    let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&whole), names(&other), "{title}");
    for ((name, a), (_, b)) in whole.iter().zip(&other) {
        assert!(a == b, "{title}: {} differs", name.display());
    }
}

/// How often a run is killed. `ORBIT_KILLS` asks for any number.
fn kills() -> u64 {
    let asked = std::env::var("ORBIT_KILLS").ok().and_then(|count| count.parse().ok());
    asked.unwrap_or(if long_form() { 200 } else { 10 })
}

#[test]
fn a_run_that_is_killed_anywhere_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let run = run_file(dir.path(), MEASURED);
    // Old checkpoints are removed too.
    fs::write(&run, fs::read_to_string(&run).unwrap().replace("keep = 3", "keep = 1")).unwrap();
    let [whole, killed] = ["whole", "killed"].map(|name| dir.path().join(name));
    // Making the command builds the program, which is no part of the run.
    let mut first = train(&run, &whole);
    let start = Instant::now();
    done(&mut first);
    let longest = start.elapsed().as_secs_f64();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut kill, mut survived, mut rounds) = (0, 0, 0);
    while kill < kills() && !time_is_up(start) {
        kill += 1;
        let begun = killed.join("run.toml").exists();
        let mut command = if begun { resume(&killed) } else { train(&run, &killed) };
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_secs_f64(rng.random_range(0.0..longest)));
        // SIGKILL, on Unix.
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert!(
            status.success() || status.code().is_none() || cfg!(windows),
            "it failed by itself, after {kill} kills"
        );
        if status.success() {
            survived += 1;
            assert_same(&whole, &killed, &format!("after {kill} kills"));
            fs::remove_dir_all(&killed).unwrap();
            rounds += 1;
        }
    }
    let last =
        if killed.join("run.toml").exists() { done(&mut resume(&killed)) } else { done(&mut train(&run, &killed)) };
    assert!(last.contains("Recall@10"), "{last}");
    assert_same(&whole, &killed, "in the end");
    eprintln!("measured: {kill} kills, of which {survived} came too late, {} runs", rounds + 1);
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let run = run_file(dir.path(), MEASURED);
    let [whole, hurt] = ["whole", "hurt"].map(|name| dir.path().join(name));
    for out in [&whole, &hurt] {
        done(&mut train(&run, out));
    }
    // As if it had ended in the last step, on a disk that had lost a bit.
    let newest = hurt.join("checkpoints/step-00000012");
    let weights = newest.join("weights.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&weights, bytes).unwrap();
    fs::remove_dir_all(hurt.join("model")).unwrap();
    let output = resume(&hurt).output().unwrap();
    let message = stderr(&output);
    assert!(output.status.success() && message.contains("step-00000012"), "{message}");
    assert!(message.contains("weights.safetensors is damaged") && message.contains("put aside"), "{message}");
    fs::remove_dir_all(newest.with_extension("damaged")).unwrap();
    assert_same(&whole, &hurt, "after damage");
}

#[test]
fn two_processes_do_not_share_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(run_file(dir.path(), "")).unwrap().replace("steps = 12", "steps = 100000");
    let run = dir.path().join("long.toml");
    fs::write(&run, text).unwrap();
    check_that_one_works(&run, &dir.path().join("run"), "metrics.jsonl");
    let tasks = sequence_file(dir.path(), &[BIRDS], "");
    fs::write(&tasks, fs::read_to_string(&tasks).unwrap().replace("steps = 10", "steps = 100000")).unwrap();
    check_that_one_works(&tasks, &dir.path().join("sequence"), "stages/01-birds/metrics.jsonl");
}

/// `training` is there once the first process trains.
fn check_that_one_works(run: &Path, out: &Path, training: &str) {
    let mut first = train(run, out).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !out.join(training).exists() {
        assert!(first.try_wait().unwrap().is_none(), "it has ended");
        sleep(Duration::from_millis(20));
    }
    for mut second in [resume(out), train(run, out)] {
        let output = second.output().unwrap();
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(&format!("in use by process {} since", first.id())), "{message}");
    }
    assert!(out.join(training).exists(), "something was removed");
    first.kill().unwrap();
    first.wait().unwrap();
    // Whoever is gone holds nothing.
    let mut third = resume(out).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    sleep(Duration::from_millis(300));
    assert!(third.try_wait().unwrap().is_none_or(|status| status.code() != Some(2)));
    third.kill().unwrap();
    third.wait().unwrap();
}

/// A run that ends by itself only after a long time, and its process.
#[cfg(unix)]
fn long_run(dir: &Path, steps: u64) -> (PathBuf, Child) {
    let text = fs::read_to_string(run_file(dir, "")).unwrap().replace("steps = 12", &format!("steps = {steps}"));
    let (run, out) = (dir.join("long.toml"), dir.join("out"));
    fs::write(&run, text).unwrap();
    let mut child = train(&run, &out).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while fs::read_to_string(out.join("metrics.jsonl")).map_or(0, |text| text.lines().count()) < 3 {
        assert!(child.try_wait().unwrap().is_none(), "it has ended");
        sleep(Duration::from_millis(10));
    }
    (out, child)
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[cfg(unix)]
#[test]
fn a_signal_finishes_the_step_and_saves() {
    for name in ["INT", "TERM"] {
        let dir = tempfile::tempdir().unwrap();
        let (out, child) = long_run(dir.path(), 100_000);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{name}: {said}");
        assert!(said.contains(&format!("orbit resume {}", out.display())), "{name}: {said}");
        // Nothing of what was done is lost.
        let steps = fs::read_to_string(out.join("metrics.jsonl")).unwrap().lines().count();
        assert!(out.join(format!("checkpoints/step-{steps:08}/manifest.json")).exists(), "{name}: {steps} steps");
    }
}

#[cfg(unix)]
#[test]
fn a_run_that_was_stopped_by_a_signal_ends_as_if_it_had_not_been() {
    let dir = tempfile::tempdir().unwrap();
    let (stopped, child) = long_run(dir.path(), 60);
    signal(&child, "TERM");
    assert!(child.wait_with_output().unwrap().status.success());
    done(&mut resume(&stopped));
    let whole = dir.path().join("whole");
    done(&mut train(&dir.path().join("long.toml"), &whole));
    // The stop has left a checkpoint that the other run has no reason for.
    [&stopped, &whole].into_iter().for_each(|out| fs::remove_dir_all(out.join("checkpoints")).unwrap());
    assert_same(&whole, &stopped, "after SIGTERM");
}

#[cfg(unix)]
#[test]
fn a_second_signal_stops_at_once_and_loses_at_most_what_came_after_the_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let (out, child) = long_run(dir.path(), 100_000);
    signal(&child, "INT");
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    // The first may have been enough.
    assert!(matches!(output.status.code(), Some(130 | 0)), "{:?}", output.status);
    let mut again = resume(&out).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    sleep(Duration::from_millis(500));
    assert!(again.try_wait().unwrap().is_none(), "it does not go on");
    again.kill().unwrap();
    again.wait().unwrap();
}

/// A command whose files may have half a megabyte and no more: what a full disk is to a checkpoint.
#[cfg(unix)]
fn on_a_small_disk(command: &Command) -> Command {
    let mut small = Command::new("sh");
    small.args(["-c", "trap '' XFSZ; ulimit -f 1000; exec \"$@\"", "sh"]).arg(command.get_program());
    small.args(command.get_args()).env_remove("ORBIT_DATA");
    small
}

#[cfg(unix)]
#[test]
fn a_full_disk_stops_the_run_or_not_and_costs_no_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let [stop, go_on] = ["stop", "go_on"].map(|answer| {
        let text = fs::read_to_string(run_file(dir.path(), MEASURED)).unwrap();
        let text = text.replace("steps = 12", &format!("steps = 12\n        on_failed_save = '{answer}'"));
        let run = dir.path().join(format!("{answer}.toml"));
        fs::write(&run, format!("name = 'disk'\n{text}")).unwrap();
        run
    });
    let whole = dir.path().join("whole");
    done(&mut train(&stop, &whole));
    for (run, answer) in [(&stop, "stop"), (&go_on, "go_on")] {
        let out = dir.path().join(answer);
        let output = on_a_small_disk(&train(run, &out)).output().unwrap();
        let message = stderr(&output);
        assert!(!output.status.success() && message.to_lowercase().contains("too large"), "{answer}: {message}");
        assert!(!out.join("model").exists() && !out.join("report.json").exists(), "{answer}: half of it is there");
        let steps = fs::read_to_string(out.join("metrics.jsonl")).unwrap().lines().count();
        if answer == "stop" {
            assert!(steps < 12 && message.contains("orbit resume"), "{steps} steps: {message}");
        } else {
            assert!(steps == 12 && message.contains("training goes on"), "{steps} steps: {message}");
        }
        let left = fs::read_dir(out.join("checkpoints")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{answer}: something of a checkpoint is left");
        done(&mut resume(&out));
        let (whole, out) = (json(&whole.join("report.json")), json(&out.join("report.json")));
        assert_eq!(timeless(whole)["runs"], timeless(out)["runs"], "{answer}");
    }
}

#[test]
fn the_best_checkpoint_is_kept_beside_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let text = fs::read_to_string(run_file(dir.path(), "")).unwrap();
    // A learning rate that does harm from some step on.
    let (from, _) = text.split_once("[train]").unwrap();
    let run = dir.path().join("harm.toml");
    let train_section = "[train]\nsteps = 12\nbatch = 4\nwarmup = 12\nlearning_rate = 0.3\nsave_every = 1\nkeep = 2\n";
    fs::write(&run, format!("{from}{train_section}")).unwrap();
    done(&mut train(&run, &out));
    let metrics = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let losses: Vec<f64> =
        metrics.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["loss"].as_f64().unwrap()).collect();
    // Of all steps: a later best may have come when an earlier one was gone, but the best of all has never gone.
    let mean = |step: &usize| losses[..*step].iter().sum::<f64>() / *step as f64;
    let best = (1..=12).min_by(|a, b| mean(a).total_cmp(&mean(b))).unwrap();
    assert!(best < 11, "the loss has not risen: {losses:?}");
    let mut kept: Vec<String> = fs::read_dir(out.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    kept.sort();
    assert_eq!(kept, [format!("step-{best:08}"), "step-00000011".into(), "step-00000012".into()]);
}

#[test]
fn a_run_flees_from_a_spike_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let text = fs::read_to_string(run_file(dir.path(), "")).unwrap();
    let (from, _) = text.split_once("[train]").unwrap();
    let run = dir.path().join("spikes.toml");
    let with = |on_spike: &str| {
        // Little is a spike here, and at this learning rate there is one in twelve steps.
        let guard = format!("[train.guard]\nwindow = 6\nsigmas = 1.8\non_spike = '{on_spike}'\n");
        let steps = "[train]\nsteps = 12\nbatch = 4\nwarmup = 1\nlearning_rate = 0.03\nsave_every = 1\n";
        fs::write(&run, format!("{from}{steps}{guard}")).unwrap();
        train(&run, &out).output().unwrap()
    };
    let stopped = with("stop");
    let message = stderr(&stopped);
    assert!(!stopped.status.success() && message.contains("on average with deviation"), "{message}");
    for on_spike in ["warn", "skip", "rollback"] {
        let output = with(on_spike);
        let message = stderr(&output);
        assert!(output.status.success(), "{on_spike}: {message}");
        let report = json(&out.join("report.json"));
        let spikes = report["runs"][0]["spikes"].as_u64().unwrap();
        assert!(spikes > 0, "{on_spike}");
        let page = fs::read_to_string(out.join("report.html")).unwrap();
        assert!(page.contains("for spikes of the loss"), "{on_spike}");
        assert_eq!(report["runs"][0]["steps"], 12, "{on_spike}");
    }
}

/// What a process has in memory is that of its first steps, however long it goes on.
#[test]
fn a_run_does_not_grow() {
    let steps = if long_form() { 5000 } else { 1000 };
    let peak = |steps: u64| {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "model.fresh = {{ hidden_size = 16, intermediate_size = 16, layers = 1, heads = 2, head_width = 8 }}
             corpus.generated = {{ items = 40, users = 60 }}
             semantic_ids.method = 'atomic'
             train = {{ steps = {steps}, batch = 8, warmup = 1 }}
             evaluate = {{ untouched = false, retrieval = {{ users = 20 }} }}"
        );
        let run = dir.path().join("run.toml");
        fs::write(&run, text).unwrap();
        done(&mut train(&run, &dir.path().join("out")));
        json(&dir.path().join("out/report.json"))["runs"][0]["peak_memory_bytes"].as_u64()
    };
    let (Some(few), Some(many)) = (peak(steps / 10), peak(steps)) else {
        eprintln!("skipped: this system does not say what a process has in memory");
        return;
    };
    eprintln!("measured: {} MB after {} steps, {} MB after {steps}", few >> 20, steps / 10, many >> 20);
    assert!(many < few + few / 50 + (1 << 20), "{few} bytes after {} steps, {many} after {steps}", steps / 10);
}

//! Nothing is lost: runs that are killed, checkpoints that are damaged, two at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::program::{done, orbit, run_file, stderr};

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

/// How often a run is killed. `ORBIT_KILLS` asks for more.
fn kills() -> u64 {
    std::env::var("ORBIT_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(10)
}

#[test]
fn a_run_that_is_killed_anywhere_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let run = run_file(dir.path(), MEASURED);
    let [whole, killed] = ["whole", "killed"].map(|name| dir.path().join(name));
    let start = Instant::now();
    done(&mut train(&run, &whole));
    let longest = start.elapsed().as_secs_f64();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut survived, mut rounds) = (0, 0);
    for kill in 0..kills() {
        let begun = killed.join("run.toml").exists();
        let mut command = if begun { resume(&killed) } else { train(&run, &killed) };
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_secs_f64(rng.random_range(0.0..longest)));
        // SIGKILL, on Unix.
        child.kill().unwrap();
        if child.wait().unwrap().success() {
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
    eprintln!("{} kills, of which {survived} came too late, {} runs", kills(), rounds + 1);
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
    let out = dir.path().join("out");
    let text = fs::read_to_string(run_file(dir.path(), "")).unwrap().replace("steps = 12", "steps = 100000");
    let run = dir.path().join("long.toml");
    fs::write(&run, text).unwrap();
    let mut first = train(&run, &out).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !out.join("metrics.jsonl").exists() {
        assert!(first.try_wait().unwrap().is_none(), "it has ended");
        sleep(Duration::from_millis(20));
    }
    for mut second in [resume(&out), train(&run, &out)] {
        let output = second.output().unwrap();
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(&format!("in use by process {} since", first.id())), "{message}");
    }
    assert!(out.join("metrics.jsonl").exists(), "nothing was removed");
    first.kill().unwrap();
    first.wait().unwrap();
    // Whoever is gone holds nothing.
    let mut third = resume(&out).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    sleep(Duration::from_millis(300));
    assert!(third.try_wait().unwrap().is_none_or(|status| status.code() != Some(2)));
    third.kill().unwrap();
    third.wait().unwrap();
}

//! `cargo run --release -p orbit-tests --bin stress`: the promises of the README in the long form of their tests.
//!
//! ```text
//! stress [--minutes N] [--out FILE] [NAME ...]
//! ```
//!
//! The README's table of promises is the list. A test runs alone, with `ORBIT_LONG=1`, in half of the minutes that are left at
//! most; `ORBIT_KILLS` asks for another number of kills than 200. One that takes longer is stopped and told apart from one that failed.
#![allow(clippy::print_stdout, reason = "a program")]

use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use orbit_tests::promises;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Args {
    minutes: u64,
    out: Option<PathBuf>,
    names: Vec<String>,
}

fn args() -> Result<Args> {
    let mut args = Args { minutes: 60, out: None, names: Vec::new() };
    let mut given = std::env::args().skip(1);
    while let Some(arg) = given.next() {
        let mut value = || given.next().ok_or(format!("{arg} wants a value"));
        match arg.as_str() {
            "--minutes" => args.minutes = value()?.parse()?,
            "--out" => args.out = Some(value()?.into()),
            other if other.starts_with('-') => return Err(format!("{other} is no option").into()),
            name => args.names.push(name.into()),
        }
    }
    Ok(args)
}

/// How a test came out.
struct Outcome {
    held: Option<bool>,
    seconds: f64,
    /// What it said it did.
    measured: Vec<String>,
}

fn main() -> Result<ExitCode> {
    let args = args()?;
    let start = Instant::now();
    let all = promises(&fs::read_to_string(Path::new(ROOT).join("README.md"))?);
    let asked = |name: &String| args.names.is_empty() || args.names.iter().any(|part| name.contains(part.as_str()));
    let tests: Vec<(String, String)> = all
        .into_iter()
        .flat_map(|(promise, tests)| tests.into_iter().map(move |test| (promise.clone(), test)))
        .filter(|(_, test)| asked(test))
        .collect();
    if tests.is_empty() {
        return Err(format!("no promise has a test called {}", args.names.join(" or ")).into());
    }
    let binary = binary()?;
    let mut table = String::from("| promise | test | in its long form | seconds | held |\n|---|---|---|--:|---|\n");
    let mut all_held = true;
    for (promise, test) in &tests {
        let left = Duration::from_secs(60 * args.minutes).saturating_sub(start.elapsed());
        let outcome = run(&binary, test, left / 2)?;
        let held = match outcome.held {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "stopped: out of time",
        };
        all_held &= outcome.held == Some(true);
        println!("{held:>5} {:>8.1} s  {test}  {}", outcome.seconds, outcome.measured.join("; "));
        writeln!(
            table,
            "| {promise} | `{test}` | {} | {:.1} | {held} |",
            outcome.measured.join("; "),
            outcome.seconds
        )?;
    }
    if let Some(out) = &args.out {
        fs::write(out, format!("{}{table}", head(&args)?))?;
    }
    Ok(if all_held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The end-to-end tests, built as they are by `cargo test --release --workspace`.
fn binary() -> Result<PathBuf> {
    let built = Command::new(env!("CARGO"))
        .current_dir(ROOT)
        .args(["test", "--release", "--workspace", "--test", "all", "--no-run", "--quiet", "--message-format", "json"])
        .output()?;
    let text = String::from_utf8(built.stdout)?;
    let messages = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut named = messages.filter(|message| message["target"]["name"] == "all");
    let executable = named.find_map(|message| Some(message["executable"].as_str()?.to_owned()));
    Ok(executable.ok_or("cargo has built no tests")?.into())
}

fn run(binary: &Path, test: &str, most: Duration) -> Result<Outcome> {
    let log = std::env::temp_dir().join(format!("orbit-stress-{}.log", std::process::id()));
    let file = File::create(&log)?;
    let start = Instant::now();
    let mut child = Command::new(binary)
        .current_dir(Path::new(ROOT).join("tests"))
        .args(["--exact", test, "--nocapture"])
        .env("ORBIT_LONG", "1")
        .env("ORBIT_SECONDS", format!("{}", most.as_secs_f64() * 0.9))
        .env("CARGO", env!("CARGO"))
        .stdout(file.try_clone()?)
        .stderr(file)
        .process_group(0)
        .spawn()?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if start.elapsed() > most {
            // The programs that it has started too, which would slow the next test.
            Command::new("kill").args(["-KILL", &format!("-{}", child.id())]).status()?;
            child.wait()?;
            break None;
        }
        sleep(Duration::from_millis(50));
    };
    let text = fs::read_to_string(&log)?;
    fs::remove_file(&log)?;
    let ran = text.contains("1 passed");
    let measured = text.lines().filter_map(|line| line.strip_prefix("measured: ")).map(str::to_owned).collect();
    Ok(Outcome { held: status.map(|status| status.success() && ran), seconds: start.elapsed().as_secs_f64(), measured })
}

/// Where the figures come from.
fn head(args: &Args) -> Result<String> {
    let commit = Command::new("git").current_dir(ROOT).args(["rev-parse", "--short=12", "HEAD"]).output()?;
    let command: Vec<String> = std::env::args().skip(1).collect();
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism()?;
    Ok(format!(
        "# The promises, kept under stress\n\n\
         Written by `cargo run --release -p orbit-tests --bin stress -- {}`, of commit {}, in {} minutes at most, begun at second {} \
         of the Unix clock, on {} with {cores} cores. Every test seeds its own random numbers.\n\n",
        command.join(" "),
        String::from_utf8(commit.stdout)?.trim(),
        args.minutes,
        SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
        processor.map_or("an unknown processor", |(_, name)| name),
    ))
}

//! One test in a process of its own, ended when its time is up.

use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::progress::{Told, hear};
use super::report::Row;
use super::verdict::Verdict;

/// How often a running child is looked at.
const TICK: Duration = Duration::from_millis(2);
/// How long the pipes of an ended child may stay open, as they do when it has left a child of its own.
const DRAIN: Duration = Duration::from_secs(1);
/// A longer line is not one of ours, and a longer complaint nobody reads.
const LONGEST: u64 = 1 << 16;

/// What all tests of a plugin have in common.
pub(super) struct Attempt<'a> {
    program: PathBuf,
    plugin: &'a str,
    config: &'a str,
    limit: Duration,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(plugin: &'a str, config: &'a str, limit: Duration) -> Result<Self> {
        let program = std::env::current_exe().context("this program cannot find itself to run a test")?;
        Ok(Self { program, plugin, config, limit })
    }

    /// Runs one test. An error is the checker's own; whatever the plugin does is the row's verdict.
    pub(super) fn run(&self, test: &str) -> Result<Row> {
        let begun = Instant::now();
        let mut child = Command::new(&self.program)
            .args(["plugin", "test", "--name", test, "--config", self.config, "--", self.plugin])
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let (told, complaint) = (gather(child.stdout.take(), tell), gather(child.stderr.take(), head));
        let ended = self.wait(&mut child, begun)?;
        let took = begun.elapsed();
        let told = told.recv_timeout(DRAIN).unwrap_or_default();
        let complaint = complaint.recv_timeout(DRAIN).unwrap_or_default();
        Ok(Row::new(test, self.judge(ended, told, &complaint), took))
    }

    /// The child's status, or none if it had to be ended.
    fn wait(&self, child: &mut Child, begun: Instant) -> Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if begun.elapsed() >= self.limit {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
            thread::sleep(TICK);
        }
    }

    fn judge(&self, ended: Option<ExitStatus>, told: Told, complaint: &str) -> Verdict {
        let at = told.at.map(|place| format!(", {place}")).unwrap_or_default();
        match (ended, told.found) {
            (None, _) => Verdict::failed(format!(
                "ran longer than {} s and was ended{at}: look for a loop that does not end, or give it more time by --timeout",
                self.limit.as_secs_f64()
            )),
            (Some(status), Some(verdict)) if status.success() => verdict,
            (Some(status), found) => {
                let when = if found.is_some() { ", after the test".to_owned() } else { at };
                Verdict::failed(format!("{}{when}: {}{}", how(status), advice(status, complaint), last_line(complaint)))
            }
        }
    }
}

/// What `take` makes of a pipe of the child's, once that has closed it. Pipes are emptied at once: a full one holds it up.
fn gather<P: Read + Send + 'static, T: Send + 'static>(pipe: Option<P>, take: fn(P) -> T) -> Receiver<T> {
    let (send, receive) = mpsc::channel();
    if let Some(pipe) = pipe {
        thread::spawn(move || send.send(take(pipe)));
    }
    receive
}

fn tell(stdout: ChildStdout) -> Told {
    let mut reader = BufReader::new(stdout);
    let (mut told, mut line) = (Told::default(), Vec::new());
    while reader.by_ref().take(LONGEST).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        hear(String::from_utf8_lossy(&line).trim_end(), &mut told);
        line.clear();
    }
    told
}

fn head(mut stderr: ChildStderr) -> String {
    let mut head = Vec::new();
    let _ = stderr.by_ref().take(LONGEST).read_to_end(&mut head);
    let _ = io::copy(&mut stderr, &mut io::sink());
    String::from_utf8_lossy(&head).into_owned()
}

/// What a process said last on stderr, such as what the C library has against its memory.
fn last_line(complaint: &str) -> String {
    let line = complaint.lines().rev().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("note:"));
    line.map(|line| format!("; it said: {line}")).unwrap_or_default()
}

/// How a process ended that should not have.
fn how(status: ExitStatus) -> String {
    match (signal(status), status.code()) {
        (Some(number), _) => format!("the process was ended by {}", signal_name(number)),
        (None, Some(code)) => format!("the process ended with exit code {code} in the midst of the test"),
        (None, None) => "the process ended".into(),
    }
}

fn advice(status: ExitStatus, complaint: &str) -> &'static str {
    let of_the_allocator = ["free()", "malloc", "corruption"].iter().any(|word| complaint.contains(word));
    match signal(status).map(signal_name).as_deref() {
        Some("SIGABRT") if of_the_allocator => {
            "it wrote past the end of its memory, or freed it twice; -fsanitize=address says where"
        }
        Some("SIGABRT") => {
            "a plugin must return an error where it would abort or assert, and let no panic cross the interface"
        }
        Some("SIGSEGV" | "SIGBUS") => "it touched memory that is not its own; -fsanitize=address says where",
        Some("SIGKILL") => "the system has ended it, as it does when there is no memory left",
        Some("SIGFPE") => "it divided an integer by zero",
        Some(_) => "run the plugin's own tests under a debugger",
        None => "a plugin must return, and never end the process",
    }
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt;
    status.signal()
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}

/// The signals that end a process which is at fault.
fn signal_name(number: i32) -> String {
    let known = [
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGTERM, "SIGTERM"),
        #[cfg(unix)]
        (libc::SIGBUS, "SIGBUS"),
        #[cfg(unix)]
        (libc::SIGKILL, "SIGKILL"),
        #[cfg(unix)]
        (libc::SIGTRAP, "SIGTRAP"),
    ];
    let name = known.iter().find(|(known, _)| *known == number).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("signal {number}"))
}

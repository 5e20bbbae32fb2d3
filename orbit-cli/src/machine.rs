//! What this machine is, when it is, and what was asked of it, for reports.

use std::fs;
use std::time::SystemTime;

use crate::report::Machine;

/// The machine as a report names it.
pub(crate) fn describe() -> Machine {
    Machine {
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        cpu: line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: line_of("/proc/meminfo", "MemTotal").as_deref().and_then(kibibytes),
    }
}

/// The most memory that this process has held at once, as the system counts it.
pub(crate) fn peak_memory_bytes() -> Option<u64> {
    line_of("/proc/self/status", "VmHWM").as_deref().and_then(kibibytes)
}

/// The memory that this process holds now, as the system counts it.
pub(crate) fn resident_memory_bytes() -> Option<u64> {
    line_of("/proc/self/status", "VmRSS").as_deref().and_then(kibibytes)
}

/// The moment, as RFC 3339.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// The command line, with the program's name in place of its path.
pub(crate) fn command_line() -> String {
    let arguments = std::env::args().skip(1);
    std::iter::once("orbit".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Lets [`peak_memory_bytes`] count from now on, where the system can do that.
pub(crate) fn reset_peak_memory() {
    if let Err(error) = fs::write("/proc/self/clear_refs", "5") {
        tracing::debug!("the peak of memory counts from the start of the process: {error}");
    }
}

fn kibibytes(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse::<u64>().ok().map(|value| value * 1024)
}

/// What follows `key:` in a file of such lines.
fn line_of(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

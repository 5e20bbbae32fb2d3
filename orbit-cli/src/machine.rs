//! What this machine is, for reports.

use std::fs;

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

fn kibibytes(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse::<u64>().ok().map(|value| value * 1024)
}

/// What follows `key:` in a file of such lines.
fn line_of(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

//! What this machine is, when it is, and what was asked of it, for reports.

use std::fs;
use std::path::{Path, PathBuf};
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

/// The memory that this process may still take, where the system says: what is available on the machine, and no more than the
/// limits of its control groups, which are taken to be this process's alone.
pub(crate) fn available_memory_bytes() -> Option<u64> {
    let machine = line_of("/proc/meminfo", "MemAvailable").as_deref().and_then(kibibytes)?;
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = groups.lines().flat_map(limit_files).filter_map(|file| fs::read_to_string(file).ok());
    // A group without a limit says `max`, or a number beyond any machine.
    Some(limits.filter_map(|limit| limit.trim().parse().ok()).fold(machine, u64::min))
}

/// The files with the limits on memory of a line of `/proc/self/cgroup`, and of the groups above: in a container those of the
/// group itself may be out of sight.
fn limit_files(line: &str) -> Vec<PathBuf> {
    let fields: Vec<&str> = line.splitn(3, ':').collect();
    let [_, controllers, group] = fields[..] else { return Vec::new() };
    let (root, file) = match controllers {
        "" => ("/sys/fs/cgroup", "memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        _ => return Vec::new(),
    };
    let groups = Path::new(group.trim_start_matches('/')).ancestors();
    groups.map(|group| Path::new(root).join(group).join(file)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_a_group_and_the_groups_above() {
        let files = |line: &str| -> Vec<String> {
            limit_files(line).into_iter().map(|file| file.to_string_lossy().into_owned()).collect()
        };
        let second = ["/sys/fs/cgroup/a/b/memory.max", "/sys/fs/cgroup/a/memory.max", "/sys/fs/cgroup/memory.max"];
        assert_eq!(files("0::/a/b"), second);
        assert_eq!(files("0::/"), ["/sys/fs/cgroup/memory.max"]);
        let first = ["/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
        assert_eq!(files("4:memory:/job"), first);
        assert!(files("1:cpu,cpuacct:/job").is_empty() && files("").is_empty());
    }

    #[test]
    fn what_is_available_is_part_of_what_there_is() {
        if let (Some(available), Some(all)) = (available_memory_bytes(), describe().memory_bytes) {
            assert!(0 < available && available <= all);
        }
    }
}

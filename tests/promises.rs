//! The README promises nothing that no test backs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use orbit_tests::promises;

use crate::program::ROOT;

#[test]
fn every_promise_names_tests_that_are_there() {
    let own = std::env::current_exe().unwrap();
    let listed = Command::new(own).arg("--list").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let there: BTreeSet<&str> = listed.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let promises = promises(&readme);
    assert!(promises.len() > 10, "{promises:?}");
    for (promise, tests) in promises {
        for test in tests {
            assert!(there.contains(test.as_str()), "\"{promise}\": there is no test {test}");
        }
    }
}

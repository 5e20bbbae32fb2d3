//! Notes the source revision, for reports. Git appends to its log at every commit and checkout.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=../.git/logs/HEAD");
    let revision = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    if let Ok(revision) = revision
        && revision.status.success()
    {
        println!("cargo::rustc-env=ORBIT_COMMIT={}", String::from_utf8_lossy(&revision.stdout).trim());
    }
}

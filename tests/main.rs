//! End-to-end tests of orbit, one binary.
#![allow(clippy::unwrap_used, reason = "tests")]

mod golden;

//! End-to-end tests of orbit, one binary.
#![allow(clippy::unwrap_used, reason = "tests")]

mod backends;
mod decoding;
mod fit;
mod golden;
mod kernels;
mod resume;
mod scoring;
mod space;
mod tiny;

//! End-to-end tests of orbit, one binary.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod backends;
mod bloom;
mod config_keys;
mod decoding;
mod encoder_decoder;
mod fit;
mod golden;
mod kernels;
mod plugins;
mod program;
mod reference;
mod resume;
mod scoring;
mod space;
mod tiny;
mod transformers;

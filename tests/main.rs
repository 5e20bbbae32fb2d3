//! End-to-end tests of orbit, one binary.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod activations;
mod backends;
mod bank;
mod bert;
mod bloom;
mod config_keys;
mod data;
mod decoding;
mod encoder_decoder;
mod faults;
mod file_safety;
mod fit;
mod foreign_files;
mod generation;
mod golden;
mod guard;
mod kernels;
mod lora;
#[cfg(target_os = "linux")]
mod memory;
mod methods;
mod old_runs;
mod padded_rows;
mod plugins;
mod program;
mod promises;
mod reference;
mod reliability;
mod resume;
mod resume_pairs;
mod retrieval;
mod rq_vae;
mod same_bits;
mod sasrec;
mod scoring;
mod sequence;
mod space;
mod stages;
mod tiny;
mod transformers;
mod warnings;

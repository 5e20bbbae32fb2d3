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
mod fit;
mod golden;
mod kernels;
mod lora;
#[cfg(target_os = "linux")]
mod memory;
mod methods;
mod plugins;
mod program;
mod reference;
mod reliability;
mod resume;
mod retrieval;
mod rq_vae;
mod sasrec;
mod scoring;
mod sequence;
mod space;
mod stages;
mod tiny;
mod transformers;

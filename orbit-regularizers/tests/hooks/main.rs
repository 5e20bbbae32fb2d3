//! Every built-in on plain memory: what it computes, what it promises, and how its config reads.

#![allow(clippy::unwrap_used, reason = "tests")]

mod config;
mod conformance;
mod freezing;
mod importance;
mod instruction_vector;
mod kl;
mod o_lora;
mod options;
mod orbit;
mod order;
mod rules;
mod stages;
mod toy;

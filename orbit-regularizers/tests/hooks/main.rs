//! Every built-in on plain memory: what it computes, what it promises, and how its config reads.

#![allow(clippy::unwrap_used, reason = "tests")]

mod config;
mod conformance;
mod kl;
mod options;
mod orbit;
mod order;
mod rules;
mod toy;

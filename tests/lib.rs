//! End-to-end tests of orbit live in `main.rs`.

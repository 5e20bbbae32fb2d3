//! Language models on burn: one decoder, its files, and decoding.
//!
//! [`Decoder`] is the Llama family's architecture, loaded from and saved to a Hugging Face directory. [`weights`], [`config`],
//! [`gguf`] and [`pull`](mod@pull) deal with files and know nothing of tensors.

mod atomic;
pub mod config;
mod decoder;
mod error;
mod files;
pub mod generate;
pub mod gguf;
mod layer;
pub mod pull;
mod tokens;
pub mod weights;

pub use config::DecoderConfig;
pub use decoder::{Cache, Decoder};
pub use error::{Error, Misshapen, Result};
pub use files::{Extension, from_weights, load, save};
pub use tokens::NewTokens;

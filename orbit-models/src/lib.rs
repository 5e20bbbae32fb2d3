//! Language models on burn: a decoder, an encoder-decoder, their files, and decoding.
//!
//! [`Decoder`] is a Llama or a BLOOM, [`EncoderDecoder`] a T5, all loaded from and saved to a Hugging Face directory. [`weights`], [`config`], [`gguf`] and [`pull`](mod@pull) deal with files and know nothing of tensors.

mod atomic;
mod cache;
pub mod config;
mod decoder;
mod error;
mod files;
pub mod generate;
pub mod gguf;
pub mod instruction_vector;
mod language;
mod linear;
pub mod lora;
pub mod pull;
pub mod switch;
pub mod t5;
mod tokens;
pub mod weights;

pub use config::{DecoderConfig, Family};
pub use decoder::{Cache, Decoder};
pub use error::{Error, Misshapen, Result};
pub use files::{Extension, from_weights, load, save};
pub use language::{LanguageCache, LanguageModel};
pub use t5::{EncoderDecoder, T5Config};
pub use tokens::NewTokens;

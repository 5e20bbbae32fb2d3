//! Language models on burn: a decoder, an encoder-decoder, their files, and decoding.
//!
//! [`Decoder`] is a Llama or a BLOOM, [`EncoderDecoder`] a T5; [`bert`] is an encoder for embeddings, [`sasrec`] a recommender to compare with, [`rq_vae`] what learns semantic IDs. All are loaded from and saved to a Hugging Face directory. [`weights`], [`config`], [`gguf`] and [`pull`](mod@pull) deal with files and know nothing of tensors.

mod atomic;
pub mod bert;
mod cache;
pub mod config;
mod decoder;
mod dense;
mod error;
mod files;
pub mod generate;
mod generation_config;
pub mod gguf;
pub mod instruction_vector;
mod language;
mod layer_norm;
mod linear;
pub mod lora;
pub mod pooling;
pub mod pull;
pub mod rq_vae;
pub mod sasrec;
pub mod switch;
pub mod t5;
mod tokens;
pub mod weights;

pub use config::{DecoderConfig, Family};
pub use decoder::{Cache, Decoder};
pub use error::{Error, Misshapen, NotFinite, Result};
pub use files::{Extension, from_weights, load, save};
pub use generation_config::{GENERATION_CONFIG_FILE, GenerationConfig};
pub use language::{LanguageCache, LanguageModel};
pub use t5::{EncoderDecoder, T5Config};
pub use tokens::NewTokens;

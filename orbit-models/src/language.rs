//! A language model of any family, for code that does not care which.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use orbit_core::hook::ParamKind;
use orbit_core::{Change, Input, Model, Sites, Trace, host_weights, parameters};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::config::{CONFIG_FILE, check_directory};
use crate::generate::Incremental;
use crate::lora::{self, Adapter, LoraConfig, TaskType};
use crate::tokens::NEW_TOKENS;
use crate::weights::Dtype;
use crate::{Decoder, EncoderDecoder, Error, Extension, Result, atomic, decoder, files, t5};

/// A decoder or an encoder-decoder, whose parameters have the names of its kind.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a program has one or two, whose tensors are elsewhere")]
pub enum LanguageModel {
    /// Reads and writes one text.
    Decoder(Decoder),
    /// Reads a prompt and writes an answer.
    EncoderDecoder(EncoderDecoder),
}

/// What a [`LanguageModel`] keeps of the tokens seen: that of its kind.
#[derive(Debug, Default)]
pub struct LanguageCache {
    decoder: decoder::Cache,
    encoder_decoder: t5::Cache,
}

/// Does the same to a model of either kind.
macro_rules! either {
    ($model:expr, $net:ident => $body:expr) => {
        match $model {
            LanguageModel::Decoder($net) => $body,
            LanguageModel::EncoderDecoder($net) => $body,
        }
    };
}

/// Gives a model of the kind that it takes.
macro_rules! change {
    ($model:expr, $net:ident => $body:expr) => {
        match $model {
            LanguageModel::Decoder($net) => LanguageModel::Decoder($body),
            LanguageModel::EncoderDecoder($net) => LanguageModel::EncoderDecoder($body),
        }
    };
}

impl LanguageModel {
    /// Loads the model directory `dir`; its `config.json` says of which family it is.
    ///
    /// # Errors
    /// As [`files::load`] and [`EncoderDecoder::load`].
    pub fn load(dir: impl AsRef<Path>, device: &Device) -> Result<Self> {
        #[derive(Deserialize)]
        struct Family {
            model_type: String,
        }
        let dir = dir.as_ref();
        check_directory(dir)?;
        let Family { model_type } = atomic::read_json(&dir.join(CONFIG_FILE))?;
        Ok(match model_type.as_str() {
            "t5" | "mt5" => Self::EncoderDecoder(EncoderDecoder::load(dir, device)?),
            _ => Self::Decoder(files::load(dir, device)?),
        })
    }

    /// Checks that a directory is one of a model, before anything of it is read.
    ///
    /// # Errors
    /// [`Error::Foreign`] for the directory of a PEFT adapter; [`Error::Config`] for weights that somebody has quantised.
    pub fn check_directory(dir: impl AsRef<Path>) -> Result<()> {
        check_directory(dir.as_ref())
    }

    /// Saves the model into `dir`, which must be there; the tokenizer's files are the caller's.
    ///
    /// # Errors
    /// When the system refuses to write, or the model has an adapter: merge it, or save the adapter alone.
    pub fn save(&self, dir: impl AsRef<Path>, dtype: Dtype, about: &Extension) -> Result<()> {
        if self.adapted() {
            return Err(Error::adapter("a model with an adapter is saved as two: merge the adapter, or save it alone"));
        }
        match self {
            Self::Decoder(net) => files::save(net, dir, dtype, about),
            Self::EncoderDecoder(net) => net.save(dir, dtype, about),
        }
    }

    /// The model with activations changed in every pass, such as a vector added at the end of the prompt.
    ///
    /// # Errors
    /// For a site that the model does not have, or a vector that is not as wide as its site.
    pub fn steered(self, changes: Vec<Change>) -> orbit_core::Result<Self> {
        Trace::new(Vec::new(), changes.clone()).check(&self.sites())?;
        Ok(change!(self, net => net.steered(changes)))
    }

    /// What heads of a layer add to the residual stream when they have found `found`, `[heads · head width]`.
    pub(crate) fn contribution(&self, layer: usize, found: Vec<f32>) -> Vec<f32> {
        let Some(device) = self.devices().into_iter().next() else { return Vec::new() };
        let width = found.len();
        // A bias is not what a head adds.
        let rows = Tensor::from_data(TensorData::new([found, vec![0.0; width]].concat(), [1, 2, width]), &device);
        let input = Input::rows(Vec::new(), 1, 2);
        let projected = either!(self, net => net.project(layer, rows, &input));
        let projected: Vec<f32> = projected.into_data().convert::<f32>().try_into_vec().unwrap_or_default();
        let (there, nothing) = projected.split_at(projected.len() / 2);
        there.iter().zip(nothing).map(|(x, bias)| x - bias).collect()
    }

    /// Adds `count` tokens after those the model was loaded with, in place of any added before.
    pub fn with_new_tokens(self, count: usize, seed: u64) -> Self {
        change!(self, net => net.with_new_tokens(count, seed))
    }

    /// Gives the model as many tokens as a tokenizer has, of which the first `base_tokens` are those of the tokenizer that the model
    /// was published with. Rows that none of these has are left out, and all others get new rows, in place of any added before.
    /// New rows have no origin.
    ///
    /// This is what `resize_token_embeddings(len(tokenizer))` of transformers does to an embedding that has more rows than the
    /// tokenizer has tokens.
    pub fn with_vocabulary(self, base_tokens: usize, tokens: usize, seed: u64) -> Self {
        let kept = base_tokens.min(self.base_vocabulary());
        change!(self, net => net.keep_rows(kept).with_new_tokens(tokens - kept, seed))
    }

    /// How many tokens were added.
    pub fn new_token_count(&self) -> usize {
        either!(self, net => net.new_token_count())
    }

    /// The token that a text begins with; for a model that has none, the one that ends it.
    pub fn first_token(&self) -> u32 {
        match self {
            Self::Decoder(net) => {
                let config = net.config();
                config.bos_token_id.or_else(|| config.eos_token_ids.first().copied()).unwrap_or(0)
            }
            Self::EncoderDecoder(net) => net.config().decoder_start_token_id,
        }
    }

    /// The tokens that end an answer.
    pub fn end_tokens(&self) -> &[u32] {
        either!(self, net => &net.config().eos_token_ids)
    }

    /// The tokens of a text that the model can tell apart by their place; none where there is no end to them.
    pub fn positions(&self) -> Option<usize> {
        match self {
            Self::Decoder(net) => net.config().positions(),
            Self::EncoderDecoder(_) => None,
        }
    }

    /// The longest text that the model was trained for. T5's relative positions know no limit; its authors trained on 512.
    pub fn longest_text(&self) -> usize {
        match self {
            Self::Decoder(net) => net.config().max_position_embeddings,
            Self::EncoderDecoder(_) => 512,
        }
    }

    /// What PEFT calls its kind.
    pub fn task_type(&self) -> TaskType {
        match self {
            Self::Decoder(_) => TaskType::CausalLm,
            Self::EncoderDecoder(_) => TaskType::Seq2SeqLm,
        }
    }

    /// An adapter for this model that does nothing yet.
    ///
    /// # Errors
    /// As [`Adapter::fresh`].
    pub fn fresh_adapter(&self, config: &LoraConfig, seed: u64) -> Result<Adapter> {
        let targets: &[&str] = match self {
            Self::Decoder(net) => net.query_and_value(),
            Self::EncoderDecoder(_) => &["q", "v"],
        };
        Adapter::fresh(&parameters(self), config, targets, seed)
    }

    /// Reads an adapter of this model from a PEFT directory.
    ///
    /// # Errors
    /// As [`Adapter::load`]; when its layers are not this model's; and when orbit has noted beside it that it was trained on
    /// other weights.
    pub fn read_adapter(&self, dir: impl AsRef<Path>) -> Result<Adapter> {
        let dir = dir.as_ref();
        let (adapter, origin) = Adapter::load(dir)?;
        adapter.check(&parameters(self))?;
        let base = self.base_digest();
        match origin {
            Some(origin) if origin.base != base => Err(Error::adapter(format!(
                "{}: the adapter was trained on the weights {}, and these are {}: it is for another model",
                dir.display(),
                short(&origin.base),
                short(&base)
            ))),
            _ => Ok(adapter),
        }
    }

    /// Puts an adapter on the model. Training then changes the adapter and the rows of new tokens, and nothing else.
    ///
    /// # Errors
    /// When the adapter does not fit, or the model has one.
    pub fn with_adapter(self, adapter: &Adapter) -> Result<Self> {
        self.check(adapter)?;
        Ok(change!(self, net => net.map_adapted(0, |net| lora::attach(net, adapter))))
    }

    /// Puts several adapters on the model, of which [`Input::adapters`] chooses one for every row.
    ///
    /// # Errors
    /// When an adapter does not fit, or the model has one.
    pub fn with_bank(self, adapters: &[Adapter]) -> Result<Self> {
        adapters.iter().try_for_each(|adapter| self.check(adapter))?;
        Ok(change!(self, net => net.map_adapted(adapters.len(), |net| lora::attach_bank(net, adapters))))
    }

    /// Adds `times` the adapter to the weights: 1 merges it, −1 takes it out again, to the rounding of the weights.
    ///
    /// # Errors
    /// When the adapter does not fit, or the model has one that is not merged.
    pub fn merge(self, adapter: &Adapter, times: f64) -> Result<Self> {
        self.check(adapter)?;
        Ok(change!(self, net => lora::merge(net, adapter, times)))
    }

    /// SHA-256 over the weights that the model was loaded with: what an adapter belongs to. An adapter on the model, and new
    /// tokens, do not change it.
    pub fn base_digest(&self) -> String {
        let mut hasher = Sha256::new();
        for (param, entries) in parameters(self).iter().zip(host_weights(self)) {
            if !lora::is_added(&param.name) {
                hasher.update(param.name.as_bytes());
                entries.chunks(1 << 16).for_each(|entries| {
                    hasher.update(entries.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
                });
            }
        }
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn adapted(&self) -> bool {
        either!(self, net => net.adapted())
    }

    fn check(&self, adapter: &Adapter) -> Result<()> {
        if self.adapted() {
            return Err(Error::adapter("the model has an adapter already: merge that first"));
        }
        adapter.check(&parameters(self))
    }
}

/// Enough of a digest to tell it from others.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

impl From<Decoder> for LanguageModel {
    fn from(net: Decoder) -> Self {
        Self::Decoder(net)
    }
}

impl From<EncoderDecoder> for LanguageModel {
    fn from(net: EncoderDecoder) -> Self {
        Self::EncoderDecoder(net)
    }
}

impl Model for LanguageModel {
    fn hidden(&self, input: &Input) -> Tensor<3> {
        either!(self, net => net.hidden(input))
    }

    fn traced(&self, input: &Input, trace: &mut Trace) -> Tensor<3> {
        either!(self, net => net.traced(input, trace))
    }

    fn traced_from(&self, from: usize, stream: Tensor<3>, input: &Input, trace: &mut Trace) -> Option<Tensor<3>> {
        either!(self, net => net.traced_from(from, stream, input, trace))
    }

    fn sites(&self) -> Sites {
        either!(self, net => net.sites())
    }

    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        either!(self, net => net.logits(hidden))
    }

    fn base_vocabulary(&self) -> usize {
        either!(self, net => net.base_vocabulary())
    }

    fn vocabulary(&self) -> usize {
        either!(self, net => net.vocabulary())
    }

    fn kind(&self, parameter: &str) -> ParamKind {
        if parameter.starts_with(NEW_TOKENS) { ParamKind::New } else { ParamKind::Base }
    }

    fn trains(&self, parameter: &str) -> bool {
        either!(self, net => net.trains(parameter))
    }

    fn adapters(&self) -> usize {
        either!(self, net => Model::adapters(net))
    }
}

impl Incremental for LanguageModel {
    type Cache = LanguageCache;

    fn hidden_after(&self, input: &Input, cache: &mut LanguageCache) -> Tensor<3> {
        match self {
            Self::Decoder(net) => net.hidden_after(input, &mut cache.decoder),
            Self::EncoderDecoder(net) => net.hidden_after(input, &mut cache.encoder_decoder),
        }
    }
}

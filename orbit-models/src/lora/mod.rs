//! Low-rank adapters (LoRA, Hu et al. 2021, arXiv 2106.09685): a frozen weight W gains s · B A with s = alpha / rank, of which A
//! and B are trained.
//!
//! They hang on burn's reparameterisation of parameters, so they are parameters like any other, under the names
//! `WEIGHT.lora.a` and `WEIGHT.lora.b`: hooks, checkpoints and drift see them, and not the frozen weights.
//!
//! ```text
//! Adapter::fresh ─► with_adapter ─► train ─► Adapter::of ─► save        a PEFT directory
//!                                                       ├─► merge       into the weights, and out again
//!                                                       └─► with_bank   beside others: every row chooses one
//! ```

mod attach;
mod drift;
mod peft;

use std::collections::BTreeMap;

use globset::{GlobBuilder, GlobMatcher};
use orbit_core::hook::Param;
use orbit_core::{Model, host_weights, parameters};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use attach::{Bank, Lora};
pub(crate) use attach::{attach, attach_bank, merge};
pub use drift::distance;
pub use peft::{ADAPTER_FILE, AdapterOrigin, TaskType, base_model, is_adapter};
pub(crate) use peft::{CONFIG_FILE, not_a_model};

use crate::tokens::NEW_TOKENS;
use crate::weights::Array;
use crate::{Error, Result};

/// What a low-rank adapter is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// Rows of A and columns of B. Default: 8.
    pub rank: usize,
    /// What is added is multiplied by this and divided by the rank. Default: 16.
    pub alpha: f64,
    /// The share of A's inputs that is left out in training, in [0, 1). Default: 0.
    pub dropout: f64,
    /// Which layers are adapted: the last parts of their names, such as `q_proj`, or patterns with `*` and `?` over the whole
    /// name, such as `model.layers.1?.mlp.*`. Empty: queries and values, as LoRA's authors chose.
    pub targets: Vec<String>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self { rank: 8, alpha: 16.0, dropout: 0.0, targets: Vec::new() }
    }
}

impl LoraConfig {
    /// s: what B A is multiplied by.
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    /// Why these options cannot be used: the option and the reason.
    pub fn check(&self) -> std::result::Result<(), (&'static str, String)> {
        if self.rank == 0 {
            return Err(("rank", "must be at least 1".into()));
        }
        if !self.alpha.is_finite() {
            return Err(("alpha", format!("must be a number, got {}", self.alpha)));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(("dropout", format!("must be in [0, 1), got {}", self.dropout)));
        }
        matchers(&self.targets).map(|_| ()).map_err(|reason| ("targets", reason))
    }
}

/// An adapter on the host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adapter {
    /// Its rank, alpha, dropout and targets.
    pub config: LoraConfig,
    /// A `[rank, in]` and B `[out, rank]`, by the name of the layer they adapt: that of its weight without `.weight`.
    pub factors: BTreeMap<String, [Array; 2]>,
}

impl Adapter {
    /// The layers that an adapter of a model with the given parameters adapts, each with its weight, and the options with their
    /// targets spelt out.
    ///
    /// # Errors
    /// When the options are not right, or a target names no layer.
    pub fn layers<'p>(
        params: &'p [Param],
        config: &LoraConfig,
        default_targets: &[&str],
    ) -> Result<(LoraConfig, Vec<(&'p str, &'p Param)>)> {
        config.check().map_err(|(key, reason)| Error::adapter(format!("lora.{key} {reason}")))?;
        let mut config = config.clone();
        if config.targets.is_empty() {
            config.targets = default_targets.iter().map(|&target| target.to_owned()).collect();
        }
        let matchers = matchers(&config.targets).map_err(|reason| Error::adapter(format!("lora.targets {reason}")))?;
        let mut layers: Vec<(&str, &Param)> = params.iter().filter_map(|param| Some((layer(param)?, param))).collect();
        for (target, matcher) in config.targets.iter().zip(&matchers) {
            if !layers.iter().any(|(layer, _)| selects(matcher, layer)) {
                let example =
                    layers.iter().map(|(layer, _)| *layer).find(|layer| layer.contains('0')).unwrap_or("none");
                let reason =
                    format!("lora.targets: \"{target}\" names no layer of this model; one is called {example}");
                return Err(Error::adapter(reason));
            }
        }
        layers.retain(|(layer, _)| matchers.iter().any(|matcher| selects(matcher, layer)));
        Ok((config, layers))
    }

    /// An adapter that does nothing yet, for a model with the given parameters. A is drawn as PEFT draws it, uniformly within
    /// ±1/√in, and B is 0.
    ///
    /// # Errors
    /// As [`Adapter::layers`].
    pub fn fresh(params: &[Param], config: &LoraConfig, default_targets: &[&str], seed: u64) -> Result<Self> {
        let (config, layers) = Self::layers(params, config, default_targets)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let factors = layers.into_iter().map(|(layer, param)| {
            let (out, input, rank) = (param.shape[0], param.shape[1], config.rank);
            let bound = (input as f32).sqrt().recip();
            let a = (0..rank * input).map(|_| rng.random_range(-bound..bound)).collect();
            let a = Array { shape: vec![rank, input], data: a };
            (layer.to_owned(), [a, Array { shape: vec![out, rank], data: vec![0.0; out * rank] }])
        });
        Ok(Self { factors: factors.collect(), config })
    }

    /// The adapter that a model carries.
    pub fn of<M: Model>(model: &M, config: &LoraConfig) -> Self {
        let mut factors: BTreeMap<String, [Array; 2]> = BTreeMap::new();
        for (param, data) in parameters(model).into_iter().zip(host_weights(model)) {
            if let Some((layer, factor)) = param.name.split_once(FACTOR) {
                factors.entry(layer.to_owned()).or_default()[usize::from(factor == "b")] =
                    Array { shape: param.shape, data };
            }
        }
        Self { config: config.clone(), factors }
    }

    /// Checks that every layer that is adapted is there, with the shape it is adapted to.
    ///
    /// # Errors
    /// The first layer that does not fit.
    pub fn check(&self, params: &[Param]) -> Result<()> {
        let layers: BTreeMap<&str, &Param> = params.iter().filter_map(|param| Some((layer(param)?, param))).collect();
        for (name, [a, b]) in &self.factors {
            let Some(param) = layers.get(name.as_str()) else {
                return Err(Error::adapter(format!(
                    "the adapter has {name}, which the model has not: it is for another model"
                )));
            };
            let rank = self.config.rank;
            if a.shape != [rank, param.shape[1]] || b.shape != [param.shape[0], rank] {
                return Err(Error::adapter(format!(
                    "the adapter of {name} has factors {:?} and {:?} of rank {rank}, for a weight of {:?}",
                    b.shape, a.shape, param.shape
                )));
            }
        }
        Ok(())
    }
}

/// The middle of a factor's name.
const FACTOR: &str = ".weight.lora.";
/// That of a factor's in a [`Bank`].
const BANK: &str = ".weight.adapters.";

/// What training changes in a model with an adapter: its factors, and the rows of new tokens.
pub(crate) fn trains(parameter: &str) -> bool {
    parameter.contains(FACTOR) || parameter.starts_with(NEW_TOKENS)
}

/// Whether a parameter is not one that the model was loaded with: an adapter's, one alone or in a bank, or a new token's.
pub(crate) fn is_added(parameter: &str) -> bool {
    trains(parameter) || parameter.contains(BANK)
}

/// The name of the layer whose weight a parameter is, if it can be adapted.
fn layer(param: &Param) -> Option<&str> {
    // Rows of tokens are looked up, not multiplied.
    let table = ["embed", "shared", "lm_head", "bias"].iter().any(|part| param.name.contains(part));
    param.name.strip_suffix(".weight").filter(|_| param.shape.len() == 2 && !table)
}

fn matchers(targets: &[String]) -> std::result::Result<Vec<GlobMatcher>, String> {
    let glob = |target: &String| GlobBuilder::new(target).build().map(|glob| glob.compile_matcher());
    targets.iter().map(|target| glob(target).map_err(|e| e.to_string())).collect()
}

/// As PEFT: the whole name, or its end after a dot.
fn selects(matcher: &GlobMatcher, layer: &str) -> bool {
    let ends = layer.match_indices('.').map(|(dot, _)| &layer[dot + 1..]);
    std::iter::once(layer).chain(ends).any(|end| matcher.is_match(end))
}

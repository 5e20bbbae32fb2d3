//! An adapter as a PEFT directory: `adapter_config.json` and `adapter_model.safetensors`, which `peft` loads as they are.
//!
//! `orbit.json` beside them says which weights the adapter was trained on.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Adapter, LoraConfig};
use crate::atomic;
use crate::error::NotFinite;
use crate::weights::{Array, Dtype, Weights};
use crate::{Error, Result};

/// The file of an adapter's factors.
pub const ADAPTER_FILE: &str = "adapter_model.safetensors";
pub(crate) const CONFIG_FILE: &str = "adapter_config.json";
const ORIGIN_FILE: &str = "orbit.json";
/// What PEFT puts before the name of a layer.
const PREFIX: &str = "base_model.model.";
const FACTORS: [&str; 2] = [".lora_A.weight", ".lora_B.weight"];

/// What PEFT calls the kind of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskType {
    /// A decoder.
    #[serde(rename = "CAUSAL_LM")]
    CausalLm,
    /// An encoder-decoder.
    #[serde(rename = "SEQ_2_SEQ_LM")]
    Seq2SeqLm,
}

/// Where an adapter comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterOrigin {
    /// The digest of the weights that the adapter was trained on.
    pub base: String,
    /// The task that it was trained for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
}

/// The keys of `adapter_config.json` that orbit writes, and computes with.
#[derive(Serialize, Deserialize)]
struct PeftConfig {
    peft_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task_type: Option<TaskType>,
    #[serde(default)]
    base_model_name_or_path: Option<String>,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f64,
    target_modules: Value,
    #[serde(default = "no_bias")]
    bias: String,
    #[serde(default)]
    inference_mode: bool,
    /// All others, of which most say how an adapter is to be made, and some how it is to be computed.
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// Keys that change what an adapter computes, unless they are null, false or empty.
const UNSUPPORTED: [&str; 18] = [
    "alora_invocation_tokens",
    "alpha_pattern",
    "arrow_config",
    "fan_in_fan_out",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "megatron_config",
    "modules_to_save",
    "monteclora_config",
    "rank_pattern",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
    "use_rslora",
    "velora_config",
];

/// Ways to begin an adapter that change the weights under it, which then are not those of the base model.
const OTHER_BASE: [&str; 6] = ["pissa", "corda", "olora", "loftq", "lora_ga", "mica"];

/// Keys that leave out some of the layers that the targets name.
const NARROWING: [&str; 3] = ["exclude_modules", "layers_pattern", "layers_to_transform"];

fn no_bias() -> String {
    "none".into()
}

/// Whether a directory holds an adapter and no model.
pub fn is_adapter(dir: impl AsRef<Path>) -> bool {
    let dir = dir.as_ref();
    dir.join(CONFIG_FILE).exists() && !dir.join(crate::config::CONFIG_FILE).exists()
}

/// What the directory of an adapter calls its base model; none where it does not say.
///
/// # Errors
/// When `adapter_config.json` is not there or cannot be read.
pub fn base_model(dir: impl AsRef<Path>) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Named {
        base_model_name_or_path: Option<String>,
    }
    let Named { base_model_name_or_path } = atomic::read_json(&dir.as_ref().join(CONFIG_FILE))?;
    Ok(base_model_name_or_path.filter(|name| !name.is_empty()))
}

/// That a directory was given as a model and is an adapter.
pub(crate) fn not_a_model(dir: &Path) -> Error {
    let base = base_model(dir).ok().flatten();
    let of = base.map_or_else(String::new, |base| format!(" of {base}"));
    Error::foreign(
        dir,
        format!(
            "a PEFT adapter{of}, not a model: give the model, or merge the adapter into it; `orbit eval` takes both"
        ),
    )
}

impl Adapter {
    /// Writes the adapter into `dir`, which must be there.
    ///
    /// # Errors
    /// When the system refuses to write.
    pub fn save(&self, dir: impl AsRef<Path>, task: TaskType, base_path: &str, origin: &AdapterOrigin) -> Result<()> {
        let dir = dir.as_ref();
        let LoraConfig { rank, alpha, dropout, .. } = self.config;
        let config = PeftConfig {
            peft_type: "LORA".into(),
            task_type: Some(task),
            base_model_name_or_path: Some(base_path.to_owned()),
            r: rank,
            lora_alpha: alpha,
            lora_dropout: dropout,
            target_modules: self.target_modules().into(),
            bias: no_bias(),
            inference_mode: true,
            others: BTreeMap::new(),
        };
        atomic::write_json(&dir.join(CONFIG_FILE), &config)?;
        let named = self.factors.iter().flat_map(|(layer, factors)| {
            FACTORS.into_iter().zip(factors).map(move |(end, array)| (format!("{PREFIX}{layer}{end}"), array.clone()))
        });
        Weights { tensors: named.collect() }.write_file(dir.join(ADAPTER_FILE), Dtype::F32)?;
        atomic::write_json(&dir.join(ORIGIN_FILE), origin)
    }

    /// Reads a PEFT directory, and where the adapter comes from if orbit wrote it.
    ///
    /// # Errors
    /// When it is not a LoRA that orbit computes (biases, DoRA, rank-stabilised scaling, ranks that differ between layers,
    /// whole modules, a start that changes the base), and when factors are missing or misshapen.
    pub fn load(dir: impl AsRef<Path>) -> Result<(Self, Option<AdapterOrigin>)> {
        let dir = dir.as_ref();
        let path = dir.join(CONFIG_FILE);
        let config: PeftConfig = atomic::read_json(&path)?;
        if let Some((key, what)) = config.unsupported() {
            return Err(Error::config(&path, key, format!("{what} is not something orbit computes")));
        }
        let (rank, alpha, dropout) = (config.r, config.lora_alpha, config.lora_dropout);
        let lora = LoraConfig { rank, alpha, dropout, targets: Vec::new() };
        lora.check().map_err(|(key, reason)| Error::config(&path, peft_key(key), reason))?;
        let factors = factors(&dir.join(ADAPTER_FILE), rank)?;
        let lora = LoraConfig { targets: config.targets(&factors), ..lora };
        let origin = dir.join(ORIGIN_FILE);
        let origin = if origin.exists() { Some(atomic::read_json(&origin)?) } else { None };
        Ok((Self { config: lora, factors }, origin))
    }

    /// The targets as PEFT reads them: a pattern becomes the names of the layers that it stands for.
    fn target_modules(&self) -> Vec<String> {
        if self.config.targets.iter().any(|target| target.contains(['*', '?', '[', '{'])) {
            return self.factors.keys().cloned().collect();
        }
        self.config.targets.clone()
    }
}

impl PeftConfig {
    fn unsupported(&self) -> Option<(&'static str, String)> {
        if self.peft_type != "LORA" {
            return Some(("peft_type", self.peft_type.clone()));
        }
        if self.bias != "none" {
            return Some(("bias", format!("\"{}\"", self.bias)));
        }
        let asked = |key: &&str| self.others.get(*key).is_some_and(|value| !is_nothing(value));
        if let Some(key) = UNSUPPORTED.into_iter().find(asked) {
            return Some((key, format!("what {} asks for", self.others[key])));
        }
        let init = self.others.get("init_lora_weights").and_then(Value::as_str).unwrap_or_default();
        let changes = OTHER_BASE.iter().any(|way| init.to_lowercase().starts_with(way));
        changes.then(|| ("init_lora_weights", format!("a base that was changed as \"{init}\" does it")))
    }

    /// The targets as orbit reads them. Where they are more than a list of names: the layers that there are factors of.
    fn targets(&self, factors: &BTreeMap<String, [Array; 2]>) -> Vec<String> {
        let narrowed = NARROWING.iter().any(|key| self.others.get(*key).is_some_and(|value| !is_nothing(value)));
        match &self.target_modules {
            Value::Array(names) if !narrowed => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => factors.keys().cloned().collect(),
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// What PEFT calls a key of [`LoraConfig`].
fn peft_key(key: &'static str) -> &'static str {
    match key {
        "rank" => "r",
        "alpha" => "lora_alpha",
        "dropout" => "lora_dropout",
        other => other,
    }
}

/// A and B of every layer in a file of factors.
fn factors(path: &Path, rank: usize) -> Result<BTreeMap<String, [Array; 2]>> {
    let mut factors: BTreeMap<String, [Array; 2]> = BTreeMap::new();
    for (name, array) in Weights::read_file(path)?.tensors {
        let layer = name.strip_prefix(PREFIX);
        let place = FACTORS.iter().enumerate().find_map(|(at, end)| Some((at, layer?.strip_suffix(end)?)));
        let Some((at, layer)) = place else {
            return Err(Error::tensor(path, &name, "is not a factor of a low-rank adapter"));
        };
        if let Some(tensor) = NotFinite::of(&name, &array) {
            return Err(Error::NotFinite { path: path.to_owned(), tensors: vec![tensor] });
        }
        let narrow = array.shape.get(at) == Some(&rank) && array.shape.len() == 2;
        if !narrow {
            return Err(Error::tensor(path, &name, format!("has shape {:?}, not rank {rank}", array.shape)));
        }
        factors.entry(layer.to_owned()).or_default()[at] = array;
    }
    if factors.is_empty() {
        return Err(Error::adapter(format!("{}: there is no factor in it", path.display())));
    }
    if let Some((layer, _)) = factors.iter().find(|(_, factors)| factors.iter().any(|array| array.shape.is_empty())) {
        return Err(Error::tensor(path, layer, "has only one of its two factors"));
    }
    Ok(factors)
}

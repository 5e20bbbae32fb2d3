//! An adapter as a PEFT directory: `adapter_config.json` and `adapter_model.safetensors`, which `peft` loads as they are.
//!
//! `orbit.json` beside them says which weights the adapter was trained on.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Adapter, LoraConfig};
use crate::atomic;
use crate::weights::{Array, Dtype, Weights};
use crate::{Error, Result};

/// The file of an adapter's factors.
pub const ADAPTER_FILE: &str = "adapter_model.safetensors";
const CONFIG_FILE: &str = "adapter_config.json";
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

/// The keys of `adapter_config.json` that bear on the computation.
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
    fan_in_fan_out: bool,
    #[serde(default)]
    inference_mode: bool,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    rank_pattern: BTreeMap<String, usize>,
    #[serde(default)]
    alpha_pattern: BTreeMap<String, f64>,
    #[serde(default)]
    modules_to_save: Option<Vec<String>>,
}

fn no_bias() -> String {
    "none".into()
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
            fan_in_fan_out: false,
            inference_mode: true,
            use_rslora: false,
            use_dora: false,
            rank_pattern: BTreeMap::new(),
            alpha_pattern: BTreeMap::new(),
            modules_to_save: None,
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
    /// whole modules), and when factors are missing or misshapen.
    pub fn load(dir: impl AsRef<Path>) -> Result<(Self, Option<AdapterOrigin>)> {
        let dir = dir.as_ref();
        let path = dir.join(CONFIG_FILE);
        let config: PeftConfig = atomic::read_json(&path)?;
        if let Some((key, what)) = config.unsupported() {
            return Err(Error::config(&path, key, format!("{what} is not something orbit computes")));
        }
        let targets = match &config.target_modules {
            Value::Array(names) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let lora = LoraConfig { rank: config.r, alpha: config.lora_alpha, dropout: config.lora_dropout, targets };
        lora.check().map_err(|(key, reason)| Error::config(&path, key, reason))?;
        let factors = factors(&dir.join(ADAPTER_FILE), lora.rank)?;
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
        let flags = [
            ("use_dora", self.use_dora),
            ("use_rslora", self.use_rslora),
            ("fan_in_fan_out", self.fan_in_fan_out),
            ("rank_pattern", !self.rank_pattern.is_empty()),
            ("alpha_pattern", !self.alpha_pattern.is_empty()),
            ("modules_to_save", self.modules_to_save.as_ref().is_some_and(|modules| !modules.is_empty())),
        ];
        flags.into_iter().find(|(_, set)| *set).map(|(key, _)| (key, "what it asks for".to_owned()))
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
        let narrow = array.shape.get(at) == Some(&rank) && array.shape.len() == 2;
        if !narrow {
            return Err(Error::tensor(path, &name, format!("has shape {:?}, not rank {rank}", array.shape)));
        }
        factors.entry(layer.to_owned()).or_default()[at] = array;
    }
    if let Some((layer, _)) = factors.iter().find(|(_, factors)| factors.iter().any(|array| array.shape.is_empty())) {
        return Err(Error::tensor(path, layer, "has only one of its two factors"));
    }
    Ok(factors)
}

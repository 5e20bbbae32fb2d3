//! The switch of SwitchCIT (arXiv 2407.11780): a small network that reads a frozen model's features of a prompt and says which
//! task, and so which adapter, the prompt is for.

use std::path::Path;

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData, activation};
use orbit_core::kernel::cross_entropy;
use orbit_core::{Input, Model, check_tokens, pick};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dense::Dense;
use crate::weights::{Dtype, Weights};
use crate::{Error, Result};

/// Units between the features and the tasks, as in the paper.
pub const HIDDEN: usize = 200;

/// The file of a switch's weights.
pub const SWITCH_FILE: &str = "switch.safetensors";

/// How a switch is trained. The defaults are those of the authors' code.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SwitchTraining {
    /// Passes over the examples. Default: 20.
    pub epochs: usize,
    /// Examples a step. Default: 32.
    pub batch: usize,
    /// Of AdamW. Default: 1e-3.
    pub learning_rate: f64,
    /// Seeds the first weights and the order. Default: 0.
    pub seed: u64,
}

impl Default for SwitchTraining {
    fn default() -> Self {
        Self { epochs: 20, batch: 32, learning_rate: 1e-3, seed: 0 }
    }
}

/// Linear(d, 200), ReLU, Linear(200, tasks).
#[derive(Module, Debug)]
pub struct Switch {
    /// `[200, d]` and `[200]`.
    first: Dense,
    /// `[tasks, 200]` and `[tasks]`.
    second: Dense,
}

/// Where a prompt goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// The number of the likeliest task.
    pub task: usize,
    /// Its probability, which a threshold can be put to.
    pub probability: f64,
}

impl Route {
    /// The adapter to go through: that of the task, or none, which is the model as it is, below the threshold.
    pub fn adapter(&self, threshold: f64) -> Option<usize> {
        (self.probability >= threshold).then_some(self.task)
    }
}

impl Switch {
    /// Trains a switch on features, a row an example, and the number of each row's task.
    ///
    /// # Errors
    /// Without examples, when rows differ in length, or when a task has no example: such a switch would never choose it.
    pub fn train(features: &[Vec<f32>], tasks: &[usize], how: &SwitchTraining, device: &Device) -> Result<Self> {
        let width = features.first().map_or(0, Vec::len);
        let count = tasks.iter().max().map_or(0, |last| last + 1);
        if features.len() != tasks.len() || width == 0 || features.iter().any(|row| row.len() != width) {
            return Err(Error::adapter("a switch needs features of one length, and a task for each"));
        }
        if let Some(missing) = (0..count).find(|task| !tasks.contains(task)) {
            return Err(Error::adapter(format!(
                "task {missing}, from 0, has no example: the switch would never choose it"
            )));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(how.seed);
        let device = device.clone().autodiff();
        let mut switch = Self {
            first: Dense::new(&mut rng, HIDDEN, width, &device),
            second: Dense::new(&mut rng, count, HIDDEN, &device),
        };
        let mut optimizer = AdamWConfig::new().with_weight_decay(0.01).init();
        let mut order: Vec<usize> = (0..features.len()).collect();
        for _ in 0..how.epochs {
            order.shuffle(&mut rng);
            for batch in order.chunks(how.batch.max(1)) {
                let rows = batch.iter().map(|&at| features[at].as_slice());
                let targets: Vec<u32> = batch.iter().map(|&at| tasks[at] as u32).collect();
                let scores = switch.scores(rows_tensor(rows, width, &device));
                let loss = cross_entropy(scores, &targets, 1.0 / batch.len() as f32);
                let grads = GradientsParams::from_grads(loss.backward(), &switch);
                switch = optimizer.step(how.learning_rate, switch, grads);
            }
        }
        Ok(switch.valid())
    }

    /// Where each row of features goes.
    pub fn route(&self, features: &[Vec<f32>]) -> Vec<Route> {
        if features.is_empty() {
            return Vec::new();
        }
        let width = self.first.weight.val().dims()[1];
        let rows = rows_tensor(features.iter().map(Vec::as_slice), width, &self.first.weight.val().device());
        let probabilities = activation::softmax(self.scores(rows), 1);
        let tasks = probabilities.dims()[1];
        let probabilities: Vec<f32> = probabilities.into_data().try_into_vec().unwrap_or_default();
        probabilities.chunks_exact(tasks).map(likeliest).collect()
    }

    /// How many tasks it tells apart.
    pub fn tasks(&self) -> usize {
        self.second.bias.val().dims()[0]
    }

    /// Features a prompt.
    pub fn width(&self) -> usize {
        self.first.weight.val().dims()[1]
    }

    /// Writes the weights into `dir`, which must be there, under the names of PyTorch's `nn.Sequential`.
    ///
    /// # Errors
    /// When the system refuses to write.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<()> {
        let named = [("0", &self.first), ("2", &self.second)].into_iter().flat_map(|(name, layer)| layer.arrays(name));
        Weights { tensors: named.collect() }.write_file(dir.as_ref().join(SWITCH_FILE), Dtype::F32)
    }

    /// Reads what [`Switch::save`] wrote.
    ///
    /// # Errors
    /// When the file is not there, or not one of a switch.
    pub fn load(dir: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = dir.as_ref().join(SWITCH_FILE);
        let mut weights = Weights::read_file(&path)?;
        let mut layer = |name: &str| -> Result<Dense> {
            let mut take = |part: &str| {
                let name = format!("{name}.{part}");
                weights.tensors.remove(&name).ok_or_else(|| Error::tensor(&path, name, "is missing"))
            };
            let (weight, bias) = (take("weight")?, take("bias")?);
            if weight.shape.len() != 2 || weight.data.is_empty() || bias.shape != weight.shape[..1] {
                return Err(Error::tensor(&path, name, "is not a linear layer"));
            }
            Ok(Dense::of(weight, bias, device))
        };
        let switch = Self { first: layer("0")?, second: layer("2")? };
        if switch.second.weight.val().dims()[1] != switch.first.bias.val().dims()[0] {
            return Err(Error::tensor(&path, "2.weight", "does not follow 0.weight"));
        }
        Ok(switch)
    }

    fn scores(&self, features: Tensor<2>) -> Tensor<2> {
        self.second.forward(activation::relu(self.first.forward(features)))
    }
}

/// The features of prompts: the last hidden state of the last token, `[d]` each. Of a longer prompt the last `longest` tokens
/// are read, so that what asks for the answer is always seen.
///
/// # Errors
/// For an empty prompt, or a token that the model has not.
pub fn features<M: Model>(
    model: &M,
    prompts: &[Vec<u32>],
    longest: usize,
    batch: usize,
) -> orbit_core::Result<Vec<Vec<f32>>> {
    if let Some(at) = prompts.iter().position(Vec::is_empty) {
        return Err(orbit_core::Error::Input(format!("prompt {at} is empty")));
    }
    let prompts: Vec<&[u32]> = prompts.iter().map(|prompt| &prompt[prompt.len().saturating_sub(longest)..]).collect();
    prompts.iter().try_for_each(|prompt| check_tokens(prompt, model.vocabulary()))?;
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by_key(|&at| prompts[at].len());
    let mut found = vec![Vec::new(); prompts.len()];
    for batch in order.chunks(batch.max(1)) {
        let rows: Vec<&[u32]> = batch.iter().map(|&at| prompts[at]).collect();
        let input: Input = crate::generate::prompt_rows(&rows);
        let width = input.width;
        let last: Vec<u32> =
            rows.iter().enumerate().map(|(row, prompt)| (row * width + prompt.len() - 1) as u32).collect();
        let hidden = model.hidden(&input);
        let [b, t, d] = hidden.dims();
        let states = pick(hidden.reshape([b * t, d]), &last);
        let states: Vec<f32> = states.into_data().convert::<f32>().try_into_vec().unwrap_or_default();
        for (&at, state) in batch.iter().zip(states.chunks_exact(d)) {
            found[at] = state.to_vec();
        }
    }
    Ok(found)
}

fn rows_tensor<'a>(rows: impl Iterator<Item = &'a [f32]>, width: usize, device: &Device) -> Tensor<2> {
    let entries: Vec<f32> = rows.flatten().copied().collect();
    let count = entries.len() / width.max(1);
    Tensor::from_data(TensorData::new(entries, [count, width]), device)
}

fn likeliest(probabilities: &[f32]) -> Route {
    let better = |best: usize, (at, &p): (usize, &f32)| if p > probabilities[best] { at } else { best };
    let task = probabilities.iter().enumerate().fold(0, better);
    Route { task, probability: f64::from(probabilities[task]) }
}

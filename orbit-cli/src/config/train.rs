use orbit_core::AdamW;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::range::{self, Fault, fault};

/// The optimizer is AdamW (arXiv 1711.05101).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Train {
    /// Optimizer steps. Default: 300.
    pub steps: u64,
    /// Examples an optimizer step. Default: 8, or the next multiple of `micro_batch`.
    pub batch: usize,
    /// Examples a forward pass; divides `batch`. Less takes less memory and changes nothing else. Default: `batch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<usize>,
    /// The learning rate after the warm-up. Default: 3e-4.
    pub learning_rate: f64,
    /// Steps over which the learning rate rises from 0. Default: 10, or all steps where there are fewer.
    pub warmup: u64,
    /// What the learning rate does after the warm-up. Default: constant.
    pub schedule: Schedule,
    /// Decoupled decay towards zero. Default: 0.
    pub weight_decay: f64,
    /// Decay of the gradient's running mean. Default: 0.9.
    pub beta1: f64,
    /// Decay of the squared gradient's running mean. Default: 0.999.
    pub beta2: f64,
    /// Added to the root, against division by zero. Default: 1e-8.
    pub epsilon: f64,
    /// What is minimised over the tokens of the answers. Default: cross_entropy.
    pub loss: Loss,
    /// Examples from which hooks have estimated what each parameter matters, where one asks. Default: 200.
    pub estimate_examples: usize,
    /// The largest global norm of the gradient; `inf` does not clip. Default: 1.
    pub max_norm: f64,
    /// Every so many steps drift is measured for the log, where no hook reports it. Default: 10.
    pub drift_every: u64,
    /// Every so many steps a checkpoint is saved; 0: at the end only. Default: 0, or 100 for a guard that goes back to checkpoints.
    pub save_every: u64,
    /// How many checkpoints are kept, the newest ones. Default: 2.
    pub keep: usize,
    /// Whether the checkpoint with the lowest loss is kept too: the mean over the 20 steps before it. Default: true.
    pub keep_best: bool,
    /// What a checkpoint does that the disk does not take; the one before stays in any case. A line of `metrics.jsonl` that it does
    /// not take stops the run. Default: stop.
    pub on_failed_save: OnFailedSave,
    /// What becomes of rows that have more tokens than the model has positions. Default: refuse.
    pub too_long: TooLong,
    /// Looks out for spikes of the loss. Default: nothing does; a loss or gradient that is not finite stops the run in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardSection>,
}

/// What a checkpoint does that the disk does not take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnFailedSave {
    /// Stops the run.
    #[default]
    Stop,
    /// Says so and trains on, until the next one.
    GoOn,
}

/// What becomes of rows that have more tokens than the model has positions, of a model whose positions have an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TooLong {
    /// Nothing is trained or measured.
    #[default]
    Refuse,
    /// They are made shorter: a history keeps its last items, a text or an input its beginning.
    Cut,
}

/// A spike is a step whose loss or gradient norm is above mean + `sigmas` · deviation of the last `window` steps.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct GuardSection {
    /// Steps that a step is compared with; half of them have to be there. Default: 128.
    pub window: usize,
    /// Deviations above the mean that are too many. Default: 6.
    pub sigmas: f64,
    /// What is done. Default: stop.
    pub on_spike: OnSpike,
}

/// What is done about a spike. The report has their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnSpike {
    /// Stops the run before the update, and says what was seen.
    #[default]
    Stop,
    /// Says so and goes on.
    Warn,
    /// Makes no update with this batch.
    Skip,
    /// Goes back to the last checkpoint, and on from there with the batches after this one. At most eight times a run.
    Rollback,
}

impl Default for GuardSection {
    fn default() -> Self {
        Self { window: 128, sigmas: 6.0, on_spike: OnSpike::Stop }
    }
}

/// What the learning rate does after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Schedule {
    /// Stays.
    #[default]
    Constant,
    /// Falls to a tenth along half a cosine.
    Cosine,
}

/// What is minimised over the tokens of the answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Loss {
    /// −log p of each token.
    #[default]
    CrossEntropy,
    /// −log p of each token, times p taken as a constant: dynamic fine-tuning (arXiv 2508.05629). With the hook `kl` it is ASFT
    /// (arXiv 2509.23753).
    Dynamic,
}

impl Default for Train {
    fn default() -> Self {
        Self {
            steps: 300,
            batch: 8,
            micro_batch: None,
            learning_rate: 3e-4,
            warmup: 10,
            schedule: Schedule::Constant,
            weight_decay: 0.0,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            loss: Loss::CrossEntropy,
            estimate_examples: 200,
            max_norm: 1.0,
            drift_every: 10,
            save_every: 0,
            keep: 2,
            keep_best: true,
            on_failed_save: OnFailedSave::Stop,
            too_long: TooLong::Refuse,
            guard: None,
        }
    }
}

/// Steps between the checkpoints that a guard goes back to, where nobody says otherwise.
const ROLLBACK_EVERY: u64 = 100;

impl Train {
    /// Fits the defaults of the keys that are not `given` to those that are.
    pub(super) fn fit_defaults(&mut self, given: Option<&toml::Table>) {
        let is_default = |key: &str| given.is_none_or(|given| !given.contains_key(key));
        if is_default("warmup") {
            self.warmup = self.warmup.min(self.steps);
        }
        if let Some(rows) = self.micro_batch.filter(|&rows| rows > 0 && is_default("batch")) {
            self.batch = self.batch.checked_next_multiple_of(rows).unwrap_or(rows);
        }
        if self.rolls_back() && is_default("save_every") {
            self.save_every = ROLLBACK_EVERY;
        }
        self.micro_batch.get_or_insert(self.batch);
    }

    /// Whether a spike of the loss sends the run back to its last checkpoint.
    pub(crate) fn rolls_back(&self) -> bool {
        self.guard.as_ref().is_some_and(|guard| guard.on_spike == OnSpike::Rollback)
    }

    /// Examples a forward pass.
    pub(crate) fn micro_batch(&self) -> usize {
        self.micro_batch.unwrap_or(self.batch)
    }

    /// The optimizer these keys describe.
    pub(crate) fn optimizer(&self) -> AdamW {
        let Self { beta1, beta2, epsilon, weight_decay, .. } = *self;
        AdamW { beta1, beta2, epsilon, weight_decay, max_norm: Some(self.max_norm).filter(|norm| norm.is_finite()) }
    }

    /// The learning rate over the steps.
    pub(crate) fn schedule(&self) -> orbit_core::Schedule {
        let decay = match self.schedule {
            Schedule::Constant => orbit_core::Decay::Constant,
            Schedule::Cosine => orbit_core::Decay::Cosine,
        };
        let Self { learning_rate, warmup, steps, .. } = *self;
        orbit_core::Schedule { learning_rate, warmup, decay, total: steps }
    }

    /// The loss.
    pub(crate) fn loss(&self) -> orbit_core::Loss {
        match self.loss {
            Loss::CrossEntropy => orbit_core::Loss::CrossEntropy,
            Loss::Dynamic => orbit_core::Loss::Dynamic,
        }
    }

    /// The guard. A run that goes back makes no update with what it flees from.
    pub(crate) fn guard(&self) -> Option<orbit_core::Guard> {
        let GuardSection { window, sigmas, on_spike } = *self.guard.as_ref()?;
        let on_spike = match on_spike {
            OnSpike::Stop => orbit_core::OnSpike::Stop,
            OnSpike::Warn => orbit_core::OnSpike::Go,
            OnSpike::Skip | OnSpike::Rollback => orbit_core::OnSpike::Skip,
        };
        Some(orbit_core::Guard { window, sigmas, on_spike })
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        range::at_least_one("train.steps", self.steps)?;
        range::at_least_one("train.batch", self.batch)?;
        range::at_least_one("train.micro_batch", self.micro_batch())?;
        range::at_least_one("train.drift_every", self.drift_every)?;
        range::at_least_one("train.keep", self.keep)?;
        range::at_least_one("train.estimate_examples", self.estimate_examples)?;
        range::above_zero("train.learning_rate", self.learning_rate)?;
        range::finite("train.learning_rate", self.learning_rate)?;
        range::above_zero("train.epsilon", self.epsilon)?;
        range::finite("train.epsilon", self.epsilon)?;
        range::above_zero("train.max_norm", self.max_norm)?;
        range::decay("train.beta1", self.beta1)?;
        range::decay("train.beta2", self.beta2)?;
        range::finite("train.weight_decay", self.weight_decay)?;
        if self.weight_decay < 0.0 {
            return fault("train.weight_decay", format!("must be 0 or above, got {}", self.weight_decay));
        }
        if let Some(guard) = &self.guard {
            range::above_zero("train.guard.sigmas", guard.sigmas)?;
            range::finite("train.guard.sigmas", guard.sigmas)?;
            if guard.window < 2 {
                return fault("train.guard.window", format!("must be at least 2, got {}", guard.window));
            }
            if self.rolls_back() && self.save_every == 0 {
                return fault("train.guard.on_spike", "goes back to checkpoints: set train.save_every above 0");
            }
        }
        if !self.batch.is_multiple_of(self.micro_batch()) {
            let reason =
                format!("must be a multiple of train.micro_batch, got {} and {}", self.batch, self.micro_batch());
            return fault("train.batch", reason);
        }
        if self.warmup > self.steps {
            let reason = format!("must be at most train.steps, got {} and {}: lower it", self.warmup, self.steps);
            return fault("train.warmup", reason);
        }
        Ok(())
    }
}

//! The training loop, one step at a time. The caller owns the loop.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use orbit_hook::{ForwardPlan, Phases, Step};
use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::arithmetic::{Reduce, Update, read, reduce, update};
use crate::directions::Directions;
use crate::estimate::Estimate;
use crate::guard::{Guard, GuardState, OnSpike, Spike};
use crate::kernel::{cross_entropy, dynamic_cross_entropy, pick, scramble};
use crate::model::check_tokens;
use crate::optim::{Moments, global_norm};
use crate::parameters::Trained;
use crate::pass::TrainPass;
use crate::space::Vectors;
use crate::stack::{Entry, Log, Stack};
use crate::{AdamW, Error, Input, MicroBatch, Model, Result, Schedule};

/// Where batches come from. The batch of a step depends on the step's number alone, so that a resumed run sees the same.
pub trait Batches {
    /// The micro-batches of a step, counted from 1; `None` ends the run.
    fn batch(&mut self, step: u64) -> Result<Option<Vec<MicroBatch>>>;
}

impl<F: FnMut(u64) -> Result<Option<Vec<MicroBatch>>>> Batches for F {
    fn batch(&mut self, step: u64) -> Result<Option<Vec<MicroBatch>>> {
        self(step)
    }
}

/// A model in training.
///
/// ```
/// use burn::module::{Module, Param};
/// use burn::tensor::{Device, Tensor};
/// use orbit_core::hook::ParamKind;
/// use orbit_core::{AdamW, Decay, Fit, Input, MicroBatch, Model, Schedule};
///
/// /// Guesses a token from the one before it.
/// #[derive(Module, Debug)]
/// struct Bigram {
///     table: Param<Tensor<2>>,
/// }
///
/// impl Model for Bigram {
///     fn hidden(&self, input: &Input) -> Tensor<3> {
///         let table = self.table.val();
///         let ids = input.ids(&table.device()).reshape([-1]);
///         table.select(0, ids).reshape([input.rows, input.width, 4])
///     }
///     fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
///         hidden
///     }
///     fn base_vocabulary(&self) -> usize {
///         4
///     }
///     fn kind(&self, _: &str) -> ParamKind {
///         ParamKind::Base
///     }
/// }
///
/// let table = Param::from_tensor(Tensor::zeros([4, 4], &orbit_core::device("flex")?));
/// let counting = |_: u64| {
///     let row = MicroBatch {
///         rows: 1,
///         width: 4,
///         tokens: vec![0, 1, 2, 3],
///         lengths: vec![4],
///         answers: vec![1],
///         examples: vec![0],
///     };
///     Ok(Some(vec![row]))
/// };
/// let schedule = Schedule { learning_rate: 0.5, warmup: 1, decay: Decay::Constant, total: 20 };
/// let mut fit = Fit::new(Bigram { table }, Vec::new(), counting, AdamW::default(), schedule)?;
/// let mut losses = Vec::new();
/// while let Some(report) = fit.step()? {
///     losses.push(report.loss); // and log, evaluate, save: the caller's code
/// }
/// assert!((losses[0] - 4.0_f64.ln()).abs() < 1e-6 && losses[19] < 0.01);
/// # Ok::<(), orbit_core::Error>(())
/// ```
pub struct Fit<M, B> {
    /// Hollow while hooks hold its parameters.
    pub(crate) model: M,
    /// The model with the original weights, when a hook adds to the loss.
    frozen: Option<M>,
    pub(crate) vectors: Vectors,
    pub(crate) stack: Stack,
    pub(crate) moments: Moments,
    /// What hooks have added to activations.
    directions: Directions,
    device: Device,
    batches: B,
    optimizer: AdamW,
    schedule: Schedule,
    loss: Loss,
    /// Seeds dropout.
    seed: u64,
    /// Examples that an estimate of what parameters matter is made from.
    estimate_examples: usize,
    /// The digest of the first stage's origin, once somebody has asked.
    pub(crate) run_origin: OnceLock<String>,
    guard: Option<Guard>,
    pub(crate) guarded: GuardState,
    /// The hooks that changed something in the last step.
    last_acted: Vec<String>,
    /// Steps done, in this stage.
    pub(crate) done: u64,
    pub(crate) finished: bool,
    /// Set while a step runs, and left so by one that failed: weights, moments and hooks may then be of no one step.
    pub(crate) torn: bool,
    finish_log: Log,
}

/// What the task's loss is, over the answer tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loss {
    /// −log p of each token.
    #[default]
    CrossEntropy,
    /// −log p of each token, times p taken as a constant: dynamic fine-tuning (DFT, arXiv 2508.05629). With a hook that holds
    /// the output distribution near the original's it is ASFT (arXiv 2509.23753).
    Dynamic,
}

/// What the origin is in a stage after the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageOrigin {
    /// The weights that the stage begins with.
    Stage,
    /// Those that the run began with.
    Run,
}

/// A stage after the first: other batches, another schedule, a fresh optimizer.
pub struct Stage<M, B> {
    /// What it trains on.
    pub batches: B,
    /// Its learning rate.
    pub schedule: Schedule,
    /// Seeds what is random within its steps.
    pub seed: u64,
    /// What its hooks measure from.
    pub origin: StageOrigin,
    /// A model to go on with, which then is its own origin: it has the same parameters in training, such as fresh adapters on a
    /// base that the last ones were merged into. None goes on with the weights as they are.
    pub model: Option<M>,
}

/// What happened in one step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct StepReport {
    /// Its number, from 1.
    pub step: u64,
    /// The task's mean loss over the answer tokens, in nats a token.
    pub loss: f64,
    /// What hooks added to the loss, by `hook.term`, weighted.
    pub terms: Log,
    /// The learning rate.
    pub learning_rate: f64,
    /// The gradient's global L2 norm before clipping.
    pub gradient_norm: f64,
    /// What hooks reported, by `hook.key`.
    pub log: Log,
    /// The hooks that changed gradients or weights.
    pub acted: Vec<String>,
    /// What the guard says of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub spike: Option<Spike>,
    /// Tokens that were not padding.
    pub tokens: usize,
    /// Tokens that were.
    pub padding: usize,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Of these, the seconds spent in the `gradients` and `weights` phases of hooks.
    pub hook_seconds: f64,
}

/// How far the weights are from the original, over the parameters that have one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// ‖θ − θ₀‖₂.
    pub l2: f64,
    /// The share of entries whose sign differs.
    pub flips: f64,
}

impl<M: Model, B: Batches> Fit<M, B> {
    /// Makes the model's weights the origin, and attaches the hooks in the order given.
    pub fn new(model: M, hooks: Vec<Entry>, batches: B, optimizer: AdamW, schedule: Schedule) -> Result<Self> {
        optimizer.check()?;
        let trained = Trained::of(&model);
        if trained.params.is_empty() {
            return Err(Error::Input("the model has no parameter that training changes".into()));
        }
        let (hollow, initial) = trained.take(model);
        let mut vectors = Vectors::new(trained, initial);
        let moments = Moments::zeros(&vectors.weights);
        let device = vectors.weights[0].device();
        let stack = Stack::attach(hooks, &mut vectors)?;
        let frozen = stack.has(Phases::LOSS).then(|| original(hollow.clone(), &vectors));
        let mut fit = Self {
            model: hollow,
            frozen,
            vectors,
            stack,
            moments,
            directions: Directions::default(),
            device,
            batches,
            optimizer,
            schedule,
            loss: Loss::default(),
            seed: 0,
            estimate_examples: 200,
            run_origin: OnceLock::new(),
            guard: None,
            guarded: GuardState::default(),
            last_acted: Vec::new(),
            done: 0,
            finished: false,
            torn: false,
            finish_log: Log::new(),
        };
        fit.fill();
        Ok(fit)
    }

    /// Trains on another loss than cross-entropy.
    pub fn with_loss(mut self, loss: Loss) -> Self {
        self.loss = loss;
        self
    }

    /// How many examples of a stage hooks have their estimates from, 200 if nobody says. Each costs a forward and a backward pass.
    pub fn with_estimate_examples(mut self, examples: usize) -> Self {
        self.estimate_examples = examples;
        self
    }

    /// Seeds what is random within a step, which is dropout.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Looks out for spikes of the loss, if there is a guard.
    ///
    /// # Errors
    /// For a window or a threshold that cannot be.
    pub fn with_guard(mut self, guard: Option<Guard>) -> Result<Self> {
        guard.as_ref().map_or(Ok(()), Guard::check)?;
        self.guard = guard;
        Ok(self)
    }

    /// Begins the next stage. Steps count from 1 again; hooks are attached again and keep what they know.
    ///
    /// # Errors
    /// When the stage before has not finished, a parameter differs, or a hook refuses.
    pub fn next_stage(&mut self, stage: Stage<M, B>) -> Result<()> {
        if !self.finished || self.torn {
            return Err(Error::Input("the stage before has not finished".into()));
        }
        // What it began from, before that is gone.
        self.origin_digest();
        let replaced = stage.model.is_some();
        if let Some(model) = stage.model {
            let trained = Trained::of(&model);
            if trained.params != self.vectors.trained.params {
                return Err(Error::Input("the next stage's model has other parameters in training".into()));
            }
            self.model = model;
        }
        self.hollow();
        if replaced || stage.origin == StageOrigin::Stage {
            self.vectors.set_origin();
            self.frozen = self.stack.has(Phases::LOSS).then(|| original(self.model.clone(), &self.vectors));
        }
        self.moments = Moments::zeros(&self.vectors.weights);
        let attached = self.stack.attach_again(&mut self.vectors);
        self.fill();
        attached?;
        (self.batches, self.schedule, self.seed) = (stage.batches, stage.schedule, stage.seed);
        (self.done, self.finished) = (0, false);
        self.guarded = GuardState::default();
        self.finish_log = Log::new();
        Ok(())
    }

    /// One optimizer step; `None` once the batches have ended and the hooks have finished.
    ///
    /// A loss or gradient that is not finite is an error before anything is updated. Once a step has failed, by that or by a
    /// hook, the run is over: hooks may have acted on half of it, so it takes no further step and is not saved. Its last checkpoint is
    /// whole.
    pub fn step(&mut self) -> Result<Option<StepReport>> {
        if self.torn {
            return Err(Error::Torn { step: self.done.saturating_add(1) });
        }
        self.torn = true;
        let report = self.whole_step()?;
        self.torn = false;
        Ok(report)
    }

    fn whole_step(&mut self) -> Result<Option<StepReport>> {
        let start = Instant::now();
        // A checkpoint may say any number.
        let number = self.done.saturating_add(1);
        let batch = if number > self.schedule.total {
            None
        } else {
            self.batches.batch(number.saturating_add(self.guarded.passed_over))?
        };
        let Some(batch) = batch else { return self.finish().map(|()| None) };
        let step = Step { number, total: self.schedule.total, learning_rate: self.schedule.at(number) };

        let mut log = Log::new();
        let (loss, terms) = self.backward(&step, &batch, &mut log)?;
        let norm = self.finite_norm(&step, &batch)?;
        let spike = self.guard.and_then(|guard| guard.look(&mut self.guarded, loss, norm));
        let (acted, hook_seconds) = match (&spike, self.guard.map(|guard| guard.on_spike)) {
            (Some(spike), Some(OnSpike::Stop)) => {
                return Err(Error::Spike { step: number, spike: spike.clone(), batch: rows(&batch) });
            }
            (Some(_), Some(OnSpike::Skip)) => {
                self.vectors.gradients = None;
                (Vec::new(), 0.0)
            }
            _ => {
                self.hollow();
                let updated = self.update(&step, &batch, norm, &mut log);
                self.fill();
                updated?
            }
        };
        self.last_acted.clone_from(&acted);
        self.done = number;

        let tokens = batch.iter().flat_map(|micro| &micro.lengths).sum();
        debug!(step = number, loss, norm, "step");
        Ok(Some(StepReport {
            step: number,
            loss,
            terms,
            learning_rate: step.learning_rate,
            gradient_norm: norm,
            log,
            acted,
            spike,
            tokens,
            padding: batch.iter().map(|micro| micro.tokens.len()).sum::<usize>() - tokens,
            seconds: start.elapsed().as_secs_f64(),
            hook_seconds,
        }))
    }

    /// What hooks reported when they finished, by `hook.key`.
    pub fn finish_log(&self) -> &[(String, f64)] {
        &self.finish_log
    }

    /// Spikes that the guard has seen in this stage, and batches that it has passed over.
    pub fn spikes(&self) -> (u64, u64) {
        (self.guarded.spikes, self.guarded.passed_over)
    }

    /// Goes back to a checkpoint of this stage, and on from there with the batches after those that led here: the run does not
    /// meet the spike again that it fled from. Spikes and batches passed over are counted on.
    ///
    /// # Errors
    /// Those of [`Fit::load`].
    pub fn roll_back(&mut self, dir: impl AsRef<std::path::Path>) -> Result<()> {
        let (from, before) = (self.done, self.spikes());
        self.load(dir)?;
        self.guarded.spikes = before.0;
        // A checkpoint may say any step.
        self.guarded.passed_over = before.1.saturating_add(from.saturating_sub(self.done));
        Ok(())
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.done
    }

    /// The model as it is now, without autodiff. It shares the weights' memory: drop it before the next step, or that step
    /// copies them.
    pub fn model(&self) -> M {
        self.model.valid()
    }

    /// How far the weights are from the original. Two passes over the weights.
    pub fn drift(&self) -> Drift {
        let now = self.vectors.trained.weights(&self.model);
        let pairs: Vec<_> = now.iter().zip(&self.vectors.origin).filter_map(|(w, o)| Some((w, o.as_ref()?))).collect();
        let entries: usize = pairs.iter().map(|(w, _)| w.dims()[0]).sum();
        Drift {
            l2: reduce(Reduce::SquaredDistance, &pairs).sqrt(),
            flips: reduce(Reduce::Flips, &pairs) / entries.max(1) as f64,
        }
    }

    /// On how many steps of this stage each hook changed something, in order. A hook that never did, in any stage, is worth a
    /// warning.
    pub fn acted(&self) -> Vec<(String, u64)> {
        self.stack.0.iter().map(|placed| (placed.name.clone(), placed.acted)).collect()
    }

    /// Forward and backward over the micro-batches; leaves the mean gradient in the vectors. Gives the task's loss and the
    /// terms of hooks.
    fn backward(&mut self, step: &Step, batch: &[MicroBatch], log: &mut Log) -> Result<(f64, Log)> {
        check(step, batch)?;
        let (sites, device, directions) = (self.model.sites(), &self.device, &mut self.directions);
        let plan = self.stack.forward(step, |plan| directions.trace(plan, &sites, device).map(drop))?;
        let answers: usize = batch.iter().map(MicroBatch::answer_tokens).sum();
        let (mut loss, mut terms) = (0.0, Log::new());
        self.vectors.gradients = None;
        for (index, micro) in (0..).zip(batch) {
            let share = micro.answer_tokens() as f64 / answers as f64;
            let noise = scramble(self.seed ^ scramble(step.number ^ scramble(index)));
            let (task, parts) = self.forward(step, &plan, micro, 1.0 / answers as f32, (share, noise), log)?;
            let value = number(&task);
            if !value.is_finite() {
                return Err(self.not_finite(step, "the loss", value, batch));
            }
            loss += value;
            let mut total = task;
            for (name, part) in parts {
                let value = number(&part);
                if !value.is_finite() {
                    return Err(self.not_finite(step, &format!("the loss term {name}"), value, batch));
                }
                add(&mut terms, name, value);
                total = total + part;
            }
            let mut grads = total.backward();
            self.accumulate(self.vectors.trained.gradients(&self.model, &mut grads));
        }
        Ok((loss, terms))
    }

    /// The task's loss over one micro-batch, scaled by `scale`, and the terms of hooks, scaled by `share`.
    fn forward(
        &mut self,
        step: &Step,
        plan: &ForwardPlan,
        micro: &MicroBatch,
        scale: f32,
        (share, noise): (f64, u64),
        log: &mut Log,
    ) -> Result<(Tensor<1>, Vec<(String, Tensor<1>)>)> {
        check_tokens(&micro.tokens, self.model.vocabulary())?;
        let planned = self.directions.trace(plan, &self.model.sites(), &self.device);
        let mut trace = planned.map_err(|e| Error::Input(e.to_string()))?;
        let hidden = self.model.traced(&Input { noise: Some(noise), ..Input::from(micro) }, &mut trace);
        let [rows, width, d] = hidden.dims();
        let hidden = hidden.reshape([rows * width, d]);
        let (positions, targets) = micro.answer_positions();
        let logits = self.model.logits(pick(hidden.clone(), &positions));
        if !self.stack.has(Phases::LOSS) {
            return Ok((self.loss.of(logits, &targets, scale), Vec::new()));
        }
        let task = self.loss.of(logits.clone(), &targets, scale);
        let mut pass =
            TrainPass::new(&self.model, self.frozen.as_ref(), micro, (hidden, logits, trace), &mut self.directions);
        self.stack.loss(step, &mut pass, |pass, hook| pass.turn(hook))?;
        for (key, value) in pass.log {
            add(log, key, value * share);
        }
        Ok((task, pass.terms.into_iter().map(|(name, term)| (name, term.mul_scalar(share))).collect()))
    }

    fn accumulate(&mut self, fresh: Vec<Tensor<1>>) {
        match &mut self.vectors.gradients {
            None => self.vectors.gradients = Some(fresh),
            Some(sum) => {
                for (sum, fresh) in sum.iter_mut().zip(&fresh) {
                    update(Update::Add(1.0), sum, Some(fresh), None);
                }
            }
        }
    }

    /// The error, with where it may have come from: looked for now, since it is the end of the run anyway.
    fn not_finite(&self, step: &Step, what: &str, value: f64, batch: &[MicroBatch]) -> Error {
        let params = &self.vectors.trained.params;
        let first = |tensors: &[Tensor<1>]| {
            let poisoned = |tensor: &Tensor<1>| read(tensor.clone().detach()).iter().any(|entry| !entry.is_finite());
            tensors.iter().position(poisoned).map(|at| params[at].name.as_str())
        };
        let weights = match self.vectors.weights.is_empty() {
            true => &self.vectors.trained.weights(&self.model),
            false => &self.vectors.weights,
        };
        let parameter = if let Some(name) = first(weights) {
            let hooks = self.last_acted.join(", ");
            Some(if hooks.is_empty() {
                name.into()
            } else {
                format!("{name}, which step {} left so with the hooks {hooks}", self.done)
            })
        } else {
            let gradients = self.vectors.gradients.as_deref().unwrap_or(&[]);
            first(gradients).map(|name| format!("the gradient of {name}"))
        };
        Error::NonFinite { step: step.number, what: what.into(), value, parameter, batch: rows(batch) }
    }

    fn finite_norm(&self, step: &Step, batch: &[MicroBatch]) -> Result<f64> {
        let norm = global_norm(self.vectors.gradients.as_deref().unwrap_or(&[]));
        if norm.is_finite() { Ok(norm) } else { Err(self.not_finite(step, "the gradient norm", norm, batch)) }
    }

    /// The hooks' turn on the gradients, the optimizer's update, the hooks' turn on the weights. Gives the hooks that changed
    /// something, and the seconds they took.
    fn update(&mut self, step: &Step, batch: &[MicroBatch], norm: f64, log: &mut Log) -> Result<(Vec<String>, f64)> {
        let start = Instant::now();
        let mut acted = self.stack.in_space(Phases::GRADIENTS, step, &mut self.vectors, log)?;
        let on_gradients = start.elapsed();
        let norm = if acted.is_empty() { norm } else { self.finite_norm(step, batch)? };
        self.descend(step, norm);
        let start = Instant::now();
        for hook in self.stack.in_space(Phases::WEIGHTS, step, &mut self.vectors, log)? {
            if !acted.contains(&hook) {
                acted.push(hook);
            }
        }
        Ok((acted, (on_gradients + start.elapsed()).as_secs_f64()))
    }

    /// The optimizer's update, after which the gradients are gone. `norm` is theirs.
    fn descend(&mut self, step: &Step, norm: f64) {
        let gradients = self.vectors.gradients.take().unwrap_or_default();
        let weights = &mut self.vectors.weights;
        self.optimizer.update(weights, &gradients, &mut self.moments, norm, step.number, step.learning_rate);
    }

    fn finish(&mut self) -> Result<()> {
        if !self.finished {
            let estimates = self.estimates()?;
            self.hollow();
            self.vectors.estimates = estimates;
            let finished = self.stack.finish(&mut self.vectors, &mut self.finish_log);
            self.vectors.estimates.clear();
            let poisoned = self.poisoned();
            self.fill();
            finished?;
            poisoned?;
            self.finished = true;
        }
        Ok(())
    }

    /// That what hooks have made of the weights at the end is finite: no step comes that would find out.
    fn poisoned(&self) -> Result<()> {
        if !self.stack.has(Phases::FINISH) {
            return Ok(());
        }
        let weights = self.vectors.trained.params.iter().zip(&self.vectors.weights);
        weights.into_iter().try_for_each(|(param, entries)| self.check_finite(&param.name, &read(entries.clone())))
    }

    /// What hooks ask to have estimated at the end of a stage, from its first examples.
    fn estimates(&mut self) -> Result<BTreeMap<&'static str, Vec<Tensor<1>>>> {
        let asked: Vec<_> = Phases::ESTIMATES.into_iter().filter(|(phase, _)| self.stack.has(*phase)).collect();
        let mut examples = Vec::new();
        for step in 1..=self.done.min(self.schedule.total) {
            if asked.is_empty() || examples.len() >= self.estimate_examples {
                break;
            }
            let batch = self.batches.batch(step)?.unwrap_or_default();
            examples.extend(batch.iter().flat_map(|micro| (0..micro.rows).map(|row| micro.row(row))));
        }
        examples.truncate(self.estimate_examples);
        if !asked.is_empty() {
            debug!(examples = examples.len(), "estimate");
        }
        let estimate =
            |(phase, name)| Ok((name, Estimate::asked_by(phase).over(&self.model, &self.vectors.trained, &examples)?));
        asked.into_iter().map(estimate).collect()
    }

    /// Takes the weights out of the model.
    pub(crate) fn hollow(&mut self) {
        let (model, weights) = self.vectors.trained.take(self.model.clone());
        self.model = model;
        self.vectors.weights = weights;
    }

    /// Puts the weights into the model.
    pub(crate) fn fill(&mut self) {
        let weights = std::mem::take(&mut self.vectors.weights);
        self.model = self.vectors.trained.put(self.model.clone(), weights, true);
    }
}

impl Loss {
    fn of(self, logits: Tensor<2>, targets: &[u32], scale: f32) -> Tensor<1> {
        match self {
            Self::CrossEntropy => cross_entropy(logits, targets, scale),
            Self::Dynamic => dynamic_cross_entropy(logits, targets, scale),
        }
    }
}

/// The model with its original weights, without autodiff. It shares the origin's memory.
fn original<M: Model>(hollow: M, vectors: &Vectors) -> M {
    let weights =
        vectors.origin.iter().zip(&vectors.weights).map(|(origin, now)| origin.as_ref().unwrap_or(now).clone());
    vectors.trained.put(hollow.valid(), weights.collect(), false)
}

fn check(step: &Step, batch: &[MicroBatch]) -> Result<()> {
    if batch.is_empty() {
        return Err(Error::Input(format!("the batch of step {} is empty", step.number)));
    }
    batch.iter().try_for_each(MicroBatch::check)
}

fn number(scalar: &Tensor<1>) -> f64 {
    read(scalar.clone().inner()).first().copied().map_or(f64::NAN, f64::from)
}

fn add(log: &mut Log, key: String, value: f64) {
    match log.iter_mut().find(|(known, _)| *known == key) {
        Some((_, sum)) => *sum += value,
        None => log.push((key, value)),
    }
}

/// The rows of a batch, by example.
fn rows(batch: &[MicroBatch]) -> String {
    let rows: Vec<String> = batch.iter().flat_map(|micro| &micro.examples).map(usize::to_string).collect();
    rows.join(", ")
}

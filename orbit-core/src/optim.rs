//! AdamW, the learning-rate schedule, and clipping to a global norm.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::arithmetic::{Reduce, reduce};
use crate::{Error, Result};

/// AdamW (Loshchilov and Hutter, arXiv 1711.05101) over f32 master weights, with the gradient clipped to a global norm.
///
/// The update is PyTorch's: w ← w − η λ w − η m̂ / (√v̂ + ε).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamW {
    /// Decay of the gradient's mean.
    pub beta1: f64,
    /// Decay of the squared gradient's mean.
    pub beta2: f64,
    /// Added to the root, against division by zero.
    pub epsilon: f64,
    /// λ, decoupled decay towards zero.
    pub weight_decay: f64,
    /// The largest global L2 norm of the gradient; it is scaled down to it. None does not clip.
    pub max_norm: Option<f64>,
}

impl Default for AdamW {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, max_norm: Some(1.0) }
    }
}

/// How the learning rate goes over the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// Stays at its height.
    Constant,
    /// Falls to a tenth along half a cosine.
    Cosine,
}

/// The learning rate over the steps: a linear warm-up, then constant or cosine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The height.
    pub learning_rate: f64,
    /// Steps until the height is reached.
    pub warmup: u64,
    /// What follows.
    pub decay: Decay,
    /// All steps.
    pub total: u64,
}

impl Schedule {
    /// The learning rate of a step, counted from 1.
    ///
    /// ```
    /// use orbit_core::{Decay, Schedule};
    /// let schedule = Schedule { learning_rate: 1e-3, warmup: 10, decay: Decay::Cosine, total: 110 };
    /// assert_eq!(schedule.at(5), 5e-4);
    /// assert_eq!(schedule.at(10), 1e-3);
    /// assert!((schedule.at(110) - 1e-4).abs() < 1e-12);
    /// ```
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.learning_rate * step as f64 / self.warmup as f64;
        }
        match self.decay {
            Decay::Constant => self.learning_rate,
            Decay::Cosine => {
                let rest = self.total.saturating_sub(self.warmup).max(1);
                let gone = ((step - self.warmup) as f64 / rest as f64).min(1.0);
                self.learning_rate * (0.1 + 0.45 * (1.0 + (std::f64::consts::PI * gone).cos()))
            }
        }
    }
}

/// AdamW's moments for a list of parameters.
#[derive(Debug)]
pub(crate) struct Moments {
    pub(crate) first: Vec<Tensor<1>>,
    pub(crate) second: Vec<Tensor<1>>,
}

impl Moments {
    pub(crate) fn zeros(weights: &[Tensor<1>]) -> Self {
        let zeros = || weights.iter().map(Tensor::zeros_like).collect();
        Self { first: zeros(), second: zeros() }
    }
}

/// The L2 norm over all gradients. One pass.
pub(crate) fn global_norm(gradients: &[Tensor<1>]) -> f64 {
    reduce(Reduce::Dot, &gradients.iter().map(|g| (g, g)).collect::<Vec<_>>()).sqrt()
}

/// The numbers of one update, the same for every entry.
#[derive(Clone, Copy)]
struct Numbers {
    clip: f32,
    beta1: f32,
    beta2: f32,
    keep: f32,
    rate: f32,
    root: f32,
    epsilon: f32,
}

impl AdamW {
    /// Checks ranges.
    pub(crate) fn check(&self) -> Result<()> {
        for (key, value) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::config(key, format!("must be at least 0 and below 1, got {value}")));
            }
        }
        if self.max_norm.is_some_and(|norm| norm.is_nan() || norm <= 0.0) {
            return Err(Error::config("max_norm", "must be above 0"));
        }
        Ok(())
    }

    /// One update of every parameter in place. `norm` is the gradients' global norm, `step` counts from 1.
    pub(crate) fn update(
        &self,
        weights: &mut [Tensor<1>],
        gradients: &[Tensor<1>],
        moments: &mut Moments,
        norm: f64,
        step: u64,
        learning_rate: f64,
    ) {
        let numbers = self.numbers(norm, step, learning_rate);
        for (i, weights) in weights.iter_mut().enumerate() {
            let (first, second) = (&mut moments.first[i], &mut moments.second[i]);
            #[cfg(feature = "flex")]
            if on_flex::update(&numbers, weights, &gradients[i], first, second) {
                continue;
            }
            composed(&numbers, weights, &gradients[i], first, second);
        }
    }

    fn numbers(&self, norm: f64, step: u64, learning_rate: f64) -> Numbers {
        let step = i32::try_from(step).unwrap_or(i32::MAX);
        Numbers {
            clip: self.max_norm.map_or(1.0, |max| (max / (norm + 1e-6)).min(1.0)) as f32,
            beta1: self.beta1 as f32,
            beta2: self.beta2 as f32,
            keep: (1.0 - learning_rate * self.weight_decay) as f32,
            rate: (learning_rate / (1.0 - self.beta1.powi(step))) as f32,
            root: (1.0 - self.beta2.powi(step)).sqrt() as f32,
            epsilon: self.epsilon as f32,
        }
    }
}

fn composed(n: &Numbers, w: &mut Tensor<1>, g: &Tensor<1>, m: &mut Tensor<1>, v: &mut Tensor<1>) {
    let g = g.clone().mul_scalar(n.clip);
    *m = m.clone().mul_scalar(n.beta1) + g.clone().mul_scalar(1.0 - n.beta1);
    *v = v.clone().mul_scalar(n.beta2) + g.square().mul_scalar(1.0 - n.beta2);
    let down = m.clone() / (v.clone().sqrt().div_scalar(n.root) + n.epsilon);
    *w = w.clone().mul_scalar(n.keep) - down.mul_scalar(n.rate);
}

#[cfg(feature = "flex")]
mod on_flex {
    use burn::tensor::Tensor;
    use rayon::prelude::*;

    use super::Numbers;
    use crate::arithmetic::on_flex::{buffer, with_buffer};
    use crate::kernel::lanes::vectorised;

    const ENTRIES_A_TASK: usize = 1 << 14;

    /// Reads four vectors and writes three, once.
    pub(super) fn update(n: &Numbers, w: &mut Tensor<1>, g: &Tensor<1>, m: &mut Tensor<1>, v: &mut Tensor<1>) -> bool {
        let Some(g) = buffer(g) else { return false };
        let g = g.as_slice::<f32>().unwrap_or(&[]);
        with_buffer(w, |w| {
            with_buffer(m, |m| {
                with_buffer(v, |v| {
                    w.par_chunks_mut(ENTRIES_A_TASK)
                        .zip(m.par_chunks_mut(ENTRIES_A_TASK))
                        .zip(v.par_chunks_mut(ENTRIES_A_TASK))
                        .zip(g.par_chunks(ENTRIES_A_TASK))
                        .for_each(|(((w, m), v), g)| vectorised!(update_task(n, w, m, v, g)));
                });
            });
        })
    }

    #[inline(always)]
    fn update_task(n: &Numbers, w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]) {
        for (((w, m), v), g) in w.iter_mut().zip(m).zip(v).zip(g) {
            let g = g * n.clip;
            *m = *m * n.beta1 + g * (1.0 - n.beta1);
            *v = *v * n.beta2 + g * g * (1.0 - n.beta2);
            *w = *w * n.keep - *m / (v.sqrt() / n.root + n.epsilon) * n.rate;
        }
    }
}

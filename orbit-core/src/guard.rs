//! A guard against spikes of the loss: steps whose loss or gradient is far above what it has been.
//!
//! A value is a spike when it is above mean + σs · deviation of the last values, the rule of levanter's `skip_bad_steps` (128 values,
//! 6 deviations). Spikes are left out of the window, or the second would look ordinary. Nothing is judged before half of the window
//! is there (our choice).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What is watched for, and what is done then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guard {
    /// Steps that a value is compared with.
    pub window: usize,
    /// Deviations above the mean that are too many.
    pub sigmas: f64,
    /// What is done.
    pub on_spike: OnSpike,
}

/// What is done about a spike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnSpike {
    /// The step is an error, before its update.
    Stop,
    /// The step goes on.
    Go,
    /// The step makes no update; hooks do not see its gradients.
    Skip,
}

/// What was too high.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spike {
    /// `loss` or `gradient_norm`.
    pub of: String,
    /// What it was.
    pub value: f64,
    /// The mean of the window.
    pub mean: f64,
    /// The standard deviation of the window.
    pub deviation: f64,
    /// Whether the update was left out.
    pub skipped: bool,
}

/// What a guard knows, as checkpoints keep it. Numbers by their bits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GuardState {
    losses: VecDeque<u64>,
    norms: VecDeque<u64>,
    /// Spikes so far.
    pub(crate) spikes: u64,
    /// Batches left out when the run went back, so that it does not meet them again.
    pub(crate) passed_over: u64,
}

impl Guard {
    pub(crate) fn check(&self) -> Result<()> {
        if self.window < 2 {
            return Err(Error::config("window", format!("must be at least 2, got {}", self.window)));
        }
        if !(self.sigmas > 0.0 && self.sigmas.is_finite()) {
            return Err(Error::config("sigmas", format!("must be above 0, got {}", self.sigmas)));
        }
        Ok(())
    }

    /// Looks at a step, and remembers it if it is none.
    pub(crate) fn look(&self, state: &mut GuardState, loss: f64, norm: f64) -> Option<Spike> {
        let spike = [("loss", loss, &state.losses), ("gradient_norm", norm, &state.norms)]
            .into_iter()
            .find_map(|(of, value, window)| self.judge(of, value, window));
        if spike.is_some() {
            state.spikes += 1;
            return spike;
        }
        for (value, window) in [(loss, &mut state.losses), (norm, &mut state.norms)] {
            window.push_back(value.to_bits());
            while window.len() > self.window {
                window.pop_front();
            }
        }
        None
    }

    fn judge(&self, of: &str, value: f64, window: &VecDeque<u64>) -> Option<Spike> {
        if window.len() < self.window.div_ceil(2) {
            return None;
        }
        let count = window.len() as f64;
        let values = || window.iter().copied().map(f64::from_bits);
        let mean = values().sum::<f64>() / count;
        let deviation = (values().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
        let skipped = self.on_spike == OnSpike::Skip;
        (value > mean + self.sigmas * deviation).then(|| Spike { of: of.into(), value, mean, deviation, skipped })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(values: &[f64], guard: &Guard) -> (GuardState, Vec<bool>) {
        let mut state = GuardState::default();
        let spikes = values.iter().map(|&loss| guard.look(&mut state, loss, 1.0).is_some()).collect();
        (state, spikes)
    }

    /// Mean 2 and deviation 1: with 3 deviations, 5 is no spike and 5.1 is one.
    #[test]
    fn a_spike_is_above_the_mean_by_so_many_deviations() {
        let guard = Guard { window: 4, sigmas: 3.0, on_spike: OnSpike::Go };
        let (mut state, spikes) = after(&[1.0, 3.0, 1.0, 3.0], &guard);
        assert_eq!(spikes, [false; 4]);
        assert!(guard.judge("loss", 5.0, &state.losses).is_none());
        let spike = Spike { of: "loss".into(), value: 5.1, mean: 2.0, deviation: 1.0, skipped: false };
        assert_eq!(guard.look(&mut state, 5.1, 1.0), Some(spike));
        assert_eq!(state.spikes, 1);
        assert!(guard.look(&mut state, 5.1, 1.0).is_some(), "the first is not in the window");
        assert!(guard.look(&mut state, 2.0, 9.0).is_some_and(|spike| spike.of == "gradient_norm"));
        assert!(guard.look(&mut state, 0.0, 1.0).is_none(), "a low loss is none");
    }

    #[test]
    fn nothing_is_judged_before_half_of_the_window_is_there() {
        let guard = Guard { window: 6, sigmas: 1.0, on_spike: OnSpike::Go };
        assert_eq!(after(&[1.0, 100.0, 10_000.0, 1e6], &guard).1, [false, false, false, true]);
    }

    #[test]
    fn the_window_forgets() {
        let guard = Guard { window: 2, sigmas: 6.0, on_spike: OnSpike::Go };
        let (state, _) = after(&[3.0, 2.0, 1.0], &guard);
        assert_eq!(state.losses, [2.0, 1.0].map(f64::to_bits));
    }
}

//! `orbit bench --plugin`: what the way into a plugin and back costs.
//!
//! ORBIT built in and ORBIT from a library watch the same weights in turn, in one process, so that whatever slows the machine
//! slows both. Then each watches a model without parameters: what is left is the calls themselves.

use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use anyhow::{Context, Result};
use orbit_core::hook::testing::HostSpace;
use orbit_core::hook::{Hook, Phases, Space, Step};
use orbit_core::{AdamW, Batches, Decay, Entry, Fit, MicroBatch, Schedule};
use orbit_models::Decoder;
use orbit_regularizers::plugin::{Library, Search};
use orbit_regularizers::{Metric, Orbit};
use serde::Serialize;
use serde_json::json;

use super::{config, median};
use crate::args::Bench;
use crate::commands::print;
use crate::machine;
use crate::report::Machine;

/// A drift that is never reached: what is timed is the watching.
const NEVER: f64 = 1.0;

/// Steps on no parameters, for the cost of the calls.
const CALLS: u32 = 50_000;

/// The host calls in one step of ORBIT that merges nothing: `flips`, and four of `log`; and the call into the plugin.
const CALLS_A_STEP: u32 = 6;

const SEED: u64 = 1;

const STEP: Step = Step { number: 1, total: 1, learning_rate: 1e-5 };

#[derive(Serialize)]
struct Measured {
    command: String,
    commit: Option<&'static str>,
    started: String,
    machine: Machine,
    /// Of the random weights.
    seed: u64,
    shape: String,
    device: String,
    plugin: String,
    parameters: usize,
    tensors: usize,
    rounds: usize,
    /// Medians over the rounds.
    built_in_seconds: f64,
    plugin_seconds: f64,
    /// The median over rounds of the plugin's time over the built-in's.
    ratio: f64,
    /// What a call across the boundary adds, in either direction.
    call_nanoseconds: f64,
}

pub(super) fn run(args: &Bench, path: &str) -> Result<()> {
    let started = machine::now();
    let config = config(args.shape);
    let device = orbit_core::device(&args.device)?;
    let library = Library::open(Search::standard("").find(path)?)?;
    let options = json!({"metric": "flips", "max_drift": NEVER});
    let make = || library.hook(options.as_object().context("an object")?).map_err(anyhow::Error::from);

    let model = Decoder::random(config.clone(), SEED, &device.autodiff());
    let tensors = orbit_core::parameters(&model).len();
    let (sender, times) = channel();
    let both = Both { built_in: Box::new(built_in()), plugin: Box::new(make()?), rounds: args.steps, sender };
    let schedule = Schedule { learning_rate: 1e-5, warmup: 1, decay: Decay::Constant, total: 0 };
    // A run without steps ends at once, and lets its hooks act on the weights where they are.
    let mut fit = Fit::new(model, vec![Entry::new(Box::new(both))], NoBatch, AdamW::default(), schedule)?;
    fit.step()?;
    let times: Vec<[f64; 2]> = times.try_iter().collect();

    let measured = Measured {
        command: machine::command_line(),
        commit: option_env!("ORBIT_COMMIT"),
        started,
        machine: machine::describe(),
        seed: SEED,
        shape: format!("{:?}", args.shape).to_lowercase(),
        device: args.device.clone(),
        plugin: library.id().to_owned(),
        parameters: config.parameter_count(),
        tensors,
        rounds: args.steps,
        built_in_seconds: median(times.iter().map(|[built_in, _]| *built_in)),
        plugin_seconds: median(times.iter().map(|[_, plugin]| *plugin)),
        ratio: median(times.iter().map(|[built_in, plugin]| plugin / built_in)),
        call_nanoseconds: call_nanoseconds(&mut make()?)?,
    };
    print(&format!("{}\n", serde_json::to_string(&measured)?))
}

fn built_in() -> Orbit {
    Orbit::new(Metric::Flips, NEVER)
}

struct NoBatch;

impl Batches for NoBatch {
    fn batch(&mut self, _: u64) -> orbit_core::Result<Option<Vec<MicroBatch>>> {
        Ok(None)
    }
}

/// Times two hooks in turn on the space it is given, each first in every other round.
struct Both {
    built_in: Box<dyn Hook>,
    plugin: Box<dyn Hook>,
    rounds: usize,
    sender: Sender<[f64; 2]>,
}

impl Hook for Both {
    fn name(&self) -> &str {
        "both"
    }

    fn phases(&self) -> Phases {
        Phases::FINISH
    }

    fn finish(&mut self, space: &mut dyn Space) -> orbit_core::hook::Result<()> {
        for round in 0..self.rounds {
            let mut seconds = [0.0; 2];
            for turn in [round % 2, 1 - round % 2] {
                let hook = if turn == 0 { &mut self.built_in } else { &mut self.plugin };
                let start = Instant::now();
                hook.weights(&STEP, space)?;
                seconds[turn] = start.elapsed().as_secs_f64();
            }
            let _ = self.sender.send(seconds);
        }
        Ok(())
    }
}

/// On no parameters an operation is its call; what the built-in takes there is taken off.
fn call_nanoseconds(plugin: &mut dyn Hook) -> Result<f64> {
    let mut rounds = Vec::new();
    for _ in 0..5 {
        let seconds = [timed(&mut built_in())?, timed(plugin)?];
        rounds.push((seconds[1] - seconds[0]) * 1e9 / f64::from(CALLS * CALLS_A_STEP));
    }
    Ok(median(rounds.into_iter()))
}

fn timed(hook: &mut dyn Hook) -> Result<f64> {
    let mut space = HostSpace::new(Vec::new(), Vec::new())?;
    space.begin(Phases::WEIGHTS);
    let start = Instant::now();
    for _ in 0..CALLS {
        hook.weights(&STEP, &mut space)?;
    }
    Ok(start.elapsed().as_secs_f64())
}

//! `orbit bench --choices`: what computing a context once saves when its choices are scored.
//!
//! Questions of the size of HellaSwag's, of random tokens, scored in turn as orbit does it, the choices behind one context, and
//! with every choice as a text of its own.

use std::time::Instant;

use anyhow::Result;
use orbit_core::score::{Choices, choices};
use orbit_models::Decoder;
use serde::Serialize;

use super::{config, median};
use crate::args::Bench;
use crate::commands::print;
use crate::machine;
use crate::report::Machine;

const SEED: u64 = 1;
const ITEMS: usize = 50;
const CHOICES: usize = 4;
/// Tokens a forward pass, as evaluation has them if nobody says.
const BATCH_TOKENS: usize = 2048;

#[derive(Serialize)]
struct Measured {
    command: String,
    commit: Option<&'static str>,
    started: String,
    machine: Machine,
    /// Of the random weights and tokens.
    seed: u64,
    shape: String,
    device: String,
    parameters: usize,
    items: usize,
    choices: usize,
    /// Means over the items and the choices.
    context_tokens: f64,
    choice_tokens: f64,
    batch_tokens: usize,
    rounds: usize,
    /// Medians over the rounds.
    shared_seconds: f64,
    separate_seconds: f64,
    shared_items_per_second: f64,
    separate_items_per_second: f64,
    /// The median over rounds of how many times as many items a second are scored with the context computed once.
    ratio: f64,
    /// Of two scores of one choice, over the larger of 1 and the score.
    largest_relative_difference: f64,
}

pub(super) fn run(args: &Bench) -> Result<()> {
    let started = machine::now();
    let config = config(args.shape);
    let model = Decoder::random(config.clone(), SEED, &orbit_core::device(&args.device)?);
    let shared = questions(config.vocab_size);
    let separate: Vec<Choices> = (shared.iter())
        .flat_map(|item| item.continuations.iter().map(|choice| (item.context.clone(), vec![choice.clone()])))
        .map(|(context, continuations)| Choices { context, continuations })
        .collect();
    let mut scores = [Vec::new(), Vec::new()];
    let mut rounds: Vec<[f64; 2]> = Vec::new();
    for _ in 0..args.warmup + args.steps {
        let mut times = [0.0; 2];
        for (which, items) in [&shared, &separate].into_iter().enumerate() {
            let start = Instant::now();
            scores[which] = choices(&model, items, BATCH_TOKENS, &mut |_| {})?.concat();
            times[which] = start.elapsed().as_secs_f64();
        }
        rounds.push(times);
    }
    let rounds = &rounds[args.warmup..];
    let differences = scores[0].iter().zip(&scores[1]).map(|(a, b)| (a - b).abs() / b.abs().max(1.0));
    let tokens = |lengths: &mut dyn Iterator<Item = usize>| lengths.sum::<usize>() as f64;
    let (shared_seconds, separate_seconds) =
        (median(rounds.iter().map(|[shared, _]| *shared)), median(rounds.iter().map(|[_, separate]| *separate)));
    let measured = Measured {
        command: machine::command_line(),
        commit: option_env!("ORBIT_COMMIT"),
        started,
        machine: machine::describe(),
        seed: SEED,
        shape: format!("{:?}", args.shape).to_lowercase(),
        device: args.device.clone(),
        parameters: config.parameter_count(),
        items: ITEMS,
        choices: CHOICES,
        context_tokens: tokens(&mut shared.iter().map(|item| item.context.len())) / ITEMS as f64,
        choice_tokens: tokens(&mut shared.iter().flat_map(|item| item.continuations.iter().map(Vec::len)))
            / (ITEMS * CHOICES) as f64,
        batch_tokens: BATCH_TOKENS,
        rounds: args.steps,
        shared_seconds,
        separate_seconds,
        shared_items_per_second: ITEMS as f64 / shared_seconds,
        separate_items_per_second: ITEMS as f64 / separate_seconds,
        ratio: median(rounds.iter().map(|[shared, separate]| separate / shared)),
        largest_relative_difference: differences.fold(0.0, f64::max),
    };
    print(&format!("{}\n", serde_json::to_string(&measured)?))
}

/// Contexts of 40 to 80 tokens with choices of 8 to 24.
fn questions(vocabulary: usize) -> Vec<Choices> {
    let mut state = SEED;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let mut text = |least: usize, more: usize| -> Vec<u32> {
        let length = least + below(more + 1);
        (0..length).map(|_| below(vocabulary) as u32).collect()
    };
    let mut item = || Choices { context: text(40, 40), continuations: (0..CHOICES).map(|_| text(8, 16)).collect() };
    (0..ITEMS).map(|_| item()).collect()
}

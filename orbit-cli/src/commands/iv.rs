//! `orbit iv`: the vector that carries a task, and what adding it does.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use burn::tensor::Device;
use orbit_core::Model;
use orbit_core::hook::Site;
use orbit_data::instruct::{InContext, InContextPrompt, Instance, Task};
use orbit_data::statistics::bootstrap_mean;
use orbit_models::LanguageModel;
use orbit_models::generate::{Answering, answers};
use orbit_models::instruction_vector::{
    About, ChosenHead, Effect, InstructionVector, Prompt, effects, effects_by_full_passes, head_means, strongest,
    usable,
};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::print;
use crate::args::{By, Iv, IvEval, IvExtract, IvTask};
use crate::pipeline::Base;
use crate::report::Machine;
use crate::usage::Usage;
use crate::{in_context, machine, paths};

/// Prompts a forward pass.
const BATCH: usize = 16;
const RESAMPLES: usize = 1000;

pub(crate) fn run(command: &Iv) -> Result<()> {
    match command {
        Iv::Extract(args) => extract(args),
        Iv::Eval(args) => eval(args),
    }
}

/// A model, and the halves of a task that it is asked.
struct Asked {
    base: Base,
    /// With the first half as its training part, and the second as its test.
    task: Task,
    device: Device,
    shots: usize,
    seed: u64,
}

impl Asked {
    fn open(args: &IvTask) -> Result<Self> {
        let device = orbit_core::device(&args.device)?;
        let task = in_context::halves(&args.task, args.form())?;
        let base = Base::open(&paths::model(&args.model, Path::new("."))?, &device)?;
        Ok(Self { base, task, device, shots: args.shots, seed: args.seed })
    }

    fn model(&self) -> &LanguageModel {
        &self.base.model
    }

    /// Prompts that ask `instances`, with as many examples as `shots` says.
    fn prompts(
        &self,
        instances: &[Instance],
        shots: usize,
        shuffled: bool,
    ) -> Result<(Vec<Prompt>, Vec<InContextPrompt>)> {
        let how = InContext { shots, shuffled, seed: self.seed };
        in_context::prompts(&self.task, instances, how, &self.base.speech.tokenizer, self.model().longest_text())
    }

    fn some(&self, count: usize) -> Vec<Instance> {
        in_context::some(&self.task, count)
    }
}

fn extract(args: &IvExtract) -> Result<()> {
    if [args.averaged, args.patched, args.heads].contains(&0) {
        return Err(Usage::new("--averaged, --patched and --heads must be at least 1").into());
    }
    let asked = Asked::open(&args.task)?;
    let effect = match args.by {
        By::Probability => Effect::Probability,
        By::LogLikelihood => Effect::LogLikelihood,
    };
    let start = Instant::now();
    let (shown, texts) = averaged(&asked, args)?;
    let means = head_means(asked.model(), &shown, BATCH)?;
    let averaging = start.elapsed().as_secs_f64();
    let (hidden, patched) = match effect {
        Effect::Probability => asked.prompts(&asked.some(args.patched), asked.shots, true)?,
        Effect::LogLikelihood => asked.prompts(&asked.some(args.patched), 0, false)?,
    };
    let start = Instant::now();
    let found = effects(asked.model(), &hidden, &means, effect)?;
    let patching = start.elapsed().as_secs_f64();
    let about = About {
        format: 1,
        task: asked.task.name.clone(),
        model: asked.model().base_digest(),
        effect,
        prompts: InContextPrompt::digest(&[texts, patched].concat()),
        averaged: shown.len(),
        patched: hidden.len(),
        heads: strongest(&found.heads, args.heads),
    };
    let mut text = format!("{}: {} prompts averaged in {averaging:.1} s, ", asked.task.name, shown.len());
    let _ = writeln!(text, "{} patched in {patching:.1} s ({:.0} token-forwards)", hidden.len(), found.token_forwards);
    if args.compare {
        let start = Instant::now();
        let full = effects_by_full_passes(asked.model(), &hidden, &means, effect, BATCH)?;
        let seconds = start.elapsed().as_secs_f64();
        let pairs = found.heads.iter().flatten().zip(full.heads.iter().flatten());
        let _ = writeln!(
            text,
            "by whole passes: {seconds:.1} s, {:.1} x; {:.0} token-forwards, {:.1} x; effects differ by {:.1e} at most",
            seconds / patching,
            full.token_forwards,
            full.token_forwards / found.token_forwards,
            pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        );
    }
    for ChosenHead { layer, head, effect } in &about.heads {
        let _ = writeln!(text, "  {:<20}{effect:>10.4}", Site::Head(*layer, *head).to_string());
    }
    InstructionVector::of(asked.model(), means, found.heads, about)?.save(&args.out)?;
    print(&(text + &format!("{}\n", args.out.display())))
}

/// The prompts that what heads find is averaged over.
fn averaged(asked: &Asked, args: &IvExtract) -> Result<(Vec<Prompt>, Vec<InContextPrompt>)> {
    if !args.usable {
        return asked.prompts(&asked.some(args.averaged), asked.shots, false);
    }
    let (prompts, texts) = asked.prompts(&asked.some(2 * args.averaged), asked.shots, false)?;
    let chosen =
        usable(asked.model(), &prompts, args.averaged, BATCH).with_context(|| format!("task {}", asked.task.name))?;
    Ok(chosen.into_iter().map(|at| (prompts[at].clone(), texts[at].clone())).unzip())
}

/// What `orbit iv eval` writes.
#[derive(Serialize)]
struct Evaluation {
    command: String,
    version: &'static str,
    commit: Option<&'static str>,
    started: String,
    machine: Machine,
    seed: u64,
    seconds: f64,
    task: String,
    model: String,
    /// Of the second half of the task.
    items: usize,
    /// The share of the commonest answer there: what saying always the same comes to.
    commonest: f64,
    heads: Vec<String>,
    /// Where the vector did most in the first half of the task, and multiplied by what; then the same of the distributed form.
    site: String,
    scale: f32,
    distributed_scale: f32,
    /// Prompts that show examples, and that show none.
    in_context: Share,
    zero_shot: Share,
    /// Prompts that show none, with the vector added, and with each layer's part in its own layer.
    with_vector: Share,
    distributed: Share,
    /// The same with as many other heads, drawn at random: the mean over draws, and each.
    random_heads: Share,
    random_draws: Vec<f64>,
    /// With the vector less with random heads, item by item.
    gain_over_random: Share,
}

/// The share of prompts after which the answer's first token is the likeliest, with its 95% interval over items.
#[derive(Serialize)]
struct Share {
    mean: f64,
    interval: [f64; 2],
}

impl Share {
    fn of(items: &[f64]) -> Self {
        let interval = bootstrap_mean(items, RESAMPLES, 0);
        let mean = items.iter().sum::<f64>() / items.len().max(1) as f64;
        Self { mean, interval: [interval.low, interval.high] }
    }
}

fn eval(args: &IvEval) -> Result<()> {
    let (started, start) = (machine::now(), Instant::now());
    let asked = Asked::open(&args.task)?;
    let vector = InstructionVector::load(&args.vector)?;
    vector.check(&asked.model().base_digest())?;
    let bare = asked.prompts(&asked.task.test, 0, false)?.0;
    let shown = asked.prompts(&asked.task.test, asked.shots, false)?.0;
    let steered = |vector: &InstructionVector, site: Option<Site>, scale: f32| {
        asked.model().clone().steered(vector.changes(site, scale, &asked.device))
    };
    let tried = |site| args.scales.iter().map(move |&scale| (site, scale));
    let (site, scale) = best(&asked, sites(&asked, args)?.into_iter().flat_map(tried), |(site, scale)| {
        steered(&vector, Some(site), scale)
    })?;
    let (_, distributed_scale) = best(&asked, tried(site), |(_, scale)| steered(&vector, None, scale))?;
    let with_vector = hits(&steered(&vector, Some(site), scale)?, &bare)?;
    let mut draws = Vec::new();
    for draw in 0..args.controls as u64 {
        let control = vector.of_other_heads(asked.model(), other_heads(&vector, args.task.seed.wrapping_add(draw)))?;
        draws.push(hits(&steered(&control, Some(site), scale)?, &bare)?);
    }
    let mean_of = |at: usize| draws.iter().map(|hits| hits[at]).sum::<f64>() / draws.len().max(1) as f64;
    let random: Vec<f64> = (0..bare.len()).map(mean_of).collect();
    let gain: Vec<f64> = with_vector.iter().zip(&random).map(|(vector, random)| vector - random).collect();
    let evaluation = Evaluation {
        command: machine::command_line(),
        version: env!("CARGO_PKG_VERSION"),
        commit: option_env!("ORBIT_COMMIT"),
        started,
        machine: machine::describe(),
        seed: args.task.seed,
        task: asked.task.name.clone(),
        model: vector.about.model.clone(),
        items: bare.len(),
        commonest: commonest(&bare),
        heads: vector.about.heads.iter().map(|head| Site::Head(head.layer, head.head).to_string()).collect(),
        site: site.to_string(),
        scale,
        distributed_scale,
        in_context: Share::of(&hits(asked.model(), &shown)?),
        zero_shot: Share::of(&hits(asked.model(), &bare)?),
        with_vector: Share::of(&with_vector),
        distributed: Share::of(&hits(&steered(&vector, None, distributed_scale)?, &bare)?),
        random_heads: Share::of(&random),
        random_draws: draws.iter().map(|hits| Share::of(hits).mean).collect(),
        gain_over_random: Share::of(&gain),
        seconds: start.elapsed().as_secs_f64(),
    };
    if let Some(path) = &args.out {
        save(&evaluation, path)?;
    }
    print(&shown_evaluation(&evaluation))
}

/// Where the vector is to be added, by turns.
fn sites(asked: &Asked, args: &IvEval) -> Result<Vec<Site>> {
    Ok(match args.sites.is_empty() {
        true => (0..asked.model().sites().layers).map(Site::Out).collect(),
        false => args.sites.iter().map(|site| site.parse()).collect::<orbit_core::hook::Result<_>>()?,
    })
}

/// Of places and scales those with which the vector does most in the first half of the task; the first of several that do as
/// much.
fn best(
    asked: &Asked,
    tried: impl Iterator<Item = (Site, f32)>,
    steered: impl Fn((Site, f32)) -> orbit_core::Result<LanguageModel>,
) -> Result<(Site, f32)> {
    let tried: Vec<_> = tried.collect();
    if let [only] = tried[..] {
        return Ok(only);
    }
    let bare = asked.prompts(&asked.task.train, 0, false)?.0;
    let mut best = (-1.0, (Site::Out(0), 1.0));
    for place in tried {
        let share = Share::of(&hits(&steered(place)?, &bare)?).mean;
        if share > best.0 {
            best = (share, place);
        }
    }
    Ok(best.1)
}

/// For each prompt 1 where the answer's first token is the likeliest, and else 0.
fn hits(model: &LanguageModel, prompts: &[Prompt]) -> Result<Vec<f64>> {
    let tokens: Vec<Vec<u32>> = prompts.iter().map(|prompt| prompt.tokens.clone()).collect();
    let how = Answering { ends: &[], longest: 1, batch: BATCH, draw: None };
    let written = answers(model, &tokens, &[], how, &mut |_| {})?;
    let hit = |(written, prompt): (&Vec<u32>, &Prompt)| f64::from(u8::from(written.first() == prompt.answer.first()));
    Ok(written.iter().zip(prompts).map(hit).collect())
}

/// As many heads as a vector has, and none of them.
fn other_heads(vector: &InstructionVector, seed: u64) -> Vec<ChosenHead> {
    let chosen = &vector.about.heads;
    let all = strongest(&vector.effects, usize::MAX).into_iter();
    let mut others: Vec<ChosenHead> =
        all.filter(|other| !chosen.iter().any(|head| (head.layer, head.head) == (other.layer, other.head))).collect();
    others.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    others.truncate(chosen.len());
    others
}

/// The share of the commonest first token of an answer.
fn commonest(prompts: &[Prompt]) -> f64 {
    let first: Vec<Option<&u32>> = prompts.iter().map(|prompt| prompt.answer.first()).collect();
    let count = |token: &Option<&u32>| first.iter().filter(|other| *other == token).count();
    first.iter().map(count).max().unwrap_or(0) as f64 / first.len().max(1) as f64
}

fn save(evaluation: &Evaluation, path: &PathBuf) -> Result<()> {
    let text = serde_json::to_string_pretty(evaluation)? + "\n";
    fs::write(path, text).with_context(|| path.display().to_string())
}

fn shown_evaluation(evaluation: &Evaluation) -> String {
    let Evaluation { task, items, site, scale, distributed_scale, commonest, .. } = evaluation;
    let mut text = format!(
        "{task}, {items} prompts, {scale} times the vector at {site} (distributed: {distributed_scale} times); "
    );
    let _ = writeln!(text, "the commonest answer is {commonest:.3}");
    for (label, share) in [
        ("in context", &evaluation.in_context),
        ("zero-shot", &evaluation.zero_shot),
        ("with the vector", &evaluation.with_vector),
        ("distributed", &evaluation.distributed),
        ("with random heads", &evaluation.random_heads),
        ("vector - random", &evaluation.gain_over_random),
    ] {
        let [low, high] = share.interval;
        let _ = writeln!(text, "  {label:<20}{:>7.3}  [{low:.3}, {high:.3}]", share.mean);
    }
    text
}

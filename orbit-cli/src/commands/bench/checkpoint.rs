//! `orbit bench --checkpoint DIR`: what saving a checkpoint and taking it up again cost, beside what the disk and the digest cost.
//!
//! Saving writes its bytes, digests them and syncs. So does the floor: the same number of bytes from memory into files of the same
//! sizes, synced, and their SHA-256. A resumed run reads and digests what it loads, and the floor of that is reading the files.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use orbit_core::{AdamW, Decay, Entry, Fit, Schedule};
use orbit_models::{Decoder, LanguageModel};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Same, batch, config, median, watching};
use crate::args::Bench;
use crate::commands::print;
use crate::machine;
use crate::report::Machine;

const SEED: u64 = 1;

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
    rounds: usize,
    checkpoint_bytes: u64,
    /// Medians over the rounds.
    save_seconds: f64,
    /// The bytes alone: written and synced.
    write_seconds: f64,
    /// The bytes alone: digested.
    digest_seconds: f64,
    /// The median over rounds of saving over writing plus digesting.
    save_ratio: f64,
    /// From the weights of the base in memory to the first new step's end, without that step.
    resume_seconds: f64,
    /// Reading the files alone.
    read_seconds: f64,
}

pub(super) fn run(args: &Bench, dir: &Path) -> Result<()> {
    let started = machine::now();
    let config = config(args.shape);
    let device = orbit_core::device(&args.device)?;
    let model = LanguageModel::from(Decoder::random(config.clone(), SEED, &device.autodiff()));
    let schedule = Schedule { learning_rate: 1e-5, warmup: 1, decay: Decay::Constant, total: u64::MAX };
    let fit = || -> Result<_> {
        let hooks = vec![Entry::new(watching().build()?)];
        let batches = Same(batch(&config, args.rows, args.width));
        Ok(Fit::new(model.clone(), hooks, batches, AdamW::default(), schedule)?)
    };
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let (place, floor) = (dir.join("checkpoint"), dir.join("floor"));
    let mut saved = fit()?;
    saved.step()?;
    // Which model a run began from is digested once a run.
    saved.origin_digest();
    let mut rounds: Vec<[f64; 5]> = Vec::new();
    let mut bytes = 0;
    for _ in 0..args.warmup + args.steps {
        let save = seconds(|| Ok(saved.save(&place)?))?;
        let files = sizes(&place)?;
        bytes = files.iter().sum();
        let content = vec![7_u8; usize::try_from(files.iter().copied().max().unwrap_or(0))?];
        let write = seconds(|| files.iter().try_for_each(|&size| write_synced(&floor, &content[..size as usize])))?;
        let digest = seconds(|| {
            for &size in &files {
                std::hint::black_box(Sha256::digest(&content[..size as usize]));
            }
            Ok(())
        })?;
        drop(content);
        let read = seconds(|| read_all(&place))?;
        let start = Instant::now();
        let mut resumed = fit()?;
        resumed.load(&place)?;
        let step = resumed.step()?.map_or(f64::NAN, |step| step.seconds);
        rounds.push([save, write, digest, start.elapsed().as_secs_f64() - step, read]);
        fs::remove_dir_all(&place)?;
    }
    fs::remove_file(&floor)?;
    let rounds = &rounds[args.warmup..];
    let of = |at: usize| median(rounds.iter().map(|round| round[at]));
    let measured = Measured {
        command: machine::command_line(),
        commit: option_env!("ORBIT_COMMIT"),
        started,
        machine: machine::describe(),
        seed: SEED,
        shape: format!("{:?}", args.shape).to_lowercase(),
        device: args.device.clone(),
        parameters: config.parameter_count(),
        rounds: args.steps,
        checkpoint_bytes: bytes,
        save_seconds: of(0),
        write_seconds: of(1),
        digest_seconds: of(2),
        save_ratio: median(rounds.iter().map(|round| round[0] / (round[1] + round[2]))),
        resume_seconds: of(3),
        read_seconds: of(4),
    };
    print(&format!("{}\n", serde_json::to_string(&measured)?))
}

fn seconds(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

fn sizes(dir: &Path) -> Result<Vec<u64>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.metadata()?.len())).collect()
}

fn write_synced(path: &Path, content: &[u8]) -> Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    Ok(file.sync_all()?)
}

fn read_all(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        std::hint::black_box(fs::read(entry?.path())?);
    }
    Ok(())
}

//! `orbit explain`: what a run file comes to, without training.

mod memory;

use std::fmt::Write as _;

use anyhow::{Context, Result};
use orbit_core::hook::Phases;
use orbit_data::SemanticIds;
use orbit_models::{DecoderConfig, gguf};
use orbit_regularizers::Use;

use super::print;
use crate::args::{Explain, Global};
use crate::config::{Evaluate, RunFile, Schedule, Source};
use crate::paths::{self, DataDir};
use memory::Batch;

pub(crate) fn run(args: &Explain, global: &Global) -> Result<()> {
    let run = RunFile::read(&args.run)?;
    print(&explain(&run, &DataDir::new(global.data.clone(), &args.run))?)
}

fn explain(run: &RunFile, data: &DataDir) -> Result<String> {
    let codes = codes_per_level(run, data);
    let mut text = settings(run, &codes)?;
    text.push_str(&hooks(run)?);
    match shape(run, data) {
        Ok(model) => text.push_str(&memory(run, &model, &codes)),
        Err(error) => writeln!(text, "\nmemory: not known, because the model cannot be read\n  {error}")?,
    }
    let missing: Vec<String> = run
        .clone()
        .data_paths()
        .filter(|path| data.file(path).is_err())
        .map(|path| path.display().to_string())
        .collect();
    if !missing.is_empty() {
        writeln!(text, "\nmissing data, to be found by --data DIR or ORBIT_DATA: {}", missing.join(", "))?;
    }
    Ok(text)
}

/// Codes of each level, as far as they are known before the IDs are made: items that share their codes get one more.
fn codes_per_level(run: &RunFile, data: &DataDir) -> Vec<usize> {
    let saved = run.semantic_ids.file.as_ref().and_then(|file| SemanticIds::load(&data.file(file).ok()?).ok());
    match saved {
        Some(ids) => ids.codes_per_level().to_vec(),
        None => vec![run.semantic_ids.codes; run.semantic_ids.levels],
    }
}

fn shape(run: &RunFile, data: &DataDir) -> Result<DecoderConfig> {
    let path =
        run.model.path.as_deref().context("a model from scratch is an encoder-decoder, and only decoders are known")?;
    let path = paths::model(path, &data.beside)?;
    Ok(if path.is_dir() { DecoderConfig::read(path)? } else { gguf::read(path)?.config })
}

fn settings(run: &RunFile, codes: &[usize]) -> Result<String> {
    let train = &run.train;
    let corpus = match run.corpus.source()? {
        Source::Sequences(path, _) => format!("sequences in {}", path.display()),
        Source::Interactions(path, _) => format!("interactions in {}", path.display()),
        Source::Generated(made) => format!("generated: {} items, {} users", made.items, made.users),
        Source::Documents(_) => "documents and queries".to_owned(),
    };
    let schedule = match train.schedule {
        Schedule::Constant => "constant",
        Schedule::Cosine => "falling along a cosine",
    };
    let levels: Vec<String> = codes.iter().map(usize::to_string).collect();
    let lines = [
        ("run", format!("{}, seed {}, on {}", run.name, run.seed, run.device)),
        ("model", run.model.label()),
        ("corpus", corpus),
        ("semantic IDs", format!("{} codes, and a level more if items collide", levels.join(" x "))),
        ("examples", format!("the last {} items, then the next", run.examples.max_history)),
        ("training", format!("{} steps of {} examples, {} at once", train.steps, train.batch, train.micro_batch())),
        ("learning rate", format!("{}, {schedule} after {} steps", train.learning_rate, train.warmup)),
        ("evaluation", evaluation(&run.evaluate)),
    ];
    Ok(lines.map(|(key, value)| format!("{key:<15}{value}\n")).concat())
}

fn evaluation(evaluate: &Evaluate) -> String {
    let mut parts = Vec::new();
    if let Some(retrieval) = &evaluate.retrieval {
        parts.push(format!("retrieval for {} users with {} beams", retrieval.users, retrieval.beams));
    }
    if let Some(text) = &evaluate.text {
        let embedded = text.embedded.then_some("the suites of orbit");
        let names: Vec<&str> = embedded.into_iter().chain(text.tasks.iter().map(|task| task.name.as_str())).collect();
        parts.push(format!("text by {}", names.join(", ")));
    }
    match (parts.is_empty(), evaluate.untouched) {
        (true, _) => "none".into(),
        (false, true) => parts.join("; ") + "; before training too",
        (false, false) => parts.join("; "),
    }
}

/// The hooks with their options, then who acts when.
fn hooks(run: &RunFile) -> Result<String> {
    if run.hooks.is_empty() {
        return Ok("\nhooks: none, plain fine-tuning\n".into());
    }
    let mut text = "\nhooks, in order of effect\n".to_owned();
    for (position, entry) in (1..).zip(&run.hooks) {
        let options = options(&entry.r#use);
        let only = entry.only.as_ref().map(|only| format!(", on {only} only")).unwrap_or_default();
        let every = if entry.every.get() > 1 { format!(", every {} steps", entry.every) } else { String::new() };
        text.push_str(&format!("  {position}. {options}{only}{every}\n"));
    }
    text.push_str("\nwho acts when, in each step\n");
    let built: Vec<_> = run.hooks.iter().map(|entry| entry.r#use.build()).collect::<Result<_, _>>()?;
    for (phase, name) in Phases::ALL {
        let acting: Vec<String> = (1..)
            .zip(&built)
            .filter(|(_, hook)| hook.phases().contains(phase))
            .map(|(position, hook): (usize, _)| format!("{position}. {}", hook.name()))
            .collect();
        let acting = if acting.is_empty() { "-".into() } else { acting.join(", ") };
        text.push_str(&format!("  {name:<13}{acting}\n"));
    }
    Ok(text)
}

/// As in the file, with every default: `use.orbit = { ... }`.
fn options(hook: &Use) -> String {
    let tables = toml::Table::try_from(hook).unwrap_or_default();
    tables.iter().map(|(name, options)| format!("use.{name} = {options}")).collect()
}

fn memory(run: &RunFile, model: &DecoderConfig, codes: &[usize]) -> String {
    let batch = Batch::of(run, codes.len());
    let parts = memory::parts(run, model, codes);
    let total = parts.iter().map(|(_, bytes)| bytes).sum();
    let mut text = format!(
        "\nmemory, roughly, for {:.1} M parameters and forward passes of {} x {} tokens\n",
        model.parameter_count() as f64 / 1e6,
        batch.rows,
        batch.width
    );
    for (name, bytes) in parts.iter().chain([&("in all".to_owned(), total)]) {
        text.push_str(&format!("  {name:<28}{:>8.0} MiB\n", *bytes as f64 / f64::from(1 << 20)));
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use expect_test::expect;
    use orbit_models::weights::Dtype;

    use super::*;

    const RUN: &str = r#"
        name = "small"
        [model]
        path = "tiny"
        [corpus]
        sequences = "none.txt"
        items = "items.jsonl"
        embeddings = "items.npy"
        [train]
        micro_batch = 4
        [[hooks]]
        use.kl = { strength = 0.5 }
        [[hooks]]
        only = "layers.*"
        every = 10
        use.ema = { decay = 0.99 }
        [[hooks]]
        use.orbit = { max_drift = 0.01 }
        [evaluate.retrieval]
    "#;

    /// A folder with a model `tiny` and one data file.
    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("tiny")).unwrap();
        let model = DecoderConfig {
            vocab_size: 2048,
            hidden_size: 256,
            intermediate_size: 768,
            num_hidden_layers: 4,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: 64,
            tie_word_embeddings: true,
            ..DecoderConfig::default()
        };
        model.write(dir.path().join("tiny"), Dtype::F32).unwrap();
        std::fs::write(dir.path().join("items.jsonl"), "").unwrap();
        dir
    }

    #[test]
    fn everything_is_explained() {
        let dir = folder();
        let data = DataDir { root: None, beside: dir.path().to_owned() };
        let text = explain(&RunFile::parse(RUN).unwrap(), &data).unwrap();
        expect![[r#"
            run            small, seed 1, on flex
            model          tiny
            corpus         sequences in none.txt
            semantic IDs   256 x 256 x 256 codes, and a level more if items collide
            examples       the last 12 items, then the next
            training       300 steps of 8 examples, 4 at once
            learning rate  0.0003, constant after 10 steps
            evaluation     retrieval for 500 users with 20 beams; before training too

            hooks, in order of effect
              1. use.kl = { at = "answer", strength = 0.5, temperature = 1.0 }
              2. use.ema = { decay = 0.99 }, on layers.* only, every 10 steps
              3. use.orbit = { factor = 0.5, max_drift = 0.01, max_halvings = 16, metric = "flips" }

            who acts when, in each step
              forward      -
              loss         1. kl
              gradients    -
              weights      2. ema, 3. orbit
              finish       2. ema

            memory, roughly, for 3.7 M parameters and forward passes of 4 x 97 tokens
              weights                           16 MiB
              gradients                         16 MiB
              moments of AdamW                  31 MiB
              origin                            14 MiB
              gradients of a micro-batch        16 MiB
              hook 1, kl                         1 MiB
              hook 2, ema                       16 MiB
              activations                       27 MiB
              in all                           135 MiB

            missing data, to be found by --data DIR or ORBIT_DATA: none.txt, items.npy
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn a_missing_model_leaves_the_rest_explained() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir { root: None, beside: dir.path().to_owned() };
        let text = explain(&RunFile::parse(RUN).unwrap(), &data).unwrap();
        assert!(text.contains("memory: not known") && text.contains("model tiny is missing"), "{text}");
    }
}

//! `orbit explain`: what a run file comes to, without training.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use orbit_core::hook::Phases;
use orbit_data::SemanticIds;
use orbit_regularizers::{HookEntry, Use};

use super::print;
use crate::args::{Explain, Global};
use crate::config::{Evaluate, EvaluateTasks, IdMethod, RunFile, Schedule, SequenceFile, Source, Text, Train};
use crate::memory::{self, Data, Needs};
use crate::notes;
use crate::paths::{self, DataDir};

pub(crate) fn run(args: &Explain, global: &Global) -> Result<()> {
    let data = DataDir::new(global.data.clone(), &args.run);
    if SequenceFile::is_one(&args.run) {
        return print(&explain_sequence(&SequenceFile::read(&args.run)?, &data)?);
    }
    print(&explain(&RunFile::read(&args.run)?, &data)?)
}

fn explain(run: &RunFile, data: &DataDir) -> Result<String> {
    let settings = settings(run, &codes_per_level(run, data))?;
    let said = paths::resolve(run.clone(), data).ok().map(|run| notes::of_run(&run));
    whole(settings, &run.hooks, (needs(run, data), said), run.clone().data_paths(), data)
}

fn explain_sequence(run: &SequenceFile, data: &DataDir) -> Result<String> {
    let settings = settings_of_sequence(run);
    let said = paths::resolve_sequence(run.clone(), data).ok().map(|run| notes::of_sequence(&run));
    whole(settings, &run.hooks, (needs_of_sequence(run, data), said), run.clone().data_paths(), data)
}

/// All that is said of a run, in order.
fn whole<'a>(
    settings: String,
    entries: &[HookEntry],
    (needs, said): (Result<Needs>, Option<Result<Vec<String>>>),
    files: impl Iterator<Item = &'a mut PathBuf>,
    data: &DataDir,
) -> Result<String> {
    let mut text = settings;
    text.push_str(&hooks(entries)?);
    match needs {
        Ok(needs) => writeln!(text, "\n{}", needs.text().trim_end())?,
        Err(error) => writeln!(text, "\nmemory: not known, because the model cannot be read\n  {error}")?,
    }
    match said {
        Some(Ok(notes)) if !notes.is_empty() => {
            writeln!(text, "\nto be careful of")?;
            notes.iter().for_each(|note| text.push_str(&format!("  {note}\n")));
        }
        Some(Err(error)) => writeln!(text, "\n`orbit train` will refuse it: {error:#}")?,
        _ => {}
    }
    let missing = files.filter(|path| data.file(path).is_err()).map(|path| path.display().to_string());
    let missing: Vec<String> = missing.collect();
    if !missing.is_empty() {
        writeln!(text, "\nmissing data, to be found by --data DIR or ORBIT_DATA: {}", missing.join(", "))?;
    }
    Ok(text)
}

/// What a run takes; without its data, what its limits allow.
fn needs(run: &RunFile, data: &DataDir) -> Result<Needs> {
    let mut run = run.clone();
    if let Ok(run) = paths::resolve(run.clone(), data) {
        return memory::of_run(&run, Data::Read);
    }
    run.model.path = run.model.path.map(|path| paths::model(&path, &data.beside)).transpose()?;
    run.semantic_ids.file = run.semantic_ids.file.and_then(|file| data.file(&file).ok());
    memory::of_run(&run, Data::Unread)
}

/// As [`needs`], of a sequence.
fn needs_of_sequence(run: &SequenceFile, data: &DataDir) -> Result<Needs> {
    let mut run = run.clone();
    if let Ok(run) = paths::resolve_sequence(run.clone(), data) {
        return memory::of_sequence(&run, Data::Read);
    }
    run.model.path = paths::model(&run.model.path, &data.beside)?;
    memory::of_sequence(&run, Data::Unread)
}

/// Codes of each level, as far as they are known before the IDs are made: items that share their codes get one more.
fn codes_per_level(run: &RunFile, data: &DataDir) -> Vec<usize> {
    let saved = run.semantic_ids.file.as_ref().and_then(|file| SemanticIds::load(&data.file(file).ok()?).ok());
    match saved {
        Some(ids) => ids.codes_per_level().to_vec(),
        None => vec![run.semantic_ids.codes; run.semantic_ids.levels],
    }
}

fn settings(run: &RunFile, codes: &[usize]) -> Result<String> {
    let corpus = match run.corpus.source()? {
        Source::Sequences(path, _) => format!("sequences in {}", path.display()),
        Source::Interactions(path, _) => format!("interactions in {}", path.display()),
        Source::Generated(made) => format!("generated: {} items, {} users", made.items, made.users),
        Source::Documents(_) => "documents and queries".to_owned(),
    };
    let levels: Vec<String> = codes.iter().map(usize::to_string).collect();
    let ids = match run.semantic_ids.method {
        IdMethod::Atomic if run.semantic_ids.file.is_none() => "one code an item".to_owned(),
        _ => format!("{} codes, and a level more if items collide", levels.join(" x ")),
    };
    let lines = [
        ("run", format!("{}, seed {}, on {}", run.name, run.seed, run.device)),
        ("model", run.model.label()),
        ("corpus", corpus),
        ("semantic IDs", ids),
        ("examples", format!("the last {} items, then the next", run.examples.max_history)),
        ("training", training(&run.train)),
        ("learning rate", learning_rate(&run.train)),
        ("evaluation", evaluation(&run.evaluate)),
    ];
    Ok(listed(&lines))
}

fn settings_of_sequence(run: &SequenceFile) -> String {
    let tasks: Vec<String> =
        (0..).zip(&run.tasks).map(|(at, task)| format!("{} ({} steps)", task.name, run.steps(at))).collect();
    let weights = match &run.lora {
        Some(lora) => format!("adapters of rank {}", lora.rank),
        None => "the model's weights".to_owned(),
    };
    let lengths = format!("prompts of up to {} tokens, answers of {}", run.sequence.prompt, run.sequence.answer);
    listed(&[
        ("run", format!("{}, seed {}, on {}", run.name, run.seed, run.device)),
        ("model", run.model.path.display().to_string()),
        ("tasks", tasks.join(", then ")),
        ("examples", lengths),
        ("trained", weights),
        ("training", training(&run.train)),
        ("learning rate", learning_rate(&run.train)),
        ("evaluation", evaluation_of_tasks(&run.evaluate)),
    ])
}

fn listed(lines: &[(&str, String)]) -> String {
    lines.iter().map(|(key, value)| format!("{key:<15}{value}\n")).collect()
}

fn training(train: &Train) -> String {
    format!("{} steps of {} examples, {} at once", train.steps, train.batch, train.micro_batch())
}

fn learning_rate(train: &Train) -> String {
    let schedule = match train.schedule {
        Schedule::Constant => "constant",
        Schedule::Cosine => "falling along a cosine",
    };
    format!("{}, {schedule} after {} steps", train.learning_rate, train.warmup)
}

fn evaluation(evaluate: &Evaluate) -> String {
    let mut parts = Vec::new();
    if let Some(retrieval) = &evaluate.retrieval {
        parts.push(format!("retrieval for {} users with {} beams", retrieval.users, retrieval.beams));
    }
    parts.extend(evaluate.text.as_ref().map(suites));
    match (parts.is_empty(), evaluate.untouched) {
        (true, _) => "none".into(),
        (false, true) => parts.join("; ") + "; before training too",
        (false, false) => parts.join("; "),
    }
}

fn evaluation_of_tasks(evaluate: &EvaluateTasks) -> String {
    let tasks = if evaluate.later_tasks { "every task" } else { "every task so far" };
    let suites = evaluate.text.as_ref().map(|text| format!("; {}", suites(text))).unwrap_or_default();
    format!("{tasks}, {} answers at once{suites}; before training too", evaluate.batch)
}

fn suites(text: &Text) -> String {
    let embedded = text.embedded.then_some("the suites of orbit");
    let names: Vec<&str> = embedded.into_iter().chain(text.tasks.iter().map(|task| task.name.as_str())).collect();
    format!("text by {}", names.join(", "))
}

/// The hooks with their options, then who acts when.
fn hooks(entries: &[HookEntry]) -> Result<String> {
    if entries.is_empty() {
        return Ok("\nhooks: none, plain fine-tuning\n".into());
    }
    let mut text = "\nhooks, in order of effect\n".to_owned();
    for (position, entry) in (1..).zip(entries) {
        let options = options(&entry.r#use);
        let only = entry.only.as_ref().map(|only| format!(", on {only} only")).unwrap_or_default();
        let every = if entry.every.get() > 1 { format!(", every {} steps", entry.every) } else { String::new() };
        text.push_str(&format!("  {position}. {options}{only}{every}\n"));
    }
    text.push_str("\nwho acts when, in each step\n");
    let built: Vec<_> = entries.iter().map(|entry| entry.r#use.build()).collect::<Result<_, _>>()?;
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use expect_test::expect;
    use orbit_models::DecoderConfig;
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
        batch = 8
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

            memory, roughly, for 3.7 M parameters and forward passes of 4 x 110 tokens
              the program                       25 MiB
              weights                           16 MiB
              origin                            14 MiB
              moments of AdamW                  31 MiB
              hook 2, ema                       16 MiB
              gradients so far                  16 MiB
              hook 1, kl                         1 MiB
              activations                       32 MiB
              gaps of the largest tensor         2 MiB
              a training step, in all          152 MiB
              evaluation                        67 MiB
              at the peak                      152 MiB

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

    #[test]
    fn a_sequence_is_explained() {
        let dir = folder();
        let data = DataDir { root: None, beside: dir.path().to_owned() };
        let run = r#"
            name = "tasks"
            tasks = [
                { name = "birds", form = "jsonl", train = "birds.jsonl" },
                { name = "colours", form = "jsonl", train = "items.jsonl", steps = 7 },
            ]
            model.path = "tiny"
            sequence = { prompt = 100, answer = 28 }
            lora = { rank = 4 }
        "#;
        let text = explain_sequence(&SequenceFile::parse(run).unwrap(), &data).unwrap();
        expect![[r#"
            run            tasks, seed 1, on flex
            model          tiny
            tasks          birds (300 steps), then colours (7 steps)
            examples       prompts of up to 100 tokens, answers of 28
            trained        adapters of rank 4
            training       300 steps of 8 examples, 8 at once
            learning rate  0.0003, constant after 10 steps
            evaluation     every task, 16 answers at once; before training too

            hooks: none, plain fine-tuning

            memory, roughly, for 3.7 M parameters and forward passes of 8 x 128 tokens
              the program                       25 MiB
              weights                           14 MiB
              adapter                            0 MiB
              origin                             0 MiB
              moments of AdamW                   0 MiB
              activations                       54 MiB
              gaps of the largest tensor         2 MiB
              a training step, in all           95 MiB
              evaluation                        87 MiB
              saving the model                  57 MiB
              at the peak                       95 MiB

            missing data, to be found by --data DIR or ORBIT_DATA: birds.jsonl
        "#]]
        .assert_eq(&text);
    }
}

//! `orbit switch`: routing prompts to the adapter of their task.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use orbit_data::instruct::{Prompts, Task, TaskSequence};
use orbit_models::switch::SwitchTraining;

use super::print;
use crate::args::{Global, Switch, SwitchEval, SwitchRoute, SwitchTrain};
use crate::config::SequenceFile;
use crate::machine;
use crate::paths::DataDir;
use crate::sequence::tasks::Examiner;
use crate::switch::evaluate::{Confusion, Evaluation, Routing, TaskScores};
use crate::switch::{Experts, Router};
use crate::usage::Usage;

pub(crate) fn run(command: &Switch, global: &Global) -> Result<()> {
    match command {
        Switch::Train(args) => train(args),
        Switch::Route(args) => route(args, global),
        Switch::Eval(args) => eval(args, global),
    }
}

fn train(args: &SwitchTrain) -> Result<()> {
    for (name, share) in [("--retain", args.retain), ("--reject", args.reject)] {
        if !(0.0..=1.0).contains(&share) {
            return Err(Usage::new(format!("{name} must be from 0 to 1, got {share}")).into());
        }
    }
    if args.longest == Some(0) || args.epochs == 0 {
        return Err(Usage::new("--longest and --epochs must be at least 1").into());
    }
    let experts = Experts::open(&args.run, args.extractor.as_deref())?;
    let training = SwitchTraining { epochs: args.epochs, seed: args.seed, ..SwitchTraining::default() };
    let longest = args.longest.unwrap_or(experts.run.sequence.prompt);
    let card = experts.train_and_save(args.retain, longest, training, args.reject)?;
    print(&format!("a switch for {}, in {}\n", card.tasks.join(", "), args.run.join("switch").display()))
}

fn route(args: &SwitchRoute, global: &Global) -> Result<()> {
    let router = Router::open(&args.run)?;
    let route = router.route(&args.prompt)?;
    let adapter = route.adapter(router.card.reject);
    let task = &router.card.tasks[route.task];
    let Experts { run, base, .. } = &router.experts;
    let limits = run.limits(base.model.positions());
    let tokenizer = &base.speech.tokenizer;
    let prompts = Prompts::new(&base.speech.chat, tokenizer, limits)?;
    let longest = limits.answer;
    let examiner = Examiner { prompts: &prompts, tokenizer, longest, batch: 1, quiet: true };
    let tokens = base.speech.prompt(&args.prompt)?;
    let answers = examiner.answers(&router.experts.model()?, "answer", &[tokens], &[adapter])?;
    tracing::debug!(quiet = global.quiet, "routed");
    let through = match adapter {
        Some(_) => format!("the adapter of {task}"),
        None => format!("no adapter: {task} is the likeliest task, below the threshold of {}", router.card.reject),
    };
    print(&format!("{through} (probability {:.3})\n{}\n", route.probability, answers.concat()))
}

fn eval(args: &SwitchEval, global: &Global) -> Result<()> {
    let (started, start) = (machine::now(), Instant::now());
    let router = Router::open(&args.run)?;
    let unseen = args.unseen.as_deref().map(|path| unseen(path, global)).transpose()?.unwrap_or_default();
    let mut evaluation = Evaluation {
        format: 1,
        command: machine::command_line(),
        version: env!("CARGO_PKG_VERSION").into(),
        commit: option_env!("ORBIT_COMMIT").map(str::to_owned),
        started,
        machine: machine::describe(),
        seconds: 0.0,
        tasks: router.card.tasks.clone(),
        switches: router.routings(&args.shares, &unseen)?,
        scores: router.scores(global.quiet)?,
        speed: router.speed()?,
    };
    evaluation.seconds = start.elapsed().as_secs_f64();
    let path = args.out.clone().unwrap_or_else(|| args.run.join("switch/eval.json"));
    let text = serde_json::to_string_pretty(&evaluation)? + "\n";
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    print(&show(&evaluation))
}

fn unseen(path: &Path, global: &Global) -> Result<Vec<Task>> {
    let mut run = SequenceFile::read(path)?;
    let data = DataDir::new(global.data.clone(), path);
    for path in run.data_paths() {
        *path = data.file(path)?;
    }
    Ok(TaskSequence::read(&run.tasks, Path::new(""))?.0.tasks().to_vec())
}

fn show(evaluation: &Evaluation) -> String {
    let mut text = String::new();
    for routing in &evaluation.switches {
        text.push_str(&shown_routing(routing));
    }
    let _ = writeln!(text, "\nwhere prompts go, as trained (rows: their task)");
    if let Some(routing) = evaluation.switches.first() {
        text.push_str(&shown_confusion(&evaluation.tasks, &routing.as_trained));
    }
    let _ = writeln!(text, "\n{:<20}{:>10}{:>10}{:>10}{:>10}", "task", "metric", "base", "routed", "oracle");
    for TaskScores { task, metric, base, routed, oracle, .. } in &evaluation.scores {
        let _ = writeln!(text, "{task:<20}{metric:>10}{base:>10.4}{routed:>10.4}{oracle:>10.4}");
    }
    let speed = &evaluation.speed;
    let _ = writeln!(
        text,
        "\nrouting {} prompts took {:.2} s, {:.1}% of writing {} tokens for each",
        speed.prompts,
        speed.routing_seconds,
        100.0 * speed.share,
        speed.tokens
    );
    text
}

fn shown_routing(routing: &Routing) -> String {
    let kept: Vec<String> = routing.kept.iter().map(usize::to_string).collect();
    let mut text = format!(
        "keeping {:.3}% ({} examples): {:.1}% right as trained",
        100.0 * routing.share,
        kept.join(", "),
        100.0 * routing.as_trained.accuracy
    );
    if let Some(paraphrased) = &routing.paraphrased {
        let _ = write!(text, ", {:.1}% in other words", 100.0 * paraphrased.accuracy);
    }
    if let Some(unseen) = &routing.unseen {
        let _ = write!(
            text,
            "; unseen tasks: AUROC {:.3}, {:.1}% rejected at {:.3}, which 95% of known prompts pass",
            unseen.auroc,
            100.0 * unseen.rejected,
            unseen.threshold
        );
    }
    text + "\n"
}

fn shown_confusion(tasks: &[String], confusion: &Confusion) -> String {
    let head: String = tasks.iter().map(|task| format!("{:>12.11}", task)).collect();
    let row = |(task, counts): (&String, &Vec<usize>)| {
        let counts: String = counts.iter().map(|count| format!("{count:>12}")).collect();
        format!("{task:<20}{counts}\n")
    };
    format!("{:<20}{head}\n", "") + &tasks.iter().zip(&confusion.counts).map(row).collect::<String>()
}

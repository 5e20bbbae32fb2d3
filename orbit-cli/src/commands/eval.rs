//! `orbit eval`: measures a model as a run file says.
//!
//! The language scores have the shape of lm-evaluation-harness, so that its viewers read them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use orbit_models::instruction_vector::InstructionVector;
use orbit_models::lora;
use orbit_models::{Extension, LanguageModel};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{Eval, Global};
use crate::catalogue::Catalogue;
use crate::commands::print;
use crate::config::RunFile;
use crate::job::Job;
use crate::language::{self, How, Metric, SuiteResult, sample};
use crate::paths::{self, DataDir};
use crate::pipeline::{Base, IDS_FILE};
use crate::report::{self, Machine};
use crate::usage::Usage;
use crate::{machine, notes, retrieval};

/// Scores by suite and metric, as lm-evaluation-harness writes them, and what it has no place for.
#[derive(Serialize)]
struct Scores {
    results: BTreeMap<String, BTreeMap<String, Value>>,
    #[serde(rename = "n-samples")]
    samples: BTreeMap<String, Value>,
    orbit: Orbit,
}

/// How the scores came about, and the new job where the model has learned one.
#[derive(Serialize)]
struct Orbit {
    command: String,
    version: &'static str,
    commit: Option<&'static str>,
    started: String,
    machine: Machine,
    device: String,
    seed: u64,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    retrieval: Option<report::Retrieval>,
    #[serde(skip_serializing_if = "Option::is_none")]
    baselines: Option<report::Baselines>,
}

pub(crate) fn run(args: &Eval, global: &Global) -> Result<()> {
    let run = paths::resolve_data(RunFile::read(&args.run)?, &DataDir::new(global.data.clone(), &args.run))?;
    let device = orbit_core::device(&run.device)?;
    let (path, adapter) = model_and_adapter(args)?;
    let mut base = Base::open(&path, &device)?;
    if let Some(adapter) = &adapter {
        let read = base.model.read_adapter(adapter)?;
        base.model = base.model.merge(&read, 1.0)?;
    }
    if let Some(file) = &args.steer {
        base.model = steered(base.model, file, args, &device)?;
    }
    let trained = Extension::read(&path)?;
    let start = Instant::now();
    let orbit = Orbit {
        command: machine::command_line(),
        version: env!("CARGO_PKG_VERSION"),
        commit: option_env!("ORBIT_COMMIT"),
        started: machine::now(),
        machine: machine::describe(),
        device: run.device.clone(),
        seed: run.seed,
        seconds: 0.0,
        retrieval: None,
        baselines: None,
    };
    let mut scores = Scores { results: BTreeMap::new(), samples: BTreeMap::new(), orbit };
    if let Some(config) = &run.evaluate.text {
        let suites = language::suites(config)?;
        let samples = args.log_samples.is_some();
        let how = How { batch_tokens: config.batch_tokens, samples, rolling: true, quiet: global.quiet };
        let results = language::measure(&base.model, &base.speech.tokenizer, &suites, how)?;
        for result in &results {
            scores.samples.insert(result.name.clone(), json!({ "original": result.items.len() }));
            scores.results.insert(result.name.clone(), harness(result));
        }
        if let Some(path) = &args.log_samples {
            sample::write(&results, path)?;
        }
    }
    if run.evaluate.retrieval.is_some() && trained.is_none() {
        tracing::warn!("{} has learned no semantic IDs: retrieval is not measured", path.display());
    }
    if let (Some(config), Some(trained)) = (&run.evaluate.retrieval, &trained) {
        let job = learned(&run, &base, &path, trained, global.quiet)?;
        notes::warn(&job.notes(&run)?);
        scores.orbit.retrieval = Some(retrieval::measure(&base.model, &job, config, global.quiet)?);
        scores.orbit.baselines = Some(job.baselines(config));
    }
    scores.orbit.seconds = start.elapsed().as_secs_f64();
    let text = serde_json::to_string_pretty(&scores)? + "\n";
    match &args.out {
        Some(path) => fs::write(path, text).with_context(|| path.display().to_string()),
        None => print(&text),
    }
}

/// Where the model is, and the adapter that goes on it. A directory of an adapter names its model.
fn model_and_adapter(args: &Eval) -> Result<(PathBuf, Option<PathBuf>)> {
    let here = Path::new(".");
    let path = paths::model(&args.model, here)?;
    if !lora::is_adapter(&path) {
        return Ok((path, args.adapter.clone()));
    }
    let shown = path.display();
    if args.adapter.is_some() {
        return Err(
            Usage::new(format!("{shown} is a PEFT adapter, and --adapter names another: give the model")).into()
        );
    }
    let advice = format!("{shown} is a PEFT adapter: give its model, `orbit eval MODEL --adapter {shown}`");
    let Some(base) = lora::base_model(&path)? else { return Err(Usage::new(advice).into()) };
    match paths::model(Path::new(&base), here).or_else(|_| paths::model(Path::new(&base), &path)) {
        Ok(model) => Ok((model, Some(path))),
        Err(_) => Err(Usage::new(format!("{advice}. It names {base}, which is not on this machine")).into()),
    }
}

/// The job that a model has learned, by the semantic IDs that it has learned.
fn learned(run: &RunFile, base: &Base, path: &Path, trained: &Extension, quiet: bool) -> Result<Job> {
    let job = Job::new(run, base, Some(path.join(IDS_FILE)), quiet)?;
    let shown = path.display();
    if trained.semantic_ids.as_deref() != Some(job.ids.digest()) {
        bail!("{shown}: {IDS_FILE} does not hold the semantic IDs that the model was trained with");
    }
    if !job.catalogue().has_items_of(&Catalogue::load(path)?) {
        bail!("{shown} was trained on other items than this run file names");
    }
    Ok(job)
}

/// A model with an instruction vector added.
fn steered(model: LanguageModel, file: &Path, args: &Eval, device: &Device) -> Result<LanguageModel> {
    let vector = InstructionVector::load(file)?;
    vector.check(&model.base_digest())?;
    let site = args.site.as_deref().map(str::parse).transpose()?;
    Ok(model.steered(vector.changes(site, args.scale, device))?)
}

fn harness(result: &SuiteResult) -> BTreeMap<String, Value> {
    let mut scores = BTreeMap::from([("alias".to_owned(), json!(result.name))]);
    let mut put = |metric: &str, value: f64| scores.insert(format!("{metric},none"), json!(value));
    match (result.metric, result.accuracies) {
        (Metric::Perplexity, _) => {
            put("token_perplexity", result.score());
        }
        (Metric::Stereotype, _) => {
            put("pct_stereotype", result.score());
        }
        (Metric::Probability, _) => {
            put("probability", result.score());
        }
        (_, Some([raw, normalised])) => {
            put("acc", raw);
            put("acc_norm", normalised);
        }
        (_, None) => {
            put("acc", result.score());
        }
    }
    for (name, value) in &result.others {
        put(name, *value);
    }
    if let Some([low, high]) = result.interval() {
        scores.insert("interval_95,none".into(), json!([low, high]));
    }
    scores
}

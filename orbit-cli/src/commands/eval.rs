//! `orbit eval`: measures a model as a run file says.
//!
//! The language scores have the shape of lm-evaluation-harness, so that its viewers read them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use orbit_models::instruction_vector::InstructionVector;
use orbit_models::{Extension, LanguageModel};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{Eval, Global};
use crate::catalogue::Catalogue;
use crate::commands::print;
use crate::config::RunFile;
use crate::job::Job;
use crate::language::{self, Metric, SuiteResult};
use crate::paths::{self, DataDir};
use crate::pipeline::{Base, IDS_FILE};
use crate::report::{self, Machine};
use crate::{machine, retrieval};

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
    let path = paths::model(&args.model, Path::new("."))?;
    let mut base = Base::open(&path, &device)?;
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
        for result in
            language::measure(&base.model, &base.speech.tokenizer, &suites, config.batch_tokens, global.quiet)?
        {
            scores.samples.insert(result.name.clone(), json!({ "original": result.items.len() }));
            scores.results.insert(result.name.clone(), harness(&result));
        }
    }
    if run.evaluate.retrieval.is_some() && trained.is_none() {
        tracing::warn!("{} has learned no semantic IDs: retrieval is not measured", path.display());
    }
    if let (Some(config), Some(trained)) = (&run.evaluate.retrieval, &trained) {
        let job = learned(&run, &base, &path, trained, global.quiet)?;
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
    if let Some([low, high]) = result.interval() {
        scores.insert("interval_95,none".into(), json!([low, high]));
    }
    scores
}

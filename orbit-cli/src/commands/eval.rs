//! `orbit eval`: measures a model as a run file says.
//!
//! The language scores have the shape of lm-evaluation-harness, so that its viewers read them.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};
use orbit_models::Extension;
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{Eval, Global};
use crate::commands::print;
use crate::config::RunFile;
use crate::language::{self, Metric, SuiteResult};
use crate::paths::{self, DataDir};
use crate::pipeline::{Base, Job};
use crate::retrieval;

/// Scores by suite and metric, as lm-evaluation-harness writes them, and what it has no place for.
#[derive(Serialize)]
struct Scores {
    results: BTreeMap<String, BTreeMap<String, Value>>,
    #[serde(rename = "n-samples")]
    samples: BTreeMap<String, Value>,
    orbit: Value,
}

pub(crate) fn run(args: &Eval, global: &Global) -> Result<()> {
    let run = paths::resolve_data(RunFile::read(&args.run)?, &DataDir::new(global.data.clone(), &args.run))?;
    let device = orbit_core::device(&run.device)?;
    let path = paths::model(&args.model, std::path::Path::new("."))?;
    let base = Base::open(&path, &device)?;
    let trained = Extension::read(&path)?;
    let mut scores = Scores { results: BTreeMap::new(), samples: BTreeMap::new(), orbit: Value::Null };
    if let Some(config) = &run.evaluate.text {
        let vocabulary = base.vocabulary()?;
        let suites = language::suites(config)?;
        for result in language::measure(&base.model, &vocabulary, &suites, config.batch_tokens, global.quiet)? {
            scores.samples.insert(result.name.clone(), json!({ "original": result.items.len() }));
            scores.results.insert(result.name.clone(), harness(&result));
        }
    }
    if let (Some(config), Some(trained)) = (&run.evaluate.retrieval, &trained) {
        let job = Job::new(&run, &base)?;
        if trained.semantic_ids.as_deref() != Some(job.ids.digest()) {
            bail!("{} was trained with other semantic IDs than this run file makes", path.display());
        }
        let found = retrieval::measure(&base.model, &job, config, global.quiet)?;
        scores.orbit = json!({ "retrieval": found, "baselines": retrieval::baselines(&job, config) });
    }
    let text = serde_json::to_string_pretty(&scores)? + "\n";
    match &args.out {
        Some(path) => fs::write(path, text).with_context(|| path.display().to_string()),
        None => print(&text),
    }
}

fn harness(result: &SuiteResult) -> BTreeMap<String, Value> {
    let mut scores = BTreeMap::from([("alias".to_owned(), json!(result.name))]);
    let mut put = |metric: &str, value: f64| scores.insert(format!("{metric},none"), json!(value));
    match (result.metric, result.accuracies) {
        (Metric::Perplexity, _) => {
            put("token_perplexity", result.score());
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

//! Made-up reports for the tests.

mod sequences;

use std::collections::BTreeMap;

use super::{
    Baselines, Drift, DriftMetric, Evaluation, Machine, MaxDrift, POPULARITY, Point, Report, Retrieval,
    RetrievalIntervals, Run, SuiteScore, TRANSITIONS, Text,
};

pub(crate) use sequences::{sequence, study};

/// Suites with their score before training and by chance.
const SUITES: [(&str, f64, f64, &str); 4] = [
    ("arc-easy", 0.53, 0.25, "acc_norm"),
    ("blimp", 0.81, 0.5, "acc"),
    ("hellaswag", 0.43, 0.25, "acc_norm"),
    ("wikitext-2", 27.6, 1100.0, "perplexity"),
];

pub(crate) fn report() -> Report {
    Report {
        format: Report::FORMAT,
        title: "Amazon Beauty on SmolLM2-135M".to_owned(),
        command: "orbit study recipes/beauty.toml --data <data> & co".to_owned(),
        version: "0.1.0".to_owned(),
        commit: Some("0123abc".to_owned()),
        started: "2026-11-22T09:30:00Z".to_owned(),
        machine: Machine {
            os: "linux x86_64".to_owned(),
            cpu: "Example CPU @ 2.5 GHz".to_owned(),
            cores: 2,
            memory_bytes: Some(16 << 30),
        },
        device: "flex".to_owned(),
        seed: 7,
        data: "sha256:6b1f0f7a3d5c".to_owned(),
        model: "sha256:99e02ab4c871".to_owned(),
        config: "sha256:0c4d1e9fb2a6".to_owned(),
        baselines: Some(Baselines::from([
            (POPULARITY.to_owned(), retrieval(0.0121)),
            (TRANSITIONS.to_owned(), retrieval(0.0312)),
        ])),
        untouched: Some(Evaluation { retrieval: Some(retrieval(0.0002)), text: Some(text(1.0)) }),
        runs: vec![
            run("plain", &[], Some(0.12), Some(0.0521)),
            run("orbit", &["orbit"], Some(0.71), Some(0.0480)),
            run("ema", &["ema", "clip-norm"], Some(0.44), Some(0.0455)),
        ],
    }
}

/// A run whose suites all have the same retention.
pub(super) fn run(name: &str, hooks: &[&str], retention: Option<f64>, recall_at_10: Option<f64>) -> Run {
    let merging = hooks.contains(&"orbit");
    let (speed, max_flips) = (if hooks.is_empty() { 1.0 } else { 0.8 }, if merging { 0.0075 } else { 1.0 });
    let history: Vec<Point> = (1..=200).map(|step| point(step, speed, max_flips)).collect();
    Run {
        notes: Vec::new(),
        name: name.to_owned(),
        hooks: hooks.iter().map(|hook| (*hook).to_owned()).collect(),
        plugins: Vec::new(),
        steps: 200,
        retrieval: recall_at_10.map(retrieval),
        text: retention.map(text),
        drift: history.last().and_then(|last| last.drift).unwrap_or_default(),
        max_drift: merging.then_some(MaxDrift { metric: DriftMetric::Flips, value: 0.0075 }),
        spikes: 0,
        merges: history.iter().map(|point| point.merges).sum(),
        tokens_per_second: Some(1234.5),
        seconds: 742.0,
        peak_memory_bytes: Some(3 << 30),
        padding_share: Some(0.07),
        dtip: retention.map(|share| (1.0 - share).min(1.0)),
        history,
    }
}

fn retrieval(recall_at_10: f64) -> Retrieval {
    let at = |of: f64| [(1, 0.2), (5, 0.66), (10, 1.0), (20, 1.45)].map(|(k, share)| (k, of * share));
    let recall = BTreeMap::from(at(recall_at_10));
    let around = |(k, value): (&u32, &f64)| (*k, [value * 0.93, value * 1.07]);
    let ci = RetrievalIntervals { recall: recall.iter().map(around).collect(), ..RetrievalIntervals::default() };
    Retrieval { recall, ndcg: BTreeMap::from(at(recall_at_10 * 0.53)), mrr: BTreeMap::new(), users: 22_363, ci }
}

fn text(retention: f64) -> Text {
    let suites = SUITES.into_iter().enumerate().map(|(i, (name, before, chance, metric))| {
        let retention = (retention + 0.06 * (i as f64 - 1.5) * (1.0 - retention)).min(1.0);
        let score = if metric == "perplexity" {
            chance * (before / chance).powf(retention)
        } else {
            chance + (before - chance) * retention
        };
        let ci = Some([score * 0.96, score * 1.04]);
        let suite = SuiteScore {
            score,
            chance,
            retention: Some(retention),
            ci,
            metric: metric.to_owned(),
            group: None,
            items: 1000,
        };
        (name.to_owned(), suite)
    });
    Text {
        suites: suites.collect(),
        mean: Some(0.25 + 0.27 * retention),
        retention: Some(retention),
        ci: Some([retention - 0.05, retention + 0.05]),
    }
}

/// Drift grows until a merge halves it; the noise of the loss is a hash of the step.
fn point(step: u64, speed: f64, max_flips: f64) -> Point {
    let (mut flips, mut merges) = (0.0, 0);
    for _ in 0..step {
        flips += 0.00023 * speed * (1.0 - flips / 0.05);
        merges = u64::from(flips > max_flips);
        flips /= (1 + merges) as f64;
    }
    let t = step as f64;
    let noise = ((t + max_flips) * 12.9898).sin() * 43_758.545;
    let loss = 2.4 + 4.0 * (-t / 60.0).exp() + 0.5 * noise.fract() + if max_flips < 1.0 { 0.5 } else { 1.0 - speed };
    Point { step, loss, drift: Some(Drift { l2: flips * 4200.0, flips }), merges }
}

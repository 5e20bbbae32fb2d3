//! Made-up runs over a sequence of tasks, and a study of them.

use orbit_data::continual::ItemScores;
use orbit_data::text::Group;

use super::super::{
    Drift, Point, SequenceReport, StudyReport,
    sequence::{Stage, SuiteColumn, TaskColumn, TaskScore},
    study::{Origin, Subject},
    watched::{Look, WatchedTask},
};
use super::report;

/// Tasks with their metric, their score before training and after it.
const TASKS: [(&str, &str, f64, f64); 3] =
    [("simplify", "sari", 0.31, 0.46), ("dialogue", "bleu", 0.04, 0.22), ("headline", "rouge_1", 0.12, 0.41)];
/// Suites with their group, chance and number of items.
const SUITES: [(&str, Group, f64, usize); 8] = [
    ("mmlu-stem", Group::DomainKnowledge, 0.25, 120),
    ("mmlu-social", Group::DomainKnowledge, 0.25, 140),
    ("boolq", Group::Reasoning, 0.5, 150),
    ("piqa", Group::Reasoning, 0.5, 150),
    ("race-middle", Group::ReadingComprehension, 0.25, 200),
    ("crows/gender", Group::Bias, 0.5, 90),
    ("crows/religion", Group::Bias, 0.5, 60),
    ("crows/age", Group::Bias, 0.5, 70),
];
/// The share above chance that is left after each stage.
const KEPT: [f64; 3] = [0.75, 0.55, 0.45];

/// A model of a study.
struct Made {
    name: &'static str,
    parameters: u64,
    architecture: &'static str,
    tuned_first: bool,
    /// What it can do above chance before training, as a share of all there is above chance.
    skill: f64,
    /// What it loses of that, as a share of what the others lose.
    loss: f64,
}

const MODELS: [Made; 6] = [
    Made { name: "small", parameters: 60_500_000, architecture: "decoder", tuned_first: false, skill: 0.2, loss: 1.0 },
    Made {
        name: "middle",
        parameters: 134_515_008,
        architecture: "decoder",
        tuned_first: false,
        skill: 0.35,
        loss: 1.0,
    },
    Made {
        name: "large",
        parameters: 361_821_120,
        architecture: "decoder",
        tuned_first: false,
        skill: 0.55,
        loss: 0.95,
    },
    Made {
        name: "two-sided small",
        parameters: 76_961_152,
        architecture: "encoder-decoder",
        tuned_first: false,
        skill: 0.22,
        loss: 1.4,
    },
    Made {
        name: "two-sided middle",
        parameters: 180_000_000,
        architecture: "encoder-decoder",
        tuned_first: false,
        skill: 0.4,
        loss: 1.4,
    },
    Made {
        name: "middle tuned",
        parameters: 134_515_008,
        architecture: "decoder",
        tuned_first: true,
        skill: 0.4,
        loss: 0.4,
    },
];

/// Six models with three seeds each.
pub(crate) fn study() -> StudyReport {
    let from = report();
    let origin = Origin {
        title: "Forgetting over three instruction tasks".to_owned(),
        command: "orbit study recipes/luo.toml --data <data> & co".to_owned(),
        version: from.version,
        commit: from.commit,
        started: from.started,
        machine: from.machine,
        device: from.device,
    };
    let subject = |made: &Made| Subject {
        name: made.name.to_owned(),
        tuned_first: made.tuned_first,
        method: None,
        runs: (1..=3).map(|seed| run(made, seed)).collect(),
    };
    StudyReport::new(origin, MODELS.iter().map(subject).collect()).unwrap_or_else(|error| panic!("{error:#}"))
}

/// A run of the middle model.
pub(crate) fn sequence(seed: u64) -> SequenceReport {
    run(&MODELS[1], seed)
}

fn run(made: &Made, seed: u64) -> SequenceReport {
    let from = report();
    SequenceReport {
        notes: Vec::new(),
        format: SequenceReport::FORMAT,
        kind: SequenceReport::KIND.to_owned(),
        title: format!("Three tasks on the {} model, seed {seed}", made.name),
        command: "orbit sequence recipes/three.toml --out <dir>".to_owned(),
        version: from.version,
        commit: from.commit,
        started: from.started,
        machine: from.machine,
        device: from.device,
        seed,
        model: from.model,
        config: from.config,
        architecture: made.architecture.to_owned(),
        parameters: made.parameters,
        trained_parameters: made.parameters,
        adapters: None,
        hooks: Vec::new(),
        replay_share: 0.0,
        tasks: (0..3).map(|task| column(made, seed, task)).collect(),
        suites: (0..SUITES.len()).map(|suite| scores(made, seed, suite)).chain([wikitext(made, seed)]).collect(),
        stages: (0..3).map(|stage| stage_of(made, seed, stage)).collect(),
        watched: ["antonym", "plural"].map(|name| watched(made, seed, name)).into(),
    }
}

/// A task that is learned in its stage and then fades.
fn column(made: &Made, seed: u64, task: usize) -> TaskColumn {
    let (name, metric, before, learned) = TASKS[task];
    let at = |stage: usize| {
        let noise = 0.02 * (hash(&[seed, task as u64, stage as u64]) - 0.5);
        let part = if stage < task { 0.05 } else { 1.0 - 0.15 * made.loss * (stage - task) as f64 };
        before + (learned - before) * part + noise
    };
    let score = |value: f64| Some(TaskScore { value, ci: Some([value - 0.015, value + 0.015]) });
    let after = (0..3).map(|stage| score(at(stage))).collect();
    TaskColumn { name: name.to_owned(), metric: metric.to_owned(), chance: Some(0.0), before: score(before), after }
}

fn scores(made: &Made, seed: u64, suite: usize) -> SuiteColumn {
    let (name, group, chance, items) = SUITES[suite];
    let share = |kept: f64| {
        let above = if group == Group::Bias { 0.3 } else { made.skill };
        chance + (1.0 - chance) * above * kept
    };
    // Some items are answered anew by luck in every evaluation after training.
    let answers = |share: f64, evaluation: u64| -> Vec<f64> {
        let hard = |item: u64| hash(&[suite as u64, item]);
        let luck = |item: u64| hash(&[suite as u64, item, seed, evaluation]);
        let place = |item| if evaluation > 0 && luck(item) < 0.2 { 5.0 * luck(item) } else { hard(item) };
        (0..items as u64).map(|item| f64::from(u8::from(place(item) < share))).collect()
    };
    let after = KEPT.iter().zip(1..).map(|(kept, stage)| answers(share(1.0 - (1.0 - kept) * made.loss), stage));
    let items = ItemScores { before: answers(share(1.0), 0), after: after.collect() };
    let metric = if group == Group::Bias { "pct_stereotype" } else { "acc" };
    SuiteColumn { name: name.to_owned(), group: Some(group), metric: metric.to_owned(), chance, items }
}

fn wikitext(made: &Made, seed: u64) -> SuiteColumn {
    let before: Vec<f64> = (0..40).map(|window| 3.6 - made.skill + 0.6 * hash(&[9, window])).collect();
    let at = |stage: u64| {
        let rise = 0.12 * stage as f64 * made.loss;
        before.iter().zip(0..).map(|(loss, window)| loss + rise + 0.05 * hash(&[seed, stage, window])).collect()
    };
    let items = ItemScores { after: (1..=3).map(at).collect(), before: before.clone() };
    SuiteColumn { name: "wikitext".to_owned(), group: None, metric: "perplexity".to_owned(), chance: 1100.0, items }
}

fn stage_of(made: &Made, seed: u64, stage: usize) -> Stage {
    let loss = |step: u64| 1.5 + 2.5 * (-(step as f64) / 25.0).exp() + 0.4 * hash(&[seed, stage as u64, step]);
    let flips = |step: u64| 0.0004 * (step as f64).sqrt() * made.loss;
    let drift = |step: u64| Drift { l2: 900.0 * flips(step), flips: flips(step) };
    let point = |step: u64| Point { step, loss: loss(step), drift: Some(drift(step)), merges: 0 };
    Stage {
        task: TASKS[stage].0.to_owned(),
        steps: 120,
        seconds: 95.0,
        tokens_per_second: Some(2310.0),
        drift: drift(120),
        merges: 0,
        spikes: 0,
        acted: Vec::new(),
        divergence: Some(0.2 + 0.1 * stage as f64 * made.loss + 0.02 * hash(&[seed, stage as u64])),
        history: (1..=120).map(point).collect(),
    }
}

/// A task whose vector turns away while its loss rises.
fn watched(made: &Made, seed: u64, name: &str) -> WatchedTask {
    let look = |at: u64| {
        let gone = 0.05 * at as f64 * made.loss;
        let noise = if at == 0 { 0.0 } else { 0.05 * hash(&[seed, at, name.len() as u64]) };
        Look { step: at * 60, cosine: 1.0 - gone, in_context: 0.6 - gone, loss: 2.0 + 3.0 * gone + noise }
    };
    WatchedTask { name: name.to_owned(), looks: (0..=6).map(look).collect() }
}

/// A number in `[0, 1)` that looks random.
fn hash(of: &[u64]) -> f64 {
    let mix = |state: u64, word: &u64| {
        let state = (state ^ word.wrapping_add(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (state ^ (state >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb) ^ (state >> 32)
    };
    (of.iter().fold(1, mix) >> 11) as f64 / (1u64 << 53) as f64
}

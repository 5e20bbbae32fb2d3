//! Every key of a run file, of one corpus or of a sequence of tasks, changes something.
//!
//! The list of keys is read off the JSON schema, so that a new key without a case here fails.

mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use self::files::write_files;
use crate::program::{ROOT, orbit};

/// A run file as dotted keys with TOML values.
type Keys = BTreeMap<&'static str, String>;

/// A kind of run file.
struct Kind {
    /// Asks `orbit schema` for it.
    schema: &'static [&'static str],
    cases: &'static str,
    base: fn() -> Keys,
    /// Keys that hold lists, which are written as a whole.
    lists: &'static [&'static str],
    /// Keys that no run acts on, and why.
    elsewhere: &'static [&'static str],
}

const RUN: Kind = Kind {
    schema: &[],
    cases: CASES,
    base,
    lists: &["hooks", "evaluate.text.tasks"],
    // Where a disk fails, and what `orbit reproduce` reads.
    elsewhere: &[
        "train.on_failed_save",
        "expected.minutes",
        "expected.machine",
        "expected.seeds",
        "expected.values.measure",
        "expected.values.value",
        "expected.values.tolerance",
    ],
};

const SEQUENCE: Kind = Kind {
    schema: &["--tasks"],
    cases: SEQUENCE_CASES,
    base: sequence_base,
    lists: &["tasks", "hooks", "evaluate.text.tasks", "evaluate.watch.tasks", "replay.from.text.sources"],
    // Other wordings of an instruction are for switches, which are trained apart; a run checks them and trains on none. The other
    // is for disks that fail.
    elsewhere: &["tasks.paraphrases", "train.on_failed_save"],
};

const SASREC: Kind = Kind {
    schema: &["--sasrec"],
    cases: SASREC_CASES,
    base: sasrec_base,
    lists: &[],
    elsewhere: &[
        // A model of its own learns the items; nothing is made of embeddings, which are refused.
        "corpus.embeddings",
        // Nobody has met a document; they are refused.
        "corpus.documents.boolq.train",
        "corpus.documents.boolq.test",
        "corpus.documents.cranfield",
        "corpus.documents.jsonl.documents",
        "corpus.documents.jsonl.queries",
        // It has no hooks that would ask for estimates.
        "train.estimate_examples",
        // For disks that fail.
        "train.on_failed_save",
        // It takes the last items of a history, however long.
        "train.too_long",
        "expected.minutes",
        "expected.machine",
        "expected.seeds",
        "expected.values.measure",
        "expected.values.value",
        "expected.values.tolerance",
    ],
};

/// Written as `key: value`, or `key: value where other: value and ...`: a run in which the key has the value and the others have
/// theirs must come out differently from one in which only the others have theirs. An empty value leaves the key out, and one like `~old~new` is that of the base with a part replaced.
const CASES: &str = r#"
name: "another"
seed: 2
device: "ndarray"
model.path: "nowhere"
model.now: "2020-02-29T00:00:00Z" where model.path: "dated" and model.now: "2021-12-31T00:00:00Z"
model.fresh.hidden_size: 24 where model.path: and evaluate.text.tasks: and model.fresh.hidden_size: 16 and model.fresh.intermediate_size: 16 and model.fresh.layers: 1 and model.fresh.users: 3
model.fresh.intermediate_size: 24 where model.path: and evaluate.text.tasks: and model.fresh.hidden_size: 16 and model.fresh.intermediate_size: 16 and model.fresh.layers: 1 and model.fresh.users: 3
model.fresh.layers: 2 where model.path: and evaluate.text.tasks: and model.fresh.hidden_size: 16 and model.fresh.intermediate_size: 16 and model.fresh.layers: 1 and model.fresh.users: 3
model.fresh.heads: 2 where model.path: and evaluate.text.tasks: and model.fresh.hidden_size: 16 and model.fresh.intermediate_size: 16 and model.fresh.layers: 1 and model.fresh.users: 3
model.fresh.head_width: 8 where model.path: and evaluate.text.tasks: and model.fresh.hidden_size: 16 and model.fresh.intermediate_size: 16 and model.fresh.layers: 1 and model.fresh.users: 3
model.fresh.users: 5 where model.path: and evaluate.text.tasks: and model.fresh.hidden_size: 16 and model.fresh.intermediate_size: 16 and model.fresh.layers: 1 and model.fresh.users: 3
corpus.sequences: "other-sequences.txt"
corpus.items: "other-items.jsonl"
corpus.interactions: "interactions.jsonl" where corpus.sequences:
corpus.generated: { items = 31, users = 40 } where corpus.sequences: and corpus.items: and corpus.embeddings:
corpus.generated.items: 33 where corpus.sequences: and corpus.items: and corpus.embeddings: and corpus.generated.users: 40
corpus.generated.users: 45 where corpus.sequences: and corpus.items: and corpus.embeddings: and corpus.generated.items: 30
corpus.generated.seed: 9 where corpus.sequences: and corpus.items: and corpus.embeddings: and corpus.generated.items: 30
corpus.documents.jsonl.documents: "other-documents.jsonl" where corpus.sequences: and corpus.items: and corpus.embeddings: and semantic_ids.method: "atomic" and corpus.documents.jsonl.documents: "documents.jsonl" and corpus.documents.jsonl.queries: "queries.jsonl"
corpus.documents.jsonl.queries: "other-queries.jsonl" where corpus.sequences: and corpus.items: and corpus.embeddings: and semantic_ids.method: "atomic" and corpus.documents.jsonl.documents: "documents.jsonl" and corpus.documents.jsonl.queries: "queries.jsonl"
corpus.documents.boolq.train: "other-boolq.jsonl" where corpus.sequences: and corpus.items: and corpus.embeddings: and semantic_ids.method: "atomic" and corpus.documents.boolq.train: "boolq.train.jsonl" and corpus.documents.boolq.test: "boolq.test.jsonl"
corpus.documents.boolq.test: "other-boolq.jsonl" where corpus.sequences: and corpus.items: and corpus.embeddings: and semantic_ids.method: "atomic" and corpus.documents.boolq.train: "boolq.train.jsonl" and corpus.documents.boolq.test: "boolq.test.jsonl"
corpus.documents.cranfield: "other-cranfield" where corpus.sequences: and corpus.items: and corpus.embeddings: and semantic_ids.method: "atomic" and corpus.documents.cranfield: "cranfield"
corpus.embeddings: "other-embeddings.npy"
corpus.on_bad_row: "skip" where corpus.sequences: "bad-sequences.txt"
semantic_ids.file: "ids.json"
semantic_ids.field: "sid" where semantic_ids.file: "published.jsonl" and semantic_ids.field: "other_sid"
semantic_ids.method: "balanced_kmeans"
semantic_ids.collisions: "sinkhorn"
semantic_ids.standardize: true
semantic_ids.levels: 3
semantic_ids.codes: 6
semantic_ids.iterations: 1
semantic_ids.seed: 5
semantic_ids.normalize_residuals: false where semantic_ids.levels: 3 and semantic_ids.codes: 5
semantic_ids.rq_vae.hidden: [5] where semantic_ids.method: "rq_vae" and semantic_ids.rq_vae.hidden: [6] and semantic_ids.rq_vae.epochs: 3
semantic_ids.rq_vae.latent: 4 where semantic_ids.method: "rq_vae" and semantic_ids.rq_vae.hidden: [6] and semantic_ids.rq_vae.epochs: 3
semantic_ids.rq_vae.epochs: 4 where semantic_ids.method: "rq_vae" and semantic_ids.rq_vae.hidden: [6] and semantic_ids.rq_vae.epochs: 3
semantic_ids.rq_vae.batch: 7 where semantic_ids.method: "rq_vae" and semantic_ids.rq_vae.hidden: [6] and semantic_ids.rq_vae.epochs: 3
semantic_ids.rq_vae.learning_rate: 1e-2 where semantic_ids.method: "rq_vae" and semantic_ids.rq_vae.hidden: [6] and semantic_ids.rq_vae.epochs: 3
semantic_ids.rq_vae.commitment: 0.5 where semantic_ids.method: "rq_vae" and semantic_ids.rq_vae.hidden: [6] and semantic_ids.rq_vae.epochs: 3
semantic_ids.rq_vae.kmeans_start: false where semantic_ids.method: "rq_vae" and semantic_ids.rq_vae.hidden: [6] and semantic_ids.rq_vae.epochs: 3
semantic_ids.rq_vae.reset_dead_codes: false where semantic_ids.method: "rq_vae" and semantic_ids.rq_vae.hidden: [6] and semantic_ids.rq_vae.epochs: 3 and semantic_ids.rq_vae.kmeans_start: false
examples.max_history: 2
examples.title_to_id: 0.5
examples.id_to_title: 0.5
examples.indexing: 2.0 where corpus.sequences: and corpus.items: and corpus.embeddings: and semantic_ids.method: "atomic" and corpus.documents.jsonl.documents: "documents.jsonl" and corpus.documents.jsonl.queries: "queries.jsonl"
examples.queries: 0.5 where corpus.sequences: and corpus.items: and corpus.embeddings: and semantic_ids.method: "atomic" and corpus.documents.jsonl.documents: "documents.jsonl" and corpus.documents.jsonl.queries: "queries.jsonl" and train.steps: 3
examples.text_tokens: 1 where corpus.sequences: and corpus.items: and corpus.embeddings: and semantic_ids.method: "atomic" and corpus.documents.jsonl.documents: "documents.jsonl" and corpus.documents.jsonl.queries: "queries.jsonl"
train.steps: 3
train.batch: 6
train.micro_batch: 2
train.learning_rate: 2e-3
train.loss: "dynamic"
train.estimate_examples: 3 where hooks: [{ use = { ewc = { strength = 1.0 } } }]
train.warmup: 2
train.schedule: "cosine"
train.weight_decay: 0.5
train.beta1: 0.5
train.beta2: 0.5
train.epsilon: 1e-2
train.max_norm: 1e-3
train.drift_every: 2
train.save_every: 1
train.keep: 1 where train.save_every: 1 and train.steps: 4
train.keep_best: false where train.keep: 1 and train.save_every: 1 and train.steps: 4 and train.learning_rate: 1.0
train.too_long: "cut" where model.path: "short"
train.guard.window: 2 where train.guard.on_spike: "warn" and train.guard.sigmas: 0.001 and train.steps: 4 and train.learning_rate: 1.0
train.guard.sigmas: 0.001 where train.guard.on_spike: "warn" and train.guard.window: 3 and train.steps: 6 and train.learning_rate: 1.0
train.guard.on_spike: "warn" where train.guard.window: 2 and train.steps: 4 and train.learning_rate: 1.0
hooks: [{ use = { decay = { strength = 10.0 } } }]
hooks.only: [{ only = "layers.0.*", use = { decay = { strength = 10.0 } } }] where hooks: [{ use = { decay = { strength = 10.0 } } }]
hooks.every: [{ every = 2, use = { decay = { strength = 10.0 } } }] where hooks: [{ use = { decay = { strength = 10.0 } } }]
evaluate.untouched: false
evaluate.retrieval.users: 7
evaluate.retrieval.beams: 2
evaluate.retrieval.batch: 3
evaluate.retrieval.exclude_seen: true
evaluate.text.batch_tokens: 64
evaluate.text.embedded: true
evaluate.text.tasks.name: [{ name = "other", kind = "arc", path = "questions.jsonl", limit = 4 }]
evaluate.text.tasks.kind: [{ name = "questions", kind = "perplexity", path = "questions.jsonl", limit = 4 }]
evaluate.text.tasks.path: [{ name = "questions", kind = "arc", path = "other-questions.jsonl", limit = 4 }]
evaluate.text.tasks.limit: [{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 3 }]
evaluate.text.tasks.group: [{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 4, group = "reasoning" }]
evaluate.text.tasks.ask: [{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 4, ask = "instruction" }]
evaluate.text.tasks.shots: [{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 4, shots = 2 }] where evaluate.text.tasks: [{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 4, shots = 1 }]
evaluate.text.tasks.shots_from: [{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 4, shots = 2, shots_from = "other-questions.jsonl" }] where evaluate.text.tasks: [{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 4, shots = 2 }]
evaluate.text.tasks.seed: [{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 4, shots = 2, seed = 7 }] where evaluate.text.tasks: [{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 4, shots = 2 }]
evaluate.text.tasks.instruction: [{ name = "x", kind = "olora", path = "labelled.jsonl", instruction = "Say which of the colours that were given to you in the option is the one that fits the words below it best, if one does." }] where evaluate.text.batch_tokens: 200 and evaluate.text.tasks: [{ name = "x", kind = "olora", path = "labelled.jsonl", instruction = "Which?" }]
"#;

const SASREC_CASES: &str = r#"
name: "another"
seed: 2
device: "ndarray"
corpus.sequences: "other-sequences.txt"
corpus.items: "more-items.jsonl"
corpus.interactions: "interactions.jsonl" where corpus.sequences:
corpus.generated: { items = 31, users = 40 } where corpus.sequences: and corpus.items:
corpus.generated.items: 33 where corpus.sequences: and corpus.items: and corpus.generated.users: 40
corpus.generated.users: 45 where corpus.sequences: and corpus.items: and corpus.generated.items: 30
corpus.generated.seed: 9 where corpus.sequences: and corpus.items: and corpus.generated.items: 30
corpus.on_bad_row: "skip" where corpus.sequences: "bad-sequences.txt"
sasrec.width: 12
sasrec.layers: 1
sasrec.heads: 4
sasrec.max_history: 3
sasrec.dropout: 0.1
train.steps: 3
train.batch: 6
train.micro_batch: 2
train.learning_rate: 2e-3
train.loss: "dynamic"
train.warmup: 2
train.schedule: "cosine"
train.weight_decay: 0.5
train.beta1: 0.5
train.beta2: 0.5
train.epsilon: 1e-2
train.max_norm: 1e-3
train.drift_every: 2
train.save_every: 1
train.keep: 1 where train.save_every: 1 and train.steps: 4
train.keep_best: false where train.keep: 1 and train.save_every: 1 and train.steps: 4 and train.learning_rate: 1.0
train.guard.window: 2 where train.guard.on_spike: "warn" and train.guard.sigmas: 0.001 and train.steps: 4 and train.learning_rate: 1.0
train.guard.sigmas: 0.001 where train.guard.on_spike: "warn" and train.guard.window: 3 and train.steps: 6 and train.learning_rate: 1.0
train.guard.on_spike: "warn" where train.guard.window: 2 and train.steps: 4 and train.learning_rate: 1.0
evaluate.users: 7
evaluate.batch: 3
evaluate.on: "validation"
evaluate.exclude_seen: true
"#;

const SEQUENCE_CASES: &str = r#"
name: "another"
seed: 2
device: "ndarray"
model.path: "nowhere"
model.now: "2020-02-29T00:00:00Z" where model.path: "dated" and model.now: "2021-12-31T00:00:00Z"
tasks.name: ~"birds"~"fowl"
tasks.form: ~"jsonl"~"super_ni"
tasks.train: ~"birds.train.jsonl"~"colours.train.jsonl"
tasks.test: ~"birds.test.jsonl"~"colours.test.jsonl"
tasks.instruction: ~"Which?"~"Which colour is it?"
tasks.template: ~"jsonl"~"jsonl", template = "So: {{ input }}"
tasks.metric: ~"jsonl"~"jsonl", metric = "rouge_l"
tasks.choices: ~"olora"~"olora", choices = ["red", "green", "blue"]
tasks.chance: ~"olora"~"olora", chance = 0.25
tasks.steps: ~"jsonl"~"jsonl", steps = 3
tasks.train_limit: ~"jsonl"~"jsonl", train_limit = 5
tasks.test_limit: ~"jsonl"~"jsonl", test_limit = 1
tasks.on_bad_row: ~"jsonl"~"jsonl", on_bad_row = "skip" where tasks: ~birds.train~bad.train
sequence.origin: "run"
sequence.adapters: "merged" where lora.rank: 2
sequence.prompt: 40
sequence.answer: 2
lora.rank: 3 where lora.alpha: 4.0
lora.alpha: 4.0 where lora.rank: 2
lora.dropout: 0.5 where lora.rank: 2
lora.targets: ["k_proj"] where lora.rank: 2
replay.share: 0.7 where replay.share: 0.3
replay.from.text.sources.path: ~words.txt~others.txt where replay.share: 0.5 and replay.from.text.window: 8 and replay.from.text.sources: [{ path = "words.txt", form = "plain" }]
replay.from.text.sources.form: [{ path = "said.jsonl", form = { jsonl = { fields = ["a"] } } }] where replay.share: 0.5 and replay.from.text.window: 8 and replay.from.text.sources: [{ path = "said.jsonl", form = "plain" }]
replay.from.text.sources.form.jsonl.fields: ~"a"~"b" where replay.share: 0.5 and replay.from.text.window: 8 and replay.from.text.sources: [{ path = "said.jsonl", form = { jsonl = { fields = ["a"] } } }]
replay.from.text.sources.form.jsonl.after: ~["a"]~["a"], after = "dog" where replay.share: 0.5 and replay.from.text.window: 8 and replay.from.text.sources: [{ path = "said.jsonl", form = { jsonl = { fields = ["a"] } } }]
replay.from.text.sources.form.jsonl.until: ~["a"]~["a"], until = "dog" where replay.share: 0.5 and replay.from.text.window: 8 and replay.from.text.sources: [{ path = "said.jsonl", form = { jsonl = { fields = ["a"] } } }]
replay.from.text.sources.detokenize: ~"plain"~"plain", detokenize = true where replay.share: 0.5 and replay.from.text.window: 8 and replay.from.text.sources: [{ path = "words.txt", form = "plain" }]
replay.from.text.window: 12 where replay.share: 0.5 and replay.from.text.window: 8 and replay.from.text.sources: [{ path = "words.txt", form = "plain" }]
replay.from.generated.texts: 3 where replay.share: 0.5 and replay.from.generated.texts: 5 and replay.from.generated.length: 6
replay.from.generated.length: 4 where replay.share: 0.5 and replay.from.generated.texts: 5 and replay.from.generated.length: 6
train.steps: 3
train.batch: 6
train.micro_batch: 2
train.learning_rate: 2e-3
train.loss: "dynamic"
train.estimate_examples: 1 where hooks: [{ use = { ewc = { strength = 9e3 } } }] and train.estimate_examples: 5
train.warmup: 2
train.schedule: "cosine"
train.weight_decay: 0.5
train.beta1: 0.5
train.beta2: 0.5
train.epsilon: 1e-2
train.max_norm: 1e-3
train.drift_every: 2
train.save_every: 1
train.keep: 1 where train.save_every: 1 and train.steps: 4
train.keep_best: false where train.keep: 1 and train.save_every: 1 and train.steps: 4 and train.learning_rate: 1.0
train.too_long: "cut" where model.path: "short"
train.guard.window: 2 where train.guard.on_spike: "warn" and train.guard.sigmas: 0.001 and train.steps: 4 and train.learning_rate: 1.0
train.guard.sigmas: 0.001 where train.guard.on_spike: "warn" and train.guard.window: 3 and train.steps: 6 and train.learning_rate: 1.0
train.guard.on_spike: "warn" where train.guard.window: 2 and train.steps: 4 and train.learning_rate: 1.0
hooks: [{ use = { decay = { strength = 10.0 } } }]
hooks.only: [{ only = "layers.0.*", use = { decay = { strength = 10.0 } } }] where hooks: [{ use = { decay = { strength = 10.0 } } }]
hooks.every: [{ every = 2, use = { decay = { strength = 10.0 } } }] where hooks: [{ use = { decay = { strength = 10.0 } } }]
evaluate.batch: 1
evaluate.later_tasks: false
evaluate.divergence: 2
evaluate.text.batch_tokens: 64 where evaluate.text.tasks: [{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 4 }]
evaluate.text.embedded: true where evaluate.text.tasks: [{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 4 }]
evaluate.text.tasks.name: ~"questions"~"others" where evaluate.text.tasks: [{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 4 }]
evaluate.text.tasks.kind: ~"arc"~"perplexity" where evaluate.text.tasks: [{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 4 }]
evaluate.text.tasks.path: ~"questions.jsonl"~"other-questions.jsonl" where evaluate.text.tasks: [{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 4 }]
evaluate.text.tasks.limit: ~4~3 where evaluate.text.tasks: [{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 4 }]
evaluate.text.tasks.group: ~4~4, group = "reasoning" where evaluate.text.tasks: [{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 4 }]
evaluate.text.tasks.ask: ~4~4, ask = "knowledge" where evaluate.text.tasks: [{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 4 }]
evaluate.text.tasks.shots: ~shots = 2~shots = 1 where evaluate.text.tasks: [{ name = "questions", kind = "arc", path = "questions.jsonl", shots = 2, limit = 4 }]
evaluate.text.tasks.shots_from: ~limit = 4~limit = 4, shots_from = "other-questions.jsonl" where evaluate.text.tasks: [{ name = "questions", kind = "arc", path = "questions.jsonl", shots = 2, limit = 4 }]
evaluate.text.tasks.seed: ~limit = 4~limit = 4, seed = 7 where evaluate.text.tasks: [{ name = "questions", kind = "arc", path = "questions.jsonl", shots = 2, limit = 4 }]
evaluate.text.tasks.instruction: ~"Which?"~"Say which of the colours that were given to you in the option fits." where evaluate.text.tasks: [{ name = "x", kind = "olora", path = "labelled.jsonl", instruction = "Which?" }]
evaluate.watch.every: 1 where evaluate.watch.shots: 1 and evaluate.watch.prompts: 3 and evaluate.watch.every: 2 and evaluate.watch.tasks: [{ path = "birds.train.jsonl", vector = "two.safetensors" }]
evaluate.watch.prompts: 2 where evaluate.watch.shots: 1 and evaluate.watch.prompts: 3 and evaluate.watch.every: 2 and evaluate.watch.tasks: [{ path = "birds.train.jsonl", vector = "two.safetensors" }]
evaluate.watch.shots: 2 where evaluate.watch.shots: 1 and evaluate.watch.prompts: 3 and evaluate.watch.every: 2 and evaluate.watch.tasks: [{ path = "birds.train.jsonl", vector = "two.safetensors" }]
evaluate.watch.tasks.path: ~birds~fowl where evaluate.watch.shots: 1 and evaluate.watch.prompts: 3 and evaluate.watch.every: 2 and evaluate.watch.tasks: [{ path = "birds.train.jsonl", vector = "two.safetensors" }]
evaluate.watch.tasks.form: ~vector~form = "super_ni", vector where evaluate.watch.shots: 1 and evaluate.watch.prompts: 3 and evaluate.watch.every: 2 and evaluate.watch.tasks: [{ path = "birds.train.jsonl", vector = "two.safetensors" }]
evaluate.watch.tasks.vector: ~two~three where evaluate.watch.shots: 1 and evaluate.watch.prompts: 3 and evaluate.watch.every: 2 and evaluate.watch.tasks: [{ path = "birds.train.jsonl", vector = "two.safetensors" }]
"#;

fn sequence_base() -> Keys {
    let model = Path::new(ROOT).join("orbit-cli/assets/tiny-lm");
    let birds = r#"{ name = "birds", form = "jsonl", train = "birds.train.jsonl", test = "birds.test.jsonl" }"#;
    let colours = r#"{ name = "colours", form = "olora", train = "colours.train.jsonl", instruction = "Which?" }"#;
    let keys = [
        ("model.path", format!("{model:?}")),
        ("tasks", format!("[{birds}, {colours}]")),
        ("sequence.answer", "3".into()),
        ("train.steps", "2".into()),
        ("train.batch", "4".into()),
        ("train.warmup", "1".into()),
        ("train.drift_every", "1".into()),
        ("evaluate.divergence", "1".into()),
    ];
    keys.into_iter().collect()
}

fn sasrec_base() -> Keys {
    let keys = [
        ("corpus.sequences", r#""sequences.txt""#),
        ("corpus.items", r#""items.jsonl""#),
        ("sasrec.width", "8"),
        ("train.steps", "2"),
        ("train.batch", "4"),
        ("train.warmup", "1"),
        ("train.drift_every", "1"),
    ];
    keys.map(|(key, value)| (key, value.to_owned())).into_iter().collect()
}

fn base() -> Keys {
    let model = Path::new(ROOT).join("orbit-cli/assets/tiny-lm");
    let keys = [
        ("model.path", format!("{model:?}")),
        ("corpus.sequences", r#""sequences.txt""#.into()),
        ("corpus.items", r#""items.jsonl""#.into()),
        ("corpus.embeddings", r#""embeddings.npy""#.into()),
        ("semantic_ids.levels", "2".into()),
        ("semantic_ids.codes", "4".into()),
        ("train.steps", "2".into()),
        ("train.batch", "4".into()),
        ("train.warmup", "1".into()),
        ("train.drift_every", "1".into()),
        ("evaluate.retrieval.users", "8".into()),
        ("evaluate.retrieval.beams", "30".into()),
        (
            "evaluate.text.tasks",
            r#"[{ name = "questions", kind = "arc", path = "questions.jsonl", limit = 4 }]"#.into(),
        ),
    ];
    keys.into_iter().collect()
}

/// The key in the file for a key of the schema: entries of a list are given as the whole list.
fn written(kind: &Kind, key: &'static str) -> &'static str {
    kind.lists.iter().find(|list| key.starts_with(**list)).copied().unwrap_or(key)
}

struct Case {
    key: &'static str,
    value: &'static str,
    others: Vec<(&'static str, &'static str)>,
}

fn cases(kind: &Kind) -> Vec<Case> {
    let lines = kind.cases.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (setting, others) = line.split_once(" where ").unwrap_or((line, ""));
            let (key, value) = setting.split_once(": ").unwrap();
            let others = others.split(" and ").filter(|other| !other.is_empty());
            let others = others.map(|other| other.split_once(':').unwrap());
            Case { key, value, others: others.map(|(key, value)| (key.trim(), value.trim())).collect() }
        })
        .collect()
}

fn set(keys: &mut Keys, key: &'static str, value: &str) {
    if value.is_empty() {
        keys.remove(key);
    } else if let Some((old, new)) = value.strip_prefix('~').and_then(|parts| parts.split_once('~')) {
        let replaced = keys[key].replace(old, new);
        assert_ne!(replaced, keys[key], "{key} has no {old}");
        keys.insert(key, replaced);
    } else {
        keys.insert(key, value.into());
    }
}

/// Everything that a run leaves behind, but for times.
fn outcome(dir: &Path, keys: &Keys) -> String {
    let mut text = String::new();
    for (key, value) in keys {
        writeln!(text, "{key} = {value}").unwrap();
    }
    fs::write(dir.join("run.toml"), &text).unwrap();
    let out = dir.join("out");
    let mut train = orbit();
    train.env("ORBIT_LOG", "orbit=debug,orbit_core=debug");
    let result =
        train.arg("train").arg(dir.join("run.toml")).arg("--overwrite").arg("--out").arg(&out).output().unwrap();
    let mut outcome = format!("{:?}\n", result.status.code());
    if !result.status.success() {
        return outcome + &String::from_utf8_lossy(&result.stderr);
    }
    // How work was cut into batches, and what was kept for how long, is told in the log alone.
    let log = String::from_utf8_lossy(&result.stderr).into_owned();
    let telling = |line: &&str| ["batch", "checkpoint", "estimate"].iter().any(|word| line.contains(word));
    // The time comes first.
    let told = log.lines().filter(telling).map(|line| line.split_once("DEBUG").map_or(line, |(_, told)| told));
    outcome.extend(told.map(|line| format!("{line}\n")));
    let mut report: Value = serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap();
    // The digest of the run file would differ for a key that does nothing.
    for key in ["config", "started", "command"] {
        report.as_object_mut().unwrap().remove(key);
    }
    for list in ["runs", "stages"] {
        for part in report[list].as_array_mut().into_iter().flatten() {
            for key in ["seconds", "tokens_per_second", "peak_memory_bytes"] {
                part.as_object_mut().unwrap().remove(key);
            }
        }
    }
    outcome += &report.to_string();
    let stages = fs::read_dir(out.join("stages")).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = stages.chain([out.clone()]).collect();
    folders.sort();
    for metrics in folders.iter().filter_map(|folder| fs::read_to_string(folder.join("metrics.jsonl")).ok()) {
        for line in metrics.lines() {
            let mut line: Value = serde_json::from_str(line).unwrap();
            for key in ["seconds", "hook_seconds"] {
                line.as_object_mut().unwrap().remove(key);
            }
            writeln!(outcome, "{line}").unwrap();
        }
    }
    for entry in fs::read_dir(out.join("checkpoints")).into_iter().flatten() {
        writeln!(outcome, "{:?}", entry.unwrap().file_name()).unwrap();
    }
    outcome + &fs::read_to_string(out.join("model/semantic_ids.json")).unwrap_or_default()
}

/// The keys of the schema, dotted; lists and options are looked through.
fn schema_keys(kind: &Kind) -> BTreeSet<String> {
    let output = orbit().arg("schema").args(kind.schema).output().unwrap();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut keys = BTreeSet::new();
    collect(&schema, &schema, "", &mut keys);
    keys
}

fn collect(schema: &Value, root: &Value, prefix: &str, keys: &mut BTreeSet<String>) {
    // A hook's own options are the business of its crate, which proves them alive there.
    if prefix == "hooks.use" {
        return;
    }
    if let Some(reference) = schema["$ref"].as_str() {
        return collect(root.pointer(&reference[1..]).unwrap(), root, prefix, keys);
    }
    for choice in ["anyOf", "oneOf"].iter().flat_map(|way| schema[way].as_array().into_iter().flatten()) {
        collect(choice, root, prefix, keys);
    }
    if !schema["items"].is_null() {
        collect(&schema["items"], root, prefix, keys);
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        keys.insert(key.clone());
        collect(inner, root, &key, keys);
    }
}

#[test]
fn every_key_has_a_case() {
    for kind in [RUN, SEQUENCE, SASREC] {
        let tried: BTreeSet<&str> = cases(&kind).iter().map(|case| case.key).collect();
        let inner: BTreeSet<String> = schema_keys(&kind);
        // A table is tried through the keys in it; `use` through every case with a hook.
        let is_table = |key: &str| inner.iter().any(|other| other.starts_with(&format!("{key}.")));
        let exempt = |key: &str| is_table(key) || key == "hooks.use" || kind.elsewhere.contains(&key);
        let missing: Vec<_> = inner.iter().filter(|key| !tried.contains(key.as_str()) && !exempt(key)).collect();
        assert!(missing.is_empty(), "no case tries {missing:?}");
        assert!(kind.elsewhere.iter().all(|key| inner.contains(*key)));
    }
}

#[test]
fn every_key_changes_something() {
    let dir = tempfile::tempdir().unwrap();
    write_files(dir.path());
    let mut ids = base();
    ids.insert("semantic_ids.seed", "77".into());
    let text: String = ids.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    fs::write(dir.path().join("run.toml"), text).unwrap();
    let saved =
        orbit().arg("ids").arg(dir.path().join("run.toml")).arg("--out").arg(dir.path().join("ids.json")).status();
    assert!(saved.unwrap().success());
    all_change(&RUN, dir.path());
}

#[test]
fn every_key_of_a_sequence_changes_something() {
    let dir = tempfile::tempdir().unwrap();
    write_files(dir.path());
    let birds = dir.path().join("birds.train.jsonl");
    fs::copy(dir.path().join("birds.test.jsonl"), dir.path().join("fowl.train.jsonl")).unwrap();
    for (name, heads) in [("two", "2"), ("three", "3")] {
        let mut extract = orbit();
        extract.args(["iv", "extract", "--shots", "1", "--averaged", "2", "--patched", "1", "--heads", heads]);
        extract.arg("--model").arg(Path::new(ROOT).join("orbit-cli/assets/tiny-lm")).arg("--task").arg(&birds);
        assert!(
            extract.arg("--out").arg(dir.path().join(name).with_extension("safetensors")).status().unwrap().success()
        );
    }
    all_change(&SEQUENCE, dir.path());
}

#[test]
fn every_key_of_sasrec_changes_something() {
    let dir = tempfile::tempdir().unwrap();
    write_files(dir.path());
    all_change(&SASREC, dir.path());
}

fn all_change(kind: &Kind, dir: &Path) {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut dead = Vec::new();
    for case in cases(kind) {
        let mut keys = (kind.base)();
        for (key, value) in &case.others {
            set(&mut keys, key, value);
        }
        let before = known.entry(format!("{keys:?}")).or_insert_with(|| outcome(dir, &keys)).clone();
        set(&mut keys, written(kind, case.key), case.value);
        let after = outcome(dir, &keys);
        if after == before {
            dead.push(case.key);
        }
        let may_fail = ["device", "model.path"].contains(&case.key);
        assert!(may_fail || after.starts_with("Some(0)"), "{} = {} fails: {after}", case.key, case.value);
        // Failures differ by what their messages quote, so a key is tried on a run that works where there is one.
        let left_out = case.others.iter().any(|(_, value)| value.is_empty());
        let may_have_failed =
            left_out || ["on_bad_row", "on_spike", "too_long"].iter().any(|key| case.key.ends_with(key));
        assert!(may_have_failed || before.starts_with("Some(0)"), "before {} = {}: {before}", case.key, case.value);
    }
    assert!(dead.is_empty(), "these keys change nothing: {dead:?}");
}

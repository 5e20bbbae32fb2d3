use expect_test::{Expect, expect};
use orbit_regularizers::Use;

use super::*;

const SMALL: &str = r#"
[model]
path = "tiny"
[corpus]
generated = { items = 60 }
"#;

const FULL: &str = r#"
name = "beauty"
seed = 7
device = "cuda:0"

[model]
path = "smollm2-135m-instruct"

[corpus]
sequences = "rec/beauty/sequences.txt.gz"
items = "rec/beauty/items.jsonl.gz"
embeddings = "rec/beauty/title_emb_minilm_i8.npy"
on_bad_row = "skip"

[train]
steps = 600
batch = 16
micro_batch = 4
schedule = "cosine"
max_norm = inf

[[hooks]]
only = "layers.*"
every = 10
use.l2_sp = { strength = 0.1 }

[[hooks]]
use.orbit = { metric = "flips", max_drift = 7.5e-3 }

[evaluate]
untouched = false
[evaluate.retrieval]
users = 100
[[evaluate.text.tasks]]
name = "piqa"
kind = "piqa"
path = "mc/piqa_valid.jsonl.gz"
limit = 200
"#;

fn error(text: &str) -> String {
    RunFile::parse(text).unwrap_err().to_string()
}

fn check_error(text: &str, expected: Expect) {
    expected.assert_eq(&error(text));
}

/// Replaces a piece of [`FULL`], so that what is wrong with a file stands out.
fn full_with(piece: &str, replacement: &str) -> String {
    assert!(FULL.contains(piece), "no {piece}");
    FULL.replace(piece, replacement)
}

#[test]
fn defaults_are_spelled_out() {
    expect![[r#"
        name = ""
        seed = 1
        device = "flex"

        [model]
        path = "tiny"

        [corpus]
        on_bad_row = "fail"

        [corpus.generated]
        items = 60
        users = 1500
        seed = 0

        [semantic_ids]
        method = "residual_kmeans"
        collisions = "extra_level"
        standardize = false
        levels = 3
        codes = 256
        iterations = 25
        seed = 1
        normalize_residuals = true

        [examples]
        max_history = 12
        title_to_id = 0.0
        id_to_title = 0.0
        indexing = 1.0
        queries = 1.0
        text_tokens = 64

        [train]
        steps = 300
        batch = 8
        micro_batch = 8
        learning_rate = 0.0003
        warmup = 10
        schedule = "constant"
        weight_decay = 0.0
        beta1 = 0.9
        beta2 = 0.999
        epsilon = 0.00000001
        loss = "cross_entropy"
        estimate_examples = 200
        max_norm = 1.0
        drift_every = 10
        save_every = 0
        keep = 2
        keep_best = true
        on_failed_save = "stop"
        too_long = "refuse"

        [evaluate]
        untouched = true
    "#]]
    .assert_eq(&RunFile::parse(SMALL).unwrap().to_toml().unwrap());
}

#[test]
fn a_written_file_reads_as_the_same_run() {
    for text in [SMALL, FULL] {
        let run = RunFile::parse(text).unwrap();
        let written = run.to_toml().unwrap();
        assert_eq!(RunFile::parse(&written).unwrap(), run, "{written}");
    }
}

#[test]
fn the_order_of_hooks_is_the_files() {
    let run = RunFile::parse(FULL).unwrap();
    assert!(matches!(run.hooks[0].r#use, Use::L2Sp(_)) && matches!(run.hooks[1].r#use, Use::Orbit(_)));
}

#[test]
fn the_file_name_is_the_default_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("first-try.toml");
    fs::write(&path, SMALL).unwrap();
    assert_eq!(RunFile::read(&path).unwrap().name, "first-try");
    fs::write(&path, FULL).unwrap();
    assert_eq!(RunFile::read(&path).unwrap().name, "beauty");
}

#[test]
fn a_wrong_key_is_shown_with_its_place_and_the_nearest_right_name() {
    check_error(
        &full_with("max_drift", "max_drfit"),
        expect![[r#"
        TOML parse error at line 28, column 33
           |
        28 | use.orbit = { metric = "flips", max_drfit = 7.5e-3 }
           |                                 ^^^^^^^^^
        unknown field `max_drfit`, expected one of `metric`, `max_drift`, `factor`, `max_halvings`
        did you mean `max_drift`?"#]],
    );
    check_error(
        &full_with("micro_batch", "microbatch"),
        expect![[r#"
            TOML parse error at line 18, column 1
               |
            18 | microbatch = 4
               | ^^^^^^^^^^
            unknown field `microbatch`, expected one of `steps`, `batch`, `micro_batch`, `learning_rate`, `warmup`, `schedule`, `weight_decay`, `beta1`, `beta2`, `epsilon`, `loss`, `estimate_examples`, `max_norm`, `drift_every`, `save_every`, `keep`, `keep_best`, `on_failed_save`, `too_long`, `guard`
            did you mean `micro_batch`?"#]],
    );
    check_error(
        &full_with("use.orbit", "use.orbti"),
        expect![[r#"
            TOML parse error at line 28, column 5
               |
            28 | use.orbti = { metric = "flips", max_drift = 7.5e-3 }
               |     ^^^^^
            unknown variant `orbti`, expected one of `orbit`, `soup`, `interpolate`, `ema`, `ball`, `l2_sp`, `decay`, `kl`, `lwf`, `ewc`, `mas`, `si`, `o_lora`, `instruction_vector`, `freeze`, `half`, `plugin`
            did you mean `orbit`?"#]],
    );
    check_error(
        &full_with("[train]", "[training]"),
        expect![[r#"
            TOML parse error at line 15, column 2
               |
            15 | [training]
               |  ^^^^^^^^
            unknown field `training`, expected one of `name`, `seed`, `device`, `model`, `corpus`, `semantic_ids`, `examples`, `train`, `hooks`, `evaluate`, `expected`
            did you mean `train`?"#]],
    );
    check_error(
        &full_with("\"flips\"", "\"sign\""),
        expect![[r#"
        TOML parse error at line 28, column 24
           |
        28 | use.orbit = { metric = "sign", max_drift = 7.5e-3 }
           |                        ^^^^^^
        unknown variant `sign`, expected `flips` or `l2`"#]],
    );
}

#[test]
fn values_out_of_range_are_named_by_key() {
    let errors = [
        full_with("micro_batch = 4", "micro_batch = 5"),
        full_with("micro_batch = 4", "micro_batch = 0"),
        full_with("max_norm = inf", "max_norm = nan"),
        full_with("max_norm = inf", "warmup = 601"),
        full_with("max_norm = inf", "beta2 = 1.0"),
        full_with("max_norm = inf", "weight_decay = -1.0"),
        full_with("items =", "interactions = 'x'\nitems ="),
        full_with("items = \"rec/beauty/items.jsonl.gz\"", ""),
        full_with("embeddings = \"rec/beauty/title_emb_minilm_i8.npy\"", ""),
        full_with("limit = 200", "limit = 0"),
        full_with("users = 100", "beams = 0"),
        format!("{SMALL}[evaluate.text]"),
        full_with("max_drift = 7.5e-3", "max_drift = 0.0"),
        SMALL.replace("items = 60", "items = 0"),
        SMALL.replace("generated = { items = 60 }", ""),
        format!("{SMALL}items = 'x'"),
        format!("{SMALL}[semantic_ids]\ncodes = 70000"),
        format!("{SMALL}[semantic_ids.rq_vae]\nhidden = [64, 0]"),
        format!("{SMALL}[semantic_ids.rq_vae]\nlatent = 0"),
        format!("{SMALL}[semantic_ids.rq_vae]\nepochs = 0"),
        format!("{SMALL}[semantic_ids.rq_vae]\nbatch = 0"),
        format!("{SMALL}[semantic_ids.rq_vae]\nlearning_rate = 0.0"),
        format!("{SMALL}[semantic_ids.rq_vae]\ncommitment = -1.0"),
    ];
    expect![[r#"
        train.batch must be a multiple of train.micro_batch, got 16 and 5
        train.micro_batch must be at least 1, got 0
        train.max_norm must be above 0, got NaN
        train.warmup must be at most train.steps, got 601 and 600: lower it
        train.beta2 must be from 0 to below 1, got 1
        train.weight_decay must be 0 or above, got -1
        corpus has more than one of `sequences`, `interactions`, `generated`, `documents`: leave one
        corpus.items is missing: name the JSON lines file of the items
        corpus.embeddings is missing: semantic IDs are made from it (`orbit embed` makes it), unless `semantic_ids.file` has them
        evaluate.text.tasks has limit = 0 for "piqa": leave the task out
        evaluate.retrieval.beams must be at least 1, got 0
        evaluate.text measures nothing: give `tasks`, or set `embedded = true`
        hooks[2]: orbit: max_drift must be above 0, got 0
        corpus.generated.items must be at least 1, got 0
        corpus is empty: give one of `sequences`, `interactions`, `generated`, `documents`
        corpus.items does not go with `generated`, which makes its own: leave it out
        semantic_ids.codes must be at most 65536, got 70000
        semantic_ids.rq_vae.hidden must be at least 1, got 0
        semantic_ids.rq_vae.latent must be at least 1, got 0
        semantic_ids.rq_vae.epochs must be at least 1, got 0
        semantic_ids.rq_vae.batch must be at least 1, got 0
        semantic_ids.rq_vae.learning_rate must be above 0, got 0
        semantic_ids.rq_vae.commitment must be 0 or above, got -1"#]]
    .assert_eq(&errors.map(|text| error(&text)).join("\n"));
}

#[test]
fn what_trains_the_ids_is_spelled_out_where_something_does() {
    let run = RunFile::parse(&format!("{SMALL}[semantic_ids]\nmethod = 'rq_vae'\nrq_vae = {{ epochs = 7 }}")).unwrap();
    let written = run.to_toml().unwrap();
    assert!(written.contains("[semantic_ids.rq_vae]") && written.contains("latent = 32\nepochs = 7"), "{written}");
    assert_eq!(RunFile::parse(&written).unwrap(), run);
    let default = RunFile::parse(&format!("{SMALL}[semantic_ids]\nmethod = 'rq_vae'")).unwrap();
    assert_eq!(default.semantic_ids.rq_vae, Some(Default::default()));
}

#[test]
fn ids_from_a_file_need_no_embeddings() {
    let embeddings = "embeddings = \"rec/beauty/title_emb_minilm_i8.npy\"";
    let text = full_with(embeddings, "") + "[semantic_ids]\nfile = 'ids.json'";
    assert!(RunFile::parse(&text).is_ok());
}

#[test]
fn the_command_line_wins() {
    let overrides =
        Overrides { steps: Some(4), device: Some("ndarray".into()), seed: Some(9), name: Some("quick".into()) };
    let run = RunFile::parse(FULL).unwrap().apply(overrides).unwrap();
    assert_eq!((run.train.steps, run.train.warmup), (4, 4));
    assert_eq!((run.device.as_str(), run.seed, run.name.as_str()), ("ndarray", 9, "quick"));
    let none = Overrides { steps: Some(0), ..Overrides::default() };
    assert_eq!(run.apply(none).unwrap_err().to_string(), "train.steps must be at least 1, got 0");
}

#[test]
fn the_optimizer_is_what_the_file_says() {
    let run = RunFile::parse(FULL).unwrap();
    assert_eq!(run.train.optimizer().max_norm, None);
    assert_eq!(run.train.schedule().total, 600);
    assert_eq!(RunFile::parse(SMALL).unwrap().train.optimizer().max_norm, Some(1.0));
}

/// Legal settings of a run at the ends of what is legal, a key each.
const SETTINGS: &[&str] = &[
    "train.steps = 1",
    "train.batch = 1",
    "train.batch = 21",
    "train.micro_batch = 1",
    "train.micro_batch = 3",
    "train.micro_batch = 100",
    "train.warmup = 0",
    "train.warmup = 300",
    "train.schedule = 'cosine'",
    "train.loss = 'dynamic'",
    "train.max_norm = inf",
    "train.drift_every = 1000",
    "train.save_every = 1000",
    "train.keep = 1",
    "train.keep_best = false",
    "train.on_failed_save = 'go_on'",
    "train.too_long = 'cut'",
    "train.estimate_examples = 1",
    "train.guard.window = 2",
    "train.guard.on_spike = 'rollback'",
    "train.guard.on_spike = 'skip'",
    "semantic_ids.levels = 1",
    "semantic_ids.codes = 1",
    "semantic_ids.codes = 65536",
    "semantic_ids.collisions = 'sinkhorn'",
    "semantic_ids.method = 'atomic'",
    "semantic_ids.method = 'balanced_kmeans'",
    "semantic_ids.method = 'rq_vae'",
    "semantic_ids.rq_vae.batch = 1",
    "semantic_ids.standardize = true",
    "examples.max_history = 1",
    "examples.title_to_id = 1.0",
    "examples.text_tokens = 1",
    "evaluate.untouched = false",
    "evaluate.retrieval.users = 1",
    "evaluate.retrieval.beams = 1",
    "evaluate.retrieval.batch = 1000",
    "evaluate.retrieval.exclude_seen = true",
    "evaluate.text.embedded = true",
    "hooks = [{ use = { orbit = { metric = 'l2', max_drift = 1.0 } } }]",
    "hooks = [{ use = { ewc = { strength = 1.0 } } }]",
];

/// A refusal of every setting by itself, and of every two, that does not name both: a default contradicts them.
fn contradictions(settings: &[&str], parse: impl Fn(&str) -> Result<()>) -> Vec<String> {
    let key = |setting: &str| setting.split_once(" = ").unwrap().0.to_owned();
    let mut found = Vec::new();
    for (at, one) in settings.iter().enumerate() {
        found.extend(parse(one).err().map(|error| format!("{one}: {error:#}")));
        for other in settings[at + 1..].iter().filter(|other| key(other) != key(one)) {
            let Err(error) = parse(&format!("{one}\n{other}")) else { continue };
            let error = format!("{error:#}");
            if !error.contains(&key(one)) || !error.contains(&key(other)) {
                found.push(format!("{one} and {other}: {error}"));
            }
        }
    }
    found
}

#[test]
fn no_default_contradicts_a_legal_setting() {
    let mut settings = SETTINGS.to_vec();
    let run = |text: &str| RunFile::parse(&format!("{text}\n{SMALL}")).map(|_| ());
    assert_eq!(contradictions(&settings, run), [""; 0]);

    let of_items = ["semantic_ids", "examples", "evaluate.retrieval", "evaluate.text", "evaluate.untouched"];
    settings.retain(|setting| !of_items.iter().any(|key| setting.starts_with(key)));
    let of_tasks = [
        "sequence.prompt = 1",
        "sequence.answer = 1",
        "sequence.origin = 'run'",
        "lora.rank = 1",
        "lora.rank = 1000",
        "lora.alpha = 1.0",
        "lora.dropout = 0.5",
        "replay.share = 0.5",
        "evaluate.batch = 1000",
        "evaluate.divergence = 0",
        "evaluate.later_tasks = false",
        "evaluate.text.embedded = true",
    ];
    settings.extend(of_tasks);
    let tasks = "tasks = [{ name = 't', form = 'jsonl', train = 't.jsonl', steps = 2 }]\nmodel.path = 'tiny'";
    let sequence = |text: &str| SequenceFile::parse(&format!("{tasks}\n{text}")).map(|_| ());
    assert_eq!(contradictions(&settings, sequence), [""; 0]);

    settings.retain(|setting| setting.starts_with("train."));
    settings.extend([
        "sasrec.width = 1",
        "sasrec.heads = 3",
        "sasrec.heads = 128",
        "sasrec.layers = 1",
        "sasrec.max_history = 2",
        "sasrec.dropout = 0.0",
        "evaluate.users = 1",
        "evaluate.on = 'validation'",
    ]);
    let sasrec = |text: &str| {
        let text = if text.contains("sasrec.") { text.to_owned() } else { format!("{text}\nsasrec.layers = 2") };
        SasRecFile::parse(&format!("corpus.generated.items = 60\n{text}")).map(|_| ())
    };
    assert_eq!(contradictions(&settings, sasrec), [""; 0]);
}

use std::path::Path;

use orbit_models::DecoderConfig;
use orbit_models::weights::Dtype;

use super::*;
use crate::usage::{describe, exit_code};

/// A folder with the shape of a model of 3.7 M parameters, and no weights.
fn model(dir: &Path) -> DecoderConfig {
    let config = DecoderConfig {
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
    config.write(dir, Dtype::F32).unwrap();
    config
}

fn run(dir: &Path, more: &str) -> RunFile {
    let text = format!(
        "model.path = {dir:?}\ncorpus.generated = {{ items = 60, users = 40, seed = 3 }}\nexamples.max_history = 4\n{more}"
    );
    RunFile::parse(&text).unwrap()
}

fn sequence(dir: &Path, more: &str) -> SequenceFile {
    let tasks = r#"tasks = [{ name = "birds", form = "jsonl", train = "birds.jsonl" }]"#;
    SequenceFile::parse(&format!("{tasks}\nmodel.path = {dir:?}\n{more}")).unwrap()
}

fn part(needs: &Needs, name: &str) -> Option<f64> {
    needs.step.iter().chain(&needs.others).find(|(part, _)| part == name).map(|(_, bytes)| *bytes)
}

#[test]
fn a_run_keeps_four_times_the_weights_and_a_micro_batch_gradients_more() {
    let dir = tempfile::tempdir().unwrap();
    let weights = 4.0 * model(dir.path()).parameter_count() as f64;
    let needs = of_run(&run(dir.path(), "semantic_ids = { levels = 2, codes = 8 }"), Data::Unread).unwrap();
    // 8 + 8 codes, the level that tells IDs apart and the two tokens around them, in two tables.
    let new = 4.0 * 2.0 * (8.0 + 8.0 + 16.0 + 2.0) * 256.0;
    assert_eq!(part(&needs, "weights"), Some(weights + new));
    assert_eq!(part(&needs, "origin"), Some(weights));
    assert_eq!(part(&needs, "moments of AdamW"), Some(2.0 * (weights + new)));
    assert_eq!(part(&needs, "gradients so far"), None);
    assert_eq!((needs.batch.rows, needs.batch.width), (8, 32 + 5 * 5));
    let split = run(dir.path(), "semantic_ids = { levels = 2, codes = 8 }\ntrain = { micro_batch = 2 }");
    let split = of_run(&split, Data::Unread).unwrap();
    assert_eq!(part(&split, "gradients so far"), Some(weights + new));
    assert_eq!(split.batch.rows, 2);
}

/// Nobody of 40 users has met 1000 items.
#[test]
fn histories_are_as_long_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    model(dir.path());
    let mut run = run(dir.path(), "");
    run.examples.max_history = 1000;
    let width = |data| of_run(&run, data).unwrap().batch.width;
    assert!(width(Data::Unread) > 1000 * 6 && width(Data::Read) < 100 * 6, "{}", width(Data::Read));
}

#[test]
fn an_adapter_has_moments_and_the_model_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let weights = 4.0 * model(dir.path()).parameter_count() as f64;
    let lengths = "sequence = { prompt = 60, answer = 20 }\ntrain = { batch = 2 }";
    let needs = of_sequence(&sequence(dir.path(), &format!("{lengths}\nlora = {{ rank = 2 }}")), Data::Unread).unwrap();
    // Queries are 256 of 256, values 128 of 256.
    let adapter = 4.0 * 4.0 * 2.0 * (512.0 + 384.0);
    assert_eq!(part(&needs, "weights"), Some(weights));
    assert_eq!(part(&needs, "moments of AdamW"), Some(2.0 * adapter));
    assert_eq!((needs.batch.width, needs.batch.answers()), (80, 40.0));
    // A whole model in training leaves the one before beside it, to be compared with.
    let whole = of_sequence(&sequence(dir.path(), lengths), Data::Unread).unwrap();
    assert_eq!(part(&whole, "the model before"), Some(weights));
    assert!(whole.peak() > needs.peak() + 3.0 * weights);
    let replayed = format!("{lengths}\nreplay = {{ share = 0.5, from.generated = {{ length = 200 }} }}");
    assert_eq!(of_sequence(&sequence(dir.path(), &replayed), Data::Unread).unwrap().batch.width, 201);
}

/// The peak is that of the greediest thing that a run does, and the text adds up to it.
#[test]
fn evaluation_may_be_what_takes_most() {
    let dir = tempfile::tempdir().unwrap();
    model(dir.path());
    let of = |more: &str| of_run(&run(dir.path(), more), Data::Unread).unwrap();
    let small = of("evaluate.retrieval = { batch = 8 }");
    assert!((small.peak() - small.training()).abs() < 1.0);
    let wide = of("evaluate.retrieval = { batch = 8, beams = 100000 }");
    assert_eq!(Some(wide.peak()), part(&wide, "evaluation"));
    let line = format!("  at the peak{:>25.0} MiB\n", wide.peak() / MIB);
    assert!(wide.text().ends_with(&line), "{}", wide.text());
}

#[test]
fn what_cannot_fit_is_refused_with_the_arithmetic() {
    let dir = tempfile::tempdir().unwrap();
    model(dir.path());
    check_run(&run(dir.path(), "")).unwrap();
    let absurd = format!("train = {{ batch = {} }}", i64::MAX);
    // Elsewhere nobody says what is available, and nothing is refused.
    if cfg!(target_os = "linux") {
        for refused in [check_run(&run(dir.path(), &absurd)), check_sequence(&sequence(dir.path(), &absurd))] {
            let error = refused.unwrap_err();
            assert_eq!(exit_code(&error), 2);
            let text = describe(&error);
            for word in ["MiB are available here", "activations", "at the peak", "micro_batch", "--no-memory-check"] {
                assert!(text.contains(word), "no {word:?} in {text}");
            }
        }
    }
    let fresh = format!("model.fresh = {{}}\ncorpus.generated = {{}}\ntrain.batch = {}", i64::MAX);
    assert_eq!(check_run(&RunFile::parse(&fresh).unwrap()).is_err(), cfg!(target_os = "linux"));
    // What is not known is not held up.
    let missing = run(&dir.path().join("missing"), &absurd);
    check_run(&missing).unwrap();
}

/// A history of an encoder-decoder is read once, and its answer is a few tokens.
#[test]
fn an_encoder_decoder_keeps_prompts_and_answers_apart() {
    let of = |more: &str| {
        let text = format!("model.fresh = {{}}\ncorpus.generated = {{ items = 60, users = 40, seed = 3 }}\n{more}");
        of_run(&RunFile::parse(&text).unwrap(), Data::Unread).unwrap()
    };
    let (short, long) = (of("examples.max_history = 10"), of("examples.max_history = 20"));
    let twice = part(&long, "activations").unwrap() / part(&short, "activations").unwrap();
    assert!((1.5..2.5).contains(&twice), "{twice}");
    assert!(part(&short, "weights") == part(&long, "weights") && part(&short, "reading the model").is_none());
}

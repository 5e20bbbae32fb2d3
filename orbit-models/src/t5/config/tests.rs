use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::weights::Weights;

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/models");

/// A config of transformers 4, as flan-T5 has it.
fn flan() -> Value {
    json!({
        "architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "is_encoder_decoder": true, "vocab_size": 64,
        "d_model": 16, "d_kv": 6, "d_ff": 28, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 3,
        "relative_attention_num_buckets": 32, "feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu_new",
        "is_gated_act": true, "tie_word_embeddings": false, "decoder_start_token_id": 0, "pad_token_id": 0,
        "eos_token_id": 1, "n_positions": 512, "task_specific_params": {"some": 1},
    })
}

fn changed(change: &Value) -> Result<T5Config> {
    let mut value = flan();
    value.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(CONFIG_FILE), value.to_string()).unwrap();
    T5Config::read(dir.path())
}

#[test]
fn transformers_files_are_read() {
    let expected = T5Config {
        vocab_size: 64,
        d_model: 16,
        d_kv: 6,
        d_ff: 28,
        num_layers: 2,
        num_decoder_layers: 2,
        num_heads: 3,
        relative_attention_num_buckets: 8,
        relative_attention_max_distance: 20,
        ..T5Config::default()
    };
    assert_eq!(T5Config::read(format!("{MODELS}/tiny-t5")).unwrap(), expected);
    let expected = T5Config {
        model_type: ModelType::Mt5,
        num_layers: 3,
        relative_attention_num_buckets: 32,
        relative_attention_max_distance: 128,
        feed_forward_proj: FeedForwardProj::GatedGelu,
        scale_decoder_outputs: false,
        ..expected
    };
    assert_eq!(T5Config::read(format!("{MODELS}/tiny-mt5")).unwrap(), expected);
    let flan = T5Config::read(format!("{MODELS}/tiny-flan-t5")).unwrap();
    assert!(!flan.tie_word_embeddings && !flan.scale_decoder_outputs);
}

#[test]
fn both_ways_to_ask_for_scaled_outputs_are_read() {
    let scaled = |change| changed(&change).unwrap().scale_decoder_outputs;
    assert!(!scaled(json!({"tie_word_embeddings": false})));
    assert!(scaled(json!({"tie_word_embeddings": true})));
    assert!(scaled(json!({"tie_word_embeddings": null})));
    assert!(!scaled(json!({"tie_word_embeddings": true, "scale_decoder_outputs": false})));
    assert!(scaled(json!({"tie_word_embeddings": false, "scale_decoder_outputs": true})));
    let mt5 =
        json!({"model_type": "mt5", "architectures": ["MT5ForConditionalGeneration"], "tie_word_embeddings": true});
    assert!(!scaled(mt5));
}

#[test]
fn absent_keys_have_the_defaults_of_transformers() {
    let absent = json!({
        "num_decoder_layers": null, "feed_forward_proj": null, "dense_act_fn": null, "is_gated_act": null,
        "decoder_start_token_id": null, "pad_token_id": 5, "relative_attention_num_buckets": null,
    });
    let config = changed(&absent).unwrap();
    assert_eq!((config.num_decoder_layers, config.decoder_start_token_id), (2, 5));
    assert_eq!(config.feed_forward_proj, FeedForwardProj::Relu);
    assert_eq!((config.relative_attention_num_buckets, config.relative_attention_max_distance), (32, 128));
    assert_eq!(config.layer_norm_epsilon, 1e-6);
}

#[test]
fn what_is_written_is_read_back() {
    for name in ["tiny-t5", "tiny-mt5", "tiny-flan-t5"] {
        let dir = tempfile::tempdir().unwrap();
        let config = T5Config {
            eos_token_ids: vec![1, 3],
            dropout_rate: 0.0,
            ..T5Config::read(format!("{MODELS}/{name}")).unwrap()
        };
        config.write(dir.path(), Dtype::Bf16).unwrap();
        assert_eq!(T5Config::read(dir.path()).unwrap(), config);
    }
}

#[test]
fn parameters_are_counted_as_stored() {
    for (name, tied) in [("tiny-t5", true), ("tiny-mt5", false)] {
        let dir = format!("{MODELS}/{name}");
        let stored: usize = Weights::read(&dir).unwrap().tensors.values().map(|array| array.data.len()).sum();
        let config = T5Config { tie_word_embeddings: tied, ..T5Config::read(&dir).unwrap() };
        assert_eq!(config.parameter_count(), stored);
    }
}

#[test]
fn what_cannot_be_computed_is_refused_by_key() {
    let cases = [
        (json!({"architectures": ["T5EncoderModel"]}), "`architectures`: is [\"T5EncoderModel\"]"),
        (json!({"model_type": "umt5"}), "`model_type`: is \"umt5\""),
        (json!({"model_type": "mt5"}), "`architectures`"),
        (json!({"is_encoder_decoder": false}), "`is_encoder_decoder`"),
        (json!({"feed_forward_proj": "gated-silu"}), "`feed_forward_proj`: is \"gated-silu\""),
        (json!({"dense_act_fn": "gelu"}), "`dense_act_fn`: is \"gelu\""),
        (json!({"is_gated_act": false}), "`is_gated_act`"),
        (json!({"d_model": null}), "`d_model`: is not there"),
        (json!({"d_kv": 0}), "`d_kv`: 0 is not between"),
        (json!({"num_decoder_layers": 0}), "`num_decoder_layers`"),
        (json!({"vocab_size": 1u64 << 60}), "`vocab_size`"),
        (json!({"num_layers": 5000}), "`num_layers`: 5000 is not between 1 and 4096"),
        (json!({"relative_attention_num_buckets": 30}), "`relative_attention_num_buckets`: 30 is not a multiple of 4"),
        (json!({"relative_attention_max_distance": 16}), "`relative_attention_max_distance`: 16 is not beyond the 16"),
        (json!({"layer_norm_epsilon": 0.0}), "`layer_norm_epsilon`"),
        (json!({"initializer_factor": -1.0}), "`initializer_factor`"),
        (json!({"dropout_rate": 1.0}), "`dropout_rate`"),
        (json!({"decoder_start_token_id": 64}), "`vocab_size`: a special token has id 64"),
        (json!({"decoder_start_token_id": null, "pad_token_id": null}), "`decoder_start_token_id`: is not there"),
    ];
    for (change, expected) in cases {
        let text = changed(&change).unwrap_err().to_string();
        assert!(text.contains(expected) && text.contains(CONFIG_FILE), "{change}: {text}");
    }
    let dir = tempfile::tempdir().unwrap();
    let scaled = T5Config { model_type: ModelType::Mt5, ..T5Config::default() };
    assert!(scaled.write(dir.path(), Dtype::F32).unwrap_err().to_string().contains("`scale_decoder_outputs`"));
}

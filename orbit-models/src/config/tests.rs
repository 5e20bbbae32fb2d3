use std::fs;

use serde_json::{Value, json};

use super::*;

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/models");

fn small() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 96, "hidden_size": 32,
        "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 4, "some_later_key": [1, 2],
    })
}

fn read(value: &Value) -> Result<DecoderConfig> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(CONFIG_FILE), value.to_string()).unwrap();
    DecoderConfig::read(dir.path())
}

#[test]
fn transformers_files_are_read() {
    let config = DecoderConfig::read(format!("{MODELS}/tiny-llama")).unwrap();
    let expected = DecoderConfig {
        vocab_size: 96,
        hidden_size: 32,
        intermediate_size: 80,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 8,
        rms_norm_eps: 1e-5,
        rope_theta: 5000.0,
        max_position_embeddings: 64,
        tie_word_embeddings: true,
        initializer_range: 0.02,
        bos_token_id: Some(1),
        eos_token_ids: vec![2],
        pad_token_id: Some(0),
    };
    assert_eq!(config, expected);
    assert!(!DecoderConfig::read(format!("{MODELS}/tiny-llama-untied")).unwrap().tie_word_embeddings);
}

#[test]
fn absent_keys_have_the_defaults_of_transformers() {
    let config = read(&small()).unwrap();
    assert_eq!((config.num_key_value_heads, config.head_dim, config.rope_theta), (4, 8, 10_000.0));
    assert!(!config.tie_word_embeddings);
}

#[test]
fn both_forms_of_rope_theta_are_read() {
    for form in [
        json!({"rope_theta": 5e5}),
        json!({"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}, "rope_theta": 1.0}),
    ] {
        let mut value = small();
        value.as_object_mut().unwrap().extend(form.as_object().unwrap().clone());
        assert_eq!(read(&value).unwrap().rope_theta, 5e5);
    }
}

#[test]
fn what_is_written_is_read_back() {
    for eos_token_ids in [vec![], vec![2], vec![2, 5]] {
        let dir = tempfile::tempdir().unwrap();
        let config = DecoderConfig { eos_token_ids, ..DecoderConfig::read(format!("{MODELS}/tiny-llama")).unwrap() };
        config.write(dir.path(), Dtype::Bf16).unwrap();
        assert_eq!(DecoderConfig::read(dir.path()).unwrap(), config);
    }
}

#[test]
fn parameters_are_counted_as_stored() {
    for name in ["tiny-llama", "tiny-llama-untied"] {
        let dir = format!("{MODELS}/{name}");
        let stored = crate::weights::Weights::read(&dir).unwrap();
        let entries: usize = stored.tensors.values().map(|array| array.data.len()).sum();
        assert_eq!(DecoderConfig::read(&dir).unwrap().parameter_count(), entries);
    }
}

#[test]
fn what_cannot_be_computed_is_refused_by_key() {
    let cases = [
        (json!({"architectures": ["MistralForCausalLM"]}), "`architectures`: is [\"MistralForCausalLM\"]"),
        (json!({"model_type": "qwen2"}), "`model_type`: is \"qwen2\""),
        (json!({"hidden_act": "gelu"}), "`hidden_act`"),
        (json!({"attention_bias": true}), "`attention_bias`"),
        (json!({"mlp_bias": true}), "`mlp_bias`"),
        (json!({"rope_scaling": {"type": "linear", "factor": 2.0}}), "`rope_scaling`"),
        (json!({"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5}}), "`rope_parameters`"),
        (json!({"rope_parameters": {"rope_theta": 5e5, "partial_rotary_factor": 0.5}}), "`rope_parameters`"),
        (json!({"hidden_size": null}), "`hidden_size`: is not there"),
        (json!({"hidden_size": 33}), "`head_dim`: is not there, and 4 heads do not divide"),
        (json!({"num_attention_heads": 0}), "`head_dim`"),
        (json!({"num_key_value_heads": 3}), "`num_key_value_heads`: 3 does not divide 4 heads"),
        (json!({"num_key_value_heads": 0}), "`num_key_value_heads`"),
        (json!({"head_dim": 7}), "`head_dim`: 7 is odd"),
        (json!({"vocab_size": 1u64 << 60}), "`vocab_size`"),
        (json!({"rms_norm_eps": 0.0}), "`rms_norm_eps`"),
        (json!({"rope_theta": -1.0}), "`rope_theta`"),
        (json!({"eos_token_id": [1, 96]}), "`vocab_size`: a special token has id 96"),
    ];
    for (change, expected) in cases {
        let mut value = small();
        value.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let text = read(&value).unwrap_err().to_string();
        assert!(text.contains(expected) && text.contains(CONFIG_FILE), "{change}: {text}");
    }
}

#[test]
fn a_file_that_is_not_json_is_named_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(CONFIG_FILE), "{\n\"vocab_size\": }").unwrap();
    let text = DecoderConfig::read(dir.path()).unwrap_err().to_string();
    assert!(text.contains("config.json") && text.contains("line 2"), "{text}");
}

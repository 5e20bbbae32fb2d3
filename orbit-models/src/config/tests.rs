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

fn changed(mut value: Value, change: Value) -> Value {
    value.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    value
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
        family: Family::Llama,
        vocab_size: 96,
        hidden_size: 32,
        intermediate_size: 80,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 8,
        norm_eps: 1e-5,
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

/// `auto_map` names Python code that transformers would run when it is told to.
#[test]
fn code_that_a_config_names_is_neither_run_nor_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    let code = json!({"auto_map": {"AutoModelForCausalLM": "someone/else--modeling.Model"}});
    let config = read(&changed(small(), code)).unwrap();
    assert_eq!(config, read(&small()).unwrap());
    config.write(dir.path(), Dtype::F32).unwrap();
    assert!(!fs::read_to_string(dir.path().join(CONFIG_FILE)).unwrap().contains("auto_map"));
    // A kind of model that only such code could make is refused.
    let error = read(&changed(small(), json!({"model_type": "remote", "architectures": ["Model"]}))).unwrap_err();
    assert!(error.to_string().contains("Model"), "{error}");
}

#[test]
fn a_bloom_is_read_under_either_name_of_a_size() {
    let config = DecoderConfig::read(format!("{MODELS}/tiny-bloom")).unwrap();
    let expected = DecoderConfig {
        family: Family::Bloom,
        vocab_size: 96,
        hidden_size: 24,
        intermediate_size: 96,
        num_hidden_layers: 2,
        num_attention_heads: 3,
        num_key_value_heads: 3,
        head_dim: 8,
        norm_eps: 1e-5,
        max_position_embeddings: 64,
        tie_word_embeddings: true,
        bos_token_id: Some(1),
        eos_token_ids: vec![2],
        pad_token_id: Some(3),
        ..DecoderConfig::default()
    };
    assert_eq!(config, expected);
    let later = json!({"model_type": "bloom", "vocab_size": 96, "hidden_size": 24, "n_layer": 2, "n_head": 3,
        "seq_length": 64, "pad_token_id": 3});
    assert_eq!(read(&later).unwrap(), expected);
    let nothing = json!({"bos_token_id": null, "eos_token_id": null, "architectures": ["BloomModel"]});
    let config = read(&changed(later, nothing)).unwrap();
    assert_eq!((config.bos_token_id, config.eos_token_ids.len()), (None, 0));
}

#[test]
fn a_bloom_that_cannot_be_computed_is_refused_by_key() {
    let cases = [
        (json!({"architectures": ["BloomForTokenClassification"]}), "`architectures`: is [\"BloomForToken"),
        (
            json!({"apply_residual_connection_post_layernorm": true}),
            "`apply_residual_connection_post_layernorm`: is true",
        ),
        (json!({"hidden_dropout": 0.1}), "`hidden_dropout`: is 0.1"),
        (json!({"attention_dropout": 0.2}), "`attention_dropout`: is 0.2"),
        (json!({"hidden_size": null}), "`hidden_size`: is not there, and neither is n_embed"),
        (json!({"n_embed": 32}), "`hidden_size`: is 24, and n_embed is 32"),
        (json!({"num_hidden_layers": 3}), "`n_layer`: is 2, and num_hidden_layers is 3"),
        (json!({"n_head": 5}), "`hidden_size`: 24 is not 5 heads of 4"),
        (json!({"n_head": 0}), "`num_attention_heads`: 0"),
        (json!({"layer_norm_epsilon": -1.0}), "`layer_norm_epsilon`"),
        (json!({"vocab_size": 2}), "`vocab_size`: a special token has id 2"),
    ];
    let bloom = json!({"model_type": "bloom", "vocab_size": 96, "hidden_size": 24, "n_layer": 2, "n_head": 3});
    for (change, expected) in cases {
        let text = read(&changed(bloom.clone(), change)).unwrap_err().to_string();
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let dir = tempfile::tempdir().unwrap();
    for (change, expected) in [
        (DecoderConfig { num_key_value_heads: 1, ..read(&bloom).unwrap() }, "`num_key_value_heads`: 1 is not the 3"),
        (DecoderConfig { intermediate_size: 50, ..read(&bloom).unwrap() }, "`intermediate_size`: 50 is not 4 times 24"),
    ] {
        let text = change.write(dir.path(), Dtype::F32).unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
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
        assert_eq!(read(&changed(small(), form)).unwrap().rope_theta, 5e5);
    }
}

#[test]
fn what_is_written_is_read_back() {
    for eos_token_ids in [vec![], vec![2], vec![2, 5]] {
        let dir = tempfile::tempdir().unwrap();
        for name in ["tiny-llama", "tiny-bloom"] {
            let read = DecoderConfig::read(format!("{MODELS}/{name}")).unwrap();
            let config = DecoderConfig { eos_token_ids: eos_token_ids.clone(), ..read };
            config.write(dir.path(), Dtype::Bf16).unwrap();
            assert_eq!(DecoderConfig::read(dir.path()).unwrap(), config);
        }
    }
}

#[test]
fn parameters_are_counted_as_stored() {
    for name in ["tiny-llama", "tiny-llama-untied", "tiny-bloom"] {
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
        (json!({"model_type": "qwen2"}), "`model_type`: is \"qwen2\"; \"llama\" and \"bloom\" can be read"),
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
        (json!({"num_hidden_layers": 5000}), "`num_hidden_layers`: 5000 is not between 1 and 4096"),
        (json!({"rms_norm_eps": 0.0}), "`rms_norm_eps`"),
        (json!({"rope_theta": -1.0}), "`rope_theta`"),
        (json!({"eos_token_id": [1, 96]}), "`vocab_size`: a special token has id 96"),
    ];
    for (change, expected) in cases {
        let text = read(&changed(small(), change)).unwrap_err().to_string();
        assert!(text.contains(expected) && text.contains(CONFIG_FILE), "{expected}: {text}");
    }
}

#[test]
fn a_file_that_is_not_json_is_named_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(CONFIG_FILE), "{\n\"vocab_size\": }").unwrap();
    let text = DecoderConfig::read(dir.path()).unwrap_err().to_string();
    assert!(text.contains("config.json") && text.contains("line 2"), "{text}");
}

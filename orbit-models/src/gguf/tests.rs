use std::fs;

use proptest::prelude::*;

use super::*;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/models/tiny-llama-q4_1.gguf");
const EXPECTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/models/tiny-llama-q4_1.safetensors");
const K_QUANTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/gguf/tiny-llama-k.gguf");
const K_EXPECTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/gguf/tiny-llama-k.safetensors");

fn golden() -> Vec<u8> {
    fs::read(GOLDEN).unwrap()
}

fn message(file: &[u8]) -> String {
    from_bytes(file, "m.gguf").unwrap_err().to_string()
}

/// Replaces the only place where `from` stands in the file.
fn replaced(from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut file = golden();
    let at: Vec<usize> = (0..file.len() - from.len()).filter(|at| file[*at..].starts_with(from)).collect();
    assert_eq!(at.len(), 1, "{:?}", String::from_utf8_lossy(from));
    file[at[0]..at[0] + to.len()].copy_from_slice(to);
    file
}

/// The golden file with the value of `key`, which stands after the key and four bytes of type, overwritten.
fn with_value(key: &str, value: &[u8]) -> Vec<u8> {
    let mut needle = (key.len() as u64).to_le_bytes().to_vec();
    needle.extend(key.bytes());
    let at = golden().windows(needle.len()).position(|window| window == needle).unwrap() + needle.len() + 4;
    let mut file = golden();
    file[at..at + value.len()].copy_from_slice(value);
    file
}

/// The golden file with the 64-bit offset of tensor `name` (two dimensions) overwritten.
fn with_offset(name: &str, offset: u64) -> Vec<u8> {
    let at = golden().windows(name.len()).rposition(|window| window == name.as_bytes()).unwrap() + name.len() + 4 + 20;
    let mut file = golden();
    file[at..at + 8].copy_from_slice(&offset.to_le_bytes());
    file
}

/// The offset of tensor `name` (two dimensions) in the golden file.
fn offset_of(name: &str) -> u64 {
    let at = golden().windows(name.len()).rposition(|window| window == name.as_bytes()).unwrap() + name.len() + 4 + 20;
    u64::from_le_bytes(golden()[at..at + 8].try_into().unwrap())
}

/// The golden file with the 32-bit type of tensor `name` (two dimensions) overwritten.
fn with_type(name: &str, kind: u32) -> Vec<u8> {
    let at = golden().windows(name.len()).rposition(|window| window == name.as_bytes()).unwrap() + name.len() + 4 + 16;
    let mut file = golden();
    file[at..at + 4].copy_from_slice(&kind.to_le_bytes());
    file
}

#[test]
fn weights_are_those_of_the_reference() {
    let model = read(GOLDEN).unwrap();
    let expected = Weights::read_file(EXPECTED).unwrap();
    assert_eq!(model.weights.tensors.keys().collect::<Vec<_>>(), expected.tensors.keys().collect::<Vec<_>>());
    for (name, array) in &expected.tensors {
        assert!(model.weights.tensors[name] == *array, "{name}");
    }
}

#[test]
fn a_model_of_k_quants_is_read() {
    let model = read(K_QUANTS).unwrap();
    let expected = Weights::read_file(K_EXPECTED).unwrap();
    assert_eq!((expected.tensors.len(), model.weights.tensors.len()), (4, 11));
    for (name, array) in &expected.tensors {
        assert!(model.weights.tensors[name] == *array, "{name}");
    }
    assert_eq!(model.config.head_dim, 8);
    assert!(model.config.tie_word_embeddings);
    assert_eq!(model.tokenizer["model"]["ignore_merges"], true);
    assert_eq!(model.tokenizer["post_processor"]["single"][0]["SpecialToken"]["id"], "<s>");
}

#[test]
fn the_architecture_comes_before_the_tokenizer() {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let mut file = with_value("general.architecture", &text("qwen2"));
    let pre = file.windows(6).position(|window| window == b"smollm").unwrap();
    file[pre..pre + 6].copy_from_slice(b"nobody");
    assert!(message(&file).contains("general.architecture is \"qwen2\""), "{}", message(&file));
}

#[test]
fn config_and_tokenizer_are_read() {
    let model = read(GOLDEN).unwrap();
    assert_eq!(model.config.vocab_size, 263);
    assert_eq!((model.config.num_attention_heads, model.config.num_key_value_heads, model.config.head_dim), (4, 2, 8));
    assert_eq!((model.config.norm_eps, model.config.rope_theta), (1e-5, 5000.0));
    assert!(model.config.tie_word_embeddings);
    assert_eq!((model.config.bos_token_id, &model.config.eos_token_ids[..]), (Some(1), &[2][..]));
    assert!(model.chat_template().unwrap().contains("<|im_start|>"));
    assert_eq!(model.tokenizer["model"]["vocab"]["<|im_end|>"], 2);
    assert_eq!(model.tokenizer["model"]["merges"][2], json!(["Ġt", "he"]));
    assert_eq!(model.tokenizer["added_tokens"].as_array().unwrap().len(), 3);
    assert_eq!(model.tokenizer["post_processor"], Value::Null);
    assert_eq!(model.tokenizer_config["pad_token"], "<|im_end|>");
}

#[test]
fn a_converted_directory_holds_the_model() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    convert(GOLDEN, &dir, Dtype::F32).unwrap();
    assert_eq!(Weights::read(&dir).unwrap(), read(GOLDEN).unwrap().weights);
    assert_eq!(DecoderConfig::read(&dir).unwrap(), read(GOLDEN).unwrap().config);
    assert!(dir.join("tokenizer.json").exists() && dir.join("tokenizer_config.json").exists());
    assert!(dir.join("generation_config.json").exists());
    assert!(convert(GOLDEN, &dir, Dtype::F32).unwrap_err().to_string().contains("remove it first"));
}

#[test]
fn a_failed_conversion_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let cut = root.path().join("cut.gguf");
    fs::write(&cut, &golden()[..20_000]).unwrap();
    assert!(convert(&cut, root.path().join("model"), Dtype::F32).is_err());
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn damage_is_named() {
    let mut magic = golden();
    magic[0] = b'X';
    let mut version = golden();
    version[4] = 9;
    let mut tensors = golden();
    tensors[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    let mut twice = golden();
    let at = twice.windows(20).rposition(|window| window == b"blk.1.ffn_up.weight\x02").unwrap();
    twice[at..at + 19].copy_from_slice(b"blk.0.ffn_up.weight");
    let shared = with_offset("blk.1.attn_q.weight", offset_of("blk.1.attn_k.weight"));
    let cases = [
        (magic, "does not begin with \"GGUF\""),
        (version, "GGUF version 9"),
        (tensors, "dimensions"),
        (twice, "tensor blk.0.ffn_up.weight is there twice"),
        (golden()[..10].to_vec(), "cut short: 8 bytes are needed at byte 8"),
        (golden()[..golden().len() - 64].to_vec(), "does not fit the file"),
        (Vec::new(), "cut short"),
        (shared, "share bytes of the file"),
        (with_value("tokenizer.ggml.merges", &[8, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]), "cut short"),
    ];
    for (file, expected) in cases {
        let text = message(&file);
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let cases = [
        (with_value("general.architecture", &text("bloom")), "general.architecture is \"bloom\""),
        (with_value("tokenizer.ggml.model", &text("nope")), "tokenizer.ggml.model is \"nope\""),
        (with_value("tokenizer.ggml.pre", &text("qwen99")), "tokenizer.ggml.pre is \"qwen99\""),
        (with_value("llama.attention.head_count", &0u32.to_le_bytes()), "llama.attention.head_count is 0"),
        (with_value("llama.attention.head_count_kv", &3u32.to_le_bytes()), "num_key_value_heads: 3 does not divide 4"),
        (with_value("llama.rope.dimension_count", &4u32.to_le_bytes()), "partial rotation"),
        (with_value("tokenizer.ggml.bos_token_id", &999u32.to_le_bytes()), "beyond the 263 tokens"),
        (
            with_type("blk.0.ffn_up.weight", 14),
            "tensor blk.0.ffn_up.weight of shape [64, 32]: a row of 32 entries does not divide into Q6_K blocks of 256",
        ),
        (with_type("blk.0.ffn_up.weight", 16), "tensor blk.0.ffn_up.weight is of type IQ2_XXS, which is not read"),
        (with_type("blk.0.ffn_up.weight", 99), "tensor blk.0.ffn_up.weight is of type 99, which this version does not"),
        (
            replaced(b"blk.1.attn_v.weight", b"blk.1.attn_v.wsight"),
            "tensor blk.1.attn_v.wsight is not one of a Llama model",
        ),
        (replaced(b"llama.block_count", b"llama.block_kount"), "metadata key llama.block_count is not there"),
    ];
    for (file, expected) in cases {
        let text = message(&file);
        assert!(text.contains(expected), "{text}");
        assert!(text.starts_with("m.gguf: "), "{text}");
    }
}

#[test]
fn a_layer_is_written_in_one_way() {
    assert_eq!(llama::name("blk.10.attn_v.weight").unwrap(), "model.layers.10.self_attn.v_proj.weight");
    assert!(llama::name("blk.+1.attn_v.weight").is_err() && llama::name("blk.01.attn_v.weight").is_err());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    assert!(read("nowhere.gguf").unwrap_err().to_string().starts_with("nowhere.gguf: "));
}

proptest! {
    /// Whatever is overwritten or cut off, the answer is a model or an error: no panic, no absurd reservation.
    #[test]
    fn damage_never_panics(at in 0..7000usize, bytes in prop::collection::vec(any::<u8>(), 1..9), cut in 0.0..1.2f64) {
        for mut file in [golden(), fs::read(K_QUANTS).unwrap()] {
            let len = (file.len() as f64 * cut) as usize;
            file[at..at + bytes.len()].copy_from_slice(&bytes);
            file.truncate(len);
            let _ = from_bytes(&file, "m.gguf");
        }
    }
}

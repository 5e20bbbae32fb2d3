//! The tokenizer in a GGUF file as the JSON files of Hugging Face.

use serde_json::{Map, Value, json};

use super::metadata::{Metadata, needed};

const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

/// A tokenizer as Hugging Face's files hold it.
pub(super) struct Tokenizer {
    /// How many tokens it has.
    pub(super) len: usize,
    /// `tokenizer.json`.
    pub(super) definition: Value,
    /// `tokenizer_config.json`.
    pub(super) config: Value,
}

pub(super) fn read(metadata: &Metadata<'_>) -> Result<Tokenizer, String> {
    let model = metadata.text("tokenizer.ggml.model")?.unwrap_or_default();
    if model != "gpt2" {
        return Err(format!("tokenizer.ggml.model is {model:?}; \"gpt2\" (byte-level BPE) can be read"));
    }
    let key = "tokenizer.ggml.tokens";
    let tokens = needed(key, metadata.texts(key)?)?;
    let special = Special::read(metadata, &tokens)?;
    let definition = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens(metadata, &tokens)?,
        "normalizer": null,
        "pre_tokenizer": pre_tokenizer(metadata)?,
        "post_processor": special.post_processor(metadata)?,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": bpe(metadata, &tokens)?,
    });
    Ok(Tokenizer { len: tokens.len(), definition, config: special.config(metadata)? })
}

fn bpe(metadata: &Metadata<'_>, tokens: &[&str]) -> Result<Value, String> {
    let key = "tokenizer.ggml.merges";
    let vocab: Map<String, Value> =
        tokens.iter().zip(0u32..).map(|(token, id)| ((*token).to_owned(), id.into())).collect();
    if vocab.len() != tokens.len() {
        return Err("tokenizer.ggml.tokens: a token is there twice".to_owned());
    }
    let merges = needed(key, metadata.texts(key)?)?;
    let merges: Vec<(&str, &str)> = merges
        .iter()
        .map(|merge| split_merge(merge))
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{key}: one is not a pair"))?;
    Ok(json!({
        "type": "BPE",
        "dropout": null,
        "unk_token": null,
        "continuing_subword_prefix": null,
        "end_of_word_suffix": null,
        "fuse_unk": false,
        "byte_fallback": false,
        "ignore_merges": false,
        "vocab": vocab,
        "merges": merges,
    }))
}

/// Byte-level tokens hold no spaces, so the only one stands between the two.
fn split_merge(merge: &str) -> Option<(&str, &str)> {
    merge.split_once(' ').filter(|(left, right)| !left.is_empty() && !right.is_empty() && !right.contains(' '))
}

/// How text is cut before merging, by the name llama.cpp gives to it.
fn pre_tokenizer(metadata: &Metadata<'_>) -> Result<Value, String> {
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let digits = json!({"type": "Digits", "individual_digits": true});
    match metadata.text("tokenizer.ggml.pre")?.unwrap_or("default") {
        "gpt-2" => Ok(byte_level),
        "smollm" | "starcoder" | "refact" | "command-r" => {
            Ok(json!({"type": "Sequence", "pretokenizers": [digits, byte_level]}))
        }
        other => Err(format!("tokenizer.ggml.pre is {other:?}; \"smollm\" and \"gpt-2\" can be read")),
    }
}

/// Tokens that are found in text before anything else cuts it.
fn added_tokens(metadata: &Metadata<'_>, tokens: &[&str]) -> Result<Vec<Value>, String> {
    let key = "tokenizer.ggml.token_type";
    let kinds = metadata.integers(key)?.unwrap_or_default();
    if !kinds.is_empty() && kinds.len() != tokens.len() {
        return Err(format!("{key} has {} entries for {} tokens", kinds.len(), tokens.len()));
    }
    let added = tokens.iter().zip(&kinds).enumerate().filter(|(_, (_, kind))| [CONTROL, USER_DEFINED].contains(kind));
    Ok(added
        .map(|(id, (token, kind))| {
            json!({
                "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                "special": *kind == CONTROL,
            })
        })
        .collect())
}

/// The tokens that have a role.
struct Special<'a> {
    /// Role in `tokenizer_config.json`, id, token.
    roles: Vec<(&'static str, u32, &'a str)>,
}

impl<'a> Special<'a> {
    fn read(metadata: &Metadata<'_>, tokens: &[&'a str]) -> Result<Self, String> {
        let keys = [("bos_token", "bos"), ("eos_token", "eos"), ("unk_token", "unknown"), ("pad_token", "padding")];
        let mut roles = Vec::new();
        for (role, name) in keys {
            let key = format!("tokenizer.ggml.{name}_token_id");
            let Some(id) = metadata.id(&key)? else { continue };
            let token =
                tokens.get(id as usize).ok_or_else(|| format!("{key} is {id}, beyond the {} tokens", tokens.len()))?;
            roles.push((role, id, *token));
        }
        Ok(Self { roles })
    }

    /// Puts the first token before every text, where the file asks for it.
    fn post_processor(&self, metadata: &Metadata<'_>) -> Result<Value, String> {
        if metadata.flag("tokenizer.ggml.add_bos_token")? != Some(true) {
            return Ok(Value::Null);
        }
        let key = "tokenizer.ggml.bos_token_id";
        let (_, id, token) = needed(key, self.roles.iter().find(|(role, ..)| *role == "bos_token"))?;
        let first = |type_id: u32| json!({"SpecialToken": {"id": token, "type_id": type_id}});
        let text = |name: &str, type_id: u32| json!({"Sequence": {"id": name, "type_id": type_id}});
        Ok(json!({
            "type": "TemplateProcessing",
            "single": [first(0), text("A", 0)],
            "pair": [first(0), text("A", 0), first(1), text("B", 1)],
            "special_tokens": {*token: {"id": token, "ids": [id], "tokens": [token]}},
        }))
    }

    fn config(&self, metadata: &Metadata<'_>) -> Result<Value, String> {
        let mut config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "add_prefix_space": false,
            "clean_up_tokenization_spaces": false,
            "model_max_length": metadata.count("llama.context_length")?,
        });
        for (role, _, token) in &self.roles {
            config[*role] = json!(token);
        }
        if let Some(template) = metadata.text("tokenizer.chat_template")? {
            config["chat_template"] = json!(template);
        }
        Ok(config)
    }
}

//! The tokenizer in a GGUF file as the JSON files of Hugging Face.

use serde_json::{Map, Value, json};

use super::metadata::{Metadata, needed};
use super::pre_tokenizer;

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
        return Err(format!(
            "tokenizer.ggml.model is {model:?}; \"gpt2\" (byte-level BPE) can be read: give a model with another \
             tokenizer, as \"llama\" (SentencePiece), as a Hugging Face directory"
        ));
    }
    let key = "tokenizer.ggml.tokens";
    let tokens = needed(key, metadata.texts(key)?)?;
    let pre_tokenizer = pre_tokenizer::read(metadata)?;
    let special = Special::read(metadata, &tokens)?;
    let definition = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens(metadata, &tokens)?,
        "normalizer": pre_tokenizer.normalizer,
        "pre_tokenizer": pre_tokenizer.definition,
        "post_processor": special.post_processor(metadata, pre_tokenizer.add_bos)?,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": bpe(metadata, &tokens, pre_tokenizer.ignore_merges)?,
    });
    Ok(Tokenizer { len: tokens.len(), definition, config: special.config(metadata)? })
}

fn bpe(metadata: &Metadata<'_>, tokens: &[&str], ignore_merges: bool) -> Result<Value, String> {
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
        "ignore_merges": ignore_merges,
        "vocab": vocab,
        "merges": merges,
    }))
}

/// Byte-level tokens hold no spaces, so the only one stands between the two.
fn split_merge(merge: &str) -> Option<(&str, &str)> {
    merge.split_once(' ').filter(|(left, right)| !left.is_empty() && !right.is_empty() && !right.contains(' '))
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

    /// Puts the first token before every text and the last behind it, where the file asks for them. `add_bos` counts
    /// where the file does not say whether it wants the first.
    fn post_processor(&self, metadata: &Metadata<'_>, add_bos: bool) -> Result<Value, String> {
        let bos = self.added(metadata, "bos", add_bos)?;
        let eos = self.added(metadata, "eos", false)?;
        if bos.is_none() && eos.is_none() {
            return Ok(Value::Null);
        }
        let special = |token: &&str, type_id: u32| json!({"SpecialToken": {"id": token, "type_id": type_id}});
        let framed = |name: &str, type_id: u32| {
            let text = json!({"Sequence": {"id": name, "type_id": type_id}});
            let first = bos.iter().map(|(_, token)| special(token, type_id));
            let last = eos.iter().map(|(_, token)| special(token, type_id));
            first.chain([text]).chain(last).collect::<Vec<_>>()
        };
        let pair = [framed("A", 0), framed("B", 1)].concat();
        let tokens = bos.iter().chain(&eos);
        let special_tokens: Map<String, Value> = tokens
            .map(|(id, token)| ((*token).to_owned(), json!({"id": token, "ids": [id], "tokens": [token]})))
            .collect();
        Ok(json!({
            "type": "TemplateProcessing",
            "single": framed("A", 0),
            "pair": pair,
            "special_tokens": special_tokens,
        }))
    }

    /// The token called `name`, where it is to be added to every text.
    fn added(&self, metadata: &Metadata<'_>, name: &str, default: bool) -> Result<Option<(u32, &'a str)>, String> {
        if !metadata.flag(&format!("tokenizer.ggml.add_{name}_token"))?.unwrap_or(default) {
            return Ok(None);
        }
        let role = format!("{name}_token");
        let found = self.roles.iter().find(|(other, ..)| *other == role).map(|(_, id, token)| (*id, *token));
        needed(&format!("tokenizer.ggml.{name}_token_id"), found).map(Some)
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

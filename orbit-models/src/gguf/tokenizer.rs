//! The tokenizer in a GGUF file as the JSON files of Hugging Face.

use serde_json::{Map, Value, json};

use super::metadata::{Metadata, needed};
use super::{byte_level, sentence_piece};

/// The numbers of kinds of tokens: `enum llama_token_type` of llama.cpp.
pub(super) mod kind {
    pub(crate) const NORMAL: i64 = 1;
    pub(crate) const UNKNOWN: i64 = 2;
    pub(crate) const CONTROL: i64 = 3;
    pub(crate) const USER_DEFINED: i64 = 4;
}

/// A tokenizer as Hugging Face's files hold it.
pub(super) struct Tokenizer {
    /// How many tokens it has.
    pub(super) len: usize,
    /// `tokenizer.json`.
    pub(super) definition: Value,
    /// `tokenizer_config.json`.
    pub(super) config: Value,
}

/// What makes tokens of text, by the keys of `tokenizer.json`.
pub(super) struct Steps {
    pub(super) normalizer: Value,
    pub(super) pre_tokenizer: Value,
    pub(super) model: Value,
    pub(super) decoder: Value,
    /// Whether the first token comes before every text where the file does not say.
    pub(super) add_bos: bool,
}

/// The tokens of a file.
pub(super) struct Tokens<'a> {
    pub(super) texts: Vec<&'a str>,
    /// As many as there are texts.
    pub(super) kinds: Vec<i64>,
}

pub(super) fn read(metadata: &Metadata<'_>) -> Result<Tokenizer, String> {
    let key = "tokenizer.ggml.model";
    let model = needed(key, metadata.text(key)?)?;
    let steps = match model {
        "gpt2" => byte_level::steps,
        "llama" => sentence_piece::steps,
        other => {
            return Err(format!(
                "{key} is {other:?}; \"gpt2\" (byte-level BPE) and \"llama\" (SentencePiece) can be read: give a model \
                 with another tokenizer as a Hugging Face directory"
            ));
        }
    };
    let tokens = Tokens::read(metadata)?;
    let steps = steps(metadata, &tokens)?;
    let special = Special::read(metadata, &tokens.texts)?;
    let definition = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": tokens.added(model == "llama"),
        "normalizer": steps.normalizer,
        "pre_tokenizer": steps.pre_tokenizer,
        "post_processor": special.post_processor(metadata, steps.add_bos)?,
        "decoder": steps.decoder,
        "model": steps.model,
    });
    Ok(Tokenizer { len: tokens.texts.len(), definition, config: special.config(metadata)? })
}

impl<'a> Tokens<'a> {
    fn read(metadata: &Metadata<'a>) -> Result<Self, String> {
        let key = "tokenizer.ggml.tokens";
        let texts = needed(key, metadata.texts(key)?)?;
        let key = "tokenizer.ggml.token_type";
        let kinds = metadata.integers(key)?.unwrap_or_else(|| vec![kind::NORMAL; texts.len()]);
        if kinds.len() != texts.len() {
            return Err(format!("{key} has {} entries for {} tokens", kinds.len(), texts.len()));
        }
        Ok(Self { texts, kinds })
    }

    /// The number of every token.
    pub(super) fn vocabulary(&self) -> Result<Map<String, Value>, String> {
        let vocabulary: Map<String, Value> =
            self.texts.iter().zip(0u32..).map(|(token, id)| ((*token).to_owned(), id.into())).collect();
        if vocabulary.len() != self.texts.len() {
            return Err("tokenizer.ggml.tokens: a token is there twice".to_owned());
        }
        Ok(vocabulary)
    }

    /// Tokens that are found in text before anything else cuts it. `unknown`: also the one for what is not known.
    fn added(&self, unknown: bool) -> Vec<Value> {
        let special = |kind| kind == kind::CONTROL || unknown && kind == kind::UNKNOWN;
        let tokens = self.texts.iter().zip(&self.kinds).enumerate();
        tokens
            .filter(|(_, (_, kind))| special(**kind) || **kind == kind::USER_DEFINED)
            .map(|(id, (token, kind))| {
                json!({
                    "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": special(*kind),
                })
            })
            .collect()
    }
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

//! Which template a model has, and its special tokens, as transformers finds them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::{Error, Result, read_file};

pub(super) const CONFIG: &str = "tokenizer_config.json";
pub(super) const TEMPLATE: &str = "chat_template.jinja";
const MORE_TEMPLATES: &str = "additional_chat_templates";
const TOKENS: &str = "special_tokens_map.json";

/// The one of several templates that is meant when nothing else is asked for.
const DEFAULT: &str = "default";

/// A template and where it is from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) text: String,
    /// The file, as a message names it.
    pub(super) origin: String,
}

/// Reads the tokenizer configuration of a model directory, empty where there is none. The special tokens of older
/// models are in a file of their own, which counts unless the configuration lists its tokens itself.
pub(super) fn read_config(dir: &Path) -> Result<Map<String, Value>> {
    let mut config = read_object(&dir.join(CONFIG))?;
    if !config.contains_key("added_tokens_decoder") {
        let tokens = read_object(&dir.join(TOKENS))?;
        config.extend(tokens.into_iter().filter(|(_, token)| content(token).is_some()));
    }
    Ok(config)
}

/// The template of a model directory, if it has one. Files come before the configuration.
pub(super) fn find(dir: &Path, config: &Map<String, Value>) -> Result<Option<Source>> {
    let files = template_files(dir)?;
    if files.is_empty() {
        let path = dir.join(CONFIG);
        let text = configured(config).map_err(|reason| Error::file(&path, reason))?;
        return Ok(text.map(|text| Source { text, origin: path.display().to_string() }));
    }
    let names = || files.keys().map(String::as_str);
    let file = files.get(DEFAULT).ok_or_else(|| Error::file(dir.join(MORE_TEMPLATES), without_default(names())))?;
    let text = read_if_there(file)?.unwrap_or_default();
    Ok(Some(Source { text, origin: file.display().to_string() }))
}

/// The template in a tokenizer configuration: a text, or named ones, of which `default` is meant.
///
/// # Errors
/// The reason, when there are templates and none is the default, or they are written in another way.
pub(super) fn configured(config: &Map<String, Value>) -> Result<Option<String>, String> {
    let named = match config.get("chat_template") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => return Ok(Some(text.clone())),
        Some(Value::Array(entries)) => entries.iter().enumerate().map(entry).collect::<Result<BTreeMap<_, _>, _>>()?,
        Some(Value::Object(entries)) => {
            entries.iter().map(|(name, text)| named(name, text)).collect::<Result<BTreeMap<_, _>, _>>()?
        }
        Some(other) => return Err(format!("chat_template is {other}, not a text or a list of named templates")),
    };
    match named.get(DEFAULT) {
        Some(text) => Ok(Some((*text).to_owned())),
        None => Err(without_default(named.keys().copied())),
    }
}

fn entry((at, entry): (usize, &Value)) -> Result<(&str, &str), String> {
    let name = entry.get("name").and_then(Value::as_str);
    let name = name.ok_or_else(|| format!("chat_template[{at}] has no `name` that is a text"))?;
    named(name, entry.get("template").unwrap_or(&Value::Null))
}

fn named<'a>(name: &'a str, text: &'a Value) -> Result<(&'a str, &'a str), String> {
    let wrong = || format!("the chat template {name:?} is {text}, not a text");
    Ok((name, text.as_str().ok_or_else(wrong)?))
}

fn without_default<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    format!(
        "there are several chat templates and none is named `{DEFAULT}`: found {found}; write the one that you want to \
         {TEMPLATE} in the model's directory"
    )
}

/// The files of templates under their names.
fn template_files(dir: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    let template = dir.join(TEMPLATE);
    if template.is_file() {
        files.insert(DEFAULT.to_owned(), template);
    }
    let more = dir.join(MORE_TEMPLATES);
    let entries = match std::fs::read_dir(&more) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(files),
        Err(error) => return Err(Error::io(&more, error)),
    };
    for entry in entries {
        let path = entry.map_err(|error| Error::io(&more, error))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".jinja"));
        if let Some(name) = name {
            files.insert(name.to_owned(), path);
        }
    }
    Ok(files)
}

/// The special tokens that transformers gives to a template: those whose keys end with `_token`, and those that a model
/// names itself. `additional_special_tokens` and a list of `extra_special_tokens` have no names, so a template does not
/// see them.
pub(super) fn special_tokens(config: &Map<String, Value>) -> BTreeMap<String, String> {
    let own = ["extra_special_tokens", "model_specific_special_tokens"].map(|key| config.get(key));
    let own = own.into_iter().flatten().filter_map(Value::as_object).flatten();
    let tokens = config.iter().filter(|(name, _)| name.ends_with("_token")).chain(own);
    tokens.filter_map(|(name, token)| Some((name.clone(), content(token)?.to_owned()))).collect()
}

/// The text of a token, which is written as a text or as an object with its flags.
pub(super) fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content")?.as_str())
}

fn read_object(path: &Path) -> Result<Map<String, Value>> {
    match read_if_there(path)? {
        Some(text) => serde_json::from_str(&text).map_err(|error| Error::file(path, error.to_string())),
        None => Ok(Map::new()),
    }
}

fn read_if_there(path: &Path) -> Result<Option<String>> {
    match read_file(path) {
        Ok(text) => String::from_utf8(text).map(Some).map_err(|error| Error::file(path, error.to_string())),
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::io(path, source)),
    }
}

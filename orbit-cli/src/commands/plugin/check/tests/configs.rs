//! Configurations, good and bad. A bad one may be taken or refused; nothing may crash, not even a hook made of it.

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::super::child::Subject;
use super::super::drive::{attach, few, space};
use super::super::progress;
use super::super::verdict::Verdict;

const LONG: usize = 1 << 20;
const MANY: usize = 10_000;

pub(super) fn good(subject: &Subject) -> Result<Verdict> {
    let advice = "give one that it takes by --config, or as `example` in plugin.toml";
    let mut hook = subject.hook("").context(advice)?;
    attach(&mut hook, &mut space(few())?).context(advice)?;
    Ok(Verdict::passed(""))
}

pub(super) fn nothing(subject: &Subject) -> Result<Verdict> {
    all(subject, &[("{}", "{}".into())])
}

pub(super) fn empty(subject: &Subject) -> Result<Verdict> {
    all(subject, &[("an empty text", String::new())])
}

pub(super) fn not_an_object(subject: &Subject) -> Result<Verdict> {
    let texts =
        [("a list", "[1, 2]"), ("a number", "7"), ("a string", "\"radius\""), ("null", "null"), ("half", "{\"a\":")];
    all(subject, &texts.map(|(what, text)| (what, text.to_owned())))
}

pub(super) fn unknown_key(subject: &Subject) -> Result<Verdict> {
    let mut verdict =
        all(subject, &[("a key that is no option", with(subject, [("no-such-option".into(), 1.into())])?)])?;
    if verdict.reason.starts_with("taken") {
        verdict.reason.push_str(": a misspelt option goes unnoticed; better refuse it");
    }
    Ok(verdict)
}

pub(super) fn huge(subject: &Subject) -> Result<Verdict> {
    let long = [("long".to_owned(), Value::from("x".repeat(LONG)))];
    let many = (0..MANY).map(|n| (format!("key-{n}"), Value::from(n)));
    all(subject, &[("a text of 1 MiB", with(subject, long)?), ("10,000 keys", with(subject, many)?)])
}

/// The good configuration with more keys.
fn with(subject: &Subject, more: impl IntoIterator<Item = (String, Value)>) -> Result<String> {
    let mut config: Map<String, Value> = serde_json::from_str(&subject.config)?;
    config.extend(more);
    Ok(Value::Object(config).to_string())
}

/// Makes hooks of configurations, each with what it is, and tells what came of them.
fn all(subject: &Subject, configs: &[(&str, String)]) -> Result<Verdict> {
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for (what, config) in configs {
        progress::at(&format!("in create with {what}"));
        match subject.library.hook_from(config) {
            Ok(mut hook) => {
                progress::at(&format!("in attach, made with {what}"));
                // Options may be found wrong here, too.
                match attach(&mut hook, &mut space(few())?) {
                    Ok(()) => taken.push(*what),
                    Err(_) => refused.push(*what),
                }
            }
            Err(_) => refused.push(*what),
        }
    }
    let parts = [("taken", taken), ("refused", refused)];
    let parts = parts.into_iter().filter(|(_, whats)| !whats.is_empty());
    let notes: Vec<String> = parts
        .map(|(verb, whats)| if configs.len() == 1 { verb.to_owned() } else { format!("{verb}: {}", whats.join(", ")) })
        .collect();
    Ok(Verdict::passed(notes.join("; ")))
}

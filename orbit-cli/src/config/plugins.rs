//! The plugins that a run file names: found, loaded and asked about their options while the file's text is at hand.

use std::path::Path;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use orbit_regularizers::plugin::{Library, Plugin, Search};
use orbit_regularizers::{HookEntry, Use};
use serde_json::Value;

use super::mistake::nearest;
use super::place::{Part, excerpt, find};
use crate::usage::Usage;

/// Loads every plugin and checks its options. Paths, relative to `beside`, become absolute, so that the run can go on from
/// anywhere.
pub(super) fn load(hooks: &mut [HookEntry], text: &str, beside: &Path) -> Result<(), Usage> {
    let search = Search::standard(beside);
    for (index, entry) in hooks.iter_mut().enumerate() {
        if let Use::Plugin(plugin) = &mut entry.r#use {
            let fault = |fault: Fault| fault.at(text, index);
            let library = open(&search, plugin).map_err(fault)?;
            check(&library, plugin).map_err(fault)?;
            plugin.path = library.located().place.to_string_lossy().into_owned();
        }
    }
    Ok(())
}

/// What is wrong with an entry, and the way to it from `use.plugin`.
struct Fault {
    way: Vec<Part>,
    reason: String,
}

impl Fault {
    fn of(key: &str, reason: impl ToString) -> Self {
        Self { way: vec![Part::Key(key.into())], reason: reason.to_string() }
    }

    fn at(self, text: &str, index: usize) -> Usage {
        let keys = |keys: &[&str]| keys.iter().map(|key| Part::Key((*key).into())).collect::<Vec<_>>();
        let way = [keys(&["hooks"]), vec![Part::Index(index)], keys(&["use", "plugin"]), self.way].concat();
        Usage::new(format!("{}\n{}", excerpt(text, &find(text, &way)), self.reason))
    }
}

fn open(search: &Search, plugin: &Plugin) -> Result<Library, Fault> {
    let located = search.find(&plugin.path).map_err(|error| Fault::of("path", error))?;
    Library::open(located).map_err(|error| Fault::of("path", error))
}

/// By the plugin's schema first, which knows where a mistake is; then by the plugin itself, which knows all of them.
fn check(library: &Library, plugin: &Plugin) -> Result<(), Fault> {
    let id = library.id();
    if let Some(schema) = library.schema() {
        by_schema(&schema, &plugin.config.clone().into())
            .map_err(|fault| Fault { reason: format!("plugin {id}: {}", fault.reason), ..fault })?;
    }
    let mut hook = library.hook(&plugin.config).map_err(|error| Fault::of("config", error))?;
    super::hooks::attach(&mut hook, super::hooks::NUMBER)
        .map_err(|error| Fault::of("config", format!("plugin {error}")))
}

fn by_schema(schema: &Value, config: &Value) -> Result<(), Fault> {
    // A schema that is itself wrong is the author's to mend; the plugin's own check still follows.
    let Ok(validator) = jsonschema::validator_for(schema) else { return Ok(()) };
    match validator.iter_errors(config).next() {
        None => Ok(()),
        Some(error) => Err(fault(schema, &error)),
    }
}

fn fault(schema: &Value, error: &ValidationError<'_>) -> Fault {
    let pointer = error.instance_path().as_str().to_owned();
    let mut way = vec![Part::Key("config".into())];
    way.extend(pointer.split('/').skip(1).map(|part| match part.parse() {
        Ok(index) => Part::Index(index),
        Err(_) => Part::Key(part.replace("~1", "/").replace("~0", "~")),
    }));
    let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() else {
        return Fault { way, reason: error.to_string() };
    };
    let wrong = unexpected.first().cloned().unwrap_or_default();
    let known: Vec<&str> =
        schema["properties"].as_object().iter().flat_map(|keys| keys.keys()).map(String::as_str).collect();
    let mut reason = format!("unknown option `{wrong}`, expected one of `{}`", known.join("`, `"));
    if let Some(name) = nearest(&wrong, known) {
        reason += &format!("\ndid you mean `{name}`?");
    }
    way.push(Part::Key(wrong));
    Fault { way, reason }
}

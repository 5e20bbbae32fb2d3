//! `orbit schema`: the JSON schema of run files, made from the types that read them.

use anyhow::Result;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{Schema, schema_for};
use serde_json::Value;

use super::print;
use crate::args;
use crate::config::{RunFile, SasRecFile, SequenceFile};

pub(crate) fn run(args: &args::Schema) -> Result<()> {
    let schema = match args {
        args::Schema { tasks: true, .. } => schema_for!(SequenceFile),
        args::Schema { sasrec: true, .. } => schema_for!(SasRecFile),
        args::Schema { .. } => schema_for!(RunFile),
    };
    print(&text(schema)?)
}

fn text(mut schema: Schema) -> Result<String> {
    RecursiveTransform(describe).transform(&mut schema);
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

/// Descriptions come from documentation: leaves out its code examples and link targets, which mean nothing outside of it.
fn describe(schema: &mut Schema) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = prose(description);
    }
}

fn prose(doc: &str) -> String {
    let text = doc.split("```").next().unwrap_or(doc).trim_end().replace("[`", "`");
    let mut pieces = text.split("`]");
    let mut prose = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let target = piece.strip_prefix('(').and_then(|link| link.split_once(')'));
        prose.push('`');
        prose.push_str(target.map_or(piece, |(_, rest)| rest));
    }
    prose
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use expect_test::expect_file;

    use super::*;

    #[test]
    fn descriptions_are_prose() {
        assert_eq!(prose("As [`Decay`](crate::Decay), of [`x`].\n\n```\nlet y;\n```"), "As `Decay`, of `x`.");
    }

    /// Changed options show in review; `UPDATE_EXPECT=1 cargo test` writes the files anew.
    #[test]
    fn the_schemas_are_those_checked_in() {
        let [run, tasks, sasrec] = schemas();
        expect_file![concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/schema.json")].assert_eq(&run);
        expect_file![concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/schema-tasks.json")].assert_eq(&tasks);
        expect_file![concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/schema-sasrec.json")].assert_eq(&sasrec);
    }

    fn schemas() -> [String; 3] {
        [schema_for!(RunFile), schema_for!(SequenceFile), schema_for!(SasRecFile)].map(|schema| text(schema).unwrap())
    }

    /// Every object says what its keys are for, and takes no others.
    #[test]
    fn every_key_is_described_and_objects_are_closed() {
        for schema in schemas() {
            let schema: Value = serde_json::from_str(&schema).unwrap();
            let definitions = schema["$defs"].as_object().unwrap();
            assert!(definitions.contains_key("Train") && definitions.len() > 5, "{:?}", definitions.keys());
            let definitions = definitions.iter().map(|(name, value)| (name.as_str(), value));
            definitions.chain([("run", &schema)]).for_each(|(name, object)| check(name, object));
        }
    }

    fn check(name: &str, object: &Value) {
        let Some(keys) = object["properties"].as_object() else { return };
        assert_eq!(object["additionalProperties"], false, "{name}");
        for (key, value) in keys {
            assert!(value["description"].is_string(), "{name}.{key} has no description");
        }
    }
}

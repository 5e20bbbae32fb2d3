//! Where in a run file something stands.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// One step on the way to a value: a key, or a place in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Key(String),
    Index(usize),
}

/// The bytes of the last part of a way that can be followed; the whole file if none can.
///
/// A key is where it is written; an entry of a list is where its value is.
pub(super) fn find(text: &str, way: &[Part]) -> Range<usize> {
    let Ok(table) = DeTable::parse(text) else { return 0..0 };
    let mut found = 0..0;
    let mut value = DeValue::Table(table.into_inner());
    for part in way {
        let next = match (value, part) {
            (DeValue::Table(table), Part::Key(key)) => table
                .into_iter()
                .find_map(|(name, value)| (name.get_ref() == key).then(|| (name.span(), value.into_inner()))),
            (DeValue::Array(list), Part::Index(index)) => {
                list.into_iter().nth(*index).map(|value| (value.span(), value.into_inner()))
            }
            _ => None,
        };
        let Some((span, inner)) = next else { break };
        found = span;
        value = inner;
    }
    found
}

/// The line of a span, with its number and what stands there marked, as TOML's own errors have it.
pub(super) fn excerpt(text: &str, span: &Range<usize>) -> String {
    let start = text[..span.start].rfind('\n').map_or(0, |end| end + 1);
    let line = text[start..].lines().next().unwrap_or("");
    let number = text[..span.start].matches('\n').count() + 1;
    let before = text[start..span.start].chars().count();
    let length = text[span.clone()].lines().next().unwrap_or("").chars().count().max(1);
    let margin = " ".repeat(number.to_string().len());
    format!(
        "at line {number}, column {}\n{margin} |\n{number} | {line}\n{margin} | {}{}",
        before + 1,
        " ".repeat(before),
        "^".repeat(length)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "name = \"x\"\n\n[[hooks]]\nuse.a = { radius = 1 }\n\n[[hooks]]\nuse.a = { radius = 2, more = [7, 8] }\n";

    fn at(way: &[Part]) -> &'static str {
        &TEXT[find(TEXT, way)]
    }

    fn way(parts: &[&str]) -> Vec<Part> {
        let part = |part: &&str| part.parse().map_or_else(|_| Part::Key((*part).to_owned()), Part::Index);
        parts.iter().map(part).collect()
    }

    #[test]
    fn keys_and_entries_are_found_and_what_is_missing_ends_the_way() {
        assert_eq!(at(&way(&["name"])), "name");
        assert_eq!(at(&way(&["hooks", "1", "use", "a", "radius"])), "radius");
        assert_eq!(at(&way(&["hooks", "1", "use", "a", "more", "1"])), "8");
        assert_eq!(at(&way(&["hooks", "1", "use", "a", "missing"])), "a");
        assert_eq!(at(&way(&["missing"])), "");
    }

    #[test]
    fn the_excerpt_marks_the_place() {
        let span = find(TEXT, &way(&["hooks", "0", "use", "a", "radius"]));
        let wanted = "at line 4, column 11\n  |\n4 | use.a = { radius = 1 }\n  |           ^^^^^^";
        assert_eq!(excerpt(TEXT, &span), wanted);
    }
}

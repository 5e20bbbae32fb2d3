//! Ids as all readers take them.

use std::borrow::{Borrow, Cow};
use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::Value;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The id of a user, an item, a document or a query, in the one form that it has for all readers; see
/// [`normalized_id`]. In JSON it is a string or a whole number.
///
/// ```
/// use orbit_data::corpus::Id;
/// let ids: Vec<Id> = serde_json::from_str(r#"[7, 7.0, "7", " 7.0 ", "007"]"#)?;
/// let ids: Vec<_> = ids.iter().map(Id::as_str).collect();
/// assert_eq!(ids, ["7", "7", "7", "7", "007"]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Id(String);

impl Id {
    /// The id as text, which is never empty.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Id {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        id(&Value::deserialize(deserializer)?, "an").map(Self).map_err(D::Error::custom)
    }
}

/// The one form of an id that is written as text, which all readers use: without blanks around it, in Unicode's
/// composed form (NFC), and a whole number without decimals. So `7`, ` 7` and `7.0` are one id; `007` is another.
///
/// ```
/// use orbit_data::corpus::normalized_id;
/// assert_eq!(normalized_id(" 7.0 "), "7");
/// assert_eq!(normalized_id("cafe\u{301}"), "café");
/// assert_eq!(normalized_id("007"), "007");
/// ```
pub fn normalized_id(text: &str) -> String {
    normal(text).into_owned()
}

/// [`normalized_id`] that copies only what it changes.
pub(crate) fn normal(text: &str) -> Cow<'_, str> {
    let text = whole(text.trim());
    if text.is_ascii() || is_nfc(text) { text.into() } else { text.nfc().collect::<String>().into() }
}

/// `7` of `7.0`, and anything else as it is.
fn whole(text: &str) -> &str {
    let Some((whole, decimals)) = text.split_once('.') else { return text };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let plain = digits == "0" || (!digits.starts_with('0') && is_digits(digits));
    match plain && is_digits(decimals) && decimals.bytes().all(|digit| digit == b'0') {
        true if digits == "0" => digits,
        true => whole,
        false => text,
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A JSON value as an id: a string that is not blank, or a whole number whose digits are all known.
pub(crate) fn id(value: &Value, what: &str) -> Result<String, String> {
    /// From here on, floats stand for more than one whole number.
    const LARGEST: f64 = (1_u64 << 53) as f64;
    match value {
        Value::String(text) => {
            let id = normal(text);
            if id.is_empty() { Err(format!("the {what} id is empty")) } else { Ok(id.into_owned()) }
        }
        Value::Number(number) if number.is_u64() || number.is_i64() => Ok(number.to_string()),
        Value::Number(number) => match number.as_f64().filter(|number| number.fract() == 0.0) {
            Some(number) if number.abs() < LARGEST => Ok((number as i64).to_string()),
            Some(number) => Err(format!(
                "{what} id is about {number:e}, a number that cannot be held exactly: write it as a string"
            )),
            None => Err(format!("{what} id must be a string or a whole number, not {number}")),
        },
        other => Err(format!("{what} id must be a string or a whole number, not {other}")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn one_id_has_one_form() {
        for (text, expected) in [
            ("7", "7"),
            (" 7\t", "7"),
            ("7.0", "7"),
            ("-7.000", "-7"),
            ("0.0", "0"),
            ("-0.0", "0"),
            ("123456789012345678901234567890.0", "123456789012345678901234567890"),
            ("007", "007"),
            ("007.0", "007.0"),
            ("7.", "7."),
            (".0", ".0"),
            ("7.5", "7.5"),
            ("1e3", "1e3"),
            ("v1.0", "v1.0"),
            ("1.0.0", "1.0.0"),
            ("cafe\u{301}", "caf\u{e9}"),
            ("\u{a0}caf\u{e9} \u{3000}", "caf\u{e9}"),
            ("\u{1112}\u{1161}\u{11ab}", "\u{d55c}"),
        ] {
            assert_eq!(normalized_id(text), expected, "{text:?}");
            assert_eq!(id(&json!(text), "item").unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn numbers_keep_all_their_digits() {
        let id = |text: &str| id(&serde_json::from_str(text).unwrap(), "item");
        for (text, expected) in [
            ("7", "7"),
            ("-7.0", "-7"),
            ("-0", "0"),
            ("1e3", "1000"),
            ("18446744073709551615", "18446744073709551615"),
            ("9007199254740993", "9007199254740993"),
        ] {
            assert_eq!(id(text).unwrap(), expected);
        }
        for text in ["18446744073709551616", "9007199254740993.0", "1e300"] {
            assert!(id(text).unwrap_err().contains("write it as a string"), "{text}");
        }
        for text in ["7.5", "null", "true", "[]", "{}"] {
            assert!(id(text).unwrap_err().contains("must be a string or a whole number"), "{text}");
        }
        assert_eq!(id("\" \"").unwrap_err(), "the item id is empty");
    }

    proptest! {
        #[test]
        fn the_form_of_a_form_is_itself(text in "\\PC{0,8}|-?[0-9]{1,3}\\.[0-9]{0,2}") {
            let once = normalized_id(&text);
            prop_assert_eq!(&normalized_id(&once), &once);
        }
    }
}

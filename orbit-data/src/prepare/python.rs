//! Python literals, the form in which the item files of Amazon 2014 have a line and NumPy files a head: strings, numbers,
//! `True`, `False`, `None`, dicts, lists and tuples. Nothing is evaluated.

use serde_json::{Map, Number, Value};

/// Deeper nesting is refused, so that no line can exhaust the stack.
const DEPTH: usize = 64;

/// The literal that `text` is, with strings as Python 3 reads them. Tuples become arrays. A whole number beyond 64 bits
/// becomes a float, half of a surrogate pair the replacement character.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser { rest: text };
    let value = parser.value(0).and_then(|value| parser.end().map(|()| value));
    value.map_err(|reason| format!("malformed Python literal: {reason} at byte {}", text.len() - parser.rest.len()))
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > DEPTH {
            return Err(format!("nested more than {DEPTH} deep"));
        }
        match self.peek() {
            Some('{') => self.dict(depth),
            Some('[') => self.list(']', depth),
            Some('(') => self.list(')', depth),
            Some('\'' | '"') => self.string().map(Value::String),
            Some('-' | '+' | '.' | '0'..='9') => self.number(),
            Some(first) if first.is_ascii_alphabetic() => self.word(),
            Some(other) => Err(format!("unexpected {other:?}")),
            None => Err("unexpected end".to_owned()),
        }
    }

    /// The next character that is not blank.
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    /// Takes `expected`, if it comes next.
    fn take(&mut self, expected: char) -> bool {
        self.peek();
        let rest = self.rest.strip_prefix(expected);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, expected: char) -> Result<(), String> {
        if self.take(expected) { Ok(()) } else { Err(format!("{expected:?} expected")) }
    }

    fn end(&mut self) -> Result<(), String> {
        self.peek().map_or(Ok(()), |more| Err(format!("unexpected {more:?}")))
    }

    fn dict(&mut self, depth: usize) -> Result<Value, String> {
        self.expect('{')?;
        let mut map = Map::new();
        while !self.take('}') {
            let Value::String(key) = self.value(depth + 1)? else { return Err("a key that is no string".to_owned()) };
            self.expect(':')?;
            map.insert(key, self.value(depth + 1)?);
            self.separator('}')?;
        }
        Ok(Value::Object(map))
    }

    /// A list or a tuple; `(x)` is what it encloses.
    fn list(&mut self, close: char, depth: usize) -> Result<Value, String> {
        self.rest = &self.rest[1..];
        let (mut values, mut comma) = (Vec::new(), false);
        while !self.take(close) {
            values.push(self.value(depth + 1)?);
            comma |= self.separator(close)?;
        }
        match values.len() {
            1 if close == ')' && !comma => Ok(values.remove(0)),
            _ => Ok(Value::Array(values)),
        }
    }

    /// Takes the comma between two entries, or sees that `close` comes.
    fn separator(&mut self, close: char) -> Result<bool, String> {
        let comma = self.take(',');
        if comma || self.peek() == Some(close) { Ok(comma) } else { Err(format!("',' or {close:?} expected")) }
    }

    fn number(&mut self) -> Result<Value, String> {
        let in_number = |c: char| matches!(c, '0'..='9' | '.' | 'e' | 'E' | '+' | '-');
        let end = self.rest.find(|c| !in_number(c)).unwrap_or(self.rest.len());
        let digits = &self.rest[..end];
        let signed = digits.parse::<i64>().ok().map(Number::from);
        let whole = signed.or_else(|| digits.parse::<u64>().ok().map(Number::from));
        let number = whole.or_else(|| digits.parse().ok().and_then(Number::from_f64));
        let number = number.ok_or_else(|| format!("{digits:?} is no number"))?;
        self.rest = &self.rest[end..];
        Ok(Value::Number(number))
    }

    /// A constant, or a string with a prefix.
    fn word(&mut self) -> Result<Value, String> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let value = match word {
            "True" => Value::Bool(true),
            "False" => Value::Bool(false),
            "None" => Value::Null,
            "u" | "U" if rest.starts_with(['\'', '"']) => {
                self.rest = rest;
                return self.string().map(Value::String);
            }
            _ => return Err(format!("unexpected {word:?}")),
        };
        self.rest = rest;
        Ok(value)
    }

    fn string(&mut self) -> Result<String, String> {
        let Some(quote @ ('\'' | '"')) = self.next() else { return Err("a string expected".to_owned()) };
        let mut units = Text::default();
        loop {
            match self.next().ok_or("a string is not closed")? {
                '\\' => self.escape(&mut units)?,
                c if c == quote => return Ok(units.finish()),
                c => units.push(u32::from(c)),
            }
        }
    }

    /// The next character, blank or not.
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    /// What follows a backslash. An escape that Python does not know stands for itself.
    fn escape(&mut self, units: &mut Text) -> Result<(), String> {
        let c = self.next().ok_or("a string is not closed")?;
        let code = match c {
            '\n' => return Ok(()),
            '\\' | '\'' | '"' => u32::from(c),
            'a' => 7,
            'b' => 8,
            't' => 9,
            'n' => 10,
            'v' => 11,
            'f' => 12,
            'r' => 13,
            'x' => self.hex(2)?,
            'u' => self.hex(4)?,
            'U' => self.hex(8)?,
            '0'..='7' => self.octal(c),
            _ => {
                units.push(u32::from('\\'));
                u32::from(c)
            }
        };
        units.push(code);
        Ok(())
    }

    fn hex(&mut self, digits: usize) -> Result<u32, String> {
        let text = self.rest.get(..digits).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let code = text.and_then(|text| u32::from_str_radix(text, 16).ok());
        let code = code.ok_or_else(|| format!("{digits} hex digits expected"))?;
        self.rest = &self.rest[digits..];
        if code <= u32::from(char::MAX) { Ok(code) } else { Err(format!("{code:#x} is no character")) }
    }

    /// Up to three octal digits, of which `first` has been read.
    fn octal(&mut self, first: char) -> u32 {
        let mut code = first.to_digit(8).unwrap_or_default();
        for _ in 0..2 {
            let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else { break };
            code = code * 8 + digit;
            self.rest = &self.rest[1..];
        }
        code
    }
}

/// A string in the making, which joins the halves of surrogate pairs.
#[derive(Default)]
struct Text {
    text: String,
    high: Option<u32>,
}

impl Text {
    fn push(&mut self, code: u32) {
        match (self.high.take(), code) {
            (Some(high), 0xDC00..=0xDFFF) => self.add(0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00)),
            (high, code) => {
                high.into_iter().for_each(|half| self.add(half));
                if (0xD800..0xDC00).contains(&code) { self.high = Some(code) } else { self.add(code) }
            }
        }
    }

    fn add(&mut self, code: u32) {
        self.text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
    }

    fn finish(mut self) -> String {
        if let Some(half) = self.high.take() {
            self.add(half);
        }
        self.text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_of_an_item_file() {
        let line = r#"{'asin': 'B1', 'title': "it's", 'price': 1.2, 'salesRank': {'Beauty': 5},
            'categories': [['a', u"b",], []], 'x': True, 'y': False, 'z': None, 'n': -3,
            't': (1, 2), 'one': (1,), 'p': ('q'),}"#;
        let expected = json!({
            "asin": "B1", "title": "it's", "price": 1.2, "salesRank": {"Beauty": 5}, "categories": [["a", "b"], []],
            "x": true, "y": false, "z": null, "n": -3, "t": [1, 2], "one": [1], "p": "q",
        });
        assert_eq!(parse(line).unwrap(), expected);
    }

    #[test]
    fn escapes_are_those_of_python() {
        for (literal, text) in [
            (r"'caf\xe9 \u2019 \U0001F600'", "café \u{2019} \u{1F600}"),
            (r"'\ud83d\ude00 \ud83d.\ude00'", "\u{1F600} \u{FFFD}.\u{FFFD}"),
            (r"'\ud83d'", "\u{FFFD}"),
            (r#"'\'\"\\\n\t\r\a\b\f\v'"#, "'\"\\\n\t\r\u{7}\u{8}\u{c}\u{b}"),
            (r"'\0\101\1018\7'", "\0AA8\u{7}"),
            (r"'\d\/'", r"\d\/"),
            ("'a\\\nb'", "ab"),
            ("''", ""),
            ("u'ß'", "ß"),
        ] {
            assert_eq!(parse(literal).unwrap(), json!(text), "{literal}");
        }
    }

    #[test]
    fn numbers_keep_what_64_bits_can_hold() {
        let value =
            parse("[0, +1, -9223372036854775808, 18446744073709551615, 1e3, .5, 36893488147419103232]").unwrap();
        let expected = json!([0, 1, i64::MIN, u64::MAX, 1000.0, 0.5, 36893488147419103232.0]);
        assert_eq!(value, expected);
    }

    #[test]
    fn what_is_no_literal_says_why_and_where() {
        for (text, reason) in [
            ("", "unexpected end at byte 0"),
            ("{'a': 1", "',' or '}' expected at byte 7"),
            ("{'a' 1}", "':' expected at byte 5"),
            ("{1: 2}", "a key that is no string"),
            ("['a' 'b']", "',' or ']' expected"),
            ("'abc", "a string is not closed at byte 4"),
            ("'abc\\", "a string is not closed"),
            (r"'\x4'", "2 hex digits expected"),
            (r"'\UFFFFFFFF'", "0xffffffff is no character"),
            ("1.2.3", "\"1.2.3\" is no number"),
            ("1e999", "is no number"),
            ("true", "unexpected \"true\""),
            ("__import__('os')", "unexpected '_'"),
            ("f('x')", "unexpected \"f\""),
            ("{} {}", "unexpected '{' at byte 3"),
            (&"[".repeat(100_000), "nested more than 64 deep"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("malformed Python literal") && error.contains(reason), "{error}");
        }
    }

    /// A value as `repr` has it.
    fn repr(value: &Value) -> String {
        let list = |values: Vec<String>| values.join(", ");
        match value {
            Value::Null => "None".into(),
            Value::Bool(true) => "True".into(),
            Value::Bool(false) => "False".into(),
            Value::Number(number) => number.to_string(),
            Value::String(text) => quoted(text),
            Value::Array(values) => format!("[{}]", list(values.iter().map(repr).collect())),
            Value::Object(map) => {
                format!("{{{}}}", list(map.iter().map(|(k, v)| format!("{}: {}", quoted(k), repr(v))).collect()))
            }
        }
    }

    fn quoted(text: &str) -> String {
        let escape = |c: char| match c {
            '\'' | '\\' => format!("\\{c}"),
            c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
            c => c.to_string(),
        };
        format!("'{}'", text.chars().map(escape).collect::<String>())
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(|x| json!(x)),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_python_writes_reads_the_same(value in values()) {
            prop_assert_eq!(parse(&repr(&value)).unwrap(), value);
        }

        #[test]
        fn nothing_panics(text in "\\PC*", near in "[\\[\\](){}'\"\\\\xuU0-9a-f:,.+-TN é\n]{0,40}") {
            let _ = (parse(&text), parse(&near));
        }
    }
}

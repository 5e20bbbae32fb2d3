//! The filter `tojson` as transformers defines it: Python's `json.dumps`, which keeps letters beyond ASCII by default.

use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Error, ErrorKind, State, Value};

use super::arguments::bind;

/// How deep a value may be nested. Python stops at about a thousand.
const DEPTH: usize = 200;

/// Filter: `value | tojson(ensure_ascii=false, indent=none, separators=none, sort_keys=false)`.
///
/// # Errors
/// When `value` is nothing that JSON can hold, or the fuel does not last.
pub(super) fn tojson(state: &State, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let args = args.into_values();
    let names = ["value", "ensure_ascii", "indent", "separators", "sort_keys"];
    let [_, ensure_ascii, indent, separators, sort_keys] = bind("tojson", names, &args)?;
    let value = args.first().ok_or_else(|| Error::from(ErrorKind::MissingArgument))?;
    let indent = indent.map(|indent| indentation(&indent)).transpose()?;
    let between = if indent.is_some() { "," } else { ", " };
    let (item_separator, key_separator) = match separators {
        Some(pair) => separators_of(&pair)?,
        None => (between.to_owned(), ": ".to_owned()),
    };
    let is_true = |flag: Option<Value>| flag.is_some_and(|flag| flag.is_true());
    let (ensure_ascii, sort_keys) = (is_true(ensure_ascii), is_true(sort_keys));
    let mut writer =
        Writer { state, text: String::new(), paid: 0, ensure_ascii, sort_keys, indent, item_separator, key_separator };
    writer.value(value, 0)?;
    Ok(writer.text)
}

/// What a level is indented by: a text, or a number of spaces.
fn indentation(indent: &Value) -> Result<String, Error> {
    if let Some(text) = indent.as_str() {
        return Ok(text.to_owned());
    }
    let width = i64::try_from(indent.clone())?;
    if width > 1024 {
        return Err(invalid(format!("tojson indents by at most 1024 spaces and is given {width}")));
    }
    Ok(" ".repeat(usize::try_from(width).unwrap_or(0)))
}

fn separators_of(pair: &Value) -> Result<(String, String), Error> {
    let wrong = || invalid(format!("the separators of tojson are two texts, not {pair}"));
    let texts: Vec<Value> = pair.try_iter()?.take(3).collect();
    match texts.as_slice() {
        [item, key] => Ok((item.as_str().ok_or_else(wrong)?.to_owned(), key.as_str().ok_or_else(wrong)?.to_owned())),
        _ => Err(wrong()),
    }
}

struct Writer<'a, 'template, 'env> {
    state: &'a State<'template, 'env>,
    text: String,
    /// How many bytes of the text are paid for, 64 with a unit of fuel.
    paid: usize,
    ensure_ascii: bool,
    sort_keys: bool,
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
}

impl Writer<'_, '_, '_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.pay()?;
        if depth > DEPTH {
            return Err(invalid(format!("tojson is given a value that is nested deeper than {DEPTH} levels")));
        }
        match value.kind() {
            ValueKind::None => self.text.push_str("null"),
            ValueKind::Bool => self.text.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.text.push_str(&number(value)),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => self.list(value, depth)?,
            ValueKind::Map => self.map(value, depth)?,
            kind => return Err(invalid(format!("tojson cannot write a value of kind {kind}"))),
        }
        Ok(())
    }

    fn list(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.text.push('[');
        let mut any = false;
        for item in value.try_iter()?.checked() {
            self.before_item(any, depth);
            any = true;
            self.value(&item?, depth + 1)?;
        }
        self.after_items(any, depth);
        self.text.push(']');
        Ok(())
    }

    fn map(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let mut keys = value.try_iter()?.checked().collect::<Result<Vec<_>, _>>()?;
        if self.sort_keys {
            let texts = keys.iter().filter(|key| key.kind() == ValueKind::String).count();
            if texts != 0 && texts != keys.len() {
                return Err(invalid("tojson cannot sort keys of which some are texts and some are not"));
            }
            keys.sort();
        }
        self.text.push('{');
        for (at, name) in keys.iter().enumerate() {
            self.before_item(at > 0, depth);
            self.string(&key(name)?);
            self.text.push_str(&self.key_separator);
            self.value(&value.get_item(name)?, depth + 1)?;
        }
        self.after_items(!keys.is_empty(), depth);
        self.text.push('}');
        Ok(())
    }

    fn before_item(&mut self, is_next: bool, depth: usize) {
        if is_next {
            self.text.push_str(&self.item_separator);
        }
        self.new_line(depth + 1);
    }

    fn after_items(&mut self, any: bool, depth: usize) {
        if any {
            self.new_line(depth);
        }
    }

    fn new_line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n(indent.as_str(), depth));
        }
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for letter in text.chars() {
            match letter {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                '\u{8}' => self.text.push_str("\\b"),
                '\u{c}' => self.text.push_str("\\f"),
                letter if letter < ' ' || (self.ensure_ascii && letter > '~') => {
                    for unit in letter.encode_utf16(&mut [0; 2]) {
                        self.text.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                letter => self.text.push(letter),
            }
        }
        self.text.push('"');
    }

    /// Pays for a value and for the text since the last one.
    fn pay(&mut self) -> Result<(), Error> {
        let units = (self.text.len() - self.paid) / 64;
        self.paid += units * 64;
        self.state.consume_fuel(1 + units as u64)
    }
}

/// Python turns keys that are numbers, truth values or `none` into texts.
fn key(key: &Value) -> Result<String, Error> {
    match key.kind() {
        ValueKind::String => Ok(key.as_str().unwrap_or_default().to_owned()),
        ValueKind::Number => Ok(number(key)),
        ValueKind::Bool => Ok(if key.is_true() { "true" } else { "false" }.to_owned()),
        ValueKind::None => Ok("null".to_owned()),
        kind => Err(invalid(format!("tojson cannot write a key of kind {kind}"))),
    }
}

/// A number as Python writes it: `1e-05`, not `1e-5`.
fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    match f64::try_from(value.clone()) {
        Ok(float) if float.is_nan() => "NaN".to_owned(),
        Ok(float) if float.is_infinite() => if float > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        Ok(float) => finite(float),
        Err(_) => value.to_string(),
    }
}

fn finite(float: f64) -> String {
    let text = format!("{float:?}");
    match text.split_once('e') {
        Some((digits, exponent)) => match exponent.strip_prefix('-') {
            Some(exponent) => format!("{digits}e-{exponent:0>2}"),
            None => format!("{digits}e+{exponent:0>2}"),
        },
        None => text,
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

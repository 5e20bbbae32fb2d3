//! Filters and tests of jinja2 that the engine lacks or that differ in it.

use minijinja::filters::{dictsort, join, sort, unique};
use minijinja::value::{Kwargs, Rest, StringInput, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::arguments::bind;
use super::methods::{is_space, pad, pay_for_texts};

/// Adds them to `environment`.
pub(super) fn add(environment: &mut Environment<'static>) {
    // These write something else than jinja2's.
    for name in ["attr", "pprint"] {
        environment.remove_filter(name);
    }
    environment.add_filter("trim", trim);
    for name in ["e", "escape", "forceescape"] {
        environment.add_filter(name, escape);
    }
    environment.add_filter("int", int);
    environment.add_filter("float", float);
    environment.add_filter("center", |state: &State, args: Rest<ValueOrKwargs>| {
        let [value, width] = bind("center", ["value", "width"], &args.into_values())?;
        let text = value.unwrap_or_default().to_string();
        pad(state, &text, "center", &[width.unwrap_or(Value::from(80))])
    });
    environment.add_filter("dictsort", |state: &mut State, value: &Value, args: Rest<ValueOrKwargs>| {
        let named = by_name("dictsort", ["case_sensitive", "by", "reverse"], args)?;
        state.consume_fuel(value.len().unwrap_or(0) as u64)?;
        dictsort(value, named)
    });
    environment.add_filter("sort", |state: &mut State, value: Value, args: Rest<ValueOrKwargs>| {
        sort(state, value, by_name("sort", ["reverse", "case_sensitive", "attribute"], args)?)
    });
    environment.add_filter("unique", |state: &mut State, value: Value, args: Rest<ValueOrKwargs>| {
        unique(state, value, by_name("unique", ["case_sensitive", "attribute"], args)?)
    });
    environment.add_filter("join", |state: &mut State, value: &Value, args: Rest<ValueOrKwargs>| {
        pay_for_texts(state, value)?;
        join(state, value, None, None, by_name("join", ["d", "attribute"], args)?)
    });
    environment.add_test("iterable", is_iterable);
    environment.add_test("sequence", |value: &Value| match value.kind() {
        ValueKind::Iterable => value.len().is_some(),
        kind => matches!(kind, ValueKind::Undefined | ValueKind::Seq | ValueKind::Map | ValueKind::String),
    });
    environment.add_test("callable", |value: &Value| matches!(value.kind(), ValueKind::Undefined | ValueKind::Plain));
}

/// Arguments by name, which is how the engine's own filters take them.
fn by_name<const N: usize>(filter: &str, names: [&str; N], args: Rest<ValueOrKwargs>) -> Result<Kwargs, Error> {
    let values = bind(filter, names, &args.into_values())?;
    Ok(names.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?))).collect())
}

/// Without `letters`, what Python takes for white space.
fn trim(value: StringInput<'_>, letters: Option<&str>) -> Value {
    let text = value.as_str();
    Value::from(match letters {
        Some(letters) => text.trim_matches(|letter| letters.contains(letter)),
        None => text.trim_matches(is_space),
    })
}

/// The entities that markupsafe writes.
fn escape(value: &Value) -> Value {
    if value.is_safe() {
        return value.clone();
    }
    let text = value.to_string();
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Value::from_safe_string(text.replace('"', "&#34;").replace('\'', "&#39;"))
}

/// Filter: `value | int(default=0, base=10)`, where what is no number becomes the default.
fn int(args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let args = args.into_values();
    let [value, default, base] = bind("int", ["value", "default", "base"], &args)?;
    let default = default.unwrap_or(Value::from(0));
    let base = base.map_or(Ok(10), u32::try_from)?;
    if !(2..=36).contains(&base) {
        return Err(Error::new(ErrorKind::InvalidOperation, format!("int reads base 2 to 36, not {base}")));
    }
    let Some(value) = value else { return Ok(default) };
    if value.is_integer() {
        return Ok(value);
    }
    let whole = value.as_str().and_then(|text| whole_number(text, base));
    Ok(whole.or_else(|| truncated(number(&value)?)).unwrap_or(default))
}

/// Python's `int(text, base)`.
fn whole_number(text: &str, base: u32) -> Option<Value> {
    let text = digits(text)?.to_lowercase();
    let prefix = match base {
        16 => "0x",
        8 => "0o",
        2 => "0b",
        _ => "",
    };
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    let text = text.strip_prefix(prefix).unwrap_or(text);
    if text.starts_with(['-', '+']) {
        return None;
    }
    i128::from_str_radix(text, base).ok().map(|whole| Value::from(sign * whole))
}

/// The digits of a number without the white space around it and the underscores between digits.
fn digits(text: &str) -> Option<String> {
    let text = text.trim_matches(is_space);
    let misplaced = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    (!misplaced).then(|| text.replace('_', ""))
}

fn truncated(number: f64) -> Option<Value> {
    let whole = number.trunc();
    (whole.abs() < 1e38).then_some(Value::from(whole as i128))
}

/// Filter: `value | float(default=0.0)`, where what is no number becomes the default.
fn float(args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let [value, default] = bind("float", ["value", "default"], &args.into_values())?;
    let number = value.as_ref().and_then(number).map(Value::from);
    Ok(number.or(default).unwrap_or(Value::from(0.0)))
}

/// Python's `float(value)`.
fn number(value: &Value) -> Option<f64> {
    match value.kind() {
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        ValueKind::Number => f64::try_from(value.clone()).ok(),
        ValueKind::String => digits(value.as_str()?)?.parse().ok(),
        _ => None,
    }
}

/// `none` and numbers are not, what is undefined is.
fn is_iterable(value: &Value) -> bool {
    value.is_undefined() || (!value.is_none() && value.try_iter().is_ok())
}

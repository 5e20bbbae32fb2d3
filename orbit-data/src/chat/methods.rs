//! Methods of Python's values that the engine's own set lacks or that differ in it.

use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::arguments::bind;

/// Calls `method` of `value`.
///
/// # Errors
/// When there is no such method, or its arguments do not fit.
pub(super) fn call(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let known = match value.kind() {
        ValueKind::String => string_method(state, value.as_str().unwrap_or_default(), method, args)?,
        ValueKind::Seq => list_method(value, method, args)?,
        ValueKind::Map if method == "copy" => Some(value.clone()),
        _ => None,
    };
    match known {
        Some(result) => Ok(result),
        None => unknown_method_callback(state, value, method, args),
    }
}

/// Pays for the texts in a list before they are joined, because a list may hold one long text many times.
pub(super) fn pay_for_texts(state: &State, list: &Value) -> Result<(), Error> {
    if list.kind() == ValueKind::Seq {
        for item in list.try_iter()?.checked() {
            state.consume_fuel(item?.as_str().map_or(0, str::len) as u64 / 64)?;
        }
    }
    Ok(())
}

/// What Python's `str.isspace` holds for.
pub(super) fn is_space(letter: char) -> bool {
    letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter)
}

fn string_method(state: &State, text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "strip" | "lstrip" | "rstrip" => strip(text, method, args)?,
        "split" => split(text, args)?,
        "rsplit" => rsplit(text, args)?,
        "splitlines" => lines(text, args)?,
        "partition" | "rpartition" => partition(text, method, args)?,
        "removeprefix" => {
            let prefix = one_text(method, args)?;
            Value::from(text.strip_prefix(prefix.as_str().unwrap_or_default()).unwrap_or(text))
        }
        "removesuffix" => {
            let suffix = one_text(method, args)?;
            Value::from(text.strip_suffix(suffix.as_str().unwrap_or_default()).unwrap_or(text))
        }
        "find" | "rfind" | "index" | "rindex" | "count" => search(text, method, args)?,
        "startswith" | "endswith" if args.len() > 1 => starts_or_ends(state, text, method, args)?,
        "join" => {
            pay_for_texts(state, args.first().unwrap_or(&Value::UNDEFINED))?;
            return Ok(None);
        }
        "title" => Value::from(title(text)),
        "swapcase" => Value::from(swapcase(text)),
        "zfill" | "center" | "ljust" | "rjust" => pad(state, text, method, args)?,
        "isspace" => Value::from(!text.is_empty() && text.chars().all(is_space)),
        "isdigit" | "isdecimal" => Value::from(!text.is_empty() && text.chars().all(|c| is_digit(c, method))),
        _ => return Ok(None),
    }))
}

fn list_method(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    match method {
        "copy" => Ok(Some(value.clone())),
        "index" => {
            let [what] = bind(method, ["value"], args)?;
            let what = what.unwrap_or(Value::from(()));
            for (at, item) in value.try_iter()?.checked().enumerate() {
                if item? == what {
                    return Ok(Some(Value::from(at)));
                }
            }
            Err(invalid(format!("{what} is not in the list")))
        }
        _ => Ok(None),
    }
}

fn strip(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let [letters] = bind(method, ["chars"], args)?;
    let letters = letters.map(|letters| text_of(method, &letters)).transpose()?;
    let strips = |letter: char| match &letters {
        Some(letters) => letters.contains(letter),
        None => is_space(letter),
    };
    Ok(Value::from(match method {
        "strip" => text.trim_matches(strips),
        "lstrip" => text.trim_start_matches(strips),
        _ => text.trim_end_matches(strips),
    }))
}

/// The separator of `split` and `rsplit`, and how often they split at most.
fn split_arguments(method: &str, args: &[Value]) -> Result<(Option<String>, usize), Error> {
    let [separator, most] = bind(method, ["sep", "maxsplit"], args)?;
    let separator = separator.map(|separator| text_of(method, &separator)).transpose()?;
    if separator.as_deref() == Some("") {
        return Err(invalid(format!("{method} is given an empty separator")));
    }
    let most = most.map_or(Ok(-1), i64::try_from)?;
    Ok((separator, usize::try_from(most).unwrap_or(usize::MAX)))
}

fn split(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (separator, most) = split_arguments("split", args)?;
    if let Some(separator) = separator {
        return Ok(text.splitn(most.saturating_add(1), &separator).map(Value::from).collect());
    }
    let mut words = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while let Some(end) = rest.find(is_space).filter(|_| words.len() < most) {
        words.push(Value::from(&rest[..end]));
        rest = rest[end..].trim_start_matches(is_space);
    }
    if !rest.is_empty() {
        words.push(Value::from(rest));
    }
    Ok(Value::from(words))
}

fn rsplit(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (separator, most) = split_arguments("rsplit", args)?;
    let mut words: Vec<Value> = Vec::new();
    if let Some(separator) = separator {
        words.extend(text.rsplitn(most.saturating_add(1), &separator).map(Value::from));
    } else {
        let mut rest = text.trim_end_matches(is_space);
        while let Some(cut) = rest.char_indices().rfind(|(_, letter)| is_space(*letter)).filter(|_| words.len() < most)
        {
            words.push(Value::from(&rest[cut.0 + cut.1.len_utf8()..]));
            rest = rest[..cut.0].trim_end_matches(is_space);
        }
        if !rest.is_empty() {
            words.push(Value::from(rest));
        }
    }
    words.reverse();
    Ok(Value::from(words))
}

/// The characters that end a line in Python, `\r\n` being one end.
const LINE_ENDS: [char; 10] =
    ['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];

fn lines(text: &str, args: &[Value]) -> Result<Value, Error> {
    let [keep] = bind("splitlines", ["keepends"], args)?;
    let keep = keep.is_some_and(|keep| keep.is_true());
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.find(LINE_ENDS) {
        let after = match rest[end..].strip_prefix("\r\n") {
            Some(_) => end + 2,
            None => end + rest[end..].chars().next().map_or(0, char::len_utf8),
        };
        lines.push(Value::from(&rest[..if keep { after } else { end }]));
        rest = &rest[after..];
    }
    if !rest.is_empty() {
        lines.push(Value::from(rest));
    }
    Ok(Value::from(lines))
}

fn partition(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let separator = one_text(method, args)?;
    let separator = separator.as_str().unwrap_or_default();
    if separator.is_empty() {
        return Err(invalid(format!("{method} is given an empty separator")));
    }
    let parts = match method {
        "partition" => text.split_once(separator).map_or([text, "", ""], |(head, tail)| [head, separator, tail]),
        _ => text.rsplit_once(separator).map_or(["", "", text], |(head, tail)| [head, separator, tail]),
    };
    Ok(Value::from(Tuple::from(parts.map(Value::from))))
}

/// `find`, `index` and `count` between two places, which are counted in characters.
fn search(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let [what, start, end] = bind(method, ["sub", "start", "end"], args)?;
    let what = text_of(method, &what.unwrap_or(Value::from(())))?;
    let window = window(text, start, end)?;
    if method == "count" {
        return Ok(Value::from(window.map_or(0, |(_, part)| part.matches(&what).count())));
    }
    let found = window.and_then(|(first, part)| {
        let at = if method.starts_with('r') { part.rfind(&what) } else { part.find(&what) }?;
        Some(first + part[..at].chars().count())
    });
    match found {
        Some(at) => Ok(Value::from(at)),
        None if method.ends_with("find") => Ok(Value::from(-1)),
        None => Err(invalid(format!("{method} does not find {what:?}"))),
    }
}

/// The part of `text` between two places as Python slices it, with the place where it starts; none behind its end.
fn window(text: &str, start: Option<Value>, end: Option<Value>) -> Result<Option<(usize, &str)>, Error> {
    let length = text.chars().count();
    let place = |value: i64| match usize::try_from(value) {
        Ok(place) => place,
        Err(_) => length.saturating_sub(usize::try_from(value.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let start = start.map_or(Ok(0), i64::try_from).map(place)?;
    let end = end.map_or(Ok(i64::MAX), i64::try_from).map(place)?.min(length);
    if start > end {
        return Ok(None);
    }
    let byte = |place: usize| text.char_indices().nth(place).map_or(text.len(), |(at, _)| at);
    Ok(Some((start, &text[byte(start)..byte(end)])))
}

fn starts_or_ends(state: &State, text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let [what, start, end] = bind(method, ["prefix", "start", "end"], args)?;
    let what = what.unwrap_or(Value::from(()));
    match window(text, start, end)? {
        Some((_, part)) => {
            let mut whole = state.env().empty_state();
            unknown_method_callback(&mut whole, &Value::from(part), method, &[what])
        }
        None => Ok(Value::from(false)),
    }
}

/// Python's title case: a letter after a letter is small, any other is large.
fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut inside = false;
    for letter in text.chars() {
        match inside {
            true => titled.extend(letter.to_lowercase()),
            false => titled.extend(letter.to_uppercase()),
        }
        inside = letter.is_lowercase() || letter.is_uppercase();
    }
    titled
}

fn swapcase(text: &str) -> String {
    let mut swapped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_uppercase() {
            true => swapped.extend(letter.to_lowercase()),
            false => swapped.extend(letter.to_uppercase()),
        }
    }
    swapped
}

/// Fills `text` up to a width. Pays for the padding before it makes it.
pub(super) fn pad(state: &State, text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let [width, fill] = bind(method, ["width", "fillchar"], args)?;
    let width = usize::try_from(width.map_or(Ok(0), i64::try_from)?).unwrap_or(0);
    let fill = match fill {
        Some(fill) => text_of(method, &fill)?,
        None if method == "zfill" => "0".to_owned(),
        None => " ".to_owned(),
    };
    if fill.chars().count() != 1 {
        return Err(invalid(format!("{method} fills with one character, not {fill:?}")));
    }
    let missing = width.saturating_sub(text.chars().count());
    state.consume_fuel((missing / 16) as u64)?;
    let before = match method {
        "zfill" | "rjust" => missing,
        "ljust" => 0,
        // Where the two sides cannot be equal, Python's choice depends on the width.
        _ => missing / 2 + (missing & width & 1),
    };
    let sign = match method {
        "zfill" => text.len() - text.trim_start_matches(['+', '-']).len().max(text.len().saturating_sub(1)),
        _ => 0,
    };
    let (sign, rest) = text.split_at(sign);
    Ok(Value::from(format!("{sign}{}{rest}{}", fill.repeat(before), fill.repeat(missing - before))))
}

/// Superscripts and circled digits are digits, but not decimals.
fn is_digit(letter: char, method: &str) -> bool {
    let decimal = letter.is_ascii_digit() || DECIMAL.is_match(letter.encode_utf8(&mut [0; 4]));
    decimal || (method == "isdigit" && matches!(letter, '²' | '³' | '¹' | '⁰' | '⁴'..='⁹' | '₀'..='₉' | '①'..='⑨'))
}

/// A decimal digit of any script.
#[allow(clippy::unwrap_used, reason = "the pattern is a constant")]
static DECIMAL: std::sync::LazyLock<regex::Regex> = std::sync::LazyLock::new(|| regex::Regex::new(r"^\d$").unwrap());

fn one_text(method: &str, args: &[Value]) -> Result<Value, Error> {
    let [text] = bind(method, ["text"], args)?;
    text_of(method, &text.unwrap_or(Value::from(()))).map(Value::from)
}

fn text_of(method: &str, value: &Value) -> Result<String, Error> {
    let wrong = || invalid(format!("{method} takes a text, not a value of kind {}", value.kind()));
    value.as_str().map(str::to_owned).ok_or_else(wrong)
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

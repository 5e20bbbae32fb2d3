//! Functions of jinja2 that take more kinds of arguments than the engine's own.

use minijinja::value::{Kwargs, Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, Value, functions};
use minijinja_contrib::globals::{cycler, joiner};

/// Adds them to `environment`, and takes away what jinja2 does not have.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.remove_global("debug");
    environment.add_function("joiner", joiner);
    environment.add_function("cycler", |items: Rest<Value>| cycler(items.0));
    environment.add_function("dict", |args: Rest<ValueOrKwargs>| merged("dict", args));
    environment.add_function("namespace", |args: Rest<ValueOrKwargs>| {
        functions::namespace(Some(merged("namespace", args)?.into()))
    });
}

/// Python's `dict(pairs, **named)`: a mapping or a list of pairs, and values by name.
fn merged(function: &str, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let mut pairs = Vec::new();
    for (at, arg) in args.into_values().into_iter().enumerate() {
        if arg.is_kwargs() {
            let named = Kwargs::try_from(arg)?;
            let names: Vec<String> = named.args().map(str::to_owned).collect();
            for name in names {
                pairs.push((Value::from(name.as_str()), named.get::<Value>(&name)?));
            }
        } else if at > 0 {
            let message = format!("{function} takes one mapping and values by name");
            return Err(Error::new(ErrorKind::TooManyArguments, message));
        } else {
            add_pairs(function, &arg, &mut pairs)?;
        }
    }
    Ok(Value::from_pairs(pairs))
}

fn add_pairs(function: &str, from: &Value, pairs: &mut Vec<(Value, Value)>) -> Result<(), Error> {
    let is_map = from.kind() == ValueKind::Map;
    for item in from.try_iter()?.checked() {
        let item = item?;
        let pair = if is_map {
            (item.clone(), from.get_item(&item)?)
        } else if item.len() == Some(2) {
            (item.get_item_by_index(0)?, item.get_item_by_index(1)?)
        } else {
            let message = format!("{function} takes a mapping or a list of pairs, and {item} is no pair");
            return Err(Error::new(ErrorKind::InvalidOperation, message));
        };
        pairs.push(pair);
    }
    Ok(())
}

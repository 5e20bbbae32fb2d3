//! The arguments of a Python function, given by their place or by their name.

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, Value};

/// The arguments of `function`, whose parameters are `names`. One that is not given or is `none` is `None`.
pub(super) fn bind<const N: usize>(
    function: &str,
    names: [&str; N],
    args: &[Value],
) -> Result<[Option<Value>; N], Error> {
    let (places, named) = match args.split_last() {
        Some((last, places)) if last.is_kwargs() => (places, Some(Kwargs::try_from(last.clone())?)),
        _ => (args, None),
    };
    if places.len() > N {
        let message = format!("{function} takes at most {N} arguments and is given {}", places.len());
        return Err(Error::new(ErrorKind::TooManyArguments, message));
    }
    let mut bound = [const { None }; N];
    for (slot, value) in bound.iter_mut().zip(places) {
        *slot = Some(value.clone());
    }
    if let Some(named) = named {
        for (at, name) in names.iter().enumerate().filter(|(_, name)| named.has(name)) {
            if at < places.len() {
                let message = format!("{function} is given its argument `{name}` twice");
                return Err(Error::new(ErrorKind::TooManyArguments, message));
            }
            bound[at] = Some(named.get(name)?);
        }
        named.assert_all_used()?;
    }
    Ok(bound.map(|value| value.filter(|value| !value.is_none())))
}

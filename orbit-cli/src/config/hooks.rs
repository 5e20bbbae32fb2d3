use orbit_core::hook::testing::HostSpace;
use orbit_core::hook::{Error, ErrorKind, Hook, Param, ParamKind};
use orbit_regularizers::{HookEntry, Use};

use super::range::Fault;

/// What the number is called, where no hook goes by its name.
pub(super) const NUMBER: &str = "number";

/// Attaches a copy of every built-in hook to a model of one number: a hook checks its options when it is attached, and this
/// way it does so before the real model is loaded. `parameter` is the number's name, by which some hooks go. Plugins are checked
/// where they are loaded.
pub(super) fn check(hooks: &[HookEntry], parameter: &str) -> Result<(), Fault> {
    for (position, entry) in (1..).zip(hooks) {
        if matches!(entry.r#use, Use::Plugin(_)) {
            continue;
        }
        let attached = entry.r#use.build().and_then(|mut hook| attach(&mut *hook, parameter));
        attached.map_err(|error| (format!("hooks[{position}]:"), error.to_string()))?;
    }
    Ok(())
}

/// Attaches a hook to a model of one number; an error if it refuses an option.
pub(super) fn attach(hook: &mut dyn Hook, parameter: &str) -> Result<(), Error> {
    let number = Param { name: parameter.into(), shape: vec![1], kind: ParamKind::Base };
    let mut space = HostSpace::new(vec![number], vec![vec![1.0]])?;
    match hook.attach(&mut space) {
        Err(error) if matches!(error.kind(), ErrorKind::Config | ErrorKind::Panicked) => {
            Err(Error::new(error.kind(), format!("{}: {error}", hook.name())))
        }
        // Whatever else fails is about the model, which this one is not.
        _ => Ok(()),
    }
}

use orbit_core::hook::testing::HostSpace;
use orbit_core::hook::{Error, ErrorKind, Param, ParamKind};
use orbit_regularizers::{HookEntry, Use};

use super::range::Fault;

/// Attaches a copy of every hook to a model of one number: a hook checks its options when it is attached, and this way it
/// does so before the real model is loaded.
pub(super) fn check(hooks: &[HookEntry]) -> Result<(), Fault> {
    for (position, entry) in (1..).zip(hooks) {
        match attach(&entry.r#use) {
            Err(error) if error.kind() == ErrorKind::Config => {
                return Err((format!("hooks[{position}]:"), error.to_string()));
            }
            // Whatever else fails is about the model, which this one is not.
            _ => {}
        }
    }
    Ok(())
}

fn attach(hook: &Use) -> Result<(), Error> {
    let number = Param { name: "number".into(), shape: vec![1], kind: ParamKind::Base };
    let mut space = HostSpace::new(vec![number], vec![vec![1.0]])?;
    let mut hook = hook.build();
    let name = hook.name().to_owned();
    hook.attach(&mut space).map_err(|error| Error::new(error.kind(), format!("{name}: {error}")))
}

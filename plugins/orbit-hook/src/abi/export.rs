//! The plugin's side: any hook as a [`table::Plugin`].

use std::panic::{AssertUnwindSafe, catch_unwind};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use super::convert::{panic_message, report};
use super::guest::{GuestPass, GuestSpace, tell};
use super::table::{self, Answer, Bytes, Instance, Status};
use crate::{Error, ErrorKind, ForwardPlan, Hook, Result, State, Step};

/// A configuration that makes a hook. Every hook that can be read from JSON is its own configuration.
pub trait Export: DeserializeOwned + JsonSchema {
    /// The hook, with nothing done yet.
    fn hook(self) -> Box<dyn Hook>;
}

impl<H: Hook + DeserializeOwned + JsonSchema + 'static> Export for H {
    fn hook(self) -> Box<dyn Hook> {
        Box::new(self)
    }
}

/// Makes a library of type `cdylib` a plugin: exports `orbit_hook_entry`.
///
/// Takes a type that is a [`Hook`], [`Deserialize`](serde::Deserialize) and [`JsonSchema`], or one that is
/// [`Export`](crate::abi::Export). The configuration arrives as JSON; the schema is the type's own. A panic is caught and becomes an error.
///
/// ```
/// use orbit_hook::{Hook, Phases, Result, Space, Step, Vector::*};
/// use schemars::JsonSchema;
/// use serde::Deserialize;
///
/// /// Shrinks the weights by a constant factor a step.
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Shrink {
///     /// By how much, 0 to 1.
///     factor: f32,
/// }
///
/// impl Hook for Shrink {
///     fn name(&self) -> &str {
///         "shrink"
///     }
///     fn phases(&self) -> Phases {
///         Phases::WEIGHTS
///     }
///     fn weights(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
///         space.scale(Weights, self.factor)
///     }
/// }
///
/// orbit_hook::export!(Shrink);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export {
    ($hook:ty) => {
        #[allow(unsafe_code, reason = "the symbol that a host looks up; no other library in one process may have it")]
        #[unsafe(no_mangle)]
        extern "C" fn orbit_hook_entry() -> *const $crate::abi::table::Plugin {
            static PLUGIN: $crate::abi::table::Plugin =
                $crate::abi::plugin::<$hook>(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
            &PLUGIN
        }
    };
}

/// The table of a plugin that makes its hooks from `T`.
pub const fn plugin<T: Export>(id: &'static str, release: &'static str) -> table::Plugin {
    table::Plugin {
        size: size_of::<table::Plugin>() as u32,
        version: table::VERSION,
        id: Bytes::lend(id.as_bytes()),
        release: Bytes::lend(release.as_bytes()),
        schema: Some(schema::<T>),
        create: create::<T>,
        destroy,
        phases,
        attach: Some(attach),
        forward: Some(forward),
        loss: Some(loss),
        gradients: Some(gradients),
        weights: Some(weights),
        finish: Some(finish),
        save: Some(save),
        load: Some(load),
    }
}

/// What an instance is on this side. A panic may leave the hook half changed, so it is not called again.
struct Made {
    hook: Box<dyn Hook>,
    panicked: bool,
}

/// Catches what unwinds.
fn guarded(call: impl FnOnce() -> Result<()>) -> Result<()> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        Err(Error::new(ErrorKind::Panicked, format!("the plugin panicked: {}", panic_message(&*payload))))
    })
}

/// Calls an instance's hook, unless it has panicked before.
///
/// # Safety
/// `instance` is one that [`create`] made and [`destroy`] has not freed, and no other call to it is running; `error` is the
/// host's for this call.
unsafe fn on(instance: *mut Instance, error: *const Answer, call: impl FnOnce(&mut dyn Hook) -> Result<()>) -> Status {
    // SAFETY: by the contract above it is a `Made`, and nobody else holds it.
    let made = unsafe { &mut *instance.cast::<Made>() };
    let result = if made.panicked {
        Err(Error::new(ErrorKind::Panicked, "the plugin has panicked before and is not called again"))
    } else {
        guarded(|| call(&mut *made.hook))
    };
    made.panicked |= result.as_ref().is_err_and(|failure| failure.kind() == ErrorKind::Panicked);
    // SAFETY: passed on to the caller.
    unsafe { report(result, error) }
}

// SAFETY of the functions that follow: the host keeps to the rules of `table`. It calls them with instances that `create` has
// made, one call to an instance at a time, and with tables, steps and answers that are valid until they return.

unsafe extern "C" fn schema<T: Export>(answer: *const Answer) {
    let text = catch_unwind(|| serde_json::to_string(&schemars::schema_for!(T)));
    if let Ok(Ok(text)) = text {
        // SAFETY: see above.
        unsafe { Answer::give_to(answer, text.as_bytes()) };
    }
}

unsafe extern "C" fn create<T: Export>(config: Bytes, instance: *mut *mut Instance, error: *const Answer) -> Status {
    let result = guarded(|| {
        // SAFETY: see above.
        let config = unsafe { config.text("the configuration") }?;
        // An object first: serde would take a list for a struct.
        let config: Map<String, Json> = serde_json::from_str(config)
            .map_err(|e| Error::config(format!("the configuration is not a JSON object: {e}")))?;
        let config: T = serde_json::from_value(Json::Object(config)).map_err(|e| Error::config(e.to_string()))?;
        let made = Box::new(Made { hook: config.hook(), panicked: false });
        // SAFETY: the host gives a place to write to.
        unsafe { *instance = Box::into_raw(made).cast() };
        Ok(())
    });
    // SAFETY: see above.
    unsafe { report(result, error) }
}

unsafe extern "C" fn destroy(instance: *mut Instance) {
    // SAFETY: see above; the host gives every instance back once.
    let made = unsafe { Box::from_raw(instance.cast::<Made>()) };
    let _ = guarded(|| {
        drop(made);
        Ok(())
    });
}

unsafe extern "C" fn phases(instance: *const Instance) -> u32 {
    // SAFETY: see above.
    let made = unsafe { &*instance.cast::<Made>() };
    catch_unwind(AssertUnwindSafe(|| made.hook.phases().bits())).unwrap_or(0)
}

unsafe extern "C" fn attach(instance: *mut Instance, space: *const table::Space, error: *const Answer) -> Status {
    // SAFETY: see above.
    unsafe { on(instance, error, |hook| hook.attach(&mut GuestSpace::new(&*space))) }
}

unsafe extern "C" fn forward(
    instance: *mut Instance,
    step: *const table::Step,
    plan: *const table::Plan,
    error: *const Answer,
) -> Status {
    // SAFETY: see above.
    unsafe {
        on(instance, error, |hook| {
            let mut wanted = ForwardPlan::default();
            hook.forward(&Step::from(&*step), &mut wanted)?;
            tell(&wanted, &*plan)
        })
    }
}

unsafe extern "C" fn loss(
    instance: *mut Instance,
    step: *const table::Step,
    pass: *const table::Pass,
    error: *const Answer,
) -> Status {
    // SAFETY: see above.
    unsafe { on(instance, error, |hook| hook.loss(&Step::from(&*step), &mut GuestPass(&*pass))) }
}

unsafe extern "C" fn gradients(
    instance: *mut Instance,
    step: *const table::Step,
    space: *const table::Space,
    error: *const Answer,
) -> Status {
    // SAFETY: see above.
    unsafe { on(instance, error, |hook| hook.gradients(&Step::from(&*step), &mut GuestSpace::new(&*space))) }
}

unsafe extern "C" fn weights(
    instance: *mut Instance,
    step: *const table::Step,
    space: *const table::Space,
    error: *const Answer,
) -> Status {
    // SAFETY: see above.
    unsafe { on(instance, error, |hook| hook.weights(&Step::from(&*step), &mut GuestSpace::new(&*space))) }
}

unsafe extern "C" fn finish(instance: *mut Instance, space: *const table::Space, error: *const Answer) -> Status {
    // SAFETY: see above.
    unsafe { on(instance, error, |hook| hook.finish(&mut GuestSpace::new(&*space))) }
}

unsafe extern "C" fn save(instance: *const Instance, state: *const Answer, error: *const Answer) -> Status {
    // SAFETY: see above.
    unsafe {
        on(instance.cast_mut(), error, |hook| {
            let mut saved = State::new();
            hook.save(&mut saved)?;
            Answer::give_to(state, &saved.to_bytes());
            Ok(())
        })
    }
}

unsafe extern "C" fn load(instance: *mut Instance, state: Bytes, error: *const Answer) -> Status {
    // SAFETY: see above.
    unsafe { on(instance, error, |hook| hook.load(&State::from_bytes(state.borrow())?)) }
}

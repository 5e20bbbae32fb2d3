//! The host's side: [`Space`], [`Pass`] and [`ForwardPlan`] as tables.
//!
//! A table lives as long as the hook that it is given to and has a context only while a call is running, so that a plugin
//! which keeps a table gets an error and not freed memory.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::convert::{edit, panic_message, positions_of, report, site};
use super::table::{self, Answer, Bytes, Status, VERSION};
use crate::{Error, ErrorKind, ForwardPlan, Param, ParamKind, Pass, Reference, Result, Space, Value, Vector};

/// The three tables of one foreign hook.
#[derive(Debug)]
pub(super) struct Tables {
    space: table::Space,
    pass: table::Pass,
    plan: table::Plan,
}

/// What the context of a space table points at while a call is running.
struct SpaceCall<'a> {
    space: &'a mut dyn Space,
    /// The parameters as the plugin sees them: made when first asked for.
    lent: Vec<table::Param>,
}

impl Tables {
    pub(super) fn new() -> Box<Self> {
        let context = std::ptr::null_mut();
        Box::new(Self {
            space: table::Space {
                size: size_of::<table::Space>() as u32,
                version: VERSION,
                context,
                params,
                dot,
                distance,
                flips,
                copy,
                scale,
                lerp,
                fma,
                read,
                visit,
                log: log_in_space,
            },
            pass: table::Pass {
                size: size_of::<table::Pass>() as u32,
                version: VERSION,
                context,
                logits,
                reference,
                of,
                select,
                kl,
                mse,
                scalar,
                add_loss,
                log: log_in_pass,
                tapped,
                rows,
                edited_reference,
            },
            plan: table::Plan { size: size_of::<table::Plan>() as u32, version: VERSION, context, tap, add },
        })
    }

    /// Lends a space for the time of one call.
    pub(super) fn with_space<R>(&mut self, space: &mut dyn Space, call: impl FnOnce(&table::Space) -> R) -> R {
        let mut running = SpaceCall { space, lent: Vec::new() };
        self.space.context = std::ptr::from_mut(&mut running).cast();
        let result = call(&self.space);
        self.space.context = std::ptr::null_mut();
        result
    }

    /// Lends a pass for the time of one call.
    pub(super) fn with_pass<R>(&mut self, mut pass: &mut dyn Pass, call: impl FnOnce(&table::Pass) -> R) -> R {
        self.pass.context = std::ptr::from_mut(&mut pass).cast();
        let result = call(&self.pass);
        self.pass.context = std::ptr::null_mut();
        result
    }

    /// Lends a plan for the time of one call.
    pub(super) fn with_plan<R>(&mut self, plan: &mut ForwardPlan, call: impl FnOnce(&table::Plan) -> R) -> R {
        self.plan.context = std::ptr::from_mut(plan).cast();
        let result = call(&self.plan);
        self.plan.context = std::ptr::null_mut();
        result
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Phase, "the plugin used a table of the host after the call that it was lent to")
}

/// Does what a plugin asked. A panic of the host must not unwind into the plugin.
///
/// # Safety
/// `error` is the plugin's for the call that is running.
unsafe fn answer(error: *const Answer, call: impl FnOnce() -> Result<()>) -> Status {
    let result = catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|payload| Err(Error::failed(format!("the host panicked: {}", panic_message(&*payload)))));
    // SAFETY: passed on to the caller.
    unsafe { report(result, error) }
}

/// What the context of a table points at.
///
/// # Safety
/// `context` is null, or was set by the function of [`Tables`] that lends a `T`, whose call is still running; a plugin calls
/// the host only from the thread of that call, so nobody else holds it.
unsafe fn running<'a, T>(context: *mut c_void) -> Result<&'a mut T> {
    // SAFETY: by the contract above.
    unsafe { context.cast::<T>().as_mut() }.ok_or_else(gone)
}

// SAFETY of the functions that follow: a plugin keeps to the rules of `table`. It passes the table that it was lent, outputs
// that can be written, and texts that are valid until the function returns.

unsafe fn in_space(
    table: *const table::Space,
    error: *const Answer,
    call: impl FnOnce(&mut dyn Space) -> Result<()>,
) -> Status {
    // SAFETY: see above; the context of a space table is a `SpaceCall`.
    unsafe { answer(error, || call(running::<SpaceCall<'_>>((*table).context)?.space)) }
}

unsafe extern "C" fn params(
    table: *const table::Space,
    params_lent: *mut *const table::Param,
    count: *mut usize,
    error: *const Answer,
) -> Status {
    // SAFETY: see above.
    unsafe {
        answer(error, || {
            let running = running::<SpaceCall<'_>>((*table).context)?;
            running.lent = running.space.params().iter().map(lend).collect();
            *params_lent = running.lent.as_ptr();
            *count = running.lent.len();
            Ok(())
        })
    }
}

fn lend(param: &Param) -> table::Param {
    table::Param {
        name: Bytes::lend(param.name.as_bytes()),
        shape_lent: param.shape.as_ptr(),
        rank: param.shape.len(),
        is_new: u32::from(param.kind == ParamKind::New),
    }
}

unsafe extern "C" fn dot(
    table: *const table::Space,
    a: table::Vector,
    b: table::Vector,
    value: *mut f64,
    error: *const Answer,
) -> Status {
    // SAFETY: see above.
    unsafe {
        in_space(table, error, |space| {
            *value = space.dot(a.try_into()?, b.try_into()?)?;
            Ok(())
        })
    }
}

unsafe extern "C" fn distance(
    table: *const table::Space,
    a: table::Vector,
    b: table::Vector,
    value: *mut f64,
    error: *const Answer,
) -> Status {
    // SAFETY: see above.
    unsafe {
        in_space(table, error, |space| {
            *value = space.distance(a.try_into()?, b.try_into()?)?;
            Ok(())
        })
    }
}

unsafe extern "C" fn flips(
    table: *const table::Space,
    a: table::Vector,
    b: table::Vector,
    value: *mut f64,
    error: *const Answer,
) -> Status {
    // SAFETY: see above.
    unsafe {
        in_space(table, error, |space| {
            *value = space.flips(a.try_into()?, b.try_into()?)?;
            Ok(())
        })
    }
}

unsafe extern "C" fn copy(
    table: *const table::Space,
    dst: table::Vector,
    src: table::Vector,
    error: *const Answer,
) -> Status {
    // SAFETY: see above.
    unsafe { in_space(table, error, |space| space.copy(dst.try_into()?, src.try_into()?)) }
}

unsafe extern "C" fn scale(table: *const table::Space, dst: table::Vector, by: f32, error: *const Answer) -> Status {
    // SAFETY: see above.
    unsafe { in_space(table, error, |space| space.scale(dst.try_into()?, by)) }
}

unsafe extern "C" fn lerp(
    table: *const table::Space,
    dst: table::Vector,
    src: table::Vector,
    t: f32,
    error: *const Answer,
) -> Status {
    // SAFETY: see above.
    unsafe { in_space(table, error, |space| space.lerp(dst.try_into()?, src.try_into()?, t)) }
}

unsafe extern "C" fn fma(
    table: *const table::Space,
    dst: table::Vector,
    a: f32,
    x: table::Vector,
    y: *const table::Vector,
    error: *const Answer,
) -> Status {
    // SAFETY: see above; `y` is null or a vector.
    unsafe {
        in_space(table, error, |space| {
            let y = y.as_ref().copied().map(Vector::try_from).transpose()?;
            space.fma(dst.try_into()?, a, x.try_into()?, y)
        })
    }
}

unsafe extern "C" fn read(
    table: *const table::Space,
    slot: table::Vector,
    file: Bytes,
    error: *const Answer,
) -> Status {
    // SAFETY: see above.
    unsafe { in_space(table, error, |space| space.read(slot.try_into()?, file.text("the name of a file")?)) }
}

unsafe extern "C" fn visit(
    table: *const table::Space,
    v: table::Vector,
    visitor: table::Visitor,
    visitor_context: *mut c_void,
    error: *const Answer,
) -> Status {
    // SAFETY: see above; the visitor takes its own context, and what is lent to it for its call.
    unsafe {
        in_space(table, error, |space| {
            space.visit(v.try_into()?, &mut |param, entries| {
                visitor(visitor_context, &lend(param), entries.as_mut_ptr(), entries.len());
            })
        })
    }
}

unsafe extern "C" fn log_in_space(table: *const table::Space, key: Bytes, value: f64, error: *const Answer) -> Status {
    // SAFETY: see above.
    unsafe {
        in_space(table, error, |space| {
            space.log(key.text("the name of a number")?, value);
            Ok(())
        })
    }
}

unsafe fn in_pass(
    table: *const table::Pass,
    error: *const Answer,
    call: impl FnOnce(&mut dyn Pass) -> Result<()>,
) -> Status {
    // SAFETY: see above; the context of a pass table is a `&mut dyn Pass`.
    unsafe { answer(error, || call(*running::<&mut dyn Pass>((*table).context)?)) }
}

/// As [`in_pass`], for what gives a value.
unsafe fn value_in_pass(
    table: *const table::Pass,
    value: *mut u64,
    error: *const Answer,
    call: impl FnOnce(&mut dyn Pass) -> Result<Value>,
) -> Status {
    // SAFETY: see above.
    unsafe {
        in_pass(table, error, |pass| {
            *value = call(pass)?.0;
            Ok(())
        })
    }
}

unsafe extern "C" fn logits(table: *const table::Pass, value: *mut u64, error: *const Answer) -> Status {
    // SAFETY: see above.
    unsafe { value_in_pass(table, value, error, |pass| pass.logits()) }
}

unsafe extern "C" fn reference(
    table: *const table::Pass,
    sites_lent: *const Bytes,
    count: usize,
    reference: *mut u64,
    error: *const Answer,
) -> Status {
    // SAFETY: passed on; there are no edits.
    unsafe { edited_reference(table, sites_lent, count, std::ptr::null(), 0, reference, error) }
}

unsafe extern "C" fn edited_reference(
    table: *const table::Pass,
    sites_lent: *const Bytes,
    count: usize,
    edits_lent: *const table::Edit,
    edit_count: usize,
    reference: *mut u64,
    error: *const Answer,
) -> Status {
    // SAFETY: see above; the plugin lends `count` names and `edit_count` edits.
    unsafe {
        in_pass(table, error, |pass| {
            let names = if count == 0 { &[] } else { std::slice::from_raw_parts(sites_lent, count) };
            let edits = if edit_count == 0 { &[] } else { std::slice::from_raw_parts(edits_lent, edit_count) };
            let taps = names.iter().map(|name| site(*name)).collect::<Result<_>>()?;
            let edits = edits.iter().map(|lent| edit(lent)).collect::<Result<_>>()?;
            *reference = pass.reference(&ForwardPlan { taps, edits })?.0;
            Ok(())
        })
    }
}

unsafe extern "C" fn tapped(table: *const table::Pass, name: Bytes, value: *mut u64, error: *const Answer) -> Status {
    // SAFETY: see above.
    unsafe { value_in_pass(table, value, error, |pass| pass.tapped(site(name)?)) }
}

unsafe extern "C" fn rows(table: *const table::Pass, v: u64, count: *mut usize, error: *const Answer) -> Status {
    // SAFETY: see above.
    unsafe {
        in_pass(table, error, |pass| {
            *count = pass.rows(Value(v))?;
            Ok(())
        })
    }
}

unsafe extern "C" fn of(
    table: *const table::Pass,
    reference: u64,
    name: Bytes,
    value: *mut u64,
    error: *const Answer,
) -> Status {
    // SAFETY: see above.
    unsafe { value_in_pass(table, value, error, |pass| pass.of(Reference(reference), site(name)?)) }
}

unsafe extern "C" fn select(
    table: *const table::Pass,
    v: u64,
    positions: u32,
    value: *mut u64,
    error: *const Answer,
) -> Status {
    // SAFETY: see above.
    unsafe { value_in_pass(table, value, error, |pass| pass.select(Value(v), positions_of(positions)?)) }
}

unsafe extern "C" fn kl(
    table: *const table::Pass,
    p: u64,
    q: u64,
    temperature: f32,
    value: *mut u64,
    error: *const Answer,
) -> Status {
    // SAFETY: see above.
    unsafe { value_in_pass(table, value, error, |pass| pass.kl(Value(p), Value(q), temperature)) }
}

unsafe extern "C" fn mse(table: *const table::Pass, a: u64, b: u64, value: *mut u64, error: *const Answer) -> Status {
    // SAFETY: see above.
    unsafe { value_in_pass(table, value, error, |pass| pass.mse(Value(a), Value(b))) }
}

unsafe extern "C" fn scalar(table: *const table::Pass, v: u64, value: *mut f64, error: *const Answer) -> Status {
    // SAFETY: see above.
    unsafe {
        in_pass(table, error, |pass| {
            *value = pass.scalar(Value(v))?;
            Ok(())
        })
    }
}

unsafe extern "C" fn add_loss(
    table: *const table::Pass,
    name: Bytes,
    weight: f64,
    term: u64,
    error: *const Answer,
) -> Status {
    // SAFETY: see above.
    unsafe { in_pass(table, error, |pass| pass.add_loss(name.text("the name of a term")?, weight, Value(term))) }
}

unsafe extern "C" fn log_in_pass(table: *const table::Pass, key: Bytes, value: f64, error: *const Answer) -> Status {
    // SAFETY: see above.
    unsafe {
        in_pass(table, error, |pass| {
            pass.log(key.text("the name of a number")?, value);
            Ok(())
        })
    }
}

unsafe extern "C" fn tap(table: *const table::Plan, name: Bytes, error: *const Answer) -> Status {
    // SAFETY: see above; the context of a plan table is a `ForwardPlan`.
    unsafe {
        answer(error, || {
            running::<ForwardPlan>((*table).context)?.taps.push(site(name)?);
            Ok(())
        })
    }
}

unsafe extern "C" fn add(table: *const table::Plan, lent: *const table::Edit, error: *const Answer) -> Status {
    // SAFETY: see above; the context of a plan table is a `ForwardPlan`, and the plugin lends the edit.
    unsafe {
        answer(error, || {
            running::<ForwardPlan>((*table).context)?.edits.push(edit(&*lent)?);
            Ok(())
        })
    }
}

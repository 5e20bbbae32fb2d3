//! The plugin's side: the host's tables as [`Space`], [`Pass`] and [`ForwardPlan`].

use std::any::Any;
use std::cell::OnceCell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::convert::{ask, lend_edit, positions};
use super::table::{self, Bytes};
use crate::{ForwardPlan, Param, ParamKind, Pass, Positions, Reference, Result, Site, Space, Value, Vector};

/// A host's space, for the time of one call.
pub(super) struct GuestSpace<'a> {
    table: &'a table::Space,
    /// Asked of the host when first used: most hooks never do.
    params: OnceCell<Vec<Param>>,
}

impl<'a> GuestSpace<'a> {
    pub(super) fn new(table: &'a table::Space) -> Self {
        Self { table, params: OnceCell::new() }
    }

    fn ask_params(&self) -> Result<Vec<Param>> {
        let (mut first, mut count) = (std::ptr::null(), 0);
        // SAFETY: the host's function on the host's table; the outputs are ours.
        ask(|error| unsafe { (self.table.params)(self.table, &mut first, &mut count, error) })?;
        if count == 0 {
            return Ok(Vec::new());
        }
        // SAFETY: the host has lent `count` parameters for the time of the call into the plugin, which is still running.
        let lent = unsafe { std::slice::from_raw_parts(first, count) };
        // SAFETY: as above, for what is in them.
        lent.iter().map(|param| unsafe { param.owned() }).collect()
    }

    fn number(
        &self,
        function: unsafe extern "C" fn(
            *const table::Space,
            table::Vector,
            table::Vector,
            *mut f64,
            *const table::Answer,
        ) -> table::Status,
        a: Vector,
        b: Vector,
    ) -> Result<f64> {
        let mut value = 0.0;
        // SAFETY: the host's function on the host's table; the output is ours.
        ask(|error| unsafe { function(self.table, a.into(), b.into(), &mut value, error) })?;
        Ok(value)
    }
}

impl table::Param {
    /// # Safety
    /// As [`Bytes::borrow`], for the name and for `rank` extents at `shape_lent`.
    pub(super) unsafe fn owned(self) -> Result<Param> {
        // SAFETY: passed on to the caller.
        let name = unsafe { self.name.text("the name of a parameter") }?.to_owned();
        let shape = match self.rank {
            0 => Vec::new(),
            // SAFETY: passed on to the caller.
            rank => unsafe { std::slice::from_raw_parts(self.shape_lent, rank) }.to_vec(),
        };
        Ok(Param { name, shape, kind: if self.is_new == 0 { ParamKind::Base } else { ParamKind::New } })
    }
}

impl Space for GuestSpace<'_> {
    /// Empty when the host fails to say, which it does not.
    fn params(&self) -> &[Param] {
        self.params.get_or_init(|| self.ask_params().unwrap_or_default())
    }

    fn dot(&mut self, a: Vector, b: Vector) -> Result<f64> {
        self.number(self.table.dot, a, b)
    }

    fn distance(&mut self, a: Vector, b: Vector) -> Result<f64> {
        self.number(self.table.distance, a, b)
    }

    fn flips(&mut self, a: Vector, b: Vector) -> Result<f64> {
        self.number(self.table.flips, a, b)
    }

    fn copy(&mut self, dst: Vector, src: Vector) -> Result<()> {
        // SAFETY: the host's function on the host's table.
        ask(|error| unsafe { (self.table.copy)(self.table, dst.into(), src.into(), error) })
    }

    fn scale(&mut self, dst: Vector, by: f32) -> Result<()> {
        // SAFETY: as in `copy`.
        ask(|error| unsafe { (self.table.scale)(self.table, dst.into(), by, error) })
    }

    fn lerp(&mut self, dst: Vector, src: Vector, t: f32) -> Result<()> {
        // SAFETY: as in `copy`.
        ask(|error| unsafe { (self.table.lerp)(self.table, dst.into(), src.into(), t, error) })
    }

    fn fma(&mut self, dst: Vector, a: f32, x: Vector, y: Option<Vector>) -> Result<()> {
        let y = y.map(table::Vector::from);
        let y = y.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: as in `copy`; `y` is null or lives here.
        ask(|error| unsafe { (self.table.fma)(self.table, dst.into(), a, x.into(), y, error) })
    }

    fn read(&mut self, slot: Vector, file: &str) -> Result<()> {
        // SAFETY: as in `copy`; the name is lent for the call.
        ask(|error| unsafe { (self.table.read)(self.table, slot.into(), Bytes::lend(file.as_bytes()), error) })
    }

    fn visit(&mut self, v: Vector, f: &mut dyn FnMut(&Param, &mut [f32])) -> Result<()> {
        let mut visit = Visit { f, panic: None };
        let context = std::ptr::from_mut(&mut visit).cast();
        // SAFETY: as in `copy`; the host calls the visitor with the context above, which outlives this call.
        let visited = ask(|error| unsafe { (self.table.visit)(self.table, v.into(), visitor, context, error) });
        match visit.panic {
            // The host's frames are gone: the panic may go on to where the plugin catches it.
            Some(payload) => resume_unwind(payload),
            None => visited,
        }
    }

    fn log(&mut self, key: &str, value: f64) {
        // SAFETY: as in `copy`; the key is lent for the call. A log cannot fail in a way that a hook could act on.
        let _ = ask(|error| unsafe { (self.table.log)(self.table, Bytes::lend(key.as_bytes()), value, error) });
    }
}

struct Visit<'f> {
    f: &'f mut dyn FnMut(&Param, &mut [f32]),
    panic: Option<Box<dyn Any + Send>>,
}

unsafe extern "C" fn visitor(context: *mut c_void, param: *const table::Param, entries: *mut f32, len: usize) {
    // SAFETY: `context` is the `Visit` of the call to `visit` that is running, and nobody else holds it.
    let visit = unsafe { &mut *context.cast::<Visit<'_>>() };
    if visit.panic.is_some() {
        return;
    }
    // SAFETY: the host lends the parameter and its entries for the time of this call.
    let (param, entries) = unsafe { ((*param).owned(), slice(entries, len)) };
    let call = || {
        if let Ok(param) = param {
            (visit.f)(&param, entries);
        }
    };
    visit.panic = catch_unwind(AssertUnwindSafe(call)).err();
}

/// # Safety
/// `first` has `len` entries that nobody else uses while the slice lives, or `len` is 0.
unsafe fn slice<'a>(first: *mut f32, len: usize) -> &'a mut [f32] {
    if len == 0 {
        return &mut [];
    }
    // SAFETY: by the contract above.
    unsafe { std::slice::from_raw_parts_mut(first, len) }
}

/// A host's pass, for the time of one call.
pub(super) struct GuestPass<'a>(pub(super) &'a table::Pass);

impl GuestPass<'_> {
    fn value(&self, call: impl FnOnce(&table::Pass, *mut u64, *const table::Answer) -> table::Status) -> Result<Value> {
        let mut value = 0;
        ask(|error| call(self.0, &mut value, error))?;
        Ok(Value(value))
    }
}

impl Pass for GuestPass<'_> {
    fn logits(&mut self) -> Result<Value> {
        // SAFETY: here and below, the host's function on the host's table; outputs are ours, texts are lent for the call.
        self.value(|pass, out, error| unsafe { (pass.logits)(pass, out, error) })
    }

    fn reference(&mut self, plan: &ForwardPlan) -> Result<Reference> {
        let names: Vec<String> = plan.taps.iter().map(Site::to_string).collect();
        let sites: Vec<Bytes> = names.iter().map(|name| Bytes::lend(name.as_bytes())).collect();
        let edited: Vec<String> = plan.edits.iter().map(|edit| edit.site.to_string()).collect();
        let edits: Vec<table::Edit> =
            plan.edits.iter().zip(&edited).map(|(edit, site)| lend_edit(edit, site)).collect();
        let (first, count, first_edit, edit_count) = (sites.as_ptr(), sites.len(), edits.as_ptr(), edits.len());
        // SAFETY: as in `logits`; names and edits live until the call has returned.
        let value = self.value(|pass, out, error| unsafe {
            (pass.edited_reference)(pass, first, count, first_edit, edit_count, out, error)
        })?;
        Ok(Reference(value.0))
    }

    fn tapped(&mut self, site: Site) -> Result<Value> {
        let name = site.to_string();
        let name = Bytes::lend(name.as_bytes());
        // SAFETY: as in `logits`.
        self.value(|pass, out, error| unsafe { (pass.tapped)(pass, name, out, error) })
    }

    fn rows(&mut self, v: Value) -> Result<usize> {
        let mut count = 0;
        // SAFETY: as in `logits`.
        ask(|error| unsafe { (self.0.rows)(self.0, v.0, &mut count, error) })?;
        Ok(count)
    }

    fn of(&mut self, reference: Reference, site: Site) -> Result<Value> {
        let name = site.to_string();
        let name = Bytes::lend(name.as_bytes());
        // SAFETY: as in `logits`.
        self.value(|pass, out, error| unsafe { (pass.of)(pass, reference.0, name, out, error) })
    }

    fn select(&mut self, v: Value, at: Positions) -> Result<Value> {
        // SAFETY: as in `logits`.
        self.value(|pass, out, error| unsafe { (pass.select)(pass, v.0, positions(at), out, error) })
    }

    fn kl(&mut self, p: Value, q: Value, temperature: f32) -> Result<Value> {
        // SAFETY: as in `logits`.
        self.value(|pass, out, error| unsafe { (pass.kl)(pass, p.0, q.0, temperature, out, error) })
    }

    fn mse(&mut self, a: Value, b: Value) -> Result<Value> {
        // SAFETY: as in `logits`.
        self.value(|pass, out, error| unsafe { (pass.mse)(pass, a.0, b.0, out, error) })
    }

    fn scalar(&mut self, v: Value) -> Result<f64> {
        let mut value = 0.0;
        // SAFETY: as in `logits`.
        ask(|error| unsafe { (self.0.scalar)(self.0, v.0, &mut value, error) })?;
        Ok(value)
    }

    fn add_loss(&mut self, name: &str, weight: f64, term: Value) -> Result<()> {
        // SAFETY: as in `logits`.
        ask(|error| unsafe { (self.0.add_loss)(self.0, Bytes::lend(name.as_bytes()), weight, term.0, error) })
    }

    fn log(&mut self, key: &str, value: f64) {
        // SAFETY: as in `logits`. A log cannot fail in a way that a hook could act on.
        let _ = ask(|error| unsafe { (self.0.log)(self.0, Bytes::lend(key.as_bytes()), value, error) });
    }
}

/// Passes on to the host what a hook has planned.
pub(super) fn tell(plan: &ForwardPlan, table: &table::Plan) -> Result<()> {
    for site in &plan.taps {
        let name = site.to_string();
        // SAFETY: the host's function on the host's table; the name is lent for the call.
        ask(|error| unsafe { (table.tap)(table, Bytes::lend(name.as_bytes()), error) })?;
    }
    for edit in &plan.edits {
        let site = edit.site.to_string();
        // SAFETY: as above; the edit is lent for the call.
        ask(|error| unsafe { (table.add)(table, &lend_edit(edit, &site), error) })?;
    }
    Ok(())
}

//! The types of the trait as they cross the boundary, and back.

use std::ffi::c_void;

use super::table::{self, Answer, Bytes, Status};
use crate::{Edit, Error, ErrorKind, Positions, Result, Site, Step, Vector, Whole};

impl Bytes {
    /// Bytes lent for as long as `bytes` lives; the table cannot say so, its rules do.
    pub(super) const fn lend(bytes: &[u8]) -> Self {
        Self { lent: bytes.as_ptr(), len: bytes.len() }
    }

    /// The bytes, for the time of the call that they came with.
    ///
    /// # Safety
    /// The other side keeps to the rules of [`table`]: `lent` has `len` readable bytes until its call returns, and the caller
    /// lets no reference outlive that.
    pub(super) unsafe fn borrow<'a>(self) -> &'a [u8] {
        if self.len == 0 || self.lent.is_null() {
            return &[];
        }
        // SAFETY: not null, and readable for `len` bytes by the contract above.
        unsafe { std::slice::from_raw_parts(self.lent, self.len) }
    }

    /// As [`Bytes::borrow`], as text.
    ///
    /// # Safety
    /// As [`Bytes::borrow`].
    pub(super) unsafe fn text<'a>(self, what: &str) -> Result<&'a str> {
        // SAFETY: passed on to the caller.
        let bytes = unsafe { self.borrow() };
        std::str::from_utf8(bytes).map_err(|_| Error::failed(format!("{what} is not UTF-8")))
    }
}

impl Answer {
    /// An answer that is put into `into`.
    pub(super) fn into(into: &mut Vec<u8>) -> Self {
        unsafe extern "C" fn give(context: *mut c_void, answer: Bytes) {
            // SAFETY: `context` is the vector below, which outlives the call; the bytes are lent for its time.
            let (into, answer) = unsafe { (&mut *context.cast::<Vec<u8>>(), answer.borrow()) };
            into.clear();
            into.extend_from_slice(answer);
        }
        Self { context: std::ptr::from_mut(into).cast(), give }
    }

    /// Gives bytes to an answer of the other side.
    ///
    /// # Safety
    /// `answer` is null, or what the other side passed to the call that is running.
    pub(super) unsafe fn give_to(answer: *const Self, bytes: &[u8]) {
        // SAFETY: valid for the time of the call, by the contract above.
        if let Some(answer) = unsafe { answer.as_ref() } {
            // SAFETY: `give` takes its own context, and copies.
            unsafe { (answer.give)(answer.context, Bytes::lend(bytes)) };
        }
    }
}

/// Makes a call that can fail, with a place for its error.
pub(super) fn ask(call: impl FnOnce(*const Answer) -> Status) -> Result<()> {
    let mut message = Vec::new();
    let status = call(&Answer::into(&mut message));
    if status == table::OK {
        return Ok(());
    }
    let message = if message.is_empty() {
        format!("it failed with status {status} and did not say why")
    } else {
        String::from_utf8_lossy(&message).into_owned()
    };
    Err(Error::new(kind(status), message))
}

/// Turns what came of a call into a status, with the message given to `error`.
///
/// # Safety
/// As [`Answer::give_to`].
pub(super) unsafe fn report(result: Result<()>, error: *const Answer) -> Status {
    match result {
        Ok(()) => table::OK,
        Err(failure) => {
            // SAFETY: passed on to the caller.
            unsafe { Answer::give_to(error, failure.to_string().as_bytes()) };
            status(failure.kind())
        }
    }
}

/// What a panic said.
pub(super) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without a message".into())
}

fn status(kind: ErrorKind) -> Status {
    match kind {
        ErrorKind::Phase => table::PHASE,
        ErrorKind::Unknown => table::UNKNOWN,
        ErrorKind::Config => table::CONFIG,
        ErrorKind::Unsupported => table::UNSUPPORTED,
        ErrorKind::State => table::STATE,
        ErrorKind::Failed => table::FAILED,
        ErrorKind::Panicked => table::PANICKED,
    }
}

fn kind(status: Status) -> ErrorKind {
    match status {
        table::PHASE => ErrorKind::Phase,
        table::UNKNOWN => ErrorKind::Unknown,
        table::CONFIG => ErrorKind::Config,
        table::UNSUPPORTED => ErrorKind::Unsupported,
        table::STATE => ErrorKind::State,
        table::PANICKED => ErrorKind::Panicked,
        _ => ErrorKind::Failed,
    }
}

impl From<Vector> for table::Vector {
    fn from(vector: Vector) -> Self {
        let (which, slot) = match vector.whole() {
            Whole::Weights => (table::WEIGHTS, 0),
            Whole::Gradients => (table::GRADIENTS, 0),
            Whole::Origin => (table::ORIGIN, 0),
            Whole::Slot(slot) => (table::SLOT, slot.into()),
        };
        Self { which, slot, param: vector.param().map_or(table::WHOLE, |param| param as u64) }
    }
}

impl TryFrom<table::Vector> for Vector {
    type Error = Error;

    fn try_from(vector: table::Vector) -> Result<Self> {
        let unknown = |message: String| Error::new(ErrorKind::Unknown, message);
        let whole = match vector.which {
            table::WEIGHTS => Self::Weights,
            table::GRADIENTS => Self::Gradients,
            table::ORIGIN => Self::Origin,
            table::SLOT => {
                let slot = u8::try_from(vector.slot);
                Self::Slot(slot.map_err(|_| unknown(format!("there is no slot {}, only 0 to 255", vector.slot)))?)
            }
            which => return Err(unknown(format!("there is no vector {which}"))),
        };
        if vector.param == table::WHOLE {
            return Ok(whole);
        }
        let param = usize::try_from(vector.param);
        Ok(whole.at(param.map_err(|_| unknown(format!("there is no parameter {}", vector.param)))?))
    }
}

impl From<&Step> for table::Step {
    fn from(step: &Step) -> Self {
        let Step { number, total, learning_rate } = *step;
        Self { size: size_of::<Self>() as u32, version: table::VERSION, number, total, learning_rate }
    }
}

impl From<&table::Step> for Step {
    fn from(step: &table::Step) -> Self {
        let table::Step { number, total, learning_rate, .. } = *step;
        Self { number, total, learning_rate }
    }
}

#[cfg(feature = "export")]
pub(super) fn positions(at: Positions) -> u32 {
    match at {
        Positions::All => table::POSITIONS_ALL,
        Positions::Answer => table::POSITIONS_ANSWER,
        Positions::PromptEnd => table::POSITIONS_PROMPT_END,
    }
}

pub(super) fn positions_of(at: u32) -> Result<Positions> {
    match at {
        table::POSITIONS_ALL => Ok(Positions::All),
        table::POSITIONS_ANSWER => Ok(Positions::Answer),
        table::POSITIONS_PROMPT_END => Ok(Positions::PromptEnd),
        _ => Err(Error::new(ErrorKind::Unknown, format!("there are no positions {at}"))),
    }
}

/// The site that a text names.
///
/// # Safety
/// As [`Bytes::borrow`].
pub(super) unsafe fn site(name: Bytes) -> Result<Site> {
    // SAFETY: passed on to the caller.
    unsafe { name.text("the name of a site") }?.parse()
}

/// An edit as it crosses, with its site's name; both are lent.
#[cfg(feature = "export")]
pub(super) fn lend_edit(edit: &Edit, site: &str) -> table::Edit {
    let lend = |text: &str| Bytes::lend(text.as_bytes());
    let (positions, scale) = (positions(edit.at), edit.scale);
    table::Edit { site: lend(site), positions, scale, file: lend(&edit.file), name: lend(&edit.name) }
}

/// The edit that the other side lends.
///
/// # Safety
/// As [`Bytes::borrow`], for its texts.
pub(super) unsafe fn edit(lent: &table::Edit) -> Result<Edit> {
    // SAFETY: passed on to the caller.
    let (site, file, name) = unsafe { (site(lent.site)?, lent.file.text("a file's path")?, lent.name.text("a name")?) };
    let at = positions_of(lent.positions)?;
    Ok(Edit { site, at, file: file.to_owned(), name: name.to_owned(), scale: lent.scale })
}

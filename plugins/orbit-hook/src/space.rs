use crate::{Error, Result};

/// Vectors over the parameters, and the arithmetic a hook may do on them, where the tensors are.
///
/// A whole vector covers every parameter that the config entry's `only` selects. **An operation that names
/// [`Vector::Origin`] covers only the parameters that have an origin**: new rows (kind [`ParamKind::New`]) are left out of
/// drift and merging unless a hook asks for them by [`Vector::at`].
///
/// Costs: every operation is one pass over the named vectors; those that return a number read the device once. Writing to a
/// vector that is read-only in the current phase is an error, and so is a factor, or an entry written in [`Space::visit`], that
/// is NaN or infinite. No method has a default body: every one crosses the plugin ABI.
pub trait Space {
    /// The parameters that the hook covers, in an order that is fixed for the run. [`Vector::at`] counts in this list.
    fn params(&self) -> &[Param];

    /// Σ a·b, accumulated in double precision.
    fn dot(&mut self, a: Vector, b: Vector) -> Result<f64>;

    /// ‖a − b‖₂, taken from the differences. From dots it would be wrong by half at the drifts of fine-tuning.
    fn distance(&mut self, a: Vector, b: Vector) -> Result<f64>;

    /// The share of entries, 0 to 1, whose signs differ. An exact zero has a sign of its own: zero against a non-zero entry
    /// counts, zero against zero does not.
    fn flips(&mut self, a: Vector, b: Vector) -> Result<f64>;

    /// dst ← src.
    fn copy(&mut self, dst: Vector, src: Vector) -> Result<()>;

    /// dst ← by · dst.
    fn scale(&mut self, dst: Vector, by: f32) -> Result<()>;

    /// dst ← dst + t · (src − dst). By 0 nothing changes and by 1 it is a copy, to the bit.
    fn lerp(&mut self, dst: Vector, src: Vector, t: f32) -> Result<()>;

    /// dst ← dst + a · x, or dst + a · x ∘ y (entrywise) when `y` is given.
    fn fma(&mut self, dst: Vector, a: f32, x: Vector, y: Option<Vector>) -> Result<()>;

    /// Fills `slot` from a safetensors file that holds a tensor for every covered parameter by its name; or, in `finish`, from
    /// the host's estimate of that name, [`FISHER`](crate::FISHER) or [`SENSITIVITY`](crate::SENSITIVITY), if the hook's
    /// phases ask for it.
    fn read(&mut self, slot: Vector, file: &str) -> Result<()>;

    /// Gives `f` every covered parameter's entries on the host, and takes back what it wrote if the vector is writable.
    /// The slow door: it copies to and from the device.
    fn visit(&mut self, v: Vector, f: &mut dyn FnMut(&Param, &mut [f32])) -> Result<()>;

    /// Reports a number under the hook's name in this step's line of the metrics.
    fn log(&mut self, key: &str, value: f64);
}

/// For hosts: an error for a factor that would make numbers NaN or infinite, before anything is written.
pub fn check_factor(name: &str, factor: f64) -> Result<()> {
    if factor.is_finite() { Ok(()) } else { Err(Error::failed(format!("{name} is {factor}: nothing was written"))) }
}

/// For hosts: an error if entries that a visitor leaves behind are NaN or infinite where they were not before.
pub fn check_entries(param: &Param, before: &[f32], after: &[f32]) -> Result<()> {
    match before.iter().zip(after).position(|(before, after)| before.is_finite() && !after.is_finite()) {
        None => Ok(()),
        Some(entry) => {
            let (name, value) = (&param.name, after[entry]);
            Err(Error::failed(format!("entry {entry} of {name} was set to {value}: it was not written")))
        }
    }
}

/// One parameter as a hook sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Dotted name, the same as in the checkpoint.
    pub name: String,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Whether it was there before fine-tuning.
    pub kind: ParamKind,
}

impl Param {
    /// The number of entries.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Whether a parameter was there before fine-tuning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// Loaded with the model; has an origin.
    Base,
    /// Added for this run, such as the rows of semantic-ID tokens; has no origin.
    New,
}

/// A vector over the parameters, or one parameter's part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vector {
    /// The weights being trained. Writable in `weights` and `finish`.
    Weights,
    /// The gradient of this step's loss. Exists, and is writable, in `gradients` only.
    Gradients,
    /// The weights at the start of the stage, or of the whole run if it keeps those of the base model. Never writable.
    Origin,
    /// A vector of the hook's own, zero at first, kept from one stage to the next, saved with the run. Always writable. Slots of
    /// different hooks are apart.
    Slot(u8),
    /// One parameter's part of a vector; see [`Vector::at`].
    Part(Whole, usize),
}

/// A vector without a choice of parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// [`Vector::Weights`].
    Weights,
    /// [`Vector::Gradients`].
    Gradients,
    /// [`Vector::Origin`].
    Origin,
    /// [`Vector::Slot`].
    Slot(u8),
}

impl Vector {
    /// Parameter `param`'s part of this vector, by its index in [`Space::params`]. The vectors of one operation are all whole or
    /// all parts for the same parameter; anything else is an error of kind `Unsupported`.
    pub fn at(self, param: usize) -> Self {
        Self::Part(self.whole(), param)
    }

    /// The vector this is, or is a part of.
    pub fn whole(self) -> Whole {
        match self {
            Self::Weights => Whole::Weights,
            Self::Gradients => Whole::Gradients,
            Self::Origin => Whole::Origin,
            Self::Slot(n) => Whole::Slot(n),
            Self::Part(whole, _) => whole,
        }
    }

    /// The parameter this is a part for, if it is a part.
    pub fn param(self) -> Option<usize> {
        match self {
            Self::Part(_, param) => Some(param),
            _ => None,
        }
    }
}

use std::fmt;
use std::str::FromStr;

use crate::{Error, ErrorKind, Result};

/// One forward pass, and the differentiable arithmetic a hook may do on it. Values stay on the host's device; a [`Value`] is
/// a handle that dies with the pass.
pub trait Pass {
    /// The model's logits. Nothing is computed until they are used; [`Pass::select`] first, to compute few of them.
    fn logits(&mut self) -> Result<Value>;

    /// A forward pass of the frozen original over the same batch, without gradient. One per micro-batch is computed, however
    /// many hooks ask.
    fn reference(&mut self, plan: &ForwardPlan) -> Result<Reference>;

    /// What the reference pass produced at a site.
    fn of(&mut self, reference: Reference, site: Site) -> Result<Value>;

    /// The rows of `v` at some positions.
    fn select(&mut self, v: Value, at: Positions) -> Result<Value>;

    /// Mean over rows of KL(softmax(p/τ) ‖ softmax(q/τ)) · τ², in nats. Gradient flows where the operands carry it.
    fn kl(&mut self, p: Value, q: Value, temperature: f32) -> Result<Value>;

    /// Mean of the squared differences.
    fn mse(&mut self, a: Value, b: Value) -> Result<Value>;

    /// A value of one entry as a number. Reads the device: costs a synchronisation.
    fn scalar(&mut self, v: Value) -> Result<f64>;

    /// Adds `weight · term` to this pass's loss; `name` is its column in the metrics. `term` has one entry.
    fn add_loss(&mut self, name: &str, weight: f64, term: Value) -> Result<()>;

    /// Reports a number under the hook's name in this step's line of the metrics.
    fn log(&mut self, key: &str, value: f64);
}

/// A tensor of this pass, by handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value(pub u64);

/// A frozen forward pass, by handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference(pub u64);

/// A place in the model whose activation can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Site {
    /// The output over the vocabulary.
    Logits,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Logits => f.write_str("logits"),
        }
    }
}

impl FromStr for Site {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "logits" => Ok(Self::Logits),
            _ => Err(Error::new(ErrorKind::Unknown, format!("there is no site \"{name}\", only \"logits\""))),
        }
    }
}

/// Which token positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Positions {
    /// Every position that is not padding.
    All,
    /// The positions whose next token is part of the answer, which the loss is taken over.
    Answer,
}

/// What a forward pass is asked to keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardPlan {
    /// Activations to keep for [`Pass::of`]. [`Site::Logits`] is always there.
    pub taps: Vec<Site>,
}

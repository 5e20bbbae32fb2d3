use std::fmt;
use std::str::FromStr;

use crate::{Error, ErrorKind, Result};

/// One forward pass, and the differentiable arithmetic a hook may do on it. Values stay on the host's device; a [`Value`] is
/// a handle that dies with the pass.
pub trait Pass {
    /// The model's logits. Nothing is computed until they are used; [`Pass::select`] first, to compute few of them.
    fn logits(&mut self) -> Result<Value>;

    /// What the model produced at a site that [`Hook::forward`](crate::Hook::forward) asked for.
    fn tapped(&mut self, site: Site) -> Result<Value>;

    /// A forward pass of the frozen original over the same batch, without gradient. Passes with the same edits are computed
    /// once a micro-batch, however many hooks ask, as long as the first of them keeps what the others want. One with edits goes on
    /// from an earlier one without, if that keeps [`Site::Out`] of the layer before the first edit.
    fn reference(&mut self, plan: &ForwardPlan) -> Result<Reference>;

    /// What the reference pass produced at a site.
    fn of(&mut self, reference: Reference, site: Site) -> Result<Value>;

    /// The rows of `v` at some positions.
    fn select(&mut self, v: Value, at: Positions) -> Result<Value>;

    /// How many rows `v` has: positions, or 1 for a single number.
    fn rows(&mut self, v: Value) -> Result<usize>;

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

/// A place in the model whose activation can be had, or changed, by layer and head from 0. In an encoder-decoder the layers are
/// the encoder's, which reads the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Site {
    /// The output over the vocabulary. It cannot be changed.
    Logits,
    /// What all heads of a layer's attention found, side by side, before the output projection.
    Heads(usize),
    /// What one head found: its part of [`Site::Heads`].
    Head(usize, usize),
    /// The attention's output, which is added to the residual stream.
    AttnOut(usize),
    /// The residual stream behind a layer.
    Out(usize),
}

impl Site {
    /// The layer that it is in.
    pub fn layer(self) -> Option<usize> {
        match self {
            Self::Logits => None,
            Self::Heads(layer) | Self::Head(layer, _) | Self::AttnOut(layer) | Self::Out(layer) => Some(layer),
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Logits => f.write_str("logits"),
            Self::Heads(layer) => write!(f, "layers.{layer}.heads"),
            Self::Head(layer, head) => write!(f, "layers.{layer}.heads.{head}"),
            Self::AttnOut(layer) => write!(f, "layers.{layer}.attn_out"),
            Self::Out(layer) => write!(f, "layers.{layer}.out"),
        }
    }
}

impl FromStr for Site {
    type Err = Error;

    /// ```
    /// use orbit_hook::Site;
    ///
    /// assert_eq!("layers.9.heads.3".parse::<Site>()?, Site::Head(9, 3));
    /// assert_eq!(Site::AttnOut(9).to_string(), "layers.9.attn_out");
    /// # Ok::<(), orbit_hook::Error>(())
    /// ```
    fn from_str(name: &str) -> Result<Self> {
        let number = |text: &str| text.parse::<usize>().ok();
        let parts: Vec<&str> = name.split('.').collect();
        let site = match parts[..] {
            ["logits"] => Some(Self::Logits),
            ["layers", layer, "heads"] => number(layer).map(Self::Heads),
            ["layers", layer, "heads", head] => {
                number(layer).zip(number(head)).map(|(layer, head)| Self::Head(layer, head))
            }
            ["layers", layer, "attn_out"] => number(layer).map(Self::AttnOut),
            ["layers", layer, "out"] => number(layer).map(Self::Out),
            _ => None,
        };
        site.ok_or_else(|| {
            let forms = "logits, layers.L.heads, layers.L.heads.H, layers.L.attn_out, layers.L.out";
            Error::new(ErrorKind::Unknown, format!("there is no site \"{name}\"; sites are {forms}, counted from 0"))
        })
    }
}

/// Which token positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Positions {
    /// Every position that is not padding.
    All,
    /// The positions whose next token is part of the answer, which the loss is taken over.
    Answer,
    /// The last token of each prompt: of a decoder, the first of [`Positions::Answer`].
    PromptEnd,
}

/// What a forward pass is asked to keep, and to change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForwardPlan {
    /// Activations to keep for [`Pass::tapped`] or [`Pass::of`]. [`Site::Logits`] is always there.
    pub taps: Vec<Site>,
    /// Vectors to add to activations, in order.
    pub edits: Vec<Edit>,
}

/// A stored vector that is added to an activation: x ← x + scale · v at every one of some positions.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// Where.
    pub site: Site,
    /// At which positions.
    pub at: Positions,
    /// The safetensors file that holds the vector, whose path means the same to the host.
    pub file: String,
    /// The vector's name in it; it is as wide as the site.
    pub name: String,
    /// What it is multiplied by.
    pub scale: f32,
}

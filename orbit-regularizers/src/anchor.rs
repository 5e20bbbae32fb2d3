//! The quadratic penalty around an earlier point, which EWC, MAS and SI share: they differ in how they weigh its entries.

use orbit_hook::{Result, Space, Vector, Vector::*};

/// How much each entry matters.
pub(crate) const IMPORTANCE: Vector = Slot(0);

/// θ*: the weights at the end of the last stage, which are those at the start of this one.
pub(crate) const ANCHOR: Vector = Slot(1);

/// g ← g + strength · importance ∘ (θ − θ*). Formed within the gradient, so it is exact to the rounding of g and of
/// strength · importance ∘ θ. Two passes.
pub(crate) fn pull(space: &mut dyn Space, strength: f64) -> Result<()> {
    space.fma(Gradients, strength as f32, IMPORTANCE, Some(Weights))?;
    space.fma(Gradients, -strength as f32, IMPORTANCE, Some(ANCHOR))
}

//! Parameters that do not move for a stage: what the hooks that freeze share.
//!
//! Their gradients are set to zero, so that they count in no norm and leave the optimizer's moments alone; and their values are
//! put back after the update, since weight decay and older moments move them all the same.

use orbit_hook::{Result, Space, Vector, Vector::*};

/// The values that are held.
const KEPT: Vector = Slot(0);

/// Keeps the values, at the start of the stage.
pub(crate) fn keep(space: &mut dyn Space, params: &[usize]) -> Result<()> {
    params.iter().try_for_each(|&at| space.copy(KEPT.at(at), Weights.at(at)))
}

/// Sets the gradients to zero.
pub(crate) fn still(space: &mut dyn Space, params: &[usize]) -> Result<()> {
    params.iter().try_for_each(|&at| space.scale(Gradients.at(at), 0.0))
}

/// Puts the values back, to the bit.
pub(crate) fn put_back(space: &mut dyn Space, params: &[usize]) -> Result<()> {
    params.iter().try_for_each(|&at| space.copy(Weights.at(at), KEPT.at(at)))
}

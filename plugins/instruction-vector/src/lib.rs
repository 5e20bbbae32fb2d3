//! Lesson 6: a plugin that sees activations.
//!
//! [`InstructionVector`] asks the host to keep what some heads find, to run the original with a vector added, and to compare. It never
//! touches a tensor: the host does all of it where the tensors are, whoever asks.

use orbit_regularizers::InstructionVector;

orbit_hook::export!(InstructionVector);

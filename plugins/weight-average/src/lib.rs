//! Lesson 4: a configuration that chooses a hook.
//!
//! Where a plugin's options are not one struct, [`Export`] says how they become a hook. State needs nothing here: slots are
//! saved by the host, and what a hook puts into its `State` crosses as bytes.

use orbit_hook::Hook;
use orbit_hook::abi::Export;
use orbit_regularizers::{Ema, Interpolate, Soup};
use schemars::JsonSchema;
use serde::Deserialize;

/// Ways to average weights, each with its options.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeightAverage {
    /// With the origin, every k steps and at the end (Soup-to-Go, arXiv 2501.05559).
    Soup(Soup),
    /// With the origin, once, at the end (WiSE-FT, arXiv 2109.01903).
    Interpolate(Interpolate),
    /// Over the steps of the run.
    Ema(Ema),
}

impl Export for WeightAverage {
    fn hook(self) -> Box<dyn Hook> {
        match self {
            Self::Soup(soup) => Box::new(soup),
            Self::Interpolate(interpolate) => Box::new(interpolate),
            Self::Ema(ema) => Box::new(ema),
        }
    }
}

orbit_hook::export!(WeightAverage);

//! What a number may be. NaN and infinity are out of every range.

use orbit_hook::{Error, Result};

pub(crate) fn above_zero(option: &str, value: f64) -> Result<()> {
    ensure(value > 0.0 && value.is_finite(), option, "above 0", value)
}

pub(crate) fn at_least_zero(option: &str, value: f64) -> Result<()> {
    ensure(value >= 0.0 && value.is_finite(), option, "0 or above", value)
}

pub(crate) fn share(option: &str, value: f64) -> Result<()> {
    ensure((0.0..=1.0).contains(&value), option, "from 0 to 1", value)
}

fn ensure(holds: bool, option: &str, range: &str, value: f64) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::config(format!("{option} must be {range}, got {value}"))) }
}

/// Passes a drift on unless it is NaN or infinite, which no merge would cure.
pub(crate) fn finite(drift: f64) -> Result<f64> {
    if drift.is_finite() {
        Ok(drift)
    } else {
        Err(Error::failed(format!("the drift is {drift}: weights are not finite")))
    }
}

//! What a value may be. NaN is out of every range.

/// A key and what is wrong with its value.
pub(crate) type Fault = (String, String);

pub(crate) fn fault<T>(key: &str, reason: impl Into<String>) -> Result<T, Fault> {
    Err((key.to_owned(), reason.into()))
}

pub(crate) fn at_least_one(key: &str, value: impl Into<Count>) -> Result<(), Fault> {
    if value.into().0 == 0 { fault(key, "must be at least 1, got 0") } else { Ok(()) }
}

pub(crate) fn above_zero(key: &str, value: f64) -> Result<(), Fault> {
    if value > 0.0 { Ok(()) } else { fault(key, format!("must be above 0, got {value}")) }
}

pub(crate) fn finite(key: &str, value: f64) -> Result<(), Fault> {
    if value.is_finite() { Ok(()) } else { fault(key, format!("must be a finite number, got {value}")) }
}

/// From 0 to below 1, as the decay of a running mean.
pub(crate) fn decay(key: &str, value: f64) -> Result<(), Fault> {
    if (0.0..1.0).contains(&value) { Ok(()) } else { fault(key, format!("must be from 0 to below 1, got {value}")) }
}

/// A number of things.
pub(crate) struct Count(u64);

impl From<u64> for Count {
    fn from(count: u64) -> Self {
        Self(count)
    }
}

impl From<usize> for Count {
    fn from(count: usize) -> Self {
        Self(count as u64)
    }
}

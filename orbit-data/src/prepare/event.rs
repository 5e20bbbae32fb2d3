//! One interaction as every kind of raw data has it.

use serde_json::Value;

/// A user met an item.
#[derive(Clone, Copy, Default)]
pub(super) struct Event<'a> {
    pub(super) user: &'a str,
    pub(super) item: &'a str,
    /// None if the source has no times.
    pub(super) time: Option<f64>,
    pub(super) rating: Option<f64>,
}

/// A rating that is written as text.
pub(super) fn rating(text: &str) -> Result<f64, String> {
    let number = text.trim().parse().ok().filter(|rating: &f64| rating.is_finite());
    number.ok_or_else(|| format!("rating {text:?} is no number"))
}

/// A rating in JSON: a number, or a string that is one.
pub(super) fn rating_value(value: &Value) -> Result<f64, String> {
    value.as_str().map_or_else(|| rating(&value.to_string()), rating)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn ratings_are_numbers() {
        assert_eq!(rating_value(&Value::from(4)).unwrap(), 4.0);
        assert_eq!(rating("4.5").unwrap(), 4.5);
        assert_eq!(rating("good").unwrap_err(), "rating \"good\" is no number");
        assert!(rating("nan").is_err());
    }
}

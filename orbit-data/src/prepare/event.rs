//! One interaction as every kind of raw data has it.

use serde_json::Value;

/// Times beyond this cannot be told apart by a reader whose numbers are floats, as JSON's often are.
const LATEST: i64 = 1 << 53;

/// A user met an item.
#[derive(Clone, Copy, Default)]
pub(super) struct Event<'a> {
    pub(super) user: &'a str,
    pub(super) item: &'a str,
    /// None if the source has no times.
    pub(super) time: Option<i64>,
    pub(super) rating: Option<f64>,
}

/// A time that is written as text: a whole number, which may be written as a float.
pub(super) fn time(text: &str) -> Result<i64, String> {
    let text = text.trim();
    let time = text.parse::<i64>().ok().or_else(|| text.parse().ok().and_then(whole));
    time.filter(|time| time.abs() <= LATEST)
        .ok_or_else(|| format!("time {text:?} is no whole number between -2^53 and 2^53; give seconds or milliseconds"))
}

/// A time in JSON: a number, or a string that is one.
pub(super) fn time_value(value: &Value) -> Result<i64, String> {
    value.as_str().map_or_else(|| time(&value.to_string()), time)
}

fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() <= LATEST as f64).then_some(number as i64)
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
    fn times_are_whole_numbers() {
        for (text, expected) in [("0", 0), (" -5 ", -5), ("1.4e9", 1_400_000_000), ("9007199254740992", 1 << 53)] {
            assert_eq!(time(text).unwrap(), expected);
        }
        for text in ["", "noon", "1.5", "9007199254740993", "1e300", "NaN", "inf", "99999999999999999999"] {
            assert!(time(text).unwrap_err().contains("is no whole number"), "{text}");
        }
        assert_eq!(time_value(&"12".into()).unwrap(), 12);
        assert!(time_value(&Value::Null).is_err());
    }

    #[test]
    fn ratings_are_numbers() {
        assert_eq!(rating_value(&Value::from(4)).unwrap(), 4.0);
        assert_eq!(rating("4.5").unwrap(), 4.5);
        assert_eq!(rating("good").unwrap_err(), "rating \"good\" is no number");
        assert!(rating("nan").is_err());
    }
}

//! Times as all readers take them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

/// Floats beyond this do not hold every whole number.
const LARGEST: f64 = (1_u64 << 53) as f64;

/// Whole numbers from here on count nanoseconds since 1970, from the year 1973.
const NANOSECONDS: f64 = 1e17;

/// A time that is written as text. A number is one in the units of its source, seconds or milliseconds or any other,
/// with fractions; only nanoseconds, which floats cannot hold, become seconds. A date, or date and time, of ISO 8601
/// becomes seconds since 1970; it is in UTC if it names no other zone.
pub(crate) fn time(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let found = match text.parse::<i64>() {
        Ok(number) => whole(number),
        Err(_) => text.parse().ok().and_then(number).or_else(|| date(text)),
    };
    found.ok_or_else(|| {
        format!(
            "time {text:?} is neither a number that can be held exactly nor a date; give seconds or milliseconds since \
             1970, or a date such as 2014-07-23T10:00:00Z"
        )
    })
}

/// A time in JSON: a number, or a string that is a time.
pub(crate) fn time_value(value: &Value) -> Result<f64, String> {
    value.as_str().map_or_else(|| time(&value.to_string()), time)
}

fn whole(time: i64) -> Option<f64> {
    if (time as f64).abs() < NANOSECONDS {
        return Some(time as f64).filter(|_| time.unsigned_abs() <= 1 << 53);
    }
    const SECOND: i64 = 1_000_000_000;
    Some(time.div_euclid(SECOND) as f64 + time.rem_euclid(SECOND) as f64 / 1e9)
}

fn number(time: f64) -> Option<f64> {
    // Zero has one sign, so that equal times have equal bits.
    let time = time + 0.0;
    match time.abs() {
        size if size <= LARGEST => Some(time),
        size if (NANOSECONDS..i64::MAX as f64).contains(&size) => Some((time / 1e3).round() / 1e6),
        _ => None,
    }
}

fn date(text: &str) -> Option<f64> {
    // A zone in brackets would be passed over.
    if text.contains('[') {
        return None;
    }
    let text = spelled(text);
    let moment = text.parse::<Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        TimeZone::UTC.to_timestamp(civil).ok()
    })?;
    let (seconds, rest) = (moment.as_second(), moment.subsec_nanosecond());
    Some(seconds as f64 + f64::from(rest) / 1e9)
}

/// A date with the signs that ISO 8601 has: `2014/07/23 10:00:00 UTC` and `2014-07-23 10:00:00 +0200` are common, too.
fn spelled(text: &str) -> String {
    let mut text = match text.as_bytes() {
        [_, _, _, _, b'/', _, _, b'/', ..] => text.replacen('/', "-", 2),
        _ => text.to_owned(),
    };
    for zone in ["UTC", "GMT"] {
        if let Some(civil) = text.strip_suffix(zone) {
            text = format!("{}Z", civil.trim_end());
        }
    }
    match text.rsplit_once(' ') {
        Some((civil, zone)) if zone.starts_with(['+', '-']) || zone == "Z" => format!("{civil}{zone}"),
        _ => text,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_as_they_are() {
        for (text, expected) in [
            ("0", 0.0),
            (" -5 ", -5.0),
            ("1.4e9", 1.4e9),
            ("1406109600.25", 1_406_109_600.25),
            ("1600000001", 1_600_000_001.0),
            ("1.600000001e9", 1_600_000_001.0),
            ("9007199254740992", LARGEST),
            ("1406109600250000000", 1_406_109_600.25),
            ("1.40610960025e18", 1_406_109_600.25),
        ] {
            assert_eq!(time(text).unwrap(), expected, "{text}");
        }
        assert_eq!(time("-0.0").unwrap().to_bits(), 0);
        assert_eq!(time_value(&serde_json::json!(1.5)).unwrap(), 1.5);
        assert_eq!(time_value(&"12".into()).unwrap(), 12.0);
    }

    /// By `date -u +%s`.
    #[test]
    fn dates_are_seconds() {
        for text in [
            "2014-07-23 10:00:00",
            "2014-07-23T10:00:00",
            "2014-07-23 10:00",
            "2014/07/23 10:00:00",
            "2014-07-23T10:00:00Z",
            "2014-07-23T12:00:00+02:00",
            "2014-07-23 12:00:00 +0200",
            "2014-07-23 10:00:00 UTC",
            "2014-07-23 10:00:00.000000+00:00",
        ] {
            assert_eq!(time(text).unwrap(), 1_406_109_600.0, "{text}");
        }
        assert_eq!(time("2014-07-23").unwrap(), 1_406_073_600.0);
        assert_eq!(time("1969-12-31T23:59:59.25Z").unwrap(), -0.75);
        assert!(time("2014-07-23T10:00:00.000001").unwrap() > time("2014-07-23T10:00:00").unwrap());
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in
            ["", "noon", "9007199254740993", "1e300", "NaN", "inf", "99999999999999999999", "23/07/2014", "2014-13-01"]
        {
            assert!(time(text).unwrap_err().contains("is neither a number"), "{text}");
        }
        assert!(time_value(&Value::Null).is_err());
    }
}

//! Numbers as people read them. What is not finite is shown as [`NONE`].

use super::Interval;

/// Stands where there is no number.
pub(super) const NONE: &str = "–";

/// How the numbers along an axis are written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    /// As they are.
    Number,
    /// Shares, as percentages.
    Percent,
}

impl Unit {
    /// A tick, with the decimals that neighbours `step` apart need to differ.
    pub(super) fn tick(self, value: f64, step: f64) -> String {
        let (factor, sign) = match self {
            Self::Number => (1.0, ""),
            Self::Percent => (100.0, "%"),
        };
        let decimals = (-(factor * step * 1.001).log10().floor()).max(0.0) as usize;
        let rounded = (value / step).round() * step * factor;
        format!("{rounded:.decimals$}{sign}")
    }
}

/// `0.714` as `71%`.
pub(super) fn percent(share: f64) -> String {
    finite(share, |x| format!("{}%", whole(100.0 * x)))
}

/// `0.0075` as `0.75%`: for shares that may be tiny.
pub(super) fn fine_percent(share: f64) -> String {
    finite(share, |x| match (100.0 * x).abs() {
        0.0 => "0%".to_owned(),
        size if size < 9.95 => format!("{:.2}%", 100.0 * x),
        _ => format!("{:.1}%", 100.0 * x),
    })
}

/// `0.0481` with four decimals, as retrieval papers print them.
pub(super) fn retrieval(value: f64) -> String {
    finite(value, |x| format!("{x:.4}"))
}

/// A score of a suite: three decimals below ten, one above (perplexities).
pub(super) fn score(value: f64) -> String {
    finite(value, |x| if x.abs() < 10.0 { format!("{x:.3}") } else { format!("{x:.1}") })
}

/// Three significant digits.
pub(super) fn significant(value: f64) -> String {
    finite(value, |x| {
        let digits_before_point = if x == 0.0 { 1.0 } else { x.abs().log10().floor() + 1.0 };
        match digits_before_point {
            n if n >= 3.0 => format!("{x:.0}"),
            n if n > -3.0 => format!("{x:.*}", (3.0 - n) as usize),
            _ => format!("{x:.2e}"),
        }
    })
}

/// `[low, high]` with both ends written by `number`.
pub(super) fn interval(ends: Interval, number: fn(f64) -> String) -> String {
    format!("[{}, {}]", number(ends[0]), number(ends[1]))
}

/// Seconds as `42 s`, `3 min 12 s`, `1 h 05 min`.
pub(super) fn duration(seconds: f64) -> String {
    finite(seconds, |x| {
        let whole = x.round() as u64;
        match whole {
            0..10 => format!("{x:.1} s"),
            10..60 => format!("{whole} s"),
            60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
            _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
        }
    })
}

/// Bytes as GiB, or as MiB below one.
pub(super) fn bytes(count: u64) -> String {
    let mebibytes = count as f64 / f64::from(1 << 20);
    if mebibytes < 1024.0 { format!("{mebibytes:.0} MiB") } else { format!("{:.1} GiB", mebibytes / 1024.0) }
}

/// `12345` as `12,345`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Numbers of parameters as `135M`, `1.1B`.
pub(super) fn parameters(number: f64) -> String {
    finite(number, |x| {
        let (scale, unit) = [(1e9, "B"), (1e6, "M"), (1e3, "K")]
            .into_iter()
            .find(|(scale, _)| x >= 0.9995 * scale)
            .unwrap_or((1.0, ""));
        let scaled = x / scale;
        if scaled < 9.95 && scaled.fract() >= 0.05 {
            format!("{scaled:.1}{unit}")
        } else {
            format!("{scaled:.0}{unit}")
        }
    })
}

/// A difference, with its sign.
pub(super) fn signed(value: f64) -> String {
    finite(value, |x| {
        let size = format!("{:.3}", x.abs());
        let sign = if size.chars().all(|c| matches!(c, '0' | '.')) {
            ""
        } else if x < 0.0 {
            "−"
        } else {
            "+"
        };
        format!("{sign}{size}")
    })
}

fn finite(value: f64, write: impl FnOnce(f64) -> String) -> String {
    if value.is_finite() { write(value) } else { NONE.to_owned() }
}

/// Rounded, and never `-0`.
fn whole(value: f64) -> i64 {
    value.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(percent(0.714), "71%");
        assert_eq!(percent(-0.001), "0%");
        assert_eq!(fine_percent(0.0075), "0.75%");
        assert_eq!(fine_percent(0.4321), "43.2%");
        assert_eq!(retrieval(0.04812), "0.0481");
        assert_eq!(score(135.27), "135.3");
        assert_eq!(significant(0.0), "0.00");
        assert_eq!(significant(77.71), "77.7");
        assert_eq!(significant(0.001234), "0.00123");
        assert_eq!(significant(1234.5), "1234");
        assert_eq!(interval([0.1, 0.25], percent), "[10%, 25%]");
    }

    #[test]
    fn ticks_have_the_decimals_they_need() {
        assert_eq!([0.0, 0.02, 0.04].map(|x| Unit::Number.tick(x, 0.02)), ["0.00", "0.02", "0.04"]);
        assert_eq!([0.0, 0.5, 1.0].map(|x| Unit::Percent.tick(x, 0.5)), ["0%", "50%", "100%"]);
        assert_eq!(Unit::Percent.tick(0.005, 0.005), "0.5%");
        assert_eq!(Unit::Number.tick(1000.0, 500.0), "1000");
    }

    #[test]
    fn large_and_missing_numbers() {
        assert_eq!(duration(3.25), "3.2 s");
        assert_eq!(duration(192.0), "3 min 12 s");
        assert_eq!(duration(3900.0), "1 h 05 min");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
        assert_eq!(count(12_345_678), "12,345,678");
        assert_eq!(count(999), "999");
        let sizes = [980.0, 60_500_000.0, 134_515_008.0, 1_065_314_304.0, 999_900_000.0, 7_069_016_064.0];
        assert_eq!(sizes.map(parameters), ["980", "60M", "135M", "1.1B", "1.0B", "7.1B"]);
        assert_eq!([0.0312, -0.2, -0.0001].map(signed), ["+0.031", "−0.200", "0.000"]);
        assert_eq!(percent(f64::NAN), NONE);
        assert_eq!(duration(f64::INFINITY), NONE);
    }
}

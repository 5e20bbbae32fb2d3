//! A number over several runs.

use serde::{Deserialize, Serialize};

/// The mean over runs, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    /// The mean.
    pub mean: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

impl Spread {
    /// Of values of which there is at least one.
    pub(super) fn over(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let (mut sum, mut count) = (0.0, 0.0);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            (sum, count) = (sum + value, count + 1.0);
            (low, high) = (low.min(value), high.max(value));
        }
        (count > 0.0).then(|| Self { mean: sum / count, low, high })
    }

    /// The lowest and the highest, where they differ.
    pub(super) fn apart(self) -> Option<[f64; 2]> {
        (self.low < self.high).then_some([self.low, self.high])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_ends() {
        assert_eq!(Spread::over([0.25, 0.75, 0.5]), Some(Spread { mean: 0.5, low: 0.25, high: 0.75 }));
        assert_eq!(Spread::over([]), None);
    }
}

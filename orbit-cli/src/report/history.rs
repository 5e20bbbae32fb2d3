//! Thinning a training history to what a plot can show.

use super::{Drift, Point};

/// At most `most` points: consecutive ones become one that has the last step, the mean loss, the largest drift and all
/// the merges, so that no peak and no merge is lost.
pub(crate) fn downsample(history: &[Point], most: usize) -> Vec<Point> {
    let width = history.len().div_ceil(most.max(1)).max(1);
    history.chunks(width).map(merge).collect()
}

/// One point for a chunk, which is never empty.
fn merge(chunk: &[Point]) -> Point {
    Point {
        step: chunk.iter().map(|p| p.step).max().unwrap_or_default(),
        loss: chunk.iter().map(|p| p.loss).sum::<f64>() / chunk.len() as f64,
        drift: chunk.iter().filter_map(|p| p.drift).reduce(largest),
        merges: chunk.iter().map(|p| p.merges).sum(),
    }
}

fn largest(a: Drift, b: Drift) -> Drift {
    Drift { l2: a.l2.max(b.l2), flips: a.flips.max(b.flips) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(len: u64) -> Vec<Point> {
        let drift = |step| (step % 2 == 0).then_some(Drift { l2: step as f64, flips: 0.5 });
        (1..=len)
            .map(|step| Point { step, loss: step as f64, drift: drift(step), merges: u64::from(step % 3 == 0) })
            .collect()
    }

    #[test]
    fn short_history_stays() {
        assert_eq!(downsample(&history(5), 10), history(5));
        assert_eq!(downsample(&[], 10), []);
    }

    #[test]
    fn long_history_keeps_steps_peaks_and_merges() {
        let thin = downsample(&history(1001), 100);
        assert!(thin.len() <= 100);
        assert_eq!(thin[0], Point { step: 11, loss: 6.0, drift: Some(Drift { l2: 10.0, flips: 0.5 }), merges: 3 });
        assert_eq!(thin.iter().map(|p| p.merges).sum::<u64>(), 333);
        assert_eq!(thin.last().map(|p| p.step), Some(1001));
    }
}

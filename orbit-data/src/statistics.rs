//! Bootstrap intervals, retention and the distance to the ideal point.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A closed interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// The middle 95% of values in rising order; none without values.
    pub fn percentile(rising: &[f64]) -> Option<Self> {
        let tail = (rising.len() as f64 * 0.025).floor() as usize;
        Some(Self { low: *rising.get(tail)?, high: *rising.get(rising.len() - 1 - tail)? })
    }
}

/// The 95% percentile bootstrap interval of the mean of `values` (Efron, *Bootstrap Methods: Another Look at the
/// Jackknife*, 1979), from `resamples` draws with replacement. Costs `resamples * values.len()` random numbers.
///
/// Both ends are NaN when there is nothing to draw or nothing drawn.
///
/// ```
/// use orbit_data::statistics::bootstrap_mean;
/// let hits: Vec<f64> = (0..400).map(|i| f64::from(i % 2)).collect();
/// let interval = bootstrap_mean(&hits, 1000, 0);
/// assert!(interval.low > 0.44 && interval.low < 0.5);
/// assert!(interval.high > 0.5 && interval.high < 0.56);
/// ```
pub fn bootstrap_mean(values: &[f64], resamples: usize, seed: u64) -> Interval {
    if values.is_empty() || resamples == 0 {
        return Interval { low: f64::NAN, high: f64::NAN };
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut resample = || {
        let sum: f64 = values.iter().map(|_| values[random.random_range(0..values.len())]).sum();
        sum / values.len() as f64
    };
    let mut means: Vec<f64> = (0..resamples).map(|_| resample()).collect();
    means.sort_by(f64::total_cmp);
    let tail = (resamples as f64 * 0.025).floor() as usize;
    Interval { low: means[tail], high: means[resamples - 1 - tail] }
}

/// The two-sided p of McNemar's exact test (Psychometrika 12, 1947): of items on which exactly one of two models is right, how likely
/// is a split at least as uneven if either is as likely to be the right one? 1 where there is no such item.
///
/// ```
/// use orbit_data::statistics::mcnemar;
/// // Of ten items one model alone has nine right: 2 · (1 + 10) / 2^10.
/// assert!((mcnemar(9, 1) - 22.0 / 1024.0).abs() < 1e-12);
/// assert_eq!((mcnemar(3, 3), mcnemar(0, 0)), (1.0, 1.0));
/// ```
pub fn mcnemar(only_first: u64, only_second: u64) -> f64 {
    let (fewer, all) = (only_first.min(only_second), only_first + only_second);
    // log of the share of `fewer` or fewer heads among `all` throws, term by term.
    let mut log_term = -(all as f64) * std::f64::consts::LN_2;
    let mut sum = 0.0;
    for heads in 0..=fewer {
        sum += log_term.exp();
        log_term += ((all - heads) as f64 / (heads + 1) as f64).ln();
    }
    (2.0 * sum).min(1.0)
}

/// Pearson's correlation of pairs. None where either does not vary, or is not finite.
///
/// ```
/// use orbit_data::statistics::pearson;
/// assert!((pearson(&[(1.0, 2.0), (2.0, 4.0), (3.0, 6.0)]).unwrap() - 1.0).abs() < 1e-12);
/// // By hand: 1 / √(5 · 1).
/// assert!((pearson(&[(0.0, 0.0), (1.0, 1.0), (2.0, 0.0), (3.0, 1.0)]).unwrap() - 0.2_f64.sqrt()).abs() < 1e-12);
/// assert_eq!(pearson(&[(1.0, 2.0), (1.0, 3.0)]), None);
/// ```
pub fn pearson(pairs: &[(f64, f64)]) -> Option<f64> {
    let count = pairs.len() as f64;
    let (x, y) = pairs.iter().fold((0.0, 0.0), |(x, y), pair| (x + pair.0 / count, y + pair.1 / count));
    let sum = |of: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|pair| of(pair.0 - x, pair.1 - y)).sum::<f64>();
    let spread = (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
    (spread > 0.0 && spread.is_finite()).then(|| sum(&|x, y| x * y) / spread)
}

/// The 95% interval of a statistic of several samples, by the bootstrap: each resample draws every sample anew, of its own
/// size, and hands the statistic the indices drawn. Resamples for which it has no value are left out.
pub fn bootstrap(
    sizes: &[usize],
    resamples: usize,
    seed: u64,
    statistic: impl Fn(&[Vec<usize>]) -> Option<f64>,
) -> Option<Interval> {
    let [values] = resample(sizes, resamples, seed, |drawn| [statistic(drawn)]);
    Interval::percentile(&values)
}

/// What several statistics of the same samples come to over the resamples of [`bootstrap`]: of each statistic the values
/// that it had, in rising order. None when a sample is empty.
///
/// ```
/// use orbit_data::statistics::{Interval, resample};
/// let values = [0.25, 0.5, 1.0];
/// let [least, all] = resample(&[3], 200, 0, |drawn| {
///     [drawn[0].iter().map(|&at| values[at]).reduce(f64::min), Some(drawn[0].len() as f64)]
/// });
/// assert_eq!((least[0], least.len()), (0.25, 200));
/// assert_eq!(Interval::percentile(&all), Some(Interval { low: 3.0, high: 3.0 }));
/// ```
pub fn resample<const N: usize>(
    sizes: &[usize],
    resamples: usize,
    seed: u64,
    statistics: impl Fn(&[Vec<usize>]) -> [Option<f64>; N],
) -> [Vec<f64>; N] {
    let mut values = std::array::from_fn(|_| Vec::new());
    if sizes.contains(&0) {
        return values;
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = |size: usize| (0..size).map(|_| random.random_range(0..size)).collect();
    for _ in 0..resamples {
        let drawn: Vec<Vec<usize>> = sizes.iter().map(|&size| draw(size)).collect();
        for (values, value) in values.iter_mut().zip(statistics(&drawn)) {
            values.extend(value);
        }
    }
    values.iter_mut().for_each(|values| values.sort_by(f64::total_cmp));
    values
}

/// The share of what a model could do above chance that is left: `(score - chance) / (reference - chance)`.
///
/// 1 is the untouched model, 0 is chance. `None` when the reference itself is not above chance, so that there was nothing
/// to keep.
///
/// ```
/// use orbit_data::statistics::retention;
/// assert_eq!(retention(0.625, 0.75, 0.5), Some(0.5));
/// assert_eq!(retention(0.6, 0.5, 0.5), None);
/// ```
pub fn retention(score: f64, reference: f64, chance: f64) -> Option<f64> {
    share(score, reference, chance)
}

/// [`retention`] for perplexities, on the log scale: `(ln chance - ln ppl) / (ln chance - ln reference)`.
///
/// `chance` is the perplexity of the text under its own unigram distribution, see [`unigram_perplexity`].
///
/// ```
/// use orbit_data::statistics::log_retention;
/// assert_eq!(log_retention(20.0, 20.0, 800.0), Some(1.0));
/// assert_eq!(log_retention(800.0, 20.0, 800.0), Some(0.0));
/// ```
pub fn log_retention(perplexity: f64, reference: f64, chance: f64) -> Option<f64> {
    share(-perplexity.ln(), -reference.ln(), -chance.ln())
}

/// The perplexity of a token stream under its own unigram distribution: the exponential of its entropy in nats.
/// 1 for an empty stream.
///
/// ```
/// use orbit_data::statistics::unigram_perplexity;
/// assert!((unigram_perplexity(&[5, 6, 7, 5, 6, 7]) - 3.0).abs() < 1e-12);
/// ```
pub fn unigram_perplexity(tokens: &[u32]) -> f64 {
    // Ordered, so that the sum is the same to the last bit in every run.
    let mut counts = BTreeMap::<u32, u64>::new();
    for &token in tokens {
        *counts.entry(token).or_default() += 1;
    }
    let probabilities = counts.values().map(|&count| count as f64 / tokens.len() as f64);
    let entropy: f64 = probabilities.map(|p| -p * p.ln()).sum();
    entropy.exp()
}

/// The distance to the ideal point of ORBIT (arXiv 2605.12419): `sqrt((1 - T)^2 + (1 - R)^2)`, where T and R are the text
/// and the retrieval score, each rescaled so that its minimum is 0 and its maximum is 1. Smaller is better.
///
/// The untouched model gives `text_max`, plain fine-tuning `text_min` and `retrieval_max`. `None` when a minimum is not
/// below its maximum.
///
/// ```
/// use orbit_data::statistics::dtip;
/// let plain = dtip(15.52, 15.52, 35.72, 2.16, 0.0, 2.16);
/// assert_eq!(plain, Some(1.0));
/// ```
pub fn dtip(
    text: f64,
    text_min: f64,
    text_max: f64,
    retrieval: f64,
    retrieval_min: f64,
    retrieval_max: f64,
) -> Option<f64> {
    let text = share(text, text_max, text_min)?;
    let retrieval = share(retrieval, retrieval_max, retrieval_min)?;
    Some((1.0 - text).hypot(1.0 - retrieval))
}

/// Where `value` lies on the way from `zero` to `one`.
fn share(value: f64, one: f64, zero: f64) -> Option<f64> {
    (one > zero).then(|| (value - zero) / (one - zero))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn interval_has_the_width_of_the_normal_approximation() {
        let values: Vec<f64> = (0..2000).map(|i| f64::from(u8::from(i % 10 < 3))).collect();
        let Interval { low, high } = bootstrap_mean(&values, 4000, 7);
        let half = 1.96 * (0.3 * 0.7 / 2000.0_f64).sqrt();
        assert!((low - (0.3 - half)).abs() < 0.1 * half, "{low}");
        assert!((high - (0.3 + half)).abs() < 0.1 * half, "{high}");
    }

    #[test]
    fn interval_covers_the_true_mean_about_nineteen_times_in_twenty() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let covered = (0..400)
            .filter(|&seed| {
                let sample: Vec<f64> = (0..80).map(|_| random.random::<f64>()).collect();
                let interval = bootstrap_mean(&sample, 400, seed);
                interval.low <= 0.5 && 0.5 <= interval.high
            })
            .count();
        assert!((364..=394).contains(&covered), "{covered} of 400");
    }

    #[test]
    fn bootstrap_is_a_function_of_its_seed() {
        let values: Vec<f64> = (1..40).map(|i| f64::from(i).sqrt()).collect();
        assert_eq!(bootstrap_mean(&values, 200, 3), bootstrap_mean(&values, 200, 3));
        assert_ne!(bootstrap_mean(&values, 200, 3), bootstrap_mean(&values, 200, 4));
        assert!(bootstrap_mean(&[], 200, 3).low.is_nan());
        assert_eq!(bootstrap_mean(&[2.0], 1, 0), Interval { low: 2.0, high: 2.0 });
    }

    #[test]
    fn log_retention_is_linear_in_nats() {
        let half = log_retention((20.0_f64 * 800.0).sqrt(), 20.0, 800.0).unwrap();
        assert!((half - 0.5).abs() < 1e-12);
        assert_eq!(log_retention(20.0, 800.0, 800.0), None);
    }

    /// The rows of table 3 of the paper whose two columns are the same metric.
    #[test]
    fn dtip_gives_the_figures_of_the_paper() {
        let row = |text, retrieval| dtip(text, 15.52, 35.72, retrieval, 0.0, 2.16).unwrap();
        assert!((row(15.76, 1.92) - 0.99).abs() < 0.005);
        assert_eq!(row(35.72, 0.0), 1.0);
        assert_eq!(dtip(1.0, 2.0, 2.0, 0.0, 0.0, 1.0), None);
    }
}

//! Recall and NDCG of recommendations, item level, over the full catalogue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::statistics::{Interval, bootstrap_mean};

/// The cutoffs that are reported.
pub const CUTOFFS: [u32; 4] = [1, 5, 10, 20];
/// The cutoff of the mean reciprocal rank.
const RECIPROCAL: u32 = 10;

/// Resamples of the users behind each interval.
const RESAMPLES: usize = 1000;

/// For each user the place of the one right item among those recommended, from 1; none where it is not among them.
///
/// All metrics are functions of these numbers.
///
/// ```
/// use orbit_data::retrieval::Ranks;
/// let mut ranks = Ranks::default();
/// ranks.push(&[8, 3, 5], 3);
/// ranks.push(&[8, 3, 5], 9);
/// assert_eq!(ranks.0, [Some(2), None]);
/// assert_eq!(ranks.recall(1), 0.0);
/// assert_eq!(ranks.recall(10), 0.5);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranks(pub Vec<Option<u32>>);

impl Ranks {
    /// Adds a user for whom `ranked` was recommended, best first, and `target` was right.
    pub fn push(&mut self, ranked: &[u32], target: u32) {
        let place = ranked.iter().position(|&item| item == target);
        self.0.push(place.and_then(|place| u32::try_from(place + 1).ok()));
    }

    /// Adds a query for which `ranked` was found, best first, and any of `relevant` was right: the first of them counts, so that
    /// recall is the share of queries with a right answer among the first `k`, which is called Hits@k.
    ///
    /// ```
    /// use orbit_data::retrieval::Ranks;
    /// let mut ranks = Ranks::default();
    /// ranks.push_any(&[8, 3, 5], &[5, 3]);
    /// assert_eq!((ranks.recall(1), ranks.recall(2), ranks.reciprocal_rank(10)), (0.0, 1.0, 0.5));
    /// ```
    pub fn push_any(&mut self, ranked: &[u32], relevant: &[u32]) {
        let place = ranked.iter().position(|item| relevant.contains(item));
        self.0.push(place.and_then(|place| u32::try_from(place + 1).ok()));
    }

    /// Recall@k: the share of users whose item is among the first `k`; 0 without users.
    pub fn recall(&self, k: u32) -> f64 {
        mean(&self.gains(k, hit))
    }

    /// NDCG@k: the mean of `1 / log2(rank + 1)` over users, 0 beyond `k` (Järvelin and Kekäläinen, 2002; with one right
    /// item the ideal gain is 1); 0 without users.
    pub fn ndcg(&self, k: u32) -> f64 {
        mean(&self.gains(k, discounted))
    }

    /// MRR@k: the mean of `1 / rank`, 0 beyond `k` (Voorhees, *The TREC-8 Question Answering Track Report*, 1999); 0 without
    /// queries.
    pub fn reciprocal_rank(&self, k: u32) -> f64 {
        mean(&self.gains(k, reciprocal))
    }

    /// Recall and NDCG at all [`CUTOFFS`] and MRR@10, with bootstrap intervals over users drawn from `seed`.
    pub fn scores(&self, seed: u64) -> RetrievalScores {
        let at = |gain: fn(u32) -> f64| CUTOFFS.map(|k| (k, self.gains(k, gain)));
        let (hits, discounted) = (at(hit), at(discounted));
        let reciprocal = self.gains(RECIPROCAL, reciprocal);
        RetrievalScores {
            users: self.0.len(),
            recall: hits.iter().map(|(k, gains)| (*k, mean(gains))).collect(),
            ndcg: discounted.iter().map(|(k, gains)| (*k, mean(gains))).collect(),
            mrr: BTreeMap::from([(RECIPROCAL, mean(&reciprocal))]),
            intervals: Intervals {
                recall: hits.iter().map(|(k, gains)| (*k, bootstrap_mean(gains, RESAMPLES, seed))).collect(),
                ndcg: discounted.iter().map(|(k, gains)| (*k, bootstrap_mean(gains, RESAMPLES, seed))).collect(),
                mrr: BTreeMap::from([(RECIPROCAL, bootstrap_mean(&reciprocal, RESAMPLES, seed))]),
            },
        }
    }

    fn gains(&self, k: u32, gain: fn(u32) -> f64) -> Vec<f64> {
        self.0.iter().map(|rank| rank.filter(|&rank| rank <= k).map_or(0.0, gain)).collect()
    }
}

fn hit(_rank: u32) -> f64 {
    1.0
}

fn reciprocal(rank: u32) -> f64 {
    1.0 / f64::from(rank)
}

fn discounted(rank: u32) -> f64 {
    1.0 / (f64::from(rank) + 1.0).log2()
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// Retrieval quality as reports hold it; as JSON, `{"recall": {"1": .., "5": ..}, "ndcg": {..}, ..}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetrievalScores {
    /// How many users were scored.
    pub users: usize,
    /// Recall@k by `k`.
    pub recall: BTreeMap<u32, f64>,
    /// NDCG@k by `k`.
    pub ndcg: BTreeMap<u32, f64>,
    /// MRR@k by `k`.
    pub mrr: BTreeMap<u32, f64>,
    /// 95% bootstrap intervals of all.
    pub intervals: Intervals,
}

/// 95% bootstrap intervals over users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intervals {
    /// Of Recall@k, by `k`.
    pub recall: BTreeMap<u32, Interval>,
    /// Of NDCG@k, by `k`.
    pub ndcg: BTreeMap<u32, Interval>,
    /// Of MRR@k, by `k`.
    pub mrr: BTreeMap<u32, Interval>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn ranks() -> Ranks {
        Ranks(vec![Some(1), Some(3), Some(11), None])
    }

    #[test]
    fn metrics_match_a_hand_count() {
        assert_eq!(CUTOFFS.map(|k| ranks().recall(k)), [0.25, 0.5, 0.5, 0.75]);
        assert_eq!(ranks().ndcg(1), 0.25);
        assert!((ranks().ndcg(10) - (1.0 + 0.5) / 4.0).abs() < 1e-12);
        assert!((ranks().ndcg(20) - (1.5 + 1.0 / 12_f64.log2()) / 4.0).abs() < 1e-12);
    }

    #[test]
    fn reciprocal_ranks_match_a_hand_count() {
        assert_eq!(ranks().reciprocal_rank(1), 0.25);
        assert!((ranks().reciprocal_rank(10) - (1.0 + 1.0 / 3.0) / 4.0).abs() < 1e-12);
        let mut any = Ranks::default();
        any.push_any(&[4, 2, 9], &[9, 2]);
        any.push_any(&[4, 2, 9], &[7]);
        any.push_any(&[4], &[]);
        assert_eq!(any.0, [Some(2), None, None]);
    }

    #[test]
    fn no_users_score_nothing() {
        assert_eq!((Ranks::default().recall(10), Ranks::default().ndcg(10)), (0.0, 0.0));
    }

    #[test]
    fn scores_are_json_by_cutoff_and_lie_in_their_intervals() {
        let scores = ranks().scores(7);
        let json = serde_json::to_value(&scores).unwrap();
        assert_eq!(json["recall"]["20"], 0.75);
        assert_eq!(json["users"], 4);
        assert_eq!(json["mrr"]["10"], (1.0 + 1.0 / 3.0) / 4.0);
        assert_eq!(serde_json::from_value::<RetrievalScores>(json).unwrap(), scores);
        for k in CUTOFFS {
            let interval = &scores.intervals.ndcg[&k];
            assert!(interval.low <= scores.ndcg[&k] && scores.ndcg[&k] <= interval.high);
        }
    }
}

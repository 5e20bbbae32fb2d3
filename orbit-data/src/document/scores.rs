//! Hits and reciprocal ranks of document retrieval.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::retrieval::{RESAMPLES, Ranks, hit, mean, reciprocal};
use crate::statistics::{Interval, bootstrap_mean};

/// The cutoffs of hits and of reciprocal ranks that are reported, those of the DSI line of papers.
const HITS: [u32; 2] = [1, 10];
const RECIPROCAL: [u32; 1] = [10];

/// Retrieval quality as reports hold it; as JSON, `{"hits": {"1": .., "10": ..}, "mrr": {"10": ..}, ..}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DocumentScores {
    /// How many queries were scored.
    pub queries: usize,
    /// Hits@k by `k`: the share of queries with a relevant document among the first `k`.
    pub hits: BTreeMap<u32, f64>,
    /// MRR@k by `k`: the mean of one over the place of the first relevant document, 0 beyond `k`.
    pub mrr: BTreeMap<u32, f64>,
    /// 95% bootstrap intervals of both.
    pub intervals: DocumentIntervals,
}

/// 95% bootstrap intervals over queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DocumentIntervals {
    /// Of Hits@k, by `k`.
    pub hits: BTreeMap<u32, Interval>,
    /// Of MRR@k, by `k`.
    pub mrr: BTreeMap<u32, Interval>,
}

impl DocumentScores {
    /// Scores the places that [`Ranks::push_any`] noted, with bootstrap intervals over queries drawn from `seed`.
    ///
    /// ```
    /// use orbit_data::document::DocumentScores;
    /// use orbit_data::retrieval::Ranks;
    /// let scores = DocumentScores::of(&Ranks(vec![Some(1), Some(4), None, Some(12)]), 0);
    /// assert_eq!((scores.hits[&1], scores.hits[&10], scores.mrr[&10]), (0.25, 0.5, 1.25 / 4.0));
    /// ```
    pub fn of(ranks: &Ranks, seed: u64) -> Self {
        let hits = HITS.map(|k| (k, ranks.gains(k, hit)));
        let reciprocal = RECIPROCAL.map(|k| (k, ranks.gains(k, reciprocal)));
        let interval = |(k, gains): &(u32, Vec<f64>)| (*k, bootstrap_mean(gains, RESAMPLES, seed));
        Self {
            queries: ranks.0.len(),
            hits: hits.iter().map(|(k, gains)| (*k, mean(gains))).collect(),
            mrr: reciprocal.iter().map(|(k, gains)| (*k, mean(gains))).collect(),
            intervals: DocumentIntervals {
                hits: hits.iter().map(interval).collect(),
                mrr: reciprocal.iter().map(interval).collect(),
            },
        }
    }
}

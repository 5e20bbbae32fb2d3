//! The new job, measured: naming the right item, over the full catalogue.

use anyhow::Result;
use orbit_data::retrieval::Ranks;
use orbit_models::LanguageModel;
use orbit_models::generate::beam_search;

use crate::config::Retrieval as RetrievalConfig;
use crate::job::{Asked, Job};
use crate::progress::Progress;
use crate::report;

/// Of the bootstrap: the same for every run.
const SEED: u64 = 0;

/// Recall, NDCG and MRR of the model, by beam search over the valid IDs. Nothing is left out of the catalogue, but what a user has
/// met if the config says so; the search is then wider by as many items as anybody in the batch has met.
pub(crate) fn measure(
    model: &LanguageModel,
    job: &Job,
    config: &RetrievalConfig,
    quiet: bool,
) -> Result<report::Retrieval> {
    let mut asked = job.asked(config.users)?;
    // Prompts of like length go together; the ranks are a set.
    asked.sort_by_key(|asked| asked.prompt.len());
    let valid = job.valid_ids()?;
    let mut progress = Progress::new("retrieval", 0, asked.len() as u64, quiet);
    let mut ranks = Ranks::default();
    for batch in asked.chunks_mut(config.batch) {
        tracing::debug!(prompts = batch.len(), "retrieval batch");
        if !config.exclude_seen {
            batch.iter_mut().for_each(|asked| asked.seen.clear());
        }
        let seen = batch.iter().map(|asked| asked.seen.len()).max().unwrap_or(0);
        let prompts: Vec<Vec<u32>> = batch.iter().map(|asked| asked.prompt.clone()).collect();
        for (asked, ranked) in batch.iter().zip(beam_search(model, &prompts, &valid, config.beams + seen)?) {
            let Asked { right, seen, .. } = asked;
            let items: Vec<u32> = ranked.iter().map(|ranked| ranked.item).filter(|item| !seen.contains(item)).collect();
            ranks.push_any(&items[..items.len().min(config.beams)], right);
        }
        progress.set(ranks.0.len() as u64, &[("recall@10", ranks.recall(10))]);
    }
    progress.finish();
    Ok(scores(&ranks))
}

/// All metrics, with intervals over users.
pub(crate) fn scores(ranks: &Ranks) -> report::Retrieval {
    let scores = ranks.scores(SEED);
    let ends = |intervals: std::collections::BTreeMap<u32, orbit_data::statistics::Interval>| {
        intervals.into_iter().map(|(k, interval)| (k, [interval.low, interval.high])).collect()
    };
    report::Retrieval {
        recall: scores.recall,
        ndcg: scores.ndcg,
        mrr: scores.mrr,
        users: scores.users as u64,
        ci: report::RetrievalIntervals {
            recall: ends(scores.intervals.recall),
            ndcg: ends(scores.intervals.ndcg),
            mrr: ends(scores.intervals.mrr),
        },
    }
}

//! The new job: recommending the next item, over the full catalogue.

use anyhow::Result;
use orbit_data::Split;
use orbit_data::baseline::{Popularity, Transitions};
use orbit_data::retrieval::Ranks;
use orbit_data::split::UserSplit;
use orbit_models::LanguageModel;
use orbit_models::generate::beam_search;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::config::{HeldOut, Retrieval as RetrievalConfig};
use crate::pipeline::Job;
use crate::progress::Progress;
use crate::report;

/// The largest cut-off that is reported.
pub(crate) const CUTOFF: usize = 20;
/// Of the choice of users and of the bootstrap: the same for every run, so that runs can be compared.
const SEED: u64 = 0;

/// Histories with the item that came next, of a fixed choice of users.
pub(crate) fn users<'a>(split: &Split<'a>, count: usize, on: HeldOut) -> Vec<(&'a [u32], u32)> {
    let held_out = |user: &UserSplit<'a>| match on {
        HeldOut::Test => user.test(),
        HeldOut::Validation => user.validation(),
    };
    let mut users: Vec<(&[u32], u32)> = split.users().iter().filter_map(held_out).collect();
    users.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED));
    users.truncate(count);
    users
}

/// Recall and NDCG of the model, by beam search over the valid IDs. Nothing is left out of the catalogue.
pub(crate) fn measure(
    model: &LanguageModel,
    job: &Job,
    config: &RetrievalConfig,
    quiet: bool,
) -> Result<report::Retrieval> {
    let split = Split::leave_one_out(&job.corpus);
    let mut users = users(&split, config.users, HeldOut::Test);
    // Prompts of like length go together; the ranks are a set.
    users.sort_by_key(|(history, _)| history.len());
    let valid = job.valid_ids()?;
    let mut progress = Progress::new("retrieval", 0, users.len() as u64, quiet);
    let mut ranks = Ranks::default();
    for batch in users.chunks(config.batch) {
        tracing::debug!(users = batch.len(), "retrieval batch");
        let prompts =
            batch.iter().map(|(history, _)| job.form.prompt(history)).collect::<orbit_data::Result<Vec<_>>>()?;
        for ((_, target), ranked) in batch.iter().zip(beam_search(model, &prompts, &valid, config.beams)?) {
            let items: Vec<u32> = ranked.iter().map(|ranked| ranked.item).collect();
            ranks.push(&items, *target);
        }
        progress.set(ranks.0.len() as u64, &[("recall@10", ranks.recall(10))]);
    }
    progress.finish();
    Ok(scores(&ranks))
}

/// What needs no model, on the same users.
pub(crate) fn baselines(job: &Job, config: &RetrievalConfig) -> report::Baselines {
    let split = Split::leave_one_out(&job.corpus);
    counts(&split, &users(&split, config.users, HeldOut::Test), false)
}

/// What counting alone comes to on some users, with what they have met among the recommendations or not.
pub(crate) fn counts(split: &Split<'_>, users: &[(&[u32], u32)], exclude_seen: bool) -> report::Baselines {
    let (popularity, transitions) = (Popularity::fit(split), Transitions::fit(split));
    let measure = |rank: &dyn Fn(&[u32], usize) -> Vec<u32>| {
        let mut ranks = Ranks::default();
        for (history, target) in users {
            let seen: &[u32] = if exclude_seen { history } else { &[] };
            let mut ranked = rank(history, CUTOFF + seen.len());
            ranked.retain(|item| !seen.contains(item));
            ranked.truncate(CUTOFF);
            ranks.push(&ranked, *target);
        }
        scores(&ranks)
    };
    report::Baselines {
        popularity: measure(&|history, k| popularity.rank(history, k)),
        transitions: measure(&|history, k| transitions.rank(history, k)),
    }
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
        users: scores.users as u64,
        ci: report::RetrievalIntervals { recall: ends(scores.intervals.recall), ndcg: ends(scores.intervals.ndcg) },
    }
}

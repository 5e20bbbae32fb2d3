//! The real document collections, where they are there.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::path::PathBuf;

use orbit_data::document::Bm25;
use orbit_data::retrieval::Ranks;
use orbit_data::{DocumentCorpus, OnBadRow};

/// A folder under `ORBIT_DATA` or beside the repository.
fn folder(name: &str) -> Option<PathBuf> {
    let data = std::env::var_os("ORBIT_DATA")
        .map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data").into(), PathBuf::from);
    let folder = data.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: there is no {}; give the data folder by ORBIT_DATA", folder.display());
    None
}

/// BM25 on the test queries.
fn bm25(corpus: &DocumentCorpus) -> Ranks {
    let (bm25, mut ranks) = (Bm25::fit(&corpus.documents), Ranks::default());
    corpus.test.iter().for_each(|query| ranks.push_any(&bm25.rank(&query.text, 10), &query.relevant));
    ranks
}

#[test]
fn cranfield_has_its_published_size_and_bm25_finds_most() {
    let Some(folder) = folder("dsi/cranfield") else { return };
    let (corpus, report) = DocumentCorpus::read_cranfield(&folder, 0).unwrap();
    // 1,400 abstracts, of which 471 and 995 are empty; 225 queries; 1,837 judgements.
    assert_eq!((corpus.documents.len(), report.skipped, report.rows), (1_398, 2, 1_400 + 225 + 1_837));
    assert_eq!((corpus.train.len(), corpus.test.len()), (180, 45));
    let relevant: usize = corpus.train.iter().chain(&corpus.test).map(|query| query.relevant.len()).sum();
    // Without the 225 of no interest, and one on an empty abstract.
    assert_eq!(relevant, 1_837 - 225 - 1);
    let ranks = bm25(&corpus);
    let (hits, mrr) = (ranks.recall(10), ranks.reciprocal_rank(10));
    assert!(hits > 0.7 && mrr > 0.4, "Hits@10 {hits}, MRR@10 {mrr}");
}

#[test]
fn boolq_tests_on_passages_of_its_training_part() {
    let Some(folder) = folder("instruct/olora") else { return };
    let [train, test] = ["boolq.train.jsonl.gz", "boolq.test.jsonl.gz"].map(|name| folder.join(name));
    let (corpus, _) = DocumentCorpus::read_boolq(&train, &test, OnBadRow::Fail).unwrap();
    assert_eq!((corpus.documents.len(), corpus.train.len(), corpus.test.len()), (1_886, 2_000, 339));
    let ranks = bm25(&corpus);
    let hits = [1, 10].map(|k| ranks.recall(k));
    assert!(hits[0] > 0.5 && hits[1] > 0.8, "Hits@1 and @10 {hits:?}");
}

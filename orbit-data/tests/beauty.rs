//! The real Amazon Beauty corpus, where it is there.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::path::PathBuf;
use std::time::Instant;

use orbit_data::baseline::{Popularity, Transitions};
use orbit_data::retrieval::{Ranks, RetrievalScores};
use orbit_data::semantic_id::ResidualKMeans;
use orbit_data::{Corpus, ItemEmbeddings, OnBadRow, SemanticIds, Split, Trie};

/// The folder of Beauty under `ORBIT_DATA` or beside the repository.
fn folder() -> Option<PathBuf> {
    let data = std::env::var_os("ORBIT_DATA")
        .map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data").into(), PathBuf::from);
    let folder = data.join("rec/beauty");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: there is no {}; give the data folder by ORBIT_DATA", folder.display());
    None
}

fn read(folder: &std::path::Path) -> Corpus {
    let (sequences, items) = (folder.join("sequences.txt.gz"), folder.join("items.jsonl.gz"));
    let (corpus, report) = Corpus::read_sequences(&sequences, &items, OnBadRow::Fail).unwrap();
    assert_eq!(report.rows, 22_363 + 12_101);
    corpus
}

fn scores(split: &Split<'_>, rank: impl Fn(&[u32]) -> Vec<u32>) -> RetrievalScores {
    let mut ranks = Ranks::default();
    for (history, target) in split.users().iter().filter_map(|user| user.test()) {
        ranks.push(&rank(history), target);
    }
    ranks.scores(0)
}

#[test]
fn beauty_has_its_published_size_and_baselines_their_order() {
    let Some(folder) = folder() else { return };
    let corpus = read(&folder);
    assert_eq!((corpus.users.len(), corpus.items.len(), corpus.interactions()), (22_363, 12_101, 198_502));
    assert!((1..).zip(&corpus.items).all(|(id, item)| item.id == id.to_string()));
    // Seven titles are empty in the source.
    assert_eq!(corpus.items.iter().filter(|item| item.title.is_empty()).count(), 7);

    let split = Split::leave_one_out(&corpus);
    assert_eq!(split.training_only(), 0);
    let (popularity, transitions) = (Popularity::fit(&split), Transitions::fit(&split));
    let popularity = scores(&split, |history| popularity.rank(history, 20));
    let transitions = scores(&split, |history| transitions.rank(history, 20));
    eprintln!("popularity {popularity:?}\ntransitions {transitions:?}");
    assert_eq!(popularity.users, 22_363);
    assert!(popularity.recall[&10] > 0.005 && transitions.recall[&10] > 2.0 * popularity.recall[&10]);
}

#[test]
fn beauty_gets_healthy_semantic_ids() {
    let Some(folder) = folder() else { return };
    let embeddings = ItemEmbeddings::read_npy(&folder.join("title_emb_minilm_i8.npy"), 12_101).unwrap();
    // Unoptimised builds are slow, and a few rounds show the same.
    let iterations = if cfg!(debug_assertions) { 3 } else { 25 };
    let start = Instant::now();
    let ids = SemanticIds::assign(&embeddings, &ResidualKMeans { iterations, ..ResidualKMeans::default() }).unwrap();
    eprintln!("{:.2?} for {iterations} rounds; {:?} {:?}", start.elapsed(), ids.codes_per_level(), ids.health());

    assert_eq!((ids.len(), &ids.codes_per_level()[..3]), (12_101, &[256, 256, 256][..]));
    let health = ids.health();
    assert!(health.levels.iter().all(|level| level.usage > 0.99) && health.collision_rate < 0.25, "{health:?}");
    assert_eq!(health.warnings(), [""; 0]);

    let sequences: Vec<Vec<u32>> = ids.iter().map(|id| id.iter().map(|&code| code.into()).collect()).collect();
    let trie = Trie::new(sequences.iter().map(Vec::as_slice)).unwrap();
    for (item, sequence) in (0..).zip(&sequences) {
        let leaf = sequence.iter().try_fold(trie.root(), |node, &code| trie.child(node, code));
        assert_eq!(leaf.and_then(|leaf| trie.item(leaf)), Some(item));
    }
}

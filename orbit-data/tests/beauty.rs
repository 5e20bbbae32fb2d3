//! The real Amazon Beauty corpus, where it is there.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::path::PathBuf;
use std::time::Instant;

use orbit_data::baseline::{Popularity, Transitions};
use orbit_data::prepare::{INTERACTIONS, ITEMS, Kind, Options, Source, Times, check};
use orbit_data::retrieval::{Ranks, RetrievalScores};
use orbit_data::semantic_id::{
    BalancedKMeans, Collisions, Method, RandomCodes, Recipe, ResidualKMeans, Verdict, compare,
};
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
    assert_eq!(health.verdict(), Verdict::Sound);

    let sequences: Vec<Vec<u32>> = ids.iter().map(|id| id.iter().map(|&code| code.into()).collect()).collect();
    let trie = Trie::new(sequences.iter().map(Vec::as_slice)).unwrap();
    for (item, sequence) in (0..).zip(&sequences) {
        let leaf = sequence.iter().try_fold(trie.root(), |node, &code| trie.child(node, code));
        assert_eq!(leaf.and_then(|leaf| trie.item(leaf)), Some(item));
    }
}

#[test]
fn ways_to_make_beauty_ids_differ_as_they_should() {
    let Some(folder) = folder() else { return };
    let corpus = read(&folder);
    let embeddings = ItemEmbeddings::read_npy(&folder.join("title_emb_minilm_i8.npy"), 12_101).unwrap();
    let iterations = if cfg!(debug_assertions) { 1 } else { 10 };
    let make = |method: Method, collisions| {
        let start = Instant::now();
        let ids = Recipe { method, collisions, standardize: false }.assign(&embeddings).unwrap();
        eprintln!("{:.2?}; {:?}", start.elapsed(), ids.health());
        ids
    };
    let residual = ResidualKMeans { iterations, ..ResidualKMeans::default() };
    let balanced = BalancedKMeans { iterations, ..BalancedKMeans::default() };
    let residual = make(Method::ResidualKMeans(residual), Collisions::Sinkhorn);
    let balanced = make(Method::BalancedKMeans(balanced), Collisions::ExtraLevel);
    let random = make(Method::Random(RandomCodes::default()), Collisions::None);
    let items = folder.join("items.jsonl.gz");
    let published = SemanticIds::read_published(&items, "sid_letter", &corpus, Collisions::None).unwrap();
    // What the source says: 24 items share their codes with another, at most three together.
    assert_eq!((published.codes_per_level(), published.health().largest_group), (&[256; 4][..], 3));
    assert!((published.health().collision_rate - 24.0 / 12_101.0).abs() < 1e-12);

    assert_eq!((residual.levels(), residual.health().collision_rate), (3, 0.0));
    for code in 0..256 {
        assert!(balanced.iter().filter(|id| id[0] == code).count() <= 12_101_usize.div_ceil(256));
    }
    let ids = [("residual", &residual), ("balanced", &balanced), ("random", &random), ("published", &published)];
    let start = Instant::now();
    let table = compare(&ids, Some(&embeddings)).unwrap();
    eprintln!("{:.2?}\n{table}", start.elapsed());
    let [residual, balanced, random, published] = &table.rows[..] else { panic!("four rows") };
    for meaningful in [residual, balanced, published] {
        assert!(meaningful.neighbours > Some(0.1) && meaningful.reconstruction_error < random.reconstruction_error);
    }
    assert!(random.neighbours < Some(0.01) && balanced.neighbours < residual.neighbours);

    // Items that come later: the last hundred, coded by what was learned from all others.
    let dim = embeddings.dim();
    let (old, new) = embeddings.rows().split_at(12_001 * dim);
    let [old, new] = [old, new].map(|rows| ItemEmbeddings::new(dim, rows.to_vec()).unwrap());
    let ids =
        SemanticIds::assign(&old, &ResidualKMeans { codes: 32, iterations: 1, ..ResidualKMeans::default() }).unwrap();
    let more = ids.assign_new(&new).unwrap();
    assert_eq!((more.len(), more.codes_per_level()), (12_101, ids.codes_per_level()));
    assert!(ids.iter().eq(more.iter().take(12_001)) && more.check_unique().is_ok());
}

#[test]
fn beauty_that_was_prepared_has_the_same_users_and_titles() {
    let Some(folder) = folder() else { return };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("beauty");
    let source = Source::new(Kind::S3Rec, folder.join("sequences.txt.gz")).items(folder.join("items.jsonl.gz"));
    let prepared = source.prepare(&Options::default(), &out, &mut |_| {}).unwrap();
    assert_eq!((prepared.times, prepared.counts.untitled_items), (Times::Positions, 7));

    let (corpus, _) = Corpus::read_jsonl(&out.join(INTERACTIONS), &out.join(ITEMS), OnBadRow::Fail).unwrap();
    let direct = read(&folder);
    assert_eq!(corpus.users, direct.users);
    let words = |title: &str| title.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert!(corpus.items.iter().zip(&direct.items).all(|(a, b)| a.id == b.id && words(&a.title) == words(&b.title)));
    let report = check(&out).unwrap();
    assert_eq!((report.leakage.held_out, report.repeats, report.ties), (22_363, 0, None));
}

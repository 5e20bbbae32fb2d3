use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{Error, Result};

const ITEMS: &str =
    "{\"id\": 2, \"title\": \"Soap\", \"brand\": \"Acme\", \"attr\": [1]}\n{\"id\": 1}\n{\"id\": \"3\"}\n";

struct Files {
    dir: TempDir,
}

impl Files {
    fn new(rows: &str, items: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("rows"), rows).unwrap();
        fs::write(dir.path().join("items"), items).unwrap();
        Self { dir }
    }

    fn paths(&self) -> [PathBuf; 2] {
        ["rows", "items"].map(|name| self.dir.path().join(name))
    }

    fn sequences(&self, on_bad: OnBadRow) -> Result<(Corpus, ReadReport)> {
        let [rows, items] = self.paths();
        Corpus::read_sequences(&rows, &items, on_bad)
    }

    fn jsonl(&self, on_bad: OnBadRow) -> Result<(Corpus, ReadReport)> {
        let [rows, items] = self.paths();
        Corpus::read_jsonl(&rows, &items, on_bad)
    }
}

/// Asserts that reading fails at `at` (file and line) with `reason`, and that skipping leaves out just that row.
fn assert_bad(read: impl Fn(OnBadRow) -> Result<(Corpus, ReadReport)>, at: &str, reason: &str) {
    let error = read(OnBadRow::Fail).unwrap_err();
    assert!(matches!(error, Error::Row { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains(at) && message.contains(reason), "{message}");
    let (_, report) = read(OnBadRow::Skip).unwrap();
    assert_eq!((report.skipped, report.first), (1, Some(message)));
}

fn histories(corpus: &Corpus) -> Vec<(&str, &[u32])> {
    corpus.users.iter().map(|user| (user.id.as_str(), &user.history[..])).collect()
}

#[test]
fn sequences_index_items_by_their_number() {
    let (corpus, report) = Files::new("7 1 2 3\nann 3 3\n", ITEMS).sequences(OnBadRow::Fail).unwrap();
    assert_eq!(histories(&corpus), [("7", &[0, 1, 2][..]), ("ann", &[2, 2][..])]);
    assert_eq!(corpus.items.iter().map(|item| item.id.as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!((corpus.items[1].title.as_str(), corpus.items[0].title.as_str()), ("Soap", ""));
    assert_eq!(corpus.items[1].fields, BTreeMap::from([("brand".to_owned(), "Acme".to_owned())]));
    assert_eq!(report, ReadReport { rows: 5, skipped: 0, first: None });
    assert_eq!(corpus.interactions(), 5);
}

#[test]
fn every_bad_sequence_row_is_named() {
    for (row, reason) in [
        ("b 1 x", "\"x\" is not an item id"),
        ("b 1 2.5", "\"2.5\" is not an item id"),
        ("b -1", "\"-1\" is not an item id"),
        ("b 0 1", "item id 0"),
        ("b 1 4", "item \"4\" is not in the item file"),
        ("a 1", "user \"a\" appears twice"),
        ("b", "user \"b\" has no items"),
    ] {
        let files = Files::new(&format!("a 1 2\n{row}\nc 3\n"), ITEMS);
        assert_bad(|on_bad| files.sequences(on_bad), "rows:2", reason);
        assert_eq!(histories(&files.sequences(OnBadRow::Skip).unwrap().0), [("a", &[0, 1][..]), ("c", &[2][..])]);
    }
}

#[test]
fn every_bad_item_row_is_named() {
    for (row, reason) in [
        ("{\"id\": 4", "malformed JSON"),
        ("[4]", "not a JSON array"),
        ("{\"title\": \"x\"}", "no `id` among the columns title"),
        ("{\"id\": null}", "item id must be"),
        ("{\"id\": 4.5}", "item id must be"),
        ("{\"id\": \"\"}", "the item id is empty"),
        ("{\"id\": 4, \"title\": 5}", "title must be a string"),
        ("{\"id\": 3}", "item id \"3\" appears twice"),
    ] {
        let files = Files::new("", &format!("{ITEMS}{row}\n"));
        assert_bad(|on_bad| files.jsonl(on_bad), "items:4", reason);
        assert_bad(|on_bad| files.sequences(on_bad), "items:4", reason);
    }
    let files = Files::new("a 1\n", &format!("{ITEMS}{{\"id\": \"B001\"}}\n"));
    assert_bad(|on_bad| files.sequences(on_bad), "items:4", "\"B001\" is not an item id");
}

#[test]
fn interactions_are_ordered_by_time_and_ties_by_row() {
    let rows = r#"{"user": "b", "item": 2, "time": 30}
        {"user": 1, "item": "1", "time": 5}
        {"user": "b", "item": 3, "time": -2.5}
        {"user": "b", "item": 1, "time": 30}"#;
    let (corpus, _) = Files::new(rows, ITEMS).jsonl(OnBadRow::Fail).unwrap();
    assert_eq!(histories(&corpus), [("b", &[2, 0, 1][..]), ("1", &[1][..])]);
}

#[test]
fn without_times_rows_are_in_time_order() {
    let rows = "{\"user\":\"u\",\"item\":3}\n{\"user\":\"u\",\"item\":1}\n{\"user\":\"u\",\"item\":3}\n";
    let (corpus, _) = Files::new(rows, ITEMS).jsonl(OnBadRow::Fail).unwrap();
    assert_eq!(histories(&corpus), [("u", &[2, 1, 2][..])]);
}

#[test]
fn every_bad_interaction_is_named() {
    for (row, reason) in [
        ("{\"user\": \"u\"", "malformed JSON"),
        ("{\"user\": \"u\", \"time\": 1}", "no `item` among the columns "),
        ("{\"user\": true, \"item\": 1, \"time\": 1}", "user id must be"),
        ("{\"user\": \"u\", \"item\": {}, \"time\": 1}", "item id must be"),
        ("{\"user\": \"u\", \"item\": \"9\", \"time\": 1}", "item \"9\" is not in the item file"),
        ("{\"user\": \"u\", \"item\": 1, \"time\": \"noon\"}", "time \"noon\" is neither a number"),
        ("{\"user\": \"u\", \"item\": 1}", "`time` must be on every row or on none"),
    ] {
        let files = Files::new(&format!("{{\"user\": \"u\", \"item\": 2, \"time\": 0}}\n{row}\n"), ITEMS);
        assert_bad(|on_bad| files.jsonl(on_bad), "rows:2", reason);
        assert_eq!(histories(&files.jsonl(OnBadRow::Skip).unwrap().0), [("u", &[0][..])]);
    }
}

#[test]
fn a_missing_file_is_never_skipped() {
    let files = Files::new("", "");
    let missing = files.dir.path().join("absent.txt");
    for error in [
        Corpus::read_sequences(&missing, &files.paths()[1], OnBadRow::Skip).unwrap_err(),
        Corpus::read_jsonl(&files.paths()[0], &missing, OnBadRow::Skip).unwrap_err(),
    ] {
        assert!(error.to_string().contains("absent.txt") && error.to_string().contains("--data DIR"), "{error}");
    }
}

#[test]
fn a_history_beyond_the_items_cannot_be_written() {
    let corpus = Corpus { items: vec![], users: vec![User { id: "u".into(), history: vec![0] }] };
    let error = corpus.write_jsonl(tempfile::tempdir().unwrap().path()).unwrap_err();
    assert!(error.to_string().contains("item 0 of 0 items"), "{error}");
}

#[test]
fn the_digest_sees_every_part() {
    let corpus = Files::new("a 1 2\nb 3\n", ITEMS).sequences(OnBadRow::Fail).unwrap().0;
    let mut digests = vec![corpus.digest()];
    for change in [
        |c: &mut Corpus| c.items[0].title.push('x'),
        |c: &mut Corpus| drop(c.items[1].fields.insert("brand".into(), "Bcme".into())),
        |c: &mut Corpus| c.users[0].history.swap(0, 1),
        |c: &mut Corpus| c.users.swap(0, 1),
        |c: &mut Corpus| c.users[1].id.push('b'),
    ] {
        let mut changed = corpus.clone();
        change(&mut changed);
        digests.push(changed.digest());
    }
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 6);
}

prop_compose! {
    fn corpora()(titles in prop::collection::vec(".{0,12}", 1..6))(
        histories in prop::collection::vec(prop::collection::vec(0..titles.len() as u32, 1..8), 0..5),
        titles in Just(titles),
    ) -> Corpus {
        let items = titles.into_iter().enumerate().map(|(i, title)| {
            let title = title.trim().to_owned();
            let shout = Some(title.to_uppercase()).filter(|shout| !shout.trim().is_empty());
            let fields = shout.into_iter().map(|shout| ("shout".to_owned(), shout.trim().to_owned())).collect();
            Item { id: format!("B{i}"), fields, title }
        });
        let users = histories.into_iter().enumerate().map(|(u, history)| User { id: format!("u {u}"), history });
        Corpus { items: items.collect(), users: users.collect() }
    }
}

proptest! {
    #[test]
    fn what_was_written_reads_the_same(corpus in corpora()) {
        let dir = tempfile::tempdir().unwrap();
        corpus.write_jsonl(dir.path()).unwrap();
        let [rows, items] = ["interactions.jsonl", "items.jsonl"].map(|name| dir.path().join(name));
        let (read, report) = Corpus::read_jsonl(&rows, &items, OnBadRow::Fail).unwrap();
        prop_assert_eq!(report.rows, corpus.items.len() + corpus.interactions());
        prop_assert_eq!(read.digest(), corpus.digest());
        prop_assert_eq!(read, corpus);
    }
}

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{Corpus, OnBadRow};

/// No ties are shuffled, so that the order is that of the files.
fn plain() -> Options {
    Options { ties: None, ..Options::default() }
}

fn fixture(path: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../testdata/corpora", path].iter().collect()
}

fn prepare(source: &Source, options: &Options) -> Result<(Prepared, Corpus)> {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let result = source.prepare(options, &out, &mut |_| {});
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, result.as_ref().map_or(vec![], |_| vec!["out"]), "all is written or nothing");
    let prepared = result?;
    let (corpus, read) = Corpus::read_jsonl(&out.join(INTERACTIONS), &out.join(ITEMS), OnBadRow::Fail).unwrap();
    let counts = &prepared.counts;
    assert_eq!(read.rows as u64, counts.interactions + counts.items);
    assert_eq!((corpus.users.len() as u64, corpus.items.len() as u64), (counts.users, counts.items));
    let text = fs::read_to_string(out.join(PREPARED)).unwrap();
    assert_eq!(serde_json::from_str::<Prepared>(&text).unwrap(), prepared);
    assert_eq!(check(&out).unwrap().changed, [""; 0]);
    Ok((prepared, corpus))
}

/// A source of one file, and perhaps one of items, in a folder of its own.
struct Files {
    dir: TempDir,
    source: Source,
}

impl Files {
    fn new(kind: Kind, name: &str, rows: impl AsRef<[u8]>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(name), rows).unwrap();
        let source = Source::new(kind, dir.path().join(name));
        Self { dir, source }
    }

    fn items(self, name: &str, rows: impl AsRef<[u8]>) -> Self {
        let path = self.dir.path().join(name);
        fs::write(&path, rows).unwrap();
        Self { source: self.source.items(path), ..self }
    }

    fn prepare(&self, options: &Options) -> Result<(Prepared, Corpus)> {
        prepare(&self.source, options)
    }

    fn why(&self) -> String {
        self.prepare(&plain()).unwrap_err().to_string()
    }
}

/// Users with the titles of their items, oldest first.
fn histories(corpus: &Corpus) -> Vec<(&str, Vec<&str>)> {
    let titles = |history: &[u32]| history.iter().map(|&item| corpus.items[item as usize].title.as_str()).collect();
    corpus.users.iter().map(|user| (user.id.as_str(), titles(&user.history))).collect()
}

fn sources() -> Vec<Source> {
    let with = |kind, rows: &str, items: &str| Source::new(kind, fixture(rows)).items(fixture(items));
    let named = |name: &str| Some(name.to_owned());
    let columns = Columns {
        user: named("who"),
        item: named("what"),
        time: named("when"),
        rating: named("stars"),
        title: named("name"),
    };
    vec![
        with(Kind::Amazon2014, "amazon_2014/reviews.json", "amazon_2014/meta.json"),
        with(Kind::Amazon2018, "amazon_2018/reviews.jsonl", "amazon_2018/meta.jsonl"),
        with(Kind::Amazon2023, "amazon_2023/reviews.jsonl", "amazon_2023/meta.jsonl"),
        Source::new(Kind::Movielens, fixture("movielens/100k")),
        Source::new(Kind::Movielens, fixture("movielens/1m")),
        Source::new(Kind::Movielens, fixture("movielens/latest")),
        Source::new(Kind::Recbole, fixture("recbole")),
        Source::new(Kind::Recbole, fixture("recbole/shop.inter")),
        with(Kind::S3Rec, "s3_rec/sequences.txt", "s3_rec/items.jsonl"),
        Source { columns, ..with(Kind::Jsonl, "own/shop.jsonl", "own/items.jsonl") },
        with(Kind::Csv, "own/shop.csv", "own/items.csv"),
    ]
}

#[test]
fn every_kind_gives_the_same_shop() {
    for source in sources() {
        let (prepared, corpus) = prepare(&source, &plain()).unwrap_or_else(|error| panic!("{source:?}: {error}"));
        let histories: Vec<_> = histories(&corpus).into_iter().map(|(_, titles)| titles).collect();
        let expected = [
            vec!["Green tea", "It's a cup", "Café soap"],
            vec!["It's a cup", "Green tea", "Café soap"],
            vec!["Green tea"],
        ];
        assert_eq!(histories, expected, "{source:?}");
        let counts = &prepared.counts;
        assert_eq!((counts.interactions, counts.short_users, counts.other_items), (7, 1, 1), "{source:?}");
        assert_eq!((counts.untitled_items, counts.unknown_items), (0, 0));
        let (tied, times) = match source.kind {
            Kind::S3Rec => (0, Times::Positions),
            Kind::Amazon2023 => (2, Times::Recorded),
            _ => (2, Times::Days),
        };
        assert_eq!((counts.tied, prepared.times), (tied, times), "{source:?}");
        assert_eq!(prepared.files.iter().map(|file| file.bytes).sum::<u64>(), source.bytes().unwrap());
    }
}

#[test]
fn other_texts_are_kept_where_a_source_has_them() {
    let fields = |source: &Source| {
        let (_, corpus) = prepare(source, &plain()).unwrap();
        let tea = corpus.items.iter().find(|item| item.title == "Green tea").unwrap();
        tea.fields.iter().map(|(name, text)| format!("{name}={text}")).collect::<Vec<_>>().join("; ")
    };
    let expected = [
        "brand=Leaf; category=Food > Tea & more",
        "brand=Leaf; category=Food > Tea & more",
        "brand=Leaf; category=Food > Tea & more",
        "genres=Comedy, Drama",
        "genres=Comedy, Drama",
        "genres=Comedy, Drama",
        "genre=Comedy, Drama",
        "genre=Comedy, Drama",
        "brand=Leaf",
        "brand=Leaf",
        "brand=Leaf",
    ];
    assert_eq!(sources().iter().map(fields).collect::<Vec<_>>(), expected);
}

#[test]
fn the_first_row_of_an_item_holds() {
    let (prepared, _) = prepare(&sources()[1], &plain()).unwrap();
    assert_eq!(prepared.counts.repeated_items, 1);
}

#[test]
fn the_full_reviews_of_2014_are_python_too() {
    let review =
        "{'reviewerID': 'ann', 'asin': 'tea', 'overall': 5.0, 'summary': \"it's\", 'unixReviewTime': 1400025600}";
    let (prepared, corpus) = Files::new(Kind::Amazon2014, "r.json", review).prepare(&plain()).unwrap();
    assert_eq!((corpus.users[0].id.as_str(), corpus.items[0].id.as_str()), ("ann", "tea"));
    assert_eq!((prepared.counts.untitled_items, prepared.counts.unknown_items), (1, 0));
}

#[test]
fn compressed_files_read_the_same_and_have_their_digests() {
    let text = fs::read(fixture("own/shop.csv")).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&text).unwrap();
    let gz = Files::new(Kind::Csv, "shop.csv.gz", encoder.finish().unwrap());
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(&text).unwrap();
    let bz2 = Files::new(Kind::Csv, "shop.csv.bz2", encoder.finish().unwrap());
    let bare = Files::new(Kind::Csv, "shop.csv", &text);
    let digests = [&gz, &bz2, &bare].map(|files| {
        let prepared = files.prepare(&plain()).unwrap().0;
        let bytes = fs::read(&files.source.path).unwrap();
        let expected = crate::corpus::hex(&<sha2::Sha256 as sha2::Digest>::digest(&bytes));
        assert_eq!((prepared.files[0].bytes, &prepared.files[0].sha256), (bytes.len() as u64, &expected));
        prepared.digests
    });
    assert!(digests[0] == digests[1] && digests[1] == digests[2]);
}

#[test]
fn progress_ends_at_the_size_of_the_files() {
    let rows: String = (0..20_000).map(|i| format!("u{},i{},{i}\n", i % 99, i % 7)).collect();
    let files = Files::new(Kind::Csv, "r.csv", format!("user,item,time\n{rows}"));
    let mut told = Vec::new();
    files.source.prepare(&plain(), &files.dir.path().join("out"), &mut |bytes| told.push(bytes)).unwrap();
    assert!(told.len() > 4 && told.is_sorted());
    assert_eq!(told.last(), Some(&files.source.bytes().unwrap()));
}

#[test]
fn a_file_that_is_cut_off_says_where() {
    let rows: String = (0..50_000).map(|i| format!("u{},i{},{i}\n", i * 7919 % 9973, i * 31 % 997)).collect();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    write!(encoder, "user,item,time\n{rows}").unwrap();
    let mut bytes = encoder.finish().unwrap();
    bytes.truncate(bytes.len() / 2);
    let files = Files::new(Kind::Csv, "cut.csv.gz", bytes);
    for on_bad in [OnBadRow::Fail, OnBadRow::Skip] {
        let why = files.prepare(&Options { on_bad, ..plain() }).unwrap_err().to_string();
        assert!(why.contains("cut.csv.gz: line ") && why.contains("cut off or damaged"), "{why}");
    }
}

/// Asserts that the last row of `rows` is bad for `reason`, and that skipping leaves out just that one.
fn assert_bad(kind: Kind, rows: &[u8], line: usize, reason: &str) {
    let files = Files::new(kind, "rows", rows);
    let why = files.why();
    assert!(why.contains(&format!("rows:{line}: ")) && why.contains(reason), "{why}");
    let (prepared, _) = files.prepare(&Options { on_bad: OnBadRow::Skip, ..plain() }).unwrap();
    assert_eq!((prepared.read.skipped, prepared.read.rows, prepared.read.first), (1, 2, Some(why)));
    assert_eq!(prepared.counts.interactions, 1);
}

#[test]
fn every_bad_review_is_named() {
    let good = r#"{"reviewerID": "a", "asin": "b", "unixReviewTime": 1, "overall": 5}"#;
    for (row, reason) in [
        ("{\"reviewerID\": \"a\"", "malformed JSON"),
        ("{'reviewerID': 'a', 'asin': ", "malformed JSON"),
        (r#"{"asin": "b", "unixReviewTime": 1}"#, "missing field `reviewerID`"),
        (r#"{"reviewerID": "a", "unixReviewTime": 1}"#, "missing field `asin`"),
        (r#"{"reviewerID": "a", "asin": "b"}"#, "missing field `unixReviewTime`"),
        (r#"{"reviewerID": "", "asin": "b", "unixReviewTime": 1}"#, "the user id is empty"),
        (r#"{"reviewerID": "a", "asin": " ", "unixReviewTime": 1}"#, "the item id is empty"),
        (r#"{"reviewerID": "a", "asin": "b", "unixReviewTime": "noon"}"#, "time \"noon\" is neither a number"),
        (r#"{"reviewerID": "a", "asin": "b", "unixReviewTime": 99999999999999999999}"#, "is neither a number"),
        (r#"{"reviewerID": "a", "asin": "b", "unixReviewTime": 1e999}"#, "malformed JSON"),
        (r#"{"reviewerID": "a", "asin": "b", "unixReviewTime": 1, "overall": "good"}"#, "rating \"good\" is no number"),
    ] {
        for kind in [Kind::Amazon2014, Kind::Amazon2018] {
            assert_bad(kind, format!("{good}\n{row}\n").as_bytes(), 2, reason);
        }
    }
    assert_bad(Kind::Amazon2018, &[good.as_bytes(), b"\n\n{\"reviewerID\": \"caf\xE9\"}"].concat(), 3, "invalid utf-8");
}

#[test]
fn every_bad_row_of_ones_own_is_named() {
    let json = r#"{"user": 1, "item": "b", "time": 1}"#;
    for (row, reason) in [
        (r#"{"user": 1.5, "item": "b", "time": 1}"#, "user id must be"),
        (r#"{"user": 18446744073709551616, "item": "b", "time": 1}"#, "user id is about 1.8446744073709552e19"),
        (r#"{"user": 1, "time": 1}"#, "no `item` among the columns "),
        (r#"{"user": 1, "item": "b", "time": [1]}"#, "time \"[1]\" is neither a number"),
        (r#"{"user": 1, "item": "b"}"#, "a time must be on every row or on none"),
        (r#"{"user": 1, "item": "b", "time": 1, "rating": "x"}"#, "rating \"x\""),
    ] {
        assert_bad(Kind::Jsonl, format!("{json}\n{row}").as_bytes(), 2, reason);
    }
    for (row, reason) in [
        ("a,b", "2 fields where 4 are named"),
        (",b,1,", "the user id is empty"),
        ("a,b,9223372036854775808,", "is neither a number"),
        ("a,b,1,good", "rating \"good\" is no number"),
        ("a,\"b,1,", "a quotation mark is not closed"),
        ("a,\"b\"x,1,", "something stands behind"),
    ] {
        assert_bad(Kind::Csv, format!("user,item,time,rating\n\na,b,1,\n{row}\n").as_bytes(), 4, reason);
    }
    // Only the line of the open mark is bad.
    let open = Files::new(Kind::Csv, "r", "user,item,time\na,\"b,1\n\na,b,2\na,c,3\n");
    let (prepared, _) = open.prepare(&Options { on_bad: OnBadRow::Skip, ..plain() }).unwrap();
    assert_eq!((prepared.read.skipped, prepared.counts.interactions), (1, 2));
    for (row, reason) in
        [("ann 1 x", "\"x\" is not an item id"), ("ann 99999999999", "is not an item id"), ("ann", "no items")]
    {
        assert_bad(Kind::S3Rec, format!("bob 1\n{row}").as_bytes(), 2, reason);
    }
    assert_bad(Kind::S3Rec, b"bob 1\nbob 2", 2, "user \"bob\" appears twice");
}

#[test]
fn every_bad_item_is_named() {
    let review = r#"{"reviewerID": "a", "asin": "b", "unixReviewTime": 1}"#;
    for (row, reason) in [
        ("{'asin': 'b', 'title': f('x')}", "malformed Python literal: unexpected \"f\" at byte 23"),
        ("['b']", "a dict is expected"),
        ("{'title': 'x'}", "missing field `asin`"),
        ("{'asin': 'b', 'title': 5}", "title must be a string, not 5"),
    ] {
        let files = Files::new(Kind::Amazon2014, "reviews", review).items("meta", format!("{{'asin': 'c'}}\n{row}\n"));
        let why = files.why();
        assert!(why.contains("meta:2: ") && why.contains(reason), "{why}");
        let (prepared, _) = files.prepare(&Options { on_bad: OnBadRow::Skip, ..plain() }).unwrap();
        assert_eq!((prepared.read.skipped, prepared.counts.unknown_items), (1, 1));
    }
    let csv = Files::new(Kind::Csv, "rows", "user,item,time\na,b,1\n").items("items", "id,title\nb,x,y\n");
    assert!(csv.why().contains("items:2: 3 fields where 2 are named"), "{}", csv.why());
    let json = Files::new(Kind::Jsonl, "rows", r#"{"user": 1, "item": 2, "title": 3}"#);
    assert!(json.why().contains("rows:1: title must be a string, not 3"), "{}", json.why());
}

#[test]
fn a_header_is_never_skipped() {
    let skip = Options { on_bad: OnBadRow::Skip, ..plain() };
    let why = |files: &Files| files.prepare(&skip).unwrap_err().to_string();
    let files = Files::new(Kind::Csv, "r", "user,what,time\na,b,1\n");
    assert!(why(&files).contains("r:1: no `item` among the columns user, what, time: "), "{}", why(&files));
    assert!(why(&Files::new(Kind::Csv, "r", "\n")).contains("its first line must name the columns"));
    let files = Files::new(Kind::Recbole, "x.inter", "user_id\titem_id:token\n");
    assert!(why(&files).contains("x.inter:1: column \"user_id\" has no type"), "{}", why(&files));
    let files = Files::new(Kind::Recbole, "x.inter", "user_id:id\titem_id:token\n");
    assert!(why(&files).contains("is of no type of RecBole"));
    let mut files = Files::new(Kind::Csv, "r", "user,item\na,b\n");
    files.source.columns.time = Some("when".into());
    assert!(why(&files).contains("no `when` among the columns user, item: "));
}

#[test]
fn a_folder_without_the_files_says_what_is_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let why = |kind| prepare(&Source::new(kind, dir.path()), &plain()).unwrap_err().to_string();
    assert!(why(Kind::Movielens).contains("no u.data, ratings.dat or ratings.csv"));
    assert!(why(Kind::Recbole).contains("no .inter file"));
    for name in ["a.inter", "b.inter"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    assert!(why(Kind::Recbole).contains("2 .inter files"));
    assert!(Source::new(Kind::Csv, dir.path().join("absent")).bytes().is_err());
}

#[test]
fn nothing_is_written_over() {
    let files = Files::new(Kind::Csv, "r", "user,item,time\na,b,1\n");
    let why = files.source.prepare(&plain(), files.dir.path(), &mut |_| {}).unwrap_err().to_string();
    assert!(why.contains("not empty; remove it"), "{why}");
    let empty = tempfile::tempdir().unwrap();
    files.source.prepare(&plain(), empty.path(), &mut |_| {}).unwrap();
    assert!(empty.path().join(PREPARED).is_file());
}

#[test]
fn what_leaves_nothing_says_so() {
    let files = Files::new(Kind::Csv, "r", "user,item,time,rating\na,b,1,2\na,c,x,2\n");
    let options = Options { on_bad: OnBadRow::Skip, min_rating: Some(3.0), ..plain() };
    let why = files.prepare(&options).unwrap_err().to_string();
    assert!(
        why.contains("no interaction is left of 2 rows: 1 skipped, the first for") && why.contains("1 below"),
        "{why}"
    );
    let why = files.prepare(&Options { moment: 0, ..plain() }).unwrap_err().to_string();
    assert!(why.contains("moment must be at least 1"));
}

/// By hand. The rating leaves out one row, then one is a duplicate and one a repeat; of a core of two remain two users
/// with tea and cup.
#[test]
fn options_take_their_steps_in_order() {
    let rows = "user,item,time,rating,title\na,tea,1,5,Tea\na,tea,1,4,Tea\na,tea,9,5,Tea\na,cup,2,5,Cup\n\
                b,cup,3,3,Cup\nb,tea,4,3,Tea\nb,soap,5,3,Soap\nb,kite,6,2,Kite\nc,soap,1,5,Soap\n";
    let options = Options { min_rating: Some(3.0), repeats: Repeats::First, core: 2, ..plain() };
    let (prepared, corpus) = Files::new(Kind::Csv, "r", rows).prepare(&options).unwrap();
    assert_eq!(histories(&corpus), [("a", vec!["Tea", "Cup"]), ("b", vec!["Cup", "Tea"])]);
    let expected = Counts {
        below_rating: 1,
        duplicates: 1,
        repeats: 1,
        outside_core: 2,
        users_left_out: 1,
        items_left_out: 1,
        users: 2,
        items: 2,
        interactions: 4,
        short_users: 2,
        ..Counts::default()
    };
    assert_eq!(prepared.counts, expected);
    let why = Files::new(Kind::Csv, "r", "user,item,time\na,b,1\n").prepare(&options).unwrap_err().to_string();
    assert!(why.contains("r:2: no rating, but a least rating is asked for"), "{why}");
}

#[test]
fn ties_are_shuffled_whatever_the_order_of_the_file() {
    let row = |user: &str, item: u32, time: u32| format!("{user},{item},{time},{item}\n");
    let of = |user: &str, time: u32| (0..9).map(|item| row(user, item, time + item % 2)).collect::<Vec<_>>();
    let titles = |rows: Vec<String>, options: &Options| {
        let files = Files::new(Kind::Csv, "r", format!("user,item,time,title\n{}", rows.concat()));
        let (prepared, corpus) = files.prepare(options).unwrap();
        let user = corpus.users.iter().find(|user| user.id == "ann").unwrap();
        let titles: String = user.history.iter().map(|&item| corpus.items[item as usize].title.as_str()).collect();
        (titles, prepared.counts.tied)
    };
    let [first, second] = [1, 2].map(|seed| Options { moment: 10, ties: Some(seed), ..Options::default() });
    let (order, tied) = titles(of("ann", 20), &first);
    assert_eq!(tied, 9);
    assert_eq!(titles(of("ann", 20), &plain()), ("024681357".to_owned(), 9));
    assert_eq!(titles(of("ann", 20), &Options { moment: 10, ..plain() }).0, "012345678");
    assert_ne!(order, "012345678");
    let reversed = of("ann", 20).into_iter().rev().collect();
    assert_eq!(titles(reversed, &first).0, order);
    assert_eq!(titles([of("bob", 20), of("ann", 20)].concat(), &first), (order.clone(), 18));
    assert_ne!(titles(of("ann", 20), &second).0, order);
}

#[test]
fn without_times_rows_are_in_time_order() {
    let (prepared, corpus) = Files::new(Kind::Csv, "r", "user,item,title\na,2,B\nb,1,A\na,1,A\na,2,B\n")
        .prepare(&Options::default())
        .unwrap();
    assert_eq!(histories(&corpus), [("a", vec!["B", "A", "B"]), ("b", vec!["A"])]);
    assert_eq!((prepared.times, prepared.counts.duplicates), (Times::Positions, 0));
}

#[test]
fn a_check_sees_what_was_changed_since() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    sources()[0].prepare(&Options::default(), &out, &mut |_| {}).unwrap();
    let report = check(&out).unwrap();
    assert_eq!((report.users, report.items, report.interactions), (3, 3, 7));
    assert_eq!((report.times, report.ties.unwrap().shuffled), (Some(Times::Days), Some(true)));
    assert_eq!(report.text.fields["brand"], 1);
    let mut rows = fs::read_to_string(out.join(INTERACTIONS)).unwrap();
    rows.push_str("{\"user\": \"dan\", \"item\": \"unheard\", \"time\": 1}\n");
    fs::write(out.join(INTERACTIONS), rows).unwrap();
    let report = check(&out).unwrap();
    assert_eq!((report.changed, report.read.skipped), (vec![INTERACTIONS.to_owned()], 1));
    fs::write(out.join(PREPARED), "{}").unwrap();
    assert!(check(&out).unwrap_err().to_string().contains("prepared.json: "));
}

#[test]
fn what_is_shown_reads_like_this() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let prepared = sources()[0].prepare(&Options::default(), &out, &mut |_| {}).unwrap();
    let expected = expect_test::expect![[r#"
        users: 3, items: 3, interactions: 7
        rows that cannot be used: 0 of 10
        interactions of a user: 1 at least, 3 in the middle, 3 at most
        interactions of an item that was met: 2 at least, 2 in the middle, 3 at most
        users with fewer than 3 interactions, of whom nothing is held out: 1
        items that nobody met: 0
        items with a title: 3 of 3
        items with `brand`: 1 of 3
        items with `category`: 1 of 3
        items without any text: 0
        interactions with an item that the user met before: 0
        leave one out: 0 of 2 test items were met before by the user
        leave one out: 2 of 2 test targets are earlier than the end of training
        temporal split at 80% and 90%: 5 interactions train, 0 of them not before the test; targets to validate: 1, to test: 0
        duplicates, of the same user, item and time: 0
        interactions that tie with another of the user: 28.6% (times are only true to the day)
        users whose validation and test targets tie: 0.0%; ties were shuffled when the data was prepared
    "#]];
    expected.assert_eq(&check(&out).unwrap().to_string());
    let expected = expect_test::expect![[r#"
        users: 3, items: 3, interactions: 7
        rows that cannot be used: 0 of 11
        items of the item file that nobody met or that are left out: 1
        users with fewer than three interactions, of whom nothing is held out: 1
        interactions that tie with another of the user: 2 (times are only true to the day), shuffled
    "#]];
    expected.assert_eq(&prepared.to_string());
}

/// 300,000 interactions of 20,000 users in no order: all come out.
#[test]
fn a_larger_file_comes_through() {
    let rows = (0..300_000_u64).map(|i| {
        let (user, item, time) = (i * 7919 % 20_000, i * 104_729 % 5003, i * 48_271 % 1_000_003);
        format!("{user}\t{item}\t{time}\n")
    });
    let header = "user_id:token\titem_id:token\ttimestamp:float\n".to_owned();
    let files = Files::new(Kind::Recbole, "x.inter", std::iter::once(header).chain(rows).collect::<String>());
    let (prepared, corpus) = files.prepare(&Options { core: 5, ..Options::default() }).unwrap();
    assert_eq!((prepared.counts.users, prepared.counts.items, corpus.interactions()), (20_000, 5003, 300_000));
    assert_eq!(size_of::<Interaction>(), 16);
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_on_any_bytes(bytes in bytes(), near in "[0-9a,\"\t:|{}'\n ]{0,120}") {
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Movielens) {
            for on_bad in [OnBadRow::Fail, OnBadRow::Skip] {
                let header = if kind == Kind::Csv { "user,item\n" } else { "" };
                let rows = [header.as_bytes(), near.as_bytes(), b"\n", &bytes].concat();
                let files = Files::new(kind, "x.inter", &rows).items("items", &rows);
                let _ = files.prepare(&Options { on_bad, ..plain() });
            }
        }
    }

    #[test]
    fn no_folder_of_movielens_panics(bytes in bytes(), near in "[0-9:|\t,\"\n]{0,120}") {
        let rows = [near.as_bytes(), b"\n", &bytes].concat();
        for (ratings, movies) in [("u.data", "u.item"), ("ratings.dat", "movies.dat"), ("ratings.csv", "movies.csv")] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(ratings), &rows).unwrap();
            fs::write(dir.path().join(movies), &rows).unwrap();
            let _ = prepare(&Source::new(Kind::Movielens, dir.path()), &Options { on_bad: OnBadRow::Skip, ..plain() });
        }
    }

    #[test]
    fn a_core_is_the_largest(pairs in prop::collection::vec((0_u32..8, 0_u32..8), 0..60), least in 1_u32..4) {
        let all: Vec<_> = pairs.iter().map(|&(user, item)| Interaction { user, item, time: 0.0 }).collect();
        let mut core = all.clone();
        filter::core(&mut core, least, 8, 8);
        let [of_user, of_item] = filter::counts(&core, 8, 8);
        prop_assert!(of_user.iter().chain(&of_item).all(|&count| count == 0 || count >= least));
        // Peeling one row at a time comes to the same.
        let mut peeled = all;
        while let Some(at) = {
            let [of_user, of_item] = filter::counts(&peeled, 8, 8);
            peeled.iter().position(|row| of_user[row.user as usize] < least || of_item[row.item as usize] < least)
        } {
            peeled.remove(at);
        }
        prop_assert_eq!(core, peeled);
    }
}

//! All readers agree: a shop is the same, however it is written.

use std::fmt::Write as _;
use std::fs;

use parquet::basic::Compression;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::input::parquet::tests::{Column, file, plain};
use crate::input::tests::{bzip2, gzip, utf16, zstd};
use crate::{Corpus, OnBadRow};

/// What a row says: the ids, the time and the title of the item.
#[derive(Debug, Clone)]
struct Met {
    user: String,
    item: String,
    time: f64,
    title: String,
}

prop_compose! {
    fn shop()(
        items in prop::collection::btree_map(
            "[1-9][0-9]{0,2}|00[0-9]|[a-zé☕_]{1,5}",
            "[A-Za-z,;|\"'é&☕]{1,9}( [a-z]{1,3})?",
            1..6,
        ),
        rows in prop::collection::vec(
            ("[1-9][0-9]?|ann|böb", any::<prop::sample::Index>(), 0..9_u32, 0..4_u32),
            1..20,
        ),
    ) -> Vec<Met> {
        let items: Vec<_> = items.into_iter().collect();
        let met = |(user, item, second, quarter): (String, prop::sample::Index, u32, u32)| {
            let (item, title) = items[item.index(items.len())].clone();
            Met { user, item, time: 1.6e9 + f64::from(second) + f64::from(quarter) / 4.0, title }
        };
        rows.into_iter().map(met).collect()
    }
}

/// An id as some writer has it.
fn spelled(id: &str, how: usize) -> String {
    let number = id.parse::<u32>().is_ok() && !id.starts_with('0');
    match how % 4 {
        1 if number => format!("{id}.0"),
        2 => format!(" {id} "),
        3 => unicode_normalization::UnicodeNormalization::nfd(id).collect(),
        _ => id.to_owned(),
    }
}

fn jsonl(rows: &[Met], how: usize) -> String {
    let id = |id: &str| match id.parse::<u32>() {
        Ok(number) if !id.starts_with('0') && how.is_multiple_of(2) => json!(number),
        Ok(number) if !id.starts_with('0') && how.is_multiple_of(3) => json!(f64::from(number)),
        _ => json!(spelled(id, how)),
    };
    let row = |row: &Met| match how % 2 {
        0 => json!({"user": id(&row.user), "item": id(&row.item), "time": row.time, "title": row.title}),
        _ => {
            let time = row.time.to_string();
            json!({"reviewerID": id(&row.user), "ASIN": id(&row.item), "timestamp": time, "Title": row.title})
        }
    };
    rows.iter().map(|met| row(met).to_string() + "\n").collect()
}

fn csv(rows: &[Met], separator: char, how: usize) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let names = [["user", "item", "time", "title"], ["User-ID", "ISBN", "Date", "name"]][how % 2];
    let mut text = names.join(&separator.to_string()) + "\n";
    for row in rows {
        let seconds = jiff::Timestamp::from_millisecond((row.time * 1e3) as i64).unwrap();
        let time = if how.is_multiple_of(2) { row.time.to_string() } else { seconds.to_string().replace('T', " ") };
        let fields = [spelled(&row.user, how), spelled(&row.item, how), time, quoted(&row.title)];
        writeln!(text, "{}", fields.join(&separator.to_string())).unwrap();
    }
    text
}

fn parquet(rows: &[Met], codec: Compression, how: usize) -> Vec<u8> {
    let text = |of: fn(&Met) -> &String| Column::Text(rows.iter().map(|row| Some(of(row).clone())).collect());
    let micros = rows.iter().map(|row| Some((row.time * 1e6) as i64)).collect();
    let (time, kind) = match how % 2 {
        0 => (Column::Double(rows.iter().map(|row| Some(row.time)).collect()), "double time"),
        _ => (Column::Long(micros), "int64 time (TIMESTAMP(MICROS,false))"),
    };
    let schema = format!(
        "optional binary user (UTF8); optional binary item (UTF8); optional {kind}; optional binary title (UTF8);"
    );
    let columns = [text(|row| &row.user), text(|row| &row.item), time, text(|row| &row.title)];
    file(&schema, &columns, plain().set_compression(codec))
}

/// Every way in which files differ without a difference.
fn disguised(text: &str) -> Vec<Vec<u8>> {
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let spread = format!("\n  \n{}\n\t\n", text.replace('\n', "\n\n"));
    let plain = [text.as_bytes().to_vec(), windows.clone().into_bytes(), spread.into_bytes()];
    let packed = [gzip(text.as_bytes()), bzip2(text.as_bytes()), zstd(windows.as_bytes())];
    let wide = [utf16(text, false, true), utf16(text, true, true), gzip(&utf16(&windows, false, false))];
    [plain.to_vec(), packed.to_vec(), wide.to_vec()].concat()
}

/// The corpus that comes of a file, by what `prepare` writes.
fn prepared(kind: Kind, bytes: &[u8]) -> Corpus {
    let dir = tempfile::tempdir().unwrap();
    // The name says nothing.
    let (path, out) = (dir.path().join("rows.gz"), dir.path().join("out"));
    fs::write(&path, bytes).unwrap();
    let source = Source::new(kind, &path);
    source.prepare(&Options::default(), &out, &mut |_| {}).unwrap_or_else(|error| panic!("{kind}: {error}"));
    Corpus::read_jsonl(&out.join(INTERACTIONS), &out.join(ITEMS), OnBadRow::Fail).unwrap().0
}

/// Users with the ids of their items, of a corpus that is read without being prepared.
fn direct(rows: &[u8], items: &[u8]) -> Vec<(String, Vec<String>)> {
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = [("a", rows), ("b", items)].map(|(name, bytes)| (dir.path().join(name), bytes));
    fs::write(&one.0, one.1).unwrap();
    fs::write(&two.0, two.1).unwrap();
    histories(&Corpus::read_jsonl(&one.0, &two.0, OnBadRow::Fail).unwrap().0)
}

fn histories(corpus: &Corpus) -> Vec<(String, Vec<String>)> {
    let ids = |history: &[u32]| history.iter().map(|&item| corpus.items[item as usize].id.clone()).collect();
    corpus.users.iter().map(|user| (user.id.clone(), ids(&user.history))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]

    #[test]
    fn a_shop_is_the_same_however_it_is_written(rows in shop()) {
        let expected = prepared(Kind::Jsonl, jsonl(&rows, 0).as_bytes());
        let mut all: Vec<(Kind, Vec<u8>)> = Vec::new();
        for how in 0..4 {
            all.extend(disguised(&jsonl(&rows, how)).into_iter().map(|bytes| (Kind::Jsonl, bytes)));
            for separator in [',', ';', '\t', '|'] {
                all.extend(disguised(&csv(&rows, separator, how)).into_iter().map(|bytes| (Kind::Csv, bytes)));
            }
        }
        let codecs = [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(Default::default())];
        for (how, codec) in codecs.into_iter().enumerate() {
            let bytes = parquet(&rows, codec, how);
            all.extend([Kind::Parquet, Kind::Jsonl].map(|kind| (kind, bytes.clone())));
        }
        for (kind, bytes) in all {
            prop_assert_eq!(&prepared(kind, &bytes), &expected, "{}: {:?}", kind, String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn a_corpus_is_the_same_however_it_is_written(mut rows in shop()) {
        // Of ties, files keep the order in which they are written.
        rows.sort_by(|a, b| a.time.total_cmp(&b.time));
        let mut items = rows.clone();
        items.sort_by(|a, b| a.item.cmp(&b.item));
        items.dedup_by(|a, b| a.item == b.item);
        let text = |how: usize| jsonl(&rows, how);
        let line = |row: &Met, how| json!({"id": spelled(&row.item, how)}).to_string() + "\n";
        let of_items = |how: usize| items.iter().map(|row| line(row, how)).collect::<String>();
        let expected = direct(text(0).as_bytes(), of_items(0).as_bytes());
        for how in 0..4 {
            for (rows, items) in disguised(&text(how)).iter().zip(disguised(&of_items(how + 1)).iter().rev()) {
                prop_assert_eq!(&direct(rows, items), &expected);
            }
        }
        let packed = parquet(&rows, Compression::SNAPPY, 1);
        prop_assert_eq!(&direct(&packed, &parquet(&items, Compression::GZIP(Default::default()), 0)), &expected);
    }
}

//! Data as other programs write it.

use std::fs;
use std::path::Path;

use super::*;
use crate::{Corpus, OnBadRow};

/// Users with the ids of their items, and the times; of `rows` and perhaps an item file.
struct Read {
    histories: Vec<(String, Vec<String>)>,
    times: Option<Vec<Vec<f64>>>,
    corpus: Corpus,
}

fn read(kind: Kind, rows: impl AsRef<[u8]>, items: Option<&str>) -> Result<Read> {
    read_as(Columns::default(), kind, rows, items)
}

fn read_as(columns: Columns, kind: Kind, rows: impl AsRef<[u8]>, items: Option<&str>) -> Result<Read> {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("rows"), rows).unwrap();
    let mut source = Source { columns, ..Source::new(kind, path("rows")) };
    if let Some(items) = items {
        fs::write(path("items"), items).unwrap();
        source = source.items(path("items"));
    }
    let options = Options { ties: None, ..Options::default() };
    source.prepare(&options, &path("out"), &mut |_| {})?;
    written(&path("out"))
}

fn written(out: &Path) -> Result<Read> {
    let read = Corpus::read_timed(&out.join(INTERACTIONS), &out.join(ITEMS), OnBadRow::Fail)?;
    let ids = |history: &[u32]| history.iter().map(|&item| read.corpus.items[item as usize].id.clone()).collect();
    let histories = read.corpus.users.iter().map(|user| (user.id.clone(), ids(&user.history))).collect();
    Ok(Read { histories, times: read.times, corpus: read.corpus })
}

fn why(kind: Kind, rows: impl AsRef<[u8]>) -> String {
    read(kind, rows, None).map(|read| read.histories).unwrap_err().to_string()
}

fn order(kind: Kind, rows: impl AsRef<[u8]>) -> String {
    read(kind, rows, None).unwrap().histories[0].1.concat()
}

#[test]
fn times_of_every_kind_keep_their_order() {
    let ordered = |times: [&str; 3]| {
        let [c, a, b] = times;
        let csv = format!("user,item,time\nu,c,{c}\nu,a,{a}\nu,b,{b}\n");
        assert_eq!(order(Kind::Csv, &csv), "abc", "{csv}");
        let json = |item, time| format!("{{\"user\": 1, \"item\": \"{item}\", \"time\": \"{time}\"}}\n");
        assert_eq!(order(Kind::Jsonl, [json("c", c), json("a", a), json("b", b)].concat()), "abc");
    };
    ordered(["978300762", "978300760", "978300761"]);
    ordered(["1700000000002", "1700000000000", "1700000000001"]);
    ordered(["1600000002", "1.6e9", "1.600000001e9"]);
    ordered(["1406109600.75", "1406109600.25", "1406109600.5"]);
    ordered(["2014-07-25 00:00:00", "2014-07-23 10:00:00", "2014-07-24 11:30:00"]);
    ordered(["2014-07-23T10:00:00.5Z", "2014-07-23T11:59:59+02:00", "2014-07-23T10:00:00Z"]);
    ordered(["1406109600000002000", "1406109600000000000", "1406109600000001000"]);
    let times = |rows: &str| read(Kind::Csv, rows, None).unwrap().times.unwrap();
    assert_eq!(times("user,item,time\nu,a,1406109600.25\nu,b,1406109601\n"), [[1_406_109_600.25, 1_406_109_601.0]]);
    assert_eq!(times("user,item,time\nu,a,2014-07-23\n"), [[1_406_073_600.0]]);
}

/// Whole times stay whole numbers in the file.
#[test]
fn times_are_written_as_they_came() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("rows"), "user,item,time\nu,a,1700000000002\nu,b,1700000000003.5\n").unwrap();
    let out = dir.path().join("out");
    Source::new(Kind::Csv, dir.path().join("rows")).prepare(&Options::default(), &out, &mut |_| {}).unwrap();
    let text = fs::read_to_string(out.join(INTERACTIONS)).unwrap();
    assert!(text.contains("\"time\":1700000000002}") && text.contains("\"time\":1700000000003.5}"), "{text}");
}

#[test]
fn moments_hold_fractions() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("rows"), "user,item,time\nu,b,9.75\nu,a,5.25\nu,c,-0.5\n").unwrap();
    let out = dir.path().join("out");
    let options = Options { moment: 10, ..Options::default() };
    let prepared = Source::new(Kind::Csv, dir.path().join("rows")).prepare(&options, &out, &mut |_| {}).unwrap();
    assert_eq!((prepared.counts.tied, written(&out).unwrap().times), (2, Some(vec![vec![-10.0, 0.0, 0.0]])));
}

#[test]
fn ids_are_one_whether_numbers_or_text() {
    let rows = "user,item,time\n1.0,7.0,1\n 1 ,cafe\u{301},2\n1,007,3\n";
    let read = read(Kind::Csv, rows, Some("id,title\n7,Cup\ncaf\u{e9},Coffee\n007,Agent\n")).unwrap();
    assert_eq!(read.histories, [("1".to_owned(), ["7", "café", "007"].map(str::to_owned).to_vec())]);
    assert_eq!(
        read.corpus.items.iter().map(|item| item.title.as_str()).collect::<Vec<_>>(),
        ["Cup", "Coffee", "Agent"]
    );
    let numbers = r#"{"reviewerID": 5, "asin": 7.0, "unixReviewTime": 1}"#;
    assert_eq!(order(Kind::Amazon2018, numbers), "7");
}

#[test]
fn tables_of_other_programs_are_read() {
    let latin1 = b"\"User-ID\";\"ISBN\";\"Book-Rating\"\r\n\"1\";\"034545104X\";\"0\"\r\n\"1\";\"Caf\xe9\";\"\"\r\n";
    let read = |rows: &[u8]| read(Kind::Csv, rows, None).unwrap().histories;
    assert_eq!(read(latin1), [("1".to_owned(), ["034545104X", "Café"].map(str::to_owned).to_vec())]);
    let columns = Columns { user: Some("user-id".into()), item: Some("isbn".into()), ..Columns::default() };
    assert_eq!(read_as(columns, Kind::Csv, latin1, None).unwrap().histories.len(), 1);
    for header in ["userId\tmovieId\ttimestamp", "reviewerID|asin|unixReviewTime", "UID,iid,Date", "USER;Item_ID;TS"] {
        let separator = header.chars().find(|c| !c.is_alphanumeric()).unwrap();
        let row = ["u", "\"a, b;\tc|\"", "5"].join(&separator.to_string());
        assert_eq!(read(format!("{header}\n{row}\n").as_bytes())[0].1, ["a, b;\tc|"], "{header}");
    }
    // Commas in a name do not make it a table with commas.
    assert_eq!(read(b"user;item;\"time, in seconds, UTC\"\nu;a,b;1\n")[0].1, ["a,b"]);
}

#[test]
fn what_a_file_was_read_as_is_told() {
    use crate::input::tests::{gzip, utf16};
    let said = |kind, rows: &[u8]| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("rows"), rows).unwrap();
        let source = Source::new(kind, dir.path().join("rows"));
        source.prepare(&Options::default(), &dir.path().join("out"), &mut |_| {}).unwrap().to_string()
    };
    let text = "user;item\nu;a\n";
    assert!(said(Kind::Csv, text.as_bytes()).contains("rows was read as fields with the separator ';'\n"));
    let packed = said(Kind::Csv, &gzip(&utf16(text, false, true)));
    assert!(packed.contains("rows was read as gzip, UTF-16LE, fields with the separator ';'\n"), "{packed}");
    let latin1 = said(Kind::Csv, b"user,item\nu,caf\xE9\n");
    assert!(latin1.contains("rows was read as Windows-1252 where a line is not UTF-8\n"), "{latin1}");
    assert!(!said(Kind::Csv, b"user,item\nu,a\n").contains("was read as"));
}

#[test]
fn an_empty_field_is_as_good_as_none() {
    let without = "user,item,time,rating,title\nu,b,,,\nu,a,,5,Tea\n";
    let read = read(Kind::Csv, without, None).unwrap();
    assert_eq!((read.histories[0].1.concat(), &read.corpus.items[1].title), ("ba".to_owned(), &"Tea".to_owned()));
    let json = r#"{"user": 1, "item": "b", "time": ""}
        {"user": 1, "item": "a", "time": null, "rating": " "}"#;
    assert_eq!(order(Kind::Jsonl, json), "ba");
    let typed = "user_id:token\titem_id:token\ttimestamp:float\trating:float\nu\tb\t\t\nu\ta\t\t5\n";
    assert_eq!(order(Kind::Recbole, typed), "ba");
    let some = why(Kind::Csv, "user,item,time\nu,a,1\nu,b,\n");
    assert!(some.contains("rows:3: a time must be on every row or on none"), "{some}");
}

#[test]
fn a_missing_column_names_those_that_there_are() {
    let why = |rows: &str| why(Kind::Csv, rows);
    let headless = why("A1,0439886341,1.0,1334707200\nA1,0439886342,5.0,1334707201\n");
    assert!(headless.contains("rows:1: no `user` among the columns A1, 0439886341, 1.0, 1334707200"), "{headless}");
    assert!(
        headless.contains("--user NAME") && headless.contains("the first line must name the columns"),
        "{headless}"
    );
    assert!(why("user,thing,time\na,b,1\n").contains("no `item` among the columns user, thing, time"));
    assert!(why("{\"user\": 1}\n").contains("rows:1: it is JSON and no table: the kind of JSON lines is `jsonl`"));
    assert!(why("user,ITEM,Item\na,b,1\n").contains("rows:1: `ITEM` and `Item` are both `item`"));
}

#[test]
fn what_is_no_json_line_is_named() {
    let good = "{\"user\": 1, \"item\": 1, \"time\": 1}\n";
    for (row, what) in [
        ("[\n {\"user\": 1}\n]", "not a JSON array: give one object a line"),
        ("[{\"user\": 1, \"item\": 1, \"time\": 1}]", "not a JSON array"),
        ("{\n \"user\": 1\n}", "does not end in this line; give one object a line"),
        ("{\"user\": 1, \"item\": 2, \"time\": NaN}", "`NaN` is no value of JSON"),
        ("{\"user\": \"a NaN\", \"item\": 2, \"time\": -Infinity}", "`-Infinity` is no value of JSON"),
        ("{\"user\": \"\\\"\", \"item\": None}", "`None` is no value of JSON"),
        ("{'user': 1, 'item': 2}", "it is a Python literal"),
        ("user,item,time", "begins with `user,item,time`"),
        ("{\"user\": 1, \"item\": \"\\ud83d\"}", "half of a surrogate pair"),
        ("{\"user\": 1, \"item\": \"NaN\"", "does not end in this line"),
    ] {
        let why = why(Kind::Jsonl, format!("{good}{row}\n"));
        assert!(why.contains("rows:2: ") && why.contains(what), "{row}: {why}");
    }
}

#[test]
fn parquet_is_known_by_its_bytes() {
    use crate::input::parquet::tests::{Column, file, plain, texts};
    let times = Column::Long(vec![Some(3), Some(1), Some(2)]);
    let schema = "optional binary user (UTF8); optional binary item (UTF8); optional int64 time;";
    let rows = file(schema, &[texts(&["u", "u", "u"]), texts(&["c", "a", "b"]), times], plain());
    for kind in [Kind::Parquet, Kind::Jsonl] {
        assert_eq!(order(kind, &rows), "abc");
    }
    for kind in [Kind::Csv, Kind::Recbole, Kind::S3Rec] {
        assert!(why(kind, &rows).contains("the kind of such data is `parquet`"), "{kind}");
    }
    assert!(why(Kind::Parquet, "user,item\na,b\n").contains("it is no Parquet file"));
    let blank = file(
        "optional binary user (UTF8); optional int64 item;",
        &[texts(&["u", " "]), Column::Long(vec![Some(1); 2])],
        plain(),
    );
    assert!(why(Kind::Parquet, &blank).contains("rows:2: the user id is empty"), "{}", why(Kind::Parquet, &blank));
}

/// What was prepared describes the items of other rows, whatever their form.
#[test]
fn an_item_file_may_be_of_another_form_than_the_rows() {
    let (csv, json) = ("user,item,time\nu,7,1\n", "{\"user\": \"u\", \"item\": 7, \"time\": 1}\n");
    for items in ["id;title;brand\n7;Tea;Leaf\n", "{\"id\": 7, \"title\": \"Tea\", \"brand\": \"Leaf\"}\n"] {
        for (kind, rows) in [(Kind::Csv, csv), (Kind::Jsonl, json), (Kind::S3Rec, "u 7\n")] {
            let item = read(kind, rows, Some(items)).unwrap().corpus.items.remove(0);
            assert_eq!((item.title.as_str(), item.fields["brand"].as_str()), ("Tea", "Leaf"), "{kind} {items}");
        }
    }
}

#[test]
fn entities_are_read_once() {
    let review = "{\"reviewerID\": \"u\", \"asin\": \"B\", \"overall\": 5.0, \"unixReviewTime\": 1}\n";
    let title = |title: &str| {
        let meta = serde_json::json!({"asin": "B", "title": title}).to_string();
        let read = |kind| read(kind, review, Some(&meta)).unwrap().corpus.items.remove(0).title;
        assert_eq!(read(Kind::Amazon2014), read(Kind::Amazon2018));
        read(Kind::Amazon2023)
    };
    for (raw, expected) in [
        ("Est&eacute;e Lauder 1&frac12; oz", "Estée Lauder 1½ oz"),
        ("Caf&#233; &#x2605; Mug &reg;", "Café ★ Mug ®"),
        ("Tom &amp; Jerry &quot;Cup&quot;", "Tom & Jerry \"Cup\""),
        ("It&apos;s &ldquo;new&rdquo;&nbsp;&#9733;", "It's “new” ★"),
        ("A &amp;eacute; B", "A &eacute; B"),
        ("AT&T &copy 5 &lt; 6", "AT&T © 5 < 6"),
        ("&nosuch; &#0; &#128;", "&nosuch; \u{fffd} €"),
    ] {
        assert_eq!(title(raw), expected);
    }
}

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::Result;
use crate::corpus::{OnBadRow, ReadReport};

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| fs::write(dir.path().join(name), text).unwrap());
    dir
}

const ABSTRACTS: &str =
    ".I 1\n.T\nwings\n.A\nsomebody\n.W\nwings .\n  of planes\n.I 2\n.T\n.W\n.I 3\n.W\nslabs .\n.I\n";
const QUESTIONS: &str = ".I 004\r\n.W\r\nwhat flies\r\n.I 009\r\n.W\r\nwhat lies\r\n.I\r\n";

fn cranfield(abstracts: &str, queries: &str, judgements: &str) -> Result<(DocumentCorpus, ReadReport)> {
    let dir = folder(&[("cran.all.1400", abstracts), ("cran.qry", queries), ("cranqrel", judgements)]);
    DocumentCorpus::read_cranfield(dir.path(), 0)
}

#[test]
fn cranfield_counts_queries_by_their_place() {
    let (corpus, report) = cranfield(ABSTRACTS, QUESTIONS, "1 3 4\n1 1 2\n1 2 1\n2 3 1\n2 1 5\n2 1 1\n").unwrap();
    let texts: Vec<_> = corpus.documents.iter().map(|document| (&*document.id, &*document.text)).collect();
    assert_eq!(texts, [("1", "wings .\nof planes"), ("3", "slabs .")]);
    let mut queries: Vec<_> = corpus.train.iter().chain(&corpus.test).cloned().collect();
    queries.sort_by(|a, b| a.id.cmp(&b.id));
    let query = |id: &str, text: &str, relevant| Query { id: id.into(), text: text.into(), relevant };
    assert_eq!(queries, [query("004", "what flies", vec![0, 1]), query("009", "what lies", vec![1])]);
    assert_eq!((report.skipped, report.rows), (1, 3 + 2 + 6));
    assert!(report.first.unwrap().contains("document 2 has no text"));
}

#[test]
fn what_is_no_cranfield_names_the_line() {
    let error = |abstracts, judgements| cranfield(abstracts, QUESTIONS, judgements).unwrap_err().to_string();
    assert!(error("hello\n", "").contains("cran.all.1400:1: text before the first `.I`"));
    assert!(error(".I 1\nhello\n", "").contains("cran.all.1400:2: text before the first section"));
    assert!(error(ABSTRACTS, "1 2\n").contains("cranqrel:1: a judgement is three whole numbers"));
    assert!(error(ABSTRACTS, "3 1 1\n").contains("query 3, but there are queries 1 to 2"));
    let missing = DocumentCorpus::read_cranfield(&PathBuf::from("nowhere"), 0).unwrap_err().to_string();
    assert!(missing.contains("cran.all.1400") && missing.contains("ORBIT_DATA"), "{missing}");
}

fn boolq(train: &str, test: &str, on_bad: OnBadRow) -> Result<(DocumentCorpus, ReadReport)> {
    let dir = folder(&[("train.jsonl", train), ("test.jsonl", test)]);
    DocumentCorpus::read_boolq(&dir.path().join("train.jsonl"), &dir.path().join("test.jsonl"), on_bad)
}

fn row(question: &str, passage: &str) -> String {
    serde_json::json!({"input": format!("question: {question}\npassage: {passage}"), "output": "True"}).to_string()
}

#[test]
fn boolq_keeps_each_passage_once_and_tests_only_on_these() {
    let labels = "{\"labels\": [\"True\", \"False\"]}";
    let train = [labels, &row("a", "X -- one"), &row("b", "Y -- two"), &row("c", "X -- one")].join("\n");
    let test = [labels, &row("d", "Z -- three"), &row("e", "Y -- two")].join("\n");
    let (corpus, _) = boolq(&train, &test, OnBadRow::Fail).unwrap();
    assert_eq!(
        corpus.documents.iter().map(|d| (&*d.id, &*d.text)).collect::<Vec<_>>(),
        [("1", "X -- one"), ("2", "Y -- two")]
    );
    assert_eq!(corpus.train.iter().map(|q| q.relevant[0]).collect::<Vec<_>>(), [0, 1, 0]);
    assert_eq!(corpus.test, [Query { id: "test-2".into(), text: "e".into(), relevant: vec![1] }]);
}

#[test]
fn boolq_rows_without_a_passage_are_bad() {
    for (bad, reason) in [
        ("{\"input\": \"question: a\"}", "question: ...\\npassage: ..."),
        ("{\"output\": \"True\"}", "missing field `input`"),
        ("{\"input\": ", "malformed JSON"),
    ] {
        let train = format!("{}\n{bad}\n", row("a", "one"));
        let error = boolq(&train, "", OnBadRow::Fail).unwrap_err().to_string();
        assert!(error.contains("train.jsonl:2") && error.contains(reason), "{error}");
        assert_eq!(boolq(&train, "", OnBadRow::Skip).unwrap().1.skipped, 1);
    }
}

fn jsonl(documents: &str, queries: &str, on_bad: OnBadRow) -> Result<(DocumentCorpus, ReadReport)> {
    let dir = folder(&[("documents.jsonl", documents), ("queries.jsonl", queries)]);
    DocumentCorpus::read_jsonl(&dir.path().join("documents.jsonl"), &dir.path().join("queries.jsonl"), on_bad)
}

const DOCUMENTS: &str = "{\"id\": 7, \"text\": \"wings\"}\n{\"id\": \"b\", \"text\": \"slabs\"}\n";

#[test]
fn json_lines_say_their_split() {
    let queries = "{\"id\": 1, \"text\": \"what flies\", \"relevant\": [\"b\", 7, 7], \"split\": \"test\"}\n\
                   {\"id\": 2, \"text\": \"what lies\", \"relevant\": [\"b\"], \"split\": \"train\", \"from\": \"me\"}\n";
    let (corpus, report) = jsonl(DOCUMENTS, queries, OnBadRow::Fail).unwrap();
    assert_eq!((corpus.documents.len(), report.rows), (2, 4));
    assert_eq!(corpus.test, [Query { id: "1".into(), text: "what flies".into(), relevant: vec![0, 1] }]);
    assert_eq!(corpus.train, [Query { id: "2".into(), text: "what lies".into(), relevant: vec![1] }]);
}

#[test]
fn every_bad_json_line_is_named() {
    let query = |rest: &str| format!("{{\"id\": 1, \"text\": \"what\", {rest}}}");
    for (bad, reason) in [
        (query("\"relevant\": [\"c\"], \"split\": \"test\""), "document \"c\" is not in the document file"),
        (query("\"relevant\": [], \"split\": \"test\""), "must name at least one document"),
        (query("\"relevant\": [7], \"split\": \"dev\""), "unknown variant `dev`, expected `train` or `test`"),
        ("{\"id\": 1, \"text\": \" \", \"relevant\": [7], \"split\": \"test\"}".to_owned(), "`text` is empty"),
    ] {
        let error = jsonl(DOCUMENTS, &bad, OnBadRow::Fail).unwrap_err().to_string();
        assert!(error.contains("queries.jsonl:1") && error.contains(reason), "{error}");
        assert_eq!(jsonl(DOCUMENTS, &bad, OnBadRow::Skip).unwrap().1.skipped, 1);
    }
    let twice = "{\"id\": 7, \"text\": \"a\"}\n{\"id\": \"7\", \"text\": \"b\"}\n";
    assert!(jsonl(twice, "", OnBadRow::Fail).unwrap_err().to_string().contains("documents.jsonl:2: document id \"7\""));
}

#[test]
fn the_digest_sees_every_part() {
    let document = |text: &str| Document { id: "1".into(), text: text.into() };
    let query = Query { id: "1".into(), text: "q".into(), relevant: vec![0] };
    let corpus = DocumentCorpus { documents: vec![document("a")], train: vec![query.clone()], test: vec![] };
    let mut digests = vec![corpus.digest()];
    for change in [
        |c: &mut DocumentCorpus| c.documents[0].text.push('x'),
        |c: &mut DocumentCorpus| c.train[0].text.push('x'),
        |c: &mut DocumentCorpus| c.train[0].relevant[0] = 1,
        |c: &mut DocumentCorpus| std::mem::swap(&mut c.train, &mut c.test),
    ] {
        let mut changed = corpus.clone();
        change(&mut changed);
        digests.push(changed.digest());
    }
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 5);
}

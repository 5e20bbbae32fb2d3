#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::File;
use std::io::Write;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

fn source(path: &str, form: Form) -> TextSource {
    TextSource { path: path.into(), form, detokenize: false }
}

fn jsonl(fields: &[&str]) -> Form {
    Form::Jsonl { fields: fields.iter().map(ToString::to_string).collect(), after: None, until: None }
}

fn written(name: &str, text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(name), text).unwrap();
    dir
}

fn error(dir: &Path, source: &TextSource) -> String {
    source.documents(dir).unwrap_err().to_string()
}

#[test]
fn a_plain_file_is_one_document() {
    let dir = written("a.txt", "one  two \n\n\n three\n");
    assert_eq!(source("a.txt", Form::Plain).documents(dir.path()).unwrap(), ["one two\n\nthree"]);
    let path = dir.path().join("a.txt.gz");
    let mut gz = flate2::write::GzEncoder::new(File::create(path).unwrap(), flate2::Compression::fast());
    gz.write_all(b"it is n't\n").unwrap();
    gz.finish().unwrap();
    let packed = TextSource { detokenize: true, ..source("a.txt.gz", Form::Plain) };
    assert_eq!(packed.documents(dir.path()).unwrap(), ["it isn't"]);
}

#[test]
fn the_text_members_of_a_zip_are_documents() {
    let dir = tempfile::tempdir().unwrap();
    let mut zip = ZipWriter::new(File::create(dir.path().join("a.zip")).unwrap());
    zip.add_directory("a", SimpleFileOptions::default()).unwrap();
    let members: [(&str, &[u8]); 4] = [
        ("a/2.txt", b"caf\xE9"),
        ("a/1.txt", "café au lait".as_bytes()),
        ("a/README", b"no"),
        ("a/3.txt", b"caf\xE9 "),
    ];
    for (name, text) in members {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text).unwrap();
    }
    zip.finish().unwrap();
    assert_eq!(source("a.zip", Form::Zip).documents(dir.path()).unwrap(), ["café au lait", "café"]);
}

#[test]
fn the_fields_of_a_json_line_are_a_document() {
    let rows = r#"{"definition": "d"}
        {"input": "i", "output": ["o", "other"], "n": 1}
        {"input": "i", "output": "p"}
        {"output": []}
        {"output": "p"}
        {"input": "i\np"}"#;
    let dir = written("a.jsonl", rows);
    let read = |fields: &[&str]| source("a.jsonl", jsonl(fields)).documents(dir.path()).unwrap();
    assert_eq!(read(&["output", "input"]), ["o\ni", "p", "i\np"]);
    assert_eq!(read(&["output"]), ["o", "p"]);
    assert!(error(dir.path(), &source("a.jsonl", jsonl(&["n"]))).contains("a.jsonl: no document in it (6 lines"));
}

#[test]
fn marks_cut_a_passage_out_of_its_question() {
    let dir = written("a.jsonl", "{\"t\": \"q: x p: the p: end q: y\"}\n\n{\"t\": \"q: x p: the p: end q: z\"}\n");
    let cut = |after: &str, until: &str| {
        let marks = (Some(after.to_owned()), Some(until.to_owned()));
        source("a.jsonl", Form::Jsonl { fields: vec!["t".to_owned()], after: marks.0, until: marks.1 })
    };
    assert_eq!(cut("p:", "q:").documents(dir.path()).unwrap(), ["the p: end"]);
    assert!(error(dir.path(), &cut("p:", "z")).contains("a.jsonl:1: no 'z' in 't'"));
}

#[test]
fn what_cannot_be_read_is_named() {
    let dir = written("a.jsonl", "{\"t\": \"x\"}\n[1]\n");
    assert!(
        error(dir.path(), &source("a.jsonl", jsonl(&["t"])))
            .contains("a.jsonl:2: a row must be a JSON object, {...}, not a JSON array")
    );
    assert!(error(dir.path(), &source("a.jsonl", Form::Zip)).contains("a.jsonl: "));
    std::fs::write(dir.path().join("blank.txt"), " \n").unwrap();
    assert!(error(dir.path(), &source("blank.txt", Form::Plain)).contains("no document"));
    for form in [Form::Plain, Form::Zip, jsonl(&["t"])] {
        assert!(error(dir.path(), &source("nowhere", form)).contains("ORBIT_DATA"));
    }
}

#[test]
fn a_misspelt_key_is_an_error() {
    let parse = |json: &str| serde_json::from_str::<TextSource>(json);
    assert_eq!(parse(r#"{"path": "a", "form": "zip"}"#).unwrap(), source("a", Form::Zip));
    assert!(parse(r#"{"path": "a", "form": "zip", "detokenise": true}"#).is_err());
    assert!(parse(r#"{"path": "a", "form": {"jsonl": {"fields": ["t"], "before": "x"}}}"#).is_err());
    let full = source("a", jsonl(&["t"]));
    assert_eq!(parse(&serde_json::to_string(&full).unwrap()).unwrap(), full);
}

#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn the_public_files_have_the_documents_that_they_should() {
    let fallback = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let data = std::env::var("ORBIT_DATA").unwrap_or_else(|_| fallback.to_owned());
    let data = Path::new(&data);
    if !data.join("text").is_dir() {
        eprintln!("skipped: no {}", data.display());
        return;
    }
    assert_eq!(source("text/inaugural.zip", Form::Zip).documents(data).unwrap().len(), 59);
    let passages = Form::Jsonl { fields: vec!["input".into()], after: Some("\npassage: ".into()), until: None };
    let passages = source("instruct/olora/boolq.train.jsonl.gz", passages).documents(data).unwrap();
    assert_eq!(passages.len(), 1886);
    assert!(passages.iter().all(|passage| !passage.starts_with("question:")));
    let captions = TextSource { detokenize: true, ..source("instruct/ct0/esnli.dev.jsonl.gz", jsonl(&["premise"])) };
    assert!(captions.documents(data).unwrap()[0].ends_with("holding to go packages."));
}

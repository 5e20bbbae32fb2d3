use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

const TEXT: &[u8] = b"\xEF\xBB\xBFone\r\n\n  two\nthree";

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 1).unwrap()
}

pub(crate) fn utf16(text: &str, big: bool, mark: bool) -> Vec<u8> {
    let units = mark.then_some(0xFEFF).into_iter().chain(text.encode_utf16());
    units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
}

/// A file of this name.
fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

fn read(name: &str, bytes: &[u8]) -> Result<Vec<(usize, String)>> {
    let (_dir, path) = written(name, bytes);
    lines(&path)?.collect()
}

fn why(bytes: &[u8]) -> String {
    read("rows", bytes).unwrap_err().to_string()
}

#[test]
fn a_file_is_told_by_its_bytes_and_not_by_its_name() {
    let expected = [(1, "one"), (3, "two"), (4, "three")].map(|(n, line)| (n, line.to_owned()));
    let skippable = [b"\x50\x2A\x4D\x18\x04\0\0\0skip".as_slice(), &zstd(TEXT)].concat();
    let members = [gzip(&TEXT[..7]), gzip(&TEXT[7..])].concat();
    for bytes in [TEXT.to_vec(), gzip(TEXT), bzip2(TEXT), zstd(TEXT), skippable, members] {
        for name in ["a", "a.txt", "a.gz", "a.bz2", "a.zst", "a.parquet"] {
            assert_eq!(read(name, &bytes).unwrap(), expected, "{name}");
        }
    }
    // Text may begin with the letters that bzip2 begins with.
    assert_eq!(read("a.bz2", b"BZh9 is a word").unwrap(), [(1, "BZh9 is a word".to_owned())]);
    assert!(read("empty.gz", b"").unwrap().is_empty());
    assert!(read("empty", &bzip2(b"")).unwrap().is_empty());
}

#[test]
fn utf16_is_read() {
    let text = "user,item\r\ncafé \u{1F600},b\r\n\r\nc,d";
    let expected = [(1, "user,item"), (2, "café \u{1F600},b"), (4, "c,d")].map(|(n, line)| (n, line.to_owned()));
    for (big, mark) in [(false, true), (true, true), (false, false), (true, false)] {
        let bytes = utf16(text, big, mark);
        assert_eq!(read("a", &bytes).unwrap(), expected, "{big} {mark}");
        assert_eq!(read("a", &gzip(&bytes)).unwrap(), expected);
        let (_dir, path) = written("a.txt", &bytes);
        assert_eq!(super::text(&path).unwrap(), text);
    }
    assert_eq!(read("cut", b"\xFF\xFEa\0b").unwrap(), [(1, "a\u{FFFD}".to_owned())]);
}

#[test]
fn what_is_no_text_is_named() {
    let tar = [vec![b'x'; 257], b"ustar\0".to_vec()].concat();
    for (bytes, what) in [
        (b"PK\x03\x04...".to_vec(), "a zip archive"),
        (b"\xD0\xCF\x11\xE0...".to_vec(), "an old Excel workbook"),
        (b"\xFD7zXZ\0...".to_vec(), "compressed with xz"),
        (b"ARROW1\0\0".to_vec(), "an Arrow or Feather file"),
        (b"Obj\x01...".to_vec(), "an Avro file"),
        (b"\x89HDF\r\n\x1A\n".to_vec(), "an HDF5 file"),
        (b"SQLite format 3\0".to_vec(), "an SQLite database"),
        (b"\x93NUMPY\x01\0".to_vec(), "a NumPy array"),
        (b"\xFF\xFE\0\0a\0\0\0".to_vec(), "text in UTF-32"),
        (b"version https://git-lfs.github.com/spec/v1\n".to_vec(), "git lfs pull"),
        (tar.clone(), "a tar archive"),
        (gzip(&tar), "a tar archive"),
        (gzip(&gzip(b"x")), "gzip within a compressed file"),
        (gzip(b"PAR1...."), "a Parquet file"),
        (b"PAR1".to_vec(), "this Parquet file cannot be read"),
        (b"PAR1 and no end".to_vec(), "it is cut off"),
    ] {
        let why = why(&bytes);
        assert!(why.contains("rows: ") && why.contains(what), "{why}");
    }
    let (_dir, path) = written("a", b"PAR1PAR1PAR1");
    assert!(plain_lines(&path).is_err() && is_parquet(&path).unwrap());
}

#[test]
fn a_missing_file_says_how_to_get_it() {
    let message = lines(Path::new("nowhere/x.txt")).err().unwrap().to_string();
    assert!(message.contains("nowhere/x.txt") && message.contains("ORBIT_DATA"), "{message}");
}

#[test]
fn what_is_cut_off_says_where() {
    let rows: String = (0..50_000_u64).map(|i| format!("{}\n", i * 7919 % 99_991)).collect();
    for packed in [gzip(rows.as_bytes()), bzip2(rows.as_bytes()), zstd(rows.as_bytes())] {
        let why = why(&packed[..packed.len() / 2]);
        assert!(why.contains("rows: line ") && why.contains("cut off or damaged"), "{why}");
    }
}

#[test]
fn an_archive_cannot_unpack_to_more_than_memory_holds() {
    let zeros = [b"{}\n".to_vec(), vec![b'0'; LONGEST_LINE as usize + 1]].concat();
    for packed in [gzip(&zeros), bzip2(&zeros), zstd(&zeros)] {
        assert!(packed.len() < 1 << 20);
        let (_dir, path) = written("bomb", &packed);
        let error = lines(&path).unwrap().nth(1).unwrap().unwrap_err();
        // A bad row may be skipped, and this must not be.
        assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("line 2 has 16 MiB"), "{error}");
    }
}

#[test]
fn bytes_that_are_not_utf8_name_the_line_or_are_latin_1() {
    let (_dir, path) = written("latin1.txt", b"fine\ncaf\xE9 \x93\n\xC3\xA9\n");
    let error = lines(&path).unwrap().nth(1).unwrap().unwrap_err();
    assert!(matches!(error, Error::Row { line: 2, .. }), "{error}");
    assert!(error.to_string().contains("byte 0xe9 at column 4"), "{error}");
    assert_eq!(text(&path).unwrap(), "fine\ncaf\u{e9} \u{201C}\n\u{e9}\n");
}

proptest! {
    #[test]
    fn no_file_panics(head in prop::sample::select(vec![
        b"PAR1".to_vec(),
        b"\x1F\x8B\x08".to_vec(),
        b"BZh91AY&SY".to_vec(),
        b"\x28\xB5\x2F\xFD".to_vec(),
        b"\xFF\xFE".to_vec(),
        vec![],
    ]), bytes in prop::collection::vec(any::<u8>(), 0..99)) {
        let whole = [head, bytes, b"\x10\0\0\0PAR1".to_vec()].concat();
        let _ = read("a", &whole);
        let _ = read("a", &whole[..whole.len() - 8]);
    }
}

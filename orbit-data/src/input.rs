//! Opens text files, plain or compressed, and reads them line by line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;

use crate::{Error, Result};

/// A line must fit into memory, whatever a file unpacks to.
const LONGEST_LINE: u64 = 1 << 24;

/// And so must the texts of a file that is held as a whole: 4 GiB, far beyond any suite.
pub(crate) const LONGEST_TEXT: u64 = 1 << 32;

/// Opens `path` for reading; `.gz` and `.bz2` are decompressed on the way.
pub(crate) fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    Ok(decompress(path, file(path)?))
}

/// The contents of a file called `path`, whose bytes are `raw`.
pub(crate) fn decompress(path: &Path, raw: impl Read + 'static) -> Box<dyn BufRead> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => Box::new(BufReader::new(MultiGzDecoder::new(raw))),
        Some("bz2") => Box::new(BufReader::new(MultiBzDecoder::new(raw))),
        _ => Box::new(BufReader::new(raw)),
    }
}

/// The whole of a text file.
pub(crate) fn text(path: &Path) -> Result<String> {
    let (mut text, mut reader) = (String::new(), open(path)?.take(LONGEST_TEXT));
    reader.read_to_string(&mut text).map_err(|source| Error::io(path, source))?;
    if reader.limit() == 0 { Err(too_long(path)) } else { Ok(text) }
}

/// That a file unpacks to [`LONGEST_TEXT`].
pub(crate) fn too_long(path: &Path) -> Error {
    Error::file(path, "it unpacks to 4 GiB or more")
}

/// Opens `path` as it is.
pub(crate) fn file(path: &Path) -> Result<File> {
    File::open(path).map_err(|source| Error::io(path, advise(source)))
}

/// The bytes of `path`, which must be a file: a link may lead to a device, that has no end.
///
/// # Errors
/// What the system says, and that it is no file.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if std::fs::metadata(path)?.is_file() {
        return std::fs::read(path);
    }
    Err(io::Error::other("not a file, but a folder or a device"))
}

/// Corpora are not part of the repository, so a missing one is the first thing a new user meets.
fn advise(source: io::Error) -> io::Error {
    if source.kind() != io::ErrorKind::NotFound {
        return source;
    }
    io::Error::new(source.kind(), "no such file; if it is a data file, give its folder by --data DIR or ORBIT_DATA")
}

/// The next line with its end, the `number`-th; none at the end of the file. One that is too long is no bad row that may be
/// skipped: what follows in the file would be the rest of it.
pub(crate) fn read_line(reader: &mut dyn BufRead, number: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(LONGEST_LINE).read_until(b'\n', &mut bytes)?;
    if bytes.len() as u64 == LONGEST_LINE {
        let reason = format!("line {number} has 16 MiB or more; this is no file of rows");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
}

/// The lines of a text file that are not blank, each with its number from 1.
pub(crate) struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead>,
    number: usize,
}

/// Opens `path` and iterates over its lines.
pub(crate) fn lines(path: &Path) -> Result<Lines> {
    Ok(Lines { path: path.to_owned(), reader: open(path)?, number: 0 })
}

impl Iterator for Lines {
    type Item = Result<(usize, String)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let bytes = match read_line(&mut self.reader, self.number + 1) {
                Ok(bytes) => bytes?,
                Err(source) => return Some(Err(Error::io(&self.path, source))),
            };
            self.number += 1;
            let text = bytes.strip_prefix(b"\xEF\xBB\xBF").filter(|_| self.number == 1).unwrap_or(&bytes);
            match std::str::from_utf8(text).map(str::trim) {
                Ok("") => {}
                Ok(line) => return Some(Ok((self.number, line.to_owned()))),
                Err(source) => return Some(Err(Error::row(&self.path, self.number, source.to_string()))),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write;

    use super::*;

    const TEXT: &[u8] = b"\xEF\xBB\xBFone\r\n\n  two\nthree";

    fn read(path: &Path) -> Vec<(usize, String)> {
        lines(path).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn plain_and_compressed_files_read_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let [plain, gz, bz2] = ["a.txt", "a.txt.gz", "a.txt.bz2"].map(|name| dir.path().join(name));
        std::fs::write(&plain, TEXT).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(File::create(&gz).unwrap(), flate2::Compression::fast());
        encoder.write_all(TEXT).unwrap();
        encoder.finish().unwrap();
        let mut encoder = bzip2::write::BzEncoder::new(File::create(&bz2).unwrap(), bzip2::Compression::fast());
        encoder.write_all(TEXT).unwrap();
        encoder.finish().unwrap();

        let expected = [(1, "one"), (3, "two"), (4, "three")].map(|(n, line)| (n, line.to_owned()));
        for path in [plain, gz, bz2] {
            assert_eq!(read(&path), expected, "{}", path.display());
        }
    }

    #[test]
    fn a_missing_file_says_how_to_get_it() {
        let message = lines(Path::new("nowhere/x.txt")).err().unwrap().to_string();
        assert!(message.contains("nowhere/x.txt") && message.contains("ORBIT_DATA"), "{message}");
    }

    #[test]
    fn a_file_that_is_not_gzip_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plain.gz");
        std::fs::write(&path, "not compressed").unwrap();
        let error = lines(&path).unwrap().next().unwrap().unwrap_err();
        assert!(error.to_string().contains("plain.gz"), "{error}");
    }

    #[test]
    fn an_archive_cannot_unpack_to_more_than_memory_holds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bomb.jsonl.gz");
        let mut encoder = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        encoder.write_all(b"{}\n").unwrap();
        let zeros = vec![b'0'; 1 << 20];
        for _ in 0..=LONGEST_LINE >> 20 {
            encoder.write_all(&zeros).unwrap();
        }
        encoder.finish().unwrap();
        assert!(path.metadata().unwrap().len() < 1 << 20);
        let error = lines(&path).unwrap().nth(1).unwrap().unwrap_err();
        // A bad row may be skipped, and this must not be.
        assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("line 2 has 16 MiB"), "{error}");
    }

    #[test]
    fn bytes_that_are_not_utf8_name_the_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("latin1.txt");
        std::fs::write(&path, b"fine\ncaf\xE9\n").unwrap();
        let error = lines(&path).unwrap().nth(1).unwrap().unwrap_err();
        assert!(matches!(error, Error::Row { line: 2, .. }), "{error}");
    }
}

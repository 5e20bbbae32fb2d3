//! What a file is by its first bytes, whatever its name says.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;

use super::utf16::{self, Utf16};

/// Enough to tell a tar archive, whose mark comes last of all.
const HEAD: u64 = 512;

/// How a Parquet file begins and ends.
pub(super) const PARQUET: &[u8] = b"PAR1";

/// A frame of zstd.
const ZSTD: &[u8] = b"\x28\xB5\x2F\xFD";

/// Where a mark is, what it is, and what has it.
const FOREIGN: [(usize, &[u8], &str); 17] = [
    (0, b"\x1F\x8B", "gzip within a compressed file: unpack it once"),
    (0, b"PK\x03\x04", "a zip archive or an Excel workbook: unpack it, or save it as CSV in UTF-8"),
    (0, b"\xD0\xCF\x11\xE0", "an old Excel workbook: save it as CSV in UTF-8"),
    (0, b"\xFD7zXZ\0", "compressed with xz: unpack it, or compress it with gzip, bzip2 or zstd"),
    (0, b"\x04\x22\x4D\x18", "compressed with lz4: unpack it, or compress it with gzip, bzip2 or zstd"),
    (0, b"7z\xBC\xAF\x27\x1C", "a 7z archive: unpack it"),
    (0, b"Rar!\x1A\x07", "a rar archive: unpack it"),
    (0, b"\xFF\xFE\0\0", "text in UTF-32: save it in UTF-8"),
    (0, b"\0\0\xFE\xFF", "text in UTF-32: save it in UTF-8"),
    (0, b"ARROW1", "an Arrow or Feather file: save it as Parquet or as JSON lines"),
    (0, b"Obj\x01", "an Avro file: save it as Parquet or as JSON lines"),
    (0, b"ORC", "an ORC file: save it as Parquet or as JSON lines"),
    (0, b"\x89HDF\r\n\x1A\n", "an HDF5 file: save it as Parquet or as JSON lines"),
    (0, b"SQLite format 3\0", "an SQLite database: export its tables as CSV"),
    (0, b"\x93NUMPY", "a NumPy array, not text"),
    (0, b"version https://git-lfs", "a pointer of Git LFS in place of the file: run `git lfs pull`"),
    (257, b"ustar", "a tar archive: unpack it"),
];

/// A file whose first bytes are known. Reading it gives all of it.
pub(super) struct Content<R> {
    pub(super) head: Vec<u8>,
    rest: R,
}

impl<R: Read> Content<R> {
    pub(super) fn new(mut rest: R) -> io::Result<Self> {
        let mut head = Vec::new();
        rest.by_ref().take(HEAD).read_to_end(&mut head)?;
        Ok(Self { head, rest })
    }

    fn whole(self) -> io::Chain<Cursor<Vec<u8>>, R> {
        Cursor::new(self.head).chain(self.rest)
    }
}

impl<R: Read + 'static> Content<R> {
    /// Reads all of it for nothing but the reading.
    pub(super) fn drain(self) -> io::Result<()> {
        io::copy(&mut self.whole(), &mut io::sink()).map(drop)
    }

    /// The bytes, decompressed if they are gzip, bzip2 or zstd, and by which of them.
    pub(super) fn decompressed(self) -> io::Result<(Box<dyn BufRead>, Option<&'static str>)> {
        Ok(if self.head.starts_with(b"\x1F\x8B") {
            (Box::new(BufReader::new(MultiGzDecoder::new(self.whole()))), Some("gzip"))
        } else if is_bzip2(&self.head) {
            (Box::new(BufReader::new(MultiBzDecoder::new(self.whole()))), Some("bzip2"))
        } else if is_zstd(&self.head) {
            (Box::new(BufReader::new(zstd::Decoder::new(self.whole())?)), Some("zstd"))
        } else {
            (Box::new(BufReader::new(self.whole())), None)
        })
    }
}

/// The text of a file in UTF-8, and its encoding if that is another. Anything that is known to be no text is refused by
/// its name.
pub(super) fn text(reader: Box<dyn BufRead>) -> io::Result<(Box<dyn BufRead>, Option<&'static str>)> {
    let content = Content::new(reader)?;
    if let Some(what) = foreign(&content.head) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is {what}")));
    }
    Ok(match utf16::encoding(&content.head) {
        Some(encoding) => (Box::new(BufReader::new(Utf16::new(content.whole(), encoding))), Some(encoding.name())),
        None => (Box::new(BufReader::new(content.whole())), None),
    })
}

fn foreign(head: &[u8]) -> Option<&'static str> {
    if head.starts_with(PARQUET) {
        return Some("a Parquet file: it is read in place of JSON lines, if it is not compressed as a whole");
    }
    let has = |&&(at, mark, _): &&(usize, &[u8], &str)| head.get(at..).is_some_and(|head| head.starts_with(mark));
    FOREIGN.iter().find(has).map(|&(_, _, what)| what)
}

/// A stream of bzip2 names itself, then its first block or its end. A text may begin with the letters of the former.
fn is_bzip2(head: &[u8]) -> bool {
    let block =
        |rest: &[u8]| rest.starts_with(b"\x31\x41\x59\x26\x53\x59") || rest.starts_with(b"\x17\x72\x45\x38\x50\x90");
    head.starts_with(b"BZh") && head.len() > 4 && block(&head[4..])
}

/// A frame, or one that is to be skipped, with which parallel writers begin.
fn is_zstd(head: &[u8]) -> bool {
    head.starts_with(ZSTD) || (head.len() > 4 && head[0] & 0xF0 == 0x50 && head[1..4] == [0x2A, 0x4D, 0x18])
}

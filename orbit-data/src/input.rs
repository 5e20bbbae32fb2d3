//! Opens files and reads them line by line. What a file is, plain or compressed, text or Parquet, its first bytes say
//! and not its name.

mod content;
pub(crate) mod parquet;
mod utf16;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use encoding_rs::WINDOWS_1252;

use self::content::Content;
use crate::{Error, Result};

/// A line must fit into memory, whatever a file unpacks to.
const LONGEST_LINE: u64 = 1 << 24;

/// And so must the texts of a file that is held as a whole: 4 GiB, far beyond any suite.
pub(crate) const LONGEST_TEXT: u64 = 1 << 32;

/// The bytes of `path`, decompressed if they are gzip, bzip2 or zstd.
pub(crate) fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    let opened = Content::new(file(path)?).and_then(Content::decompressed);
    opened.map(|(reader, _)| reader).map_err(|source| Error::io(path, source))
}

/// The whole of a text file, in UTF-8 without a byte order mark. Lines that are not UTF-8 are taken for Windows-1252,
/// which has Latin-1 in it.
pub(crate) fn text(path: &Path) -> Result<String> {
    let failed = |source| Error::io(path, source);
    let mut reader = content::text(open(path)?).map_err(failed)?.0.take(LONGEST_TEXT);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(failed)?;
    if reader.limit() == 0 {
        return Err(too_long(path));
    }
    if bytes.starts_with(MARK) {
        bytes.drain(..MARK.len());
    }
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| error.as_bytes().split_inclusive(|&byte| byte == b'\n').map(lenient).collect()))
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

/// The byte order mark in UTF-8.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// A line of text that is to be UTF-8.
pub(crate) fn strict(line: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(line).map_err(|error| {
        let (at, byte) = (error.valid_up_to(), line[error.valid_up_to()]);
        format!("invalid utf-8: byte {byte:#04x} at column {}; save the file in UTF-8", at + 1)
    })
}

/// A line of text in UTF-8, or else in Windows-1252.
pub(crate) fn lenient(line: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(line).map_or_else(|_| WINDOWS_1252.decode_without_bom_handling(line).0, Cow::Borrowed)
}

/// A line of a file without its end.
pub(crate) struct Line {
    /// From 1; in Parquet that of the row.
    pub(crate) number: usize,
    pub(crate) bytes: Vec<u8>,
}

/// All lines of a text file, blank or not. A row of Parquet is a line with an object of JSON.
pub(crate) struct Lines {
    path: PathBuf,
    rows: Rows,
    number: usize,
    forms: Vec<&'static str>,
}

enum Rows {
    Text(Box<dyn BufRead>),
    Parquet(Box<parquet::Rows>),
}

impl Lines {
    /// The lines of `path`, which is read by `raw`.
    pub(crate) fn new(path: &Path, raw: impl Read + 'static) -> Result<Self> {
        let failed = |source| Error::io(path, source);
        let content = Content::new(raw).map_err(failed)?;
        let (rows, forms) = match content.head.starts_with(content::PARQUET) {
            // Its rows are found from its end; whoever reads by `raw` still sees all of it.
            true => {
                content.drain().map_err(failed)?;
                (Rows::Parquet(Box::new(parquet::Rows::open(file(path)?).map_err(failed)?)), vec!["Parquet"])
            }
            false => {
                let (reader, packed) = content.decompressed().map_err(failed)?;
                let (reader, encoding) = content::text(reader).map_err(failed)?;
                (Rows::Text(reader), packed.into_iter().chain(encoding).collect())
            }
        };
        Ok(Self { path: path.to_owned(), rows, number: 0, forms })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the file was found to be, other than plain text in UTF-8: its compression and its encoding, or Parquet.
    pub(crate) fn forms(&self) -> &[&'static str] {
        &self.forms
    }

    /// Whether the lines are rows of Parquet.
    pub(crate) fn is_parquet(&self) -> bool {
        matches!(self.rows, Rows::Parquet(_))
    }

    /// The next line; none at the end of the file.
    pub(crate) fn read(&mut self) -> Result<Option<Line>> {
        let number = self.number + 1;
        let bytes = match &mut self.rows {
            Rows::Text(reader) => read_line(reader, number),
            Rows::Parquet(rows) => rows
                .next()
                .map(|row| row.map(String::into_bytes))
                .map_err(|source| io::Error::new(source.kind(), format!("row {number}: {source}"))),
        };
        let line = bytes.map_err(|source| Error::io(&self.path, source))?.map(|bytes| Line { number, bytes });
        self.number = number;
        Ok(line)
    }
}

/// The `number`-th line without its end; none at the end of the file. One that is too long is no bad row that may be
/// skipped: what follows in the file would be the rest of it.
fn read_line(reader: &mut dyn BufRead, number: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(LONGEST_LINE).read_until(b'\n', &mut bytes).map_err(|source| {
        let reason = format!("line {number} cannot be read: {source}; the file is cut off or damaged, so get it again");
        io::Error::new(source.kind(), reason)
    })?;
    if bytes.len() as u64 == LONGEST_LINE {
        let reason = format!("line {number} has 16 MiB or more; this is no file of rows");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    if bytes.is_empty() {
        return Ok(None);
    }
    while bytes.pop_if(|byte| matches!(byte, b'\n' | b'\r')).is_some() {}
    if number == 1 && bytes.starts_with(MARK) {
        bytes.drain(..MARK.len());
    }
    Ok(Some(bytes))
}

/// Whether `path` is a Parquet file.
pub(crate) fn is_parquet(path: &Path) -> Result<bool> {
    let content = Content::new(file(path)?).map_err(|source| Error::io(path, source))?;
    Ok(content.head.starts_with(content::PARQUET))
}

/// Whether `path` has JSON in its first line, or is Parquet, which is read in its place.
pub(crate) fn is_json(path: &Path) -> Result<bool> {
    let mut lines = Lines::new(path, file(path)?)?;
    while let Some(line) = lines.read()? {
        match line.bytes.trim_ascii_start() {
            [] => {}
            [first, ..] => return Ok(matches!(first, b'{' | b'[')),
        }
    }
    // An empty file has neither rows nor columns.
    Ok(true)
}

/// The lines of a text file that are not blank, trimmed, each with its number from 1.
pub(crate) struct TextLines(Lines);

/// Opens `path` and iterates over its lines that are not blank. Rows of Parquet come as objects of JSON.
pub(crate) fn lines(path: &Path) -> Result<TextLines> {
    Ok(TextLines(Lines::new(path, file(path)?)?))
}

/// As [`lines`], of a form whose lines are not JSON.
pub(crate) fn plain_lines(path: &Path) -> Result<TextLines> {
    let lines = Lines::new(path, file(path)?)?;
    if lines.is_parquet() {
        return Err(Error::file(path, "it is a Parquet file, but lines of text are expected here"));
    }
    Ok(TextLines(lines))
}

impl Iterator for TextLines {
    type Item = Result<(usize, String)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Line { number, bytes } = match self.0.read() {
                Ok(line) => line?,
                Err(error) => return Some(Err(error)),
            };
            match strict(&bytes).map(str::trim) {
                Ok("") => {}
                Ok(line) => return Some(Ok((number, line.to_owned()))),
                Err(reason) => return Some(Err(Error::row(self.0.path(), number, reason))),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(crate) mod tests;

//! Reads raw files row by row, counts what is wrong with them, and hashes them on the way.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::corpus::{ReadReport, hex};
use crate::input::{Line, lenient, strict};
use crate::text::csv;
use crate::{Error, OnBadRow, Result, input};

/// A record of CSV may go on over lines, but not for ever after a quotation mark that nobody closed.
const LONGEST_RECORD: usize = 1 << 16;

/// Nor over more lines than this.
const MOST_LINES: usize = 1 << 10;

/// Progress is told every so many rows.
const ROWS: usize = 1 << 12;

/// A raw file that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawFile {
    /// Its path, as it was given.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes as they lie on disk, as 64 hex digits.
    pub sha256: String,
    /// What it was found to be, other than plain text in UTF-8 with commas between fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read_as: Vec<String>,
}

/// How the columns of a table are set apart.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// As the first line says.
    Csv,
    /// By tabs, and quotation marks are text.
    Tabs,
}

/// The reading of all raw files of a source.
pub(super) struct Raw<'a> {
    on_bad: OnBadRow,
    progress: &'a mut dyn FnMut(u64),
    /// Bytes of the files that are done.
    done: u64,
    pub(super) report: ReadReport,
    pub(super) files: Vec<RawFile>,
}

impl<'a> Raw<'a> {
    pub(super) fn new(on_bad: OnBadRow, progress: &'a mut dyn FnMut(u64)) -> Self {
        Self { on_bad, progress, done: 0, report: ReadReport::default(), files: Vec::new() }
    }

    /// Reads a file for the second time: its rows and what is wrong with them have been counted.
    pub(super) fn again(&mut self, read: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let report = self.report.clone();
        read(self)?;
        self.report = report;
        Ok(())
    }

    /// Hands each line of JSON, or row of Parquet, to `take`, which answers why it is bad.
    pub(super) fn lines(&mut self, path: &Path, take: impl FnMut(&str) -> Result<(), String>) -> Result<()> {
        self.each(Lines::open(path)?, |_, line| strict(line).map(Cow::Borrowed), take)
    }

    /// Hands each line of text to `take`.
    pub(super) fn plain_lines(&mut self, path: &Path, take: impl FnMut(&str) -> Result<(), String>) -> Result<()> {
        self.each(Lines::plain(path)?, |lines, line| Ok(lines.lenient(line)), take)
    }

    fn each(
        &mut self,
        mut lines: Lines,
        text: impl for<'b> Fn(&mut Lines, &'b [u8]) -> Result<Cow<'b, str>, String>,
        mut take: impl FnMut(&str) -> Result<(), String>,
    ) -> Result<()> {
        while let Some(line) = lines.next()? {
            let taken = text(&mut lines, &line.bytes).and_then(|text| take(&text));
            self.count(&lines, line.number, taken)?;
        }
        self.close(lines)
    }

    /// Reads a table whose first row names its columns: `header` makes of it what `take` needs to read the others.
    pub(super) fn table<T>(
        &mut self,
        path: &Path,
        form: Form,
        header: impl FnOnce(&[String]) -> Result<T, String>,
        mut take: impl FnMut(&T, &[String]) -> Result<(), String>,
    ) -> Result<()> {
        let mut lines = Lines::plain(path)?;
        let first = lines.next()?.ok_or_else(|| Error::file(path, "empty; its first line must name the columns"))?;
        let number = first.number;
        let bad = |reason| Error::row(path, number, format!("{reason}; the first line must name the columns"));
        let separator = match form {
            Form::Csv => Some(csv::separator(&lenient(&first.bytes))),
            Form::Tabs => None,
        };
        if let Some(other) = separator.filter(|&separator| separator != ',') {
            lines.read_as.push(format!("fields with the separator {other:?}"));
        }
        if separator.is_some() && first.bytes.trim_ascii_start().starts_with(b"{") {
            return Err(bad("it is JSON and no table: the kind of JSON lines is `jsonl`".to_owned()));
        }
        let names = lines.fields(first, separator)?.map_err(bad)?;
        let names: Vec<_> = names.iter().map(|name| name.trim().to_owned()).collect();
        let head = header(&names).map_err(bad)?;
        while let Some(line) = lines.next()? {
            let number = line.number;
            let taken = lines.fields(line, separator)?.and_then(|fields| match fields.len() == names.len() {
                true => take(&head, &fields),
                false => Err(format!("{} fields where {} are named", fields.len(), names.len())),
            });
            self.count(&lines, number, taken)?;
        }
        self.close(lines)
    }

    fn count(&mut self, lines: &Lines, number: usize, taken: Result<(), String>) -> Result<()> {
        self.report.rows += 1;
        if self.report.rows.is_multiple_of(ROWS) {
            (self.progress)(self.done + lines.tap.borrow().bytes);
        }
        let Err(reason) = taken else { return Ok(()) };
        let error = Error::row(lines.lines.path(), number, reason);
        if self.on_bad == OnBadRow::Fail {
            return Err(error);
        }
        self.report.skipped += 1;
        self.report.first.get_or_insert_with(|| error.to_string());
        Ok(())
    }

    fn close(&mut self, lines: Lines) -> Result<()> {
        let tap = lines.tap.take();
        self.done += tap.bytes;
        (self.progress)(self.done);
        let path = lines.lines.path();
        if self.files.iter().all(|file| file.path != path) {
            let forms = lines.lines.forms().iter().map(|form| (*form).to_owned());
            let read_as = forms.chain(lines.read_as).collect();
            let sha256 = hex(&tap.hash.finalize());
            self.files.push(RawFile { path: path.to_owned(), bytes: tap.bytes, sha256, read_as });
        }
        Ok(())
    }
}

/// The lines of a file that are not blank.
struct Lines {
    lines: input::Lines,
    tap: Rc<RefCell<Tap>>,
    /// Lines that were read ahead.
    ahead: VecDeque<Line>,
    /// What the lines were found to be.
    read_as: Vec<String>,
    /// Whether a line was not UTF-8.
    other_text: bool,
}

impl Lines {
    fn open(path: &Path) -> Result<Self> {
        let tap = Rc::new(RefCell::new(Tap::default()));
        let raw = Tapped { file: input::file(path)?, tap: Rc::clone(&tap) };
        let lines = input::Lines::new(path, raw)?;
        Ok(Self { lines, tap, ahead: VecDeque::new(), read_as: Vec::new(), other_text: false })
    }

    /// A file whose lines are not JSON.
    fn plain(path: &Path) -> Result<Self> {
        let lines = Self::open(path)?;
        match lines.lines.is_parquet() {
            true => Err(Error::file(path, "it is a Parquet file; the kind of such data is `parquet`")),
            false => Ok(lines),
        }
    }

    /// A line of text in UTF-8, or else in Windows-1252, which is noted.
    fn lenient<'b>(&mut self, line: &'b [u8]) -> Cow<'b, str> {
        let text = lenient(line);
        if !self.other_text && matches!(text, Cow::Owned(_)) {
            self.other_text = true;
            self.read_as.push("Windows-1252 where a line is not UTF-8".to_owned());
        }
        text
    }

    fn next(&mut self) -> Result<Option<Line>> {
        while let Some(line) = self.ahead_or_read()? {
            if !line.bytes.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    /// The next line, blank or not.
    fn ahead_or_read(&mut self) -> Result<Option<Line>> {
        self.ahead.pop_front().map_or_else(|| self.lines.read(), |line| Ok(Some(line)))
    }

    /// The fields of the row that starts with `first`, those of CSV with their separator. The outer error is the
    /// file's, the inner the row's.
    fn fields(&mut self, first: Line, separator: Option<char>) -> Result<Result<Vec<String>, String>> {
        match separator {
            Some(separator) => self.record(first, separator),
            None => Ok(Ok(self.lenient(&first.bytes).split('\t').map(str::to_owned).collect())),
        }
    }

    /// A record of CSV, which goes on in the next line as long as a quotation mark is open. If none closes it, only the
    /// first line is bad.
    fn record(&mut self, first: Line, separator: char) -> Result<Result<Vec<String>, String>> {
        let (mut text, mut more) = (self.lenient(&first.bytes).into_owned(), VecDeque::new());
        loop {
            if let Some(fields) = csv::record(&text, separator).transpose() {
                return Ok(fields);
            }
            let go_on = text.len() < LONGEST_RECORD && more.len() < MOST_LINES;
            let line = if go_on { self.ahead_or_read()? } else { None };
            let Some(line) = line else { break };
            text.push('\n');
            text.push_str(&self.lenient(&line.bytes));
            more.push_back(line);
        }
        more.append(&mut self.ahead);
        self.ahead = more;
        Ok(Err(csv::NOT_CLOSED.to_owned()))
    }
}

/// What was read of a file.
#[derive(Default)]
struct Tap {
    bytes: u64,
    hash: Sha256,
}

/// A file that counts and hashes what is read of it.
struct Tapped {
    file: File,
    tap: Rc<RefCell<Tap>>,
}

impl Read for Tapped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let mut tap = self.tap.borrow_mut();
        tap.bytes += read as u64;
        tap.hash.update(&buffer[..read]);
        Ok(read)
    }
}

//! CSV as RFC 4180 has it, with whichever separator.

use std::path::Path;

use crate::{Error, Result, input};

/// The given columns of every record of a file, each record with the line it starts in, from 1. The first record names the
/// columns. Fields in quotation marks may hold commas, line breaks and, doubled, quotation marks.
pub(super) fn read<const N: usize>(path: &Path, columns: [&str; N]) -> Result<Vec<(usize, [String; N])>> {
    let text = input::text(path)?;
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let mut reader = Reader { rest: &text, line: 1, separator: separator(first) };
    let header = reader.next(path)?.map(|(_, header)| header).unwrap_or_default();
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(columns) {
        let missing = || Error::file(path, format!("no column `{column}` in its first line: {}", header.join(", ")));
        *place = header.iter().position(|name| name.trim() == column).ok_or_else(missing)?;
    }
    let mut records = Vec::new();
    while let Some((line, mut fields)) = reader.next(path)? {
        if fields.len() != header.len() {
            return Err(Error::row(path, line, format!("{} fields where {} are named", fields.len(), header.len())));
        }
        records.push((line, places.map(|place| std::mem::take(&mut fields[place]))));
    }
    Ok(records)
}

/// What stands between the fields of a table whose first line is `header`: a comma, semicolon, tab or bar, whichever is
/// there most often outside of quotation marks.
pub(crate) fn separator(header: &str) -> char {
    let count = |separator| header.split('"').step_by(2).map(|bare| bare.matches(separator).count()).sum::<usize>();
    // Of equal counts the last one is the greatest.
    ['|', '\t', ';', ','].into_iter().max_by_key(|&separator| count(separator)).unwrap_or(',')
}

/// The fields of the record that `text` starts with; none if a quotation mark is not closed in it.
pub(crate) fn record(text: &str, separator: char) -> Result<Option<Vec<String>>, String> {
    let mut reader = Reader { rest: text, line: 1, separator };
    match reader.record() {
        Err(reason) if reason == NOT_CLOSED => Ok(None),
        fields => fields.map(Some),
    }
}

/// Why a record cannot be read that may go on in the next line.
pub(crate) const NOT_CLOSED: &str = "a quotation mark is not closed";

/// Text that is yet to be read, and the line in which it starts.
struct Reader<'a> {
    rest: &'a str,
    line: usize,
    separator: char,
}

impl<'a> Reader<'a> {
    /// The fields of the next record that is not a blank line, and the line in which it starts.
    fn next(&mut self, path: &Path) -> Result<Option<(usize, Vec<String>)>> {
        while !self.rest.is_empty() {
            let line = self.line;
            let fields = self.record().map_err(|reason| Error::row(path, line, reason))?;
            if fields.len() > 1 || !fields.concat().trim().is_empty() {
                return Ok(Some((line, fields)));
            }
        }
        Ok(None)
    }

    fn record(&mut self) -> Result<Vec<String>, String> {
        let mut fields = Vec::new();
        loop {
            fields.push(match self.rest.strip_prefix('"') {
                Some(rest) => self.quoted(rest)?,
                None => self.bare(),
            });
            match self.rest.strip_prefix(self.separator) {
                Some(rest) => self.rest = rest,
                None => break,
            }
        }
        self.end_of_line()?;
        Ok(fields)
    }

    fn bare(&mut self) -> String {
        let end = self.rest.find([self.separator, '\n']).unwrap_or(self.rest.len());
        let (field, rest) = self.rest.split_at(end);
        self.rest = rest;
        field.trim_end_matches('\r').to_owned()
    }

    /// A field whose opening mark has been read: `rest` is behind it.
    fn quoted(&mut self, mut rest: &'a str) -> Result<String, String> {
        let mut field = String::new();
        loop {
            let (part, behind) = rest.split_once('"').ok_or(NOT_CLOSED)?;
            field.push_str(part);
            match behind.strip_prefix('"') {
                Some(behind) => {
                    field.push('"');
                    rest = behind;
                }
                None => {
                    self.line += field.matches('\n').count();
                    self.rest = behind;
                    return Ok(field);
                }
            }
        }
    }

    fn end_of_line(&mut self) -> Result<(), String> {
        let rest = self.rest.strip_prefix('\r').unwrap_or(self.rest);
        self.rest = match rest.strip_prefix('\n') {
            Some(rest) => rest,
            None if rest.is_empty() => rest,
            None => return Err("something stands behind a closing quotation mark".to_owned()),
        };
        self.line += 1;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str, columns: [&str; 2]) -> Result<Vec<(usize, [String; 2])>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        read(&path, columns)
    }

    #[test]
    fn quotes_hold_commas_breaks_and_quotes() {
        let text =
            "\u{feff},b,a\r\n0,\"x, y\",\"he said \"\"no\"\"\"\r\n\n1,\"two\nlines\",\n2,last, spaced \n3,\"\",\"\"";
        let rows = parse(text, ["a", "b"]).unwrap();
        let expected =
            [(2, ["he said \"no\"", "x, y"]), (4, ["", "two\nlines"]), (6, [" spaced ", "last"]), (7, ["", ""])];
        assert_eq!(rows, expected.map(|(line, fields)| (line, fields.map(str::to_owned))));
        assert!(parse("a,b\n", ["a", "b"]).unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        let why = |text: &str| parse(text, ["a", "b"]).unwrap_err().to_string();
        assert!(why("a,c\n1,2\n").contains("t.csv: no column `b` in its first line: a, c"));
        assert!(why("").contains("no column `a`"));
        assert!(why("a,b\n1,2\n3\n").contains("t.csv:3: 1 fields where 2 are named"));
        assert!(why("a,b\n1,\"2\n3,4\n").contains("t.csv:2: a quotation mark is not closed"));
        assert!(why("a,b\n\"1\"x,2\n").contains("t.csv:2: something stands behind"));
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(fields in prop::collection::vec(("[ab,\"\r\n]{0,6}", "[ab,\"\r\n]{1,6}"), 0..6)) {
            let quote = |field: &str| format!("\"{}\"", field.replace('"', "\"\""));
            let rows = fields.iter().map(|(a, b)| format!("{},{}\r\n", quote(a), quote(b))).collect::<String>();
            let read = parse(&format!("a,b\n{rows}"), ["a", "b"]).unwrap();
            let read: Vec<_> = read.into_iter().map(|(_, [a, b])| (a, b)).collect();
            prop_assert_eq!(read, fields);
        }

        #[test]
        fn nothing_panics(text in "[ab,\"\r\n]{0,30}") {
            let _ = parse(&text, ["a", "b"]);
        }
    }
}

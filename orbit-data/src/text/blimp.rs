//! Reader of BLiMP's archive, and of a single paradigm.

use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;

use serde::Deserialize;
use zip::ZipArchive;
use zip::result::ZipError;

use super::MinimalPair;
use crate::corpus::parse;
use crate::input::{self, LONGEST_TEXT};
use crate::{Error, Result};

#[derive(Deserialize)]
struct Row {
    sentence_good: String,
    sentence_bad: String,
}

/// The first row of every paradigm in the order of their names, then the second rows, and so on, up to `limit` pairs.
/// So any limit takes from the paradigms equally, give or take one.
pub(super) fn read(path: &Path, limit: usize) -> Result<Vec<MinimalPair>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.contains(".json") && !name.ends_with(".zip") {
        let read = |line: Result<(usize, String)>| line.and_then(|(number, line)| pair(path, number, &line));
        return input::lines(path)?.take(limit).map(read).collect();
    }
    let archive = |source: ZipError| Error::file(path, source.to_string());
    let mut zip = ZipArchive::new(BufReader::new(input::file(path)?)).map_err(archive)?;
    let names = paradigms(&zip).map_err(archive)?;
    let rows_each = limit.div_ceil(names.len().max(1));
    let mut columns = Vec::new();
    // Of all paradigms together: each may be as small as a few bytes, and unpack to any number.
    let mut left = LONGEST_TEXT;
    for name in &names {
        let mut entry = zip.by_name(name).map_err(archive)?.take(left);
        columns.push(paradigm(&path.join(name), BufReader::new(&mut entry), rows_each)?.into_iter());
        left = entry.limit();
        if left == 0 {
            return Err(input::too_long(path));
        }
    }
    let mut pairs = Vec::new();
    loop {
        let before = pairs.len();
        pairs.extend(columns.iter_mut().filter_map(Iterator::next));
        if pairs.len() == before || pairs.len() >= limit {
            pairs.truncate(limit);
            return Ok(pairs);
        }
    }
}

/// The names of the paradigms' files, sorted. The archive was packed on a Mac, whose resource forks also end in
/// `.jsonl`.
fn paradigms<R: Read + Seek>(zip: &ZipArchive<R>) -> Result<Vec<String>, ZipError> {
    let names: Vec<_> = zip.file_names().collect::<Result<_, _>>()?;
    let wanted = |name: &str| name.ends_with(".jsonl") && !name.starts_with("__MACOSX/");
    let mut names: Vec<String> = names.iter().filter(|name| wanted(name)).map(ToString::to_string).collect();
    names.sort();
    Ok(names)
}

fn paradigm(path: &Path, reader: impl BufRead, limit: usize) -> Result<Vec<MinimalPair>> {
    let read = |(number, line): (usize, std::io::Result<String>)| {
        pair(path, number + 1, &line.map_err(|source| Error::io(path, source))?)
    };
    reader.lines().enumerate().take(limit).map(read).collect()
}

/// The pair of a row of the paradigm that a file is named after.
fn pair(path: &Path, number: usize, line: &str) -> Result<MinimalPair> {
    let row: Row = parse(line).map_err(|reason| Error::row(path, number, reason))?;
    // The harness sets a blank before what it scores, here too, where nothing stands before the blank.
    let [good, bad] = [row.sentence_good, row.sentence_bad].map(|sentence| format!(" {sentence}"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(MinimalPair { good, bad, kind: name.split(".json").next().map(str::to_owned) })
}

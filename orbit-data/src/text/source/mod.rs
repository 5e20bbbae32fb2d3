//! Plain documents to train a language model on.

mod clean;

use std::collections::HashSet;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zip::ZipArchive;
use zip::result::ZipError;

use self::clean::clean;
use crate::corpus::parse;
use crate::input::{self, LONGEST_TEXT};
use crate::{Error, Result};

/// A file of documents and how to read it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use orbit_data::text::TextSource;
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("qa.jsonl"), r#"{"input": "question: who?\npassage: The  sun rises."}"#)?;
/// let json = r#"{"path": "qa.jsonl", "form": {"jsonl": {"fields": ["input"], "after": "passage:"}}}"#;
/// let source: TextSource = serde_json::from_str(json)?;
/// assert_eq!(source.documents(folder.path())?, ["The sun rises."]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextSource {
    /// The file, plain or compressed by gzip, bzip2 or zstd, relative to the folder given to [`TextSource::documents`].
    pub path: PathBuf,
    /// How it is laid out.
    pub form: Form,
    /// Whether to undo tokenized spacing: `it is n't , he said .` becomes `it isn't, he said.`
    #[serde(default)]
    pub detokenize: bool,
}

/// How the documents lie in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Form {
    /// The file is one document.
    Plain,
    /// A zip archive: every member called `.txt` is a document, UTF-8 or else Latin-1. They come in the order of their
    /// names.
    Zip,
    /// JSON lines: a line is a document, made of its `fields` on lines of their own. A value that an earlier line had is
    /// left out, for question-answering files repeat a passage for each of its questions.
    Jsonl {
        /// Keys of strings, or of arrays whose first element is a string. A line with none of them is skipped.
        fields: Vec<String>,
        /// Drops each value up to the first occurrence of this, which must be there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        /// Drops each value from the last occurrence of this, which must be there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<String>,
    },
}

impl TextSource {
    /// Reads `root/path`: the documents in the file's order, none empty and no two equal. Lines are trimmed; runs of
    /// spaces or of blank lines become one. Blank lines between paragraphs stay. How much was left out is a `tracing`
    /// event.
    ///
    /// # Errors
    /// A file that is not there or not of its form, a row of JSON lines that cannot be used (with its line), or a file
    /// without a document.
    pub fn documents(&self, root: &Path) -> Result<Vec<String>> {
        let path = root.join(&self.path);
        let mut kept = Kept { detokenize: self.detokenize, ..Kept::default() };
        match &self.form {
            Form::Plain => kept.push(&[input::text(&path)?]),
            Form::Zip => members(&path, &mut kept)?,
            Form::Jsonl { fields, after, until } => {
                let field = Field { after: after.as_deref(), until: until.as_deref() };
                rows(&path, fields, &field, &mut kept)?;
            }
        }
        let Kept { documents, skipped, repeated, .. } = kept;
        tracing::debug!(path = %path.display(), documents = documents.len(), skipped, repeated, "read text");
        if documents.is_empty() {
            return Err(Error::file(path, format!("no document in it ({skipped} lines or members skipped)")));
        }
        Ok(documents)
    }
}

/// What has been read of a file, and what left out.
#[derive(Default)]
struct Kept {
    documents: Vec<String>,
    seen: HashSet<String>,
    detokenize: bool,
    skipped: usize,
    repeated: usize,
}

impl Kept {
    /// Adds a document of those `parts` that are new.
    fn push(&mut self, parts: &[String]) {
        let mut new = Vec::new();
        for part in parts.iter().map(|part| clean(part, self.detokenize)).filter(|part| !part.is_empty()) {
            if self.seen.insert(part.clone()) {
                new.push(part);
            } else {
                self.repeated += 1;
            }
        }
        let document = new.join("\n");
        // Parts join into a document that another line may have had as one part.
        if !document.is_empty() && (new.len() == 1 || self.seen.insert(document.clone())) {
            self.documents.push(document);
        }
    }
}

fn members(path: &Path, kept: &mut Kept) -> Result<()> {
    let archive = |source: ZipError| Error::file(path, source.to_string());
    let mut zip = ZipArchive::new(BufReader::new(input::file(path)?)).map_err(archive)?;
    let mut names =
        zip.file_names().map(|name| name.map(String::from)).collect::<Result<Vec<_>, _>>().map_err(archive)?;
    names.sort();
    // Of all members together: each may be as small as a few bytes, and unpack to any number.
    let mut left = LONGEST_TEXT;
    for name in names {
        if !name.ends_with(".txt") {
            kept.skipped += 1;
            continue;
        }
        let mut bytes = Vec::new();
        let mut member = zip.by_name(&name).map_err(archive)?.take(left);
        member.read_to_end(&mut bytes).map_err(|source| Error::io(path.join(&name), source))?;
        left = member.limit();
        if left == 0 {
            return Err(input::too_long(path));
        }
        kept.push(&[decode(bytes)]);
    }
    Ok(())
}

/// UTF-8, or else Windows-1252, which has Latin-1 in it.
fn decode(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| input::lenient(error.as_bytes()).into_owned())
}

fn rows(path: &Path, names: &[String], field: &Field<'_>, kept: &mut Kept) -> Result<()> {
    for row in input::lines(path)? {
        let (line, row) = row?;
        let fail = |reason| Error::row(path, line, reason);
        let row: Map<String, Value> = parse(&row).map_err(fail)?;
        let values = names.iter().filter_map(|name| Some((name, string(row.get(name)?)?)));
        let parts = values.map(|(name, value)| field.cut(name, value)).collect::<Result<Vec<_>, _>>().map_err(fail)?;
        kept.skipped += usize::from(parts.is_empty());
        kept.push(&parts);
    }
    Ok(())
}

fn string(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.as_array()?.first()?.as_str())
}

/// What of a value to keep.
struct Field<'a> {
    after: Option<&'a str>,
    until: Option<&'a str>,
}

impl Field<'_> {
    fn cut(&self, name: &str, value: &str) -> Result<String, String> {
        let missing = |mark: &str| format!("no '{mark}' in '{name}'");
        let mut kept = value;
        if let Some(mark) = self.after {
            kept = kept.split_once(mark).ok_or_else(|| missing(mark))?.1;
        }
        if let Some(mark) = self.until {
            kept = kept.rsplit_once(mark).ok_or_else(|| missing(mark))?.0;
        }
        Ok(kept.to_owned())
    }
}

#[cfg(test)]
mod tests;

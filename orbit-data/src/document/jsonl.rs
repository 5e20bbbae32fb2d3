//! The JSON lines form: a document or a query a line.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{Document, DocumentCorpus, Query, ascending};
use crate::Result;
use crate::corpus::{OnBadRow, ReadReport, id, parse};

#[derive(Deserialize)]
struct DocumentRow {
    #[serde(alias = "_id", alias = "ID", alias = "doc_id")]
    id: Value,
    text: String,
}

#[derive(Deserialize)]
struct QueryRow {
    #[serde(alias = "_id", alias = "ID", alias = "query_id")]
    id: Value,
    text: String,
    relevant: Vec<Value>,
    split: Part,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    Train,
    Test,
}

impl DocumentCorpus {
    /// Reads documents, `{"id": "d1", "text": "..."}`, and queries, `{"id": "q1", "text": "...", "relevant": ["d1"],
    /// "split": "train"}`, whose split is `train` or `test`. Ids may be strings or whole numbers; other keys are ignored.
    ///
    /// # Errors
    ///
    /// A file that cannot be read; and, unless `on_bad` is [`OnBadRow::Skip`], malformed JSON, an id that is neither
    /// string nor whole number, a document id that appears twice, an empty text, a query without relevant documents or
    /// with one that is not in the document file.
    pub fn read_jsonl(documents: &Path, queries: &Path, on_bad: OnBadRow) -> Result<(Self, ReadReport)> {
        let (mut report, mut corpus) = (ReadReport::default(), Self::default());
        let mut index: HashMap<String, u32> = HashMap::new();
        report.rows(documents, on_bad, |text| {
            let row: DocumentRow = parse(text)?;
            let id = id(&row.id, "document")?;
            not_empty(&row.text)?;
            if index.contains_key(&id) {
                return Err(format!("document id {id:?} appears twice"));
            }
            index.insert(id.clone(), corpus.documents.len() as u32);
            corpus.documents.push(Document { id, text: row.text });
            Ok(())
        })?;
        report.rows(queries, on_bad, |text| {
            let row: QueryRow = parse(text)?;
            not_empty(&row.text)?;
            let of = |value: &Value| {
                let id = id(value, "document")?;
                index.get(&id).copied().ok_or_else(|| format!("document {id:?} is not in the document file"))
            };
            let relevant = ascending(row.relevant.iter().map(of).collect::<Result<_, _>>()?);
            if relevant.is_empty() {
                return Err("`relevant` must name at least one document".to_owned());
            }
            let query = Query { id: id(&row.id, "query")?, text: row.text, relevant };
            match row.split {
                Part::Train => corpus.train.push(query),
                Part::Test => corpus.test.push(query),
            }
            Ok(())
        })?;
        Ok((corpus, report))
    }
}

fn not_empty(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err("`text` is empty".to_owned()) } else { Ok(()) }
}

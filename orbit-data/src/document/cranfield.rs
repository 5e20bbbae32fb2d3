//! The Cranfield collection in SMART's form.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::{Document, DocumentCorpus, Query, ascending};
use crate::corpus::{OnBadRow, ReadReport, normalized_id};
use crate::input::plain_lines;
use crate::permutation::{HELD_OUT, Permutation};
use crate::{Error, Result};

/// One query in so many is held out.
const ONE_IN: u64 = 5;
/// What is left of −1, of no interest, in a copy that has lost its sign.
const NO_INTEREST: i64 = 1;

/// Sections of a record by their letter.
struct Record {
    id: String,
    sections: BTreeMap<String, String>,
}

impl DocumentCorpus {
    /// Reads `cran.all.1400`, `cran.qry` and `cranqrel` in `folder`, each also with `.gz` behind its name: 1,400 abstracts
    /// on aerodynamics and 225 queries with judgements (Cleverdon, *The Cranfield tests on index language devices*, 1967).
    ///
    /// Relevance codes 1 to 4 count as relevant, but for the last judgement of a query where it is a 1: there it is what other
    /// copies of the collection have as −1, of no interest, once for each of the 225 queries. Judgements name queries by their place in the query file, not by the
    /// number there. The collection has no split: one query in five, drawn by `seed`, is for testing. Documents without
    /// text (two of them) and judgements on them are left out, the former with a count in the report.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, and a row that does not belong in it.
    pub fn read_cranfield(folder: &Path, seed: u64) -> Result<(Self, ReadReport)> {
        let [documents, queries, judgements] = ["cran.all.1400", "cran.qry", "cranqrel"].map(|name| find(folder, name));
        let (mut report, mut corpus) = (ReadReport::default(), Self::default());
        for Record { id, mut sections } in records(&documents)? {
            report.rows += 1;
            match sections.remove("W") {
                Some(text) => corpus.documents.push(Document { id, text }),
                None => {
                    report.skipped += 1;
                    let reason = || format!("{}: document {id} has no text", documents.display());
                    report.first.get_or_insert_with(reason);
                }
            }
        }
        let queries = records(&queries)?;
        report.rows += queries.len();
        let mut relevant = judged(&judgements, queries.len(), &corpus.documents, &mut report)?;
        let order = Permutation::new(queries.len() as u64, [seed, 0, HELD_OUT]);
        for (place, Record { id, mut sections }) in (0_u64..).zip(queries) {
            let relevant = ascending(relevant.remove(&place).unwrap_or_default());
            let Some(text) = sections.remove("W").filter(|_| !relevant.is_empty()) else { continue };
            let part = if order.at(place).is_multiple_of(ONE_IN) { &mut corpus.test } else { &mut corpus.train };
            part.push(Query { id, text, relevant });
        }
        Ok((corpus, report))
    }
}

/// The file of this name, or the one with `.gz` behind it where only that is there.
fn find(folder: &Path, name: &str) -> PathBuf {
    let (plain, packed) = (folder.join(name), folder.join(format!("{name}.gz")));
    if !plain.exists() && packed.exists() { packed } else { plain }
}

/// Records begin with `.I id`, their sections with a letter, `.W`. An `.I` without an id ends the file.
fn records(path: &Path) -> Result<Vec<Record>> {
    let (mut records, mut section): (Vec<Record>, String) = (Vec::new(), String::new());
    for line in plain_lines(path)? {
        let (number, text) = line?;
        if let Some(id) = text.strip_prefix(".I").filter(|rest| rest.is_empty() || rest.starts_with(' ')) {
            if id.is_empty() {
                break;
            }
            records.push(Record { id: normalized_id(id), sections: BTreeMap::new() });
            section.clear();
            continue;
        }
        let record = records.last_mut().ok_or_else(|| Error::row(path, number, "text before the first `.I`"))?;
        match text
            .strip_prefix('.')
            .filter(|rest| rest.len() == 1 && rest.starts_with(|c: char| c.is_ascii_uppercase()))
        {
            Some(letter) => letter.clone_into(&mut section),
            None if section.is_empty() => return Err(Error::row(path, number, "text before the first section, `.W`")),
            None => append(record.sections.entry(section.clone()).or_default(), &text),
        }
    }
    Ok(records)
}

fn append(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

/// The documents that are relevant to the query at each place, from 0.
fn judged(
    path: &Path,
    queries: usize,
    documents: &[Document],
    report: &mut ReadReport,
) -> Result<HashMap<u64, Vec<u32>>> {
    let index: HashMap<&str, u32> = documents.iter().map(|document| document.id.as_str()).zip(0..).collect();
    let mut judgements: BTreeMap<u64, Vec<(i64, i64)>> = BTreeMap::new();
    report.plain_rows(path, OnBadRow::Fail, |text| {
        let numbers: Vec<i64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let &[query, document, code] = numbers.as_slice() else {
            return Err("a judgement is three whole numbers: query, document, relevance code".to_owned());
        };
        if query < 1 || query > queries as i64 {
            return Err(format!("query {query}, but there are queries 1 to {queries}"));
        }
        judgements.entry(query as u64 - 1).or_default().push((document, code));
        Ok(())
    })?;
    let relevant = |mut judged: Vec<(i64, i64)>| {
        judged.pop_if(|&mut (_, code)| code == NO_INTEREST);
        let counted = judged.into_iter().filter(|(_, code)| (1..=4).contains(code));
        counted.filter_map(|(document, _)| index.get(document.to_string().as_str()).copied()).collect()
    };
    Ok(judgements.into_iter().map(|(query, judged)| (query, relevant(judged))).collect())
}

//! Corpora of items and of documents in every form are read or refused, and what was read names only what is there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orbit_data::{Corpus, DocumentCorpus, OnBadRow, Split};
use orbit_fuzz::{Folder, files};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, [first, second, third])) = files(bytes) else { return };
    let on_bad = if choice & 8 == 0 { OnBadRow::Fail } else { OnBadRow::Skip };
    let folder = Folder::default();
    let [one, two] = [("a.jsonl", first), ("b.jsonl", second)].map(|(name, bytes)| folder.file(name, bytes));
    match choice & 7 {
        0 => {
            if let Ok(read) = Corpus::read_timed(&one, &two, on_bad) {
                check(&read.corpus);
                let split = read.times.map(|times| Split::temporal(&read.corpus, &times, [0.5, 0.75]).map(drop));
                assert!(split.is_none_or(|split| split.is_ok() || read.corpus.users.is_empty()));
            }
        }
        1 => drop(Corpus::read_sequences(&one, &two, on_bad).map(|(corpus, _)| check(&corpus))),
        2 => drop(DocumentCorpus::read_jsonl(&one, &two, on_bad).map(|(corpus, _)| check_documents(&corpus))),
        3 => drop(DocumentCorpus::read_boolq(&one, &two, on_bad).map(|(corpus, _)| check_documents(&corpus))),
        _ => {
            let named = [("cran.all.1400", first), ("cran.qry", second), ("cranqrel", third)];
            named.into_iter().for_each(|(name, bytes)| drop(folder.file(name, bytes)));
            drop(DocumentCorpus::read_cranfield(folder.path(), 0).map(|(corpus, _)| check_documents(&corpus)));
        }
    }
});

fn check(corpus: &Corpus) {
    assert!(corpus.users.iter().flat_map(|user| &user.history).all(|&item| (item as usize) < corpus.items.len()));
    assert_eq!(Split::leave_one_out(corpus).users().len(), corpus.users.len());
    assert_eq!(corpus.digest().len(), 64);
}

fn check_documents(corpus: &DocumentCorpus) {
    let named = corpus.train.iter().chain(&corpus.test).flat_map(|query| &query.relevant);
    assert!(named.copied().all(|document| (document as usize) < corpus.documents.len()));
    assert_eq!(corpus.digest().len(), 64);
}

//! Suites and documents, plain and packed, are read or refused; a question that was read has its right choice.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orbit_data::text::{Form, Suite, Tasks, TextSource, TextTask};
use orbit_fuzz::{Folder, files};

const SUITES: [Suite; 14] = [
    Suite::Piqa,
    Suite::Hellaswag,
    Suite::Arc,
    Suite::Blimp,
    Suite::CrowsPairs,
    Suite::Jsonl,
    Suite::OLora,
    Suite::Perplexity,
    Suite::Openbookqa,
    Suite::SocialIqa,
    Suite::Winogrande,
    Suite::Mmlu,
    Suite::Boolq,
    Suite::Lambada,
];

/// As a zip holds any byte, only two of the readers are given a second file.
fn source(folder: &Folder, choice: u8, bytes: &[u8]) -> TextSource {
    let fields = vec!["text".to_owned(), "title".to_owned()];
    let (name, form) = match choice & 3 {
        0 => ("a.txt", Form::Plain),
        1 => ("a.zip", Form::Zip),
        2 => ("a.gz", Form::Jsonl { fields, after: None, until: None }),
        _ => ("a.jsonl", Form::Jsonl { fields, after: Some(":".to_owned()), until: Some(".".to_owned()) }),
    };
    TextSource { path: folder.file(name, bytes), form, detokenize: choice & 4 != 0 }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, rest)) = bytes.split_first() else { return };
    let folder = Folder::default();
    if choice & 8 != 0 {
        if let Ok(documents) = source(&folder, choice, rest).documents(folder.path()) {
            assert!(!documents.is_empty() && documents.iter().all(|document| !document.trim().is_empty()));
        }
        return;
    }
    let kind = SUITES[usize::from((choice & 32) >> 2 | choice & 7) % SUITES.len()];
    let mut path = folder.path().join("a.jsonl");
    if kind == Suite::Piqa {
        let Some((_, [questions, labels])) = files(bytes) else { return };
        (path, _) = (folder.file("a.jsonl", questions), folder.file("a-labels.lst", labels));
    } else {
        let name = match choice >> 6 {
            2 => "a.gz",
            3 => "a.bz2",
            0 if kind == Suite::Blimp => "a.zip",
            _ if kind == Suite::Mmlu && choice & 64 != 0 => "a.csv",
            _ => "a.jsonl",
        };
        path.clone_from(&folder.file(name, rest));
    }
    let instruction = (kind == Suite::OLora).then(|| "Which?".to_owned());
    let limit = (choice & 16 != 0).then_some(2);
    let questions = !matches!(kind, Suite::Blimp | Suite::CrowsPairs | Suite::Perplexity);
    let shots = usize::from(questions && choice & 16 != 0);
    let (name, group, ask) = ("a".to_owned(), None, None);
    let task = TextTask { name, kind, path, limit, group, instruction, ask, shots, shots_from: None, seed: 0 };
    if let Ok(tasks) = task.read() {
        assert!(!tasks.is_empty());
        if let Tasks::MultipleChoice(questions) = tasks {
            assert!(questions.iter().all(|question| question.gold < question.choices.len()));
        }
    }
});

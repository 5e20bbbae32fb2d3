//! Small files that the runs are made of.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::program::ROOT;

/// Small files that runs are made of.
pub(super) fn write_files(dir: &Path) {
    let sequences = |shift: usize| {
        let line = |user: usize| {
            let items = (0..3 + user % 6).map(|at| 1 + (user * 7 + at * at * 3 + shift * at) % 30);
            format!("{} {}\n", user + 1, items.map(|item| item.to_string()).collect::<Vec<_>>().join(" "))
        };
        (0..40).map(line).collect::<String>()
    };
    let items = |word: &str| {
        (1..=30).fold(String::new(), |mut text, id| {
            writeln!(text, r#"{{"id": {id}, "title": "{word} {id}"}}"#).unwrap();
            text
        })
    };
    let published = (1..=30).fold(String::new(), |mut text, id| {
        let (sid, other) = ([id % 6, id / 6], [id / 5, id % 5]);
        writeln!(text, r#"{{"id": {id}, "sid": {sid:?}, "other_sid": {other:?}}}"#).unwrap();
        text
    });
    let interactions = sequences(1).lines().fold(String::new(), |mut text, line| {
        let mut words = line.split(' ');
        let user = words.next().unwrap();
        for (time, item) in words.enumerate() {
            writeln!(text, r#"{{"user": "u{user}", "item": {item}, "time": {time}}}"#).unwrap();
        }
        text
    });
    let questions = |word: &str| {
        (0..6).fold(String::new(), |mut text, at| {
            writeln!(
                text,
                r#"{{"question": "Which is {word} {at}?", "choices": ["a dog", "the {word}", "two men"], "gold": 1}}"#
            )
            .unwrap();
            text
        })
    };
    let labelled = (0..6).fold(r#"{"labels": ["red", "green"]}"#.to_owned() + "\n", |mut text, at| {
        writeln!(text, r#"{{"input": "a dog {at}", "output": "red"}}"#).unwrap();
        text
    });
    let birds = (0..8).fold(String::new(), |mut text, at| {
        let definition = if at == 0 { r#""definition": "Say a thing.", "# } else { "" };
        writeln!(text, r#"{{{definition}"instruction": "Say it.", "input": "a bird {at} that is by the river with the men who are not in the house with the dog that the girl saw", "output": "two men"}}"#)
            .unwrap();
        text
    });
    let said = (0..9).fold(String::new(), |mut text, at| {
        writeln!(text, r#"{{"a": "the {at} red dog is not here", "b": "{at} men were by the river"}}"#).unwrap();
        text
    });
    let documents = |word: &str| {
        (0..9).fold(String::new(), |mut text, at| {
            writeln!(text, r#"{{"id": {at}, "text": "{word} {at} is by the river"}}"#).unwrap();
            text
        })
    };
    let queries = |word: &str| {
        (0..9).fold(String::new(), |mut text, at| {
            let split = if at < 6 { "train" } else { "test" };
            writeln!(text, r#"{{"id": {at}, "text": "{word} {at}?", "relevant": [{at}], "split": "{split}"}}"#)
                .unwrap();
            text
        })
    };
    let boolq = |word: &str| {
        (0..9).fold(r#"{"labels": ["True", "False"]}"#.to_owned() + "\n", |mut text, at| {
            let input = format!("question: is {word} {at} here\\npassage: the dog {} is here", at % 6);
            writeln!(text, r#"{{"input": "{input}", "output": "True"}}"#).unwrap();
            text
        })
    };
    let files = [
        ("documents.jsonl", documents("the dog")),
        ("other-documents.jsonl", documents("a man")),
        ("queries.jsonl", queries("which dog")),
        ("other-queries.jsonl", queries("what man")),
        ("boolq.train.jsonl", boolq("the dog")),
        ("boolq.test.jsonl", boolq("the red dog")),
        ("other-boolq.jsonl", boolq("a man")),
        ("birds.train.jsonl", birds.clone()),
        ("birds.test.jsonl", birds.lines().take(3).map(|line| format!("{line}\n")).collect()),
        ("bad.train.jsonl", birds + "{\"instruction\": \"Say it.\", \"output\": \"\"}\n"),
        // Every form reads its first line in its own way.
        ("colours.train.jsonl", colours(9)),
        ("colours.test.jsonl", colours(3)),
        ("words.txt", "the dog is n't here , and the men are by the river . ".repeat(9)),
        ("others.txt", "a man and a girl were not in the house . ".repeat(9)),
        ("said.jsonl", said),
        ("sequences.txt", sequences(0)),
        ("other-sequences.txt", sequences(2)),
        ("bad-sequences.txt", sequences(0) + "41 5 x 6\n"),
        ("items.jsonl", items("Soap")),
        ("other-items.jsonl", items("Brush")),
        ("more-items.jsonl", items("Soap") + r#"{"id": 31, "title": "Soap 31"}"# + "\n"),
        ("interactions.jsonl", interactions),
        ("published.jsonl", published),
        ("questions.jsonl", questions("red")),
        ("other-questions.jsonl", questions("green")),
        ("labelled.jsonl", labelled),
    ];
    for (name, text) in files {
        fs::write(dir.join(name), text).unwrap();
    }
    // A model that dates its prompts, and one whose positions are few.
    copy_model(&dir.join("dated"), "tokenizer_config.json", "{%- for", "{{ strftime_now('%d %B %Y') }}{%- for");
    copy_model(
        &dir.join("short"),
        "config.json",
        "\"max_position_embeddings\": 256",
        "\"max_position_embeddings\": 40",
    );
    write_cranfield(&dir.join("cranfield"), "dog");
    write_cranfield(&dir.join("other-cranfield"), "house");
    fs::write(dir.join("embeddings.npy"), embeddings(7)).unwrap();
    fs::write(dir.join("other-embeddings.npy"), embeddings(11)).unwrap();
}

/// A copy of the embedded model in which a piece of one file is replaced.
fn copy_model(folder: &Path, file: &str, old: &str, new: &str) {
    fs::create_dir(folder).unwrap();
    for entry in fs::read_dir(Path::new(ROOT).join("orbit-cli/assets/tiny-lm")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{file} has no {old}");
    fs::write(path, text.replacen(old, new, 1)).unwrap();
}

/// A collection in the form of Cranfield's, of nine abstracts that a query each asks for.
fn write_cranfield(folder: &Path, word: &str) {
    fs::create_dir(folder).unwrap();
    let records = |text: &str| (1..10).map(|at| format!(".I {at}\n.W\n{text} {at}\n")).collect::<String>();
    fs::write(folder.join("cran.all.1400"), records(&format!("the {word} by the river"))).unwrap();
    fs::write(folder.join("cran.qry"), records(&format!("which {word}"))).unwrap();
    fs::write(folder.join("cranqrel"), (1..10).map(|at| format!("{at} {at} 3\n")).collect::<String>()).unwrap();
}

fn colours(count: usize) -> String {
    let first = r#"{"labels": ["red", "green"], "instruction": "Say it.", "output": "red"}"#.to_owned() + "\n";
    (0..count).fold(first, |mut text, at| {
        let output = ["red", "green"][at % 2];
        writeln!(text, r#"{{"instruction": "Say it.", "input": "a dog {at}", "output": "{output}"}}"#).unwrap();
        text
    })
}

/// A `.npy` file of 30 rows of 8 numbers.
fn embeddings(factor: u32) -> Vec<u8> {
    let mut header = "{'descr': '<f4', 'fortran_order': False, 'shape': (30, 8), }".to_owned();
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    for entry in 0..240_u32 {
        file.extend(((entry * factor * 37 % 101) as f32 / 50.0 - 1.0).to_le_bytes());
    }
    file
}

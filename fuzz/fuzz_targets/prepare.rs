//! Raw data of every kind is prepared or refused, and what was prepared can be read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orbit_data::prepare::{INTERACTIONS, ITEMS, Kind, Options, Repeats, Source};
use orbit_data::{Corpus, OnBadRow};
use orbit_fuzz::{Folder, files};

/// The files of a kind; those that a folder holds have names of their own.
fn names(kind: Kind, choice: u8) -> [&'static str; 2] {
    match (kind, choice >> 6) {
        (Kind::Movielens, 0) => ["u.data", "u.item"],
        (Kind::Movielens, 1) => ["ratings.dat", "movies.dat"],
        (Kind::Movielens, _) => ["ratings.csv", "movies.csv"],
        (Kind::Recbole, _) => ["shop.inter", "shop.item"],
        _ => ["interactions", "items"],
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, [interactions, items])) = files(bytes) else { return };
    let kind = Kind::ALL[usize::from(choice & 7)];
    let folder = Folder::default();
    let [one, two] = names(kind, choice);
    let (one, two) = (folder.file(one, interactions), folder.file(two, items));
    let named = matches!(kind, Kind::Movielens | Kind::Recbole);
    let source = if named { Source::new(kind, folder.path()) } else { Source::new(kind, one) };
    let source = if named || choice & 32 == 0 { source } else { source.items(two) };
    let options = Options {
        on_bad: if choice & 8 == 0 { OnBadRow::Fail } else { OnBadRow::Skip },
        repeats: if choice & 16 == 0 { Repeats::Keep } else { Repeats::First },
        moment: if choice & 16 == 0 { 1 } else { 86_400 },
        ..Options::default()
    };
    let out = folder.path().join("out");
    if source.prepare(&options, &out, &mut |_| {}).is_ok() {
        let read = Corpus::read_jsonl(&out.join(INTERACTIONS), &out.join(ITEMS), OnBadRow::Fail);
        read.expect("what was prepared can be read");
    }
});

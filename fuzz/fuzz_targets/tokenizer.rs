//! A `tokenizer.json` is read or refused; one that was read takes any text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orbit_data::Vocabulary;
use orbit_fuzz::{Folder, files};

/// The tokenizers crate, and what it stands on.
const THEIRS: [&str; 3] = ["/tokenizers-", "/spm_precompiled-", "/onig-"];

/// The library that orbit asks panics now and then, and orbit makes an error of it: only other panics end the process.
fn let_the_library_panic() {
    let end = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let theirs = panic.location().is_some_and(|place| THEIRS.iter().any(|name| place.file().contains(name)));
        if !theirs {
            end(panic);
        }
    }));
}

fuzz_target!(init: let_the_library_panic(), |bytes: &[u8]| {
    let Some((rows, [definition, text])) = files(bytes) else { return };
    let folder = Folder::default();
    folder.file("tokenizer.json", definition);
    let Ok(vocabulary) = Vocabulary::read(folder.path(), u32::from(rows), &[2, 2]) else { return };
    assert_eq!(vocabulary.new_tokens(), 6);
    let ids = vocabulary.encode(&String::from_utf8_lossy(text));
    drop(ids.map(|ids| vocabulary.decode(&ids)));
    assert!(vocabulary.users().is_none_or(|users| vocabulary.name(users.of("a user")).is_ok()));
});

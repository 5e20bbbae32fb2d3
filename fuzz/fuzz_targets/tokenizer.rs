//! A `tokenizer.json` is read or refused; one that was read takes any text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orbit_data::Vocabulary;
use orbit_data::tokenizer::Reader;
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
    let Some((choice, [definition, text])) = files(bytes) else { return };
    let folder = Folder::default();
    folder.file("tokenizer.json", definition);
    let reader = if choice & 1 == 0 { Reader::Decoder } else { Reader::Encoder };
    let Ok(vocabulary) = Vocabulary::read(folder.path(), reader, &[2, 2]) else { return };
    assert_eq!(vocabulary.new_tokens(), 6);
    let (tokenizer, text) = (vocabulary.text(), String::from_utf8_lossy(text));
    drop(tokenizer.first(&text).map(|ids| tokenizer.decode(&ids)));
    drop(tokenizer.continued(&text, &text));
    drop(tokenizer.rendered(&format!("{}<start_of_sid>", tokenizer.guard(&text))));
    assert!(vocabulary.users().is_none_or(|users| tokenizer.name(users.of("a user")).is_ok()));
});

//! A chat template and the tokenizer configuration around it are read or refused, and write a turn or say why not.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orbit_data::chat::ChatTemplate;
use orbit_fuzz::{Folder, files};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, [config, template])) = files(bytes) else { return };
    let folder = Folder::default();
    folder.file("tokenizer_config.json", config);
    if choice & 1 != 0 {
        folder.file("chat_template.jinja", template);
    }
    if let Ok(chat) = ChatTemplate::read(folder.path()) {
        drop(chat.turn("What is it?", "A cat."));
    }
});

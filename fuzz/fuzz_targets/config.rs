//! A model directory of any kind is loaded or refused, whatever size its `config.json` speaks of.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orbit_fuzz::{Folder, files};
use orbit_models::bert::Bert;
use orbit_models::sasrec::SasRec;
use orbit_models::switch::Switch;
use orbit_models::{DecoderConfig, LanguageModel, T5Config};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, [config, extension, weights])) = files(bytes) else { return };
    let folder = Folder::default();
    folder.file("config.json", config);
    if !extension.is_empty() {
        folder.file("orbit.json", extension);
    }
    folder.file(if choice & 7 == 3 { "switch.safetensors" } else { "model.safetensors" }, weights);
    let device = orbit_core::device("flex").expect("a device that every build has");
    match choice & 7 {
        0 => drop(LanguageModel::load(folder.path(), &device)),
        1 => drop(Bert::load(folder.path(), &device)),
        2 => drop(SasRec::load(folder.path(), &device)),
        3 => drop(Switch::load(folder.path(), &device).map(|switch| switch.route(&[vec![0.5; switch.width()]]))),
        4 => drop(DecoderConfig::read(folder.path()).map(|config| config.parameter_count())),
        _ => drop(T5Config::read(folder.path()).map(|config| config.parameter_count())),
    }
});

//! The file of an instruction vector is read or refused, and one that was read is of a model or is said not to be.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orbit_fuzz::Folder;
use orbit_models::instruction_vector::{InstructionVector, vector_of};
use orbit_models::{Decoder, DecoderConfig, LanguageModel};

thread_local! {
    static MODEL: LanguageModel = {
        let config = DecoderConfig {
            vocab_size: 16,
            hidden_size: 8,
            intermediate_size: 8,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            num_key_value_heads: 2,
            head_dim: 4,
            ..DecoderConfig::default()
        };
        LanguageModel::from(Decoder::random(config, 1, &orbit_core::device("flex").expect("a device of every build")))
    };
}

fuzz_target!(|bytes: &[u8]| {
    let folder = Folder::default();
    let Ok(vector) = InstructionVector::load(folder.file("a.safetensors", bytes)) else { return };
    assert!(vector.layers.values().all(|part| part.len() == vector.vector.len()));
    MODEL.with(|model| {
        drop(vector_of(model, &vector.means, &vector.about.heads));
        let device = orbit_core::device("flex").expect("a device of every build");
        drop(model.clone().steered(vector.changes(None, 1.0, &device)));
    });
});

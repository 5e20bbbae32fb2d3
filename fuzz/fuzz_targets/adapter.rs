//! A PEFT directory is read or refused, and one that was read fits a model or is said not to.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orbit_core::parameters;
use orbit_fuzz::{Folder, files};
use orbit_models::lora::Adapter;
use orbit_models::{Decoder, DecoderConfig};

thread_local! {
    /// Four heads in two groups, as in `testdata/models/tiny-llama-lora`.
    static MODEL: Decoder = {
        let config = DecoderConfig {
            vocab_size: 96,
            hidden_size: 32,
            intermediate_size: 64,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: 8,
            ..DecoderConfig::default()
        };
        Decoder::random(config, 1, &orbit_core::device("flex").expect("a device that every build has"))
    };
}

fuzz_target!(|bytes: &[u8]| {
    let Some((_, [config, factors])) = files(bytes) else { return };
    let folder = Folder::default();
    folder.file("adapter_config.json", config);
    folder.file("adapter_model.safetensors", factors);
    if let Ok((adapter, _)) = Adapter::load(folder.path()) {
        assert!(!adapter.factors.is_empty());
        drop(MODEL.with(|model| adapter.check(&parameters(model))));
    }
});

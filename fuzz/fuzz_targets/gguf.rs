//! A GGUF file is read or refused; the arrays of one that was read have the shapes that they say.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orbit_models::gguf;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(model) = gguf::from_bytes(bytes, "a.gguf") {
        for array in model.weights.tensors.values() {
            assert_eq!(array.shape.iter().product::<usize>(), array.data.len());
        }
        assert!(model.chat_template().is_none_or(|template| model.tokenizer_config["chat_template"] == template));
    }
});

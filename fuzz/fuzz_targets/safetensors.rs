//! A safetensors file, alone or as a shard with an index beside it, is read or refused. What was read is written and reads the
//! same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orbit_fuzz::{Folder, files};
use orbit_models::weights::{Dtype, Weights};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, [index, shard])) = files(bytes) else { return };
    let folder = Folder::default();
    let read = if choice & 1 == 0 {
        Weights::read_file(folder.file("model.safetensors", &bytes[1..]))
    } else {
        folder.file("model.safetensors.index.json", index);
        folder.file("a.safetensors", shard);
        Weights::read(folder.path())
    };
    let Ok(weights) = read else { return };
    weights.write(folder.path(), Dtype::F32, Some(64)).expect("what was read can be written");
    let again = Weights::read(folder.path()).expect("what was written can be read");
    let bits = |weights: &Weights| -> Vec<Vec<u32>> {
        weights.tensors.values().map(|array| array.data.iter().map(|x| x.to_bits()).collect()).collect()
    };
    assert!(again.tensors.keys().eq(weights.tensors.keys()) && bits(&again) == bits(&weights));
});

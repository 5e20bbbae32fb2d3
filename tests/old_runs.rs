//! Checkpoints of every format that there has been, which this build reads and all later ones must.
//!
//! `testdata/checkpoints/format-N` was saved by the first build with that format, half way through [`run`]. When the format changes,
//! `UPDATE_EXPECT=1` adds a directory; those that are there are never made again.

use std::fs;
use std::path::PathBuf;

use burn::tensor::Device;
use orbit_core::hook::Hook;
use orbit_core::{AdamW, Entry, Fit, host_weights};
use orbit_models::Decoder;
use orbit_regularizers::{Ema, Metric, Orbit};

use crate::tiny::{Language, constant, finish, flex, llama};

const HALF: u64 = 2;

/// A run with hooks that keep slots and state, from weights in a file.
fn run() -> Fit<Decoder, Language> {
    let device: Device = flex().autodiff();
    let hooks: [Box<dyn Hook>; 2] = [Box::new(Ema::new(0.7)), Box::new(Orbit::new(Metric::L2, 0.4))];
    let hooks = hooks.into_iter().map(Entry::new).collect();
    Fit::new(llama(&device), hooks, Language { micro: 4 }, AdamW::default(), constant(1e-2, 2 * HALF)).unwrap()
}

fn checkpoint(format: u64) -> PathBuf {
    PathBuf::from(format!("{}/../testdata/checkpoints/format-{format}", env!("CARGO_MANIFEST_DIR")))
}

#[test]
fn checkpoints_of_every_format_load() {
    let mut whole = run();
    (0..HALF).for_each(|_| drop(whole.step().unwrap()));
    let dir = tempfile::tempdir().unwrap();
    let saved = dir.path().join("now");
    whole.save(&saved).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(saved.join("manifest.json")).unwrap()).unwrap();
    let current = manifest["format"].as_u64().unwrap();
    if std::env::var_os("UPDATE_EXPECT").is_some() && !checkpoint(current).exists() {
        whole.save(checkpoint(current)).unwrap();
    }
    finish(&mut whole);
    let expected = host_weights(&whole.model()).concat();
    for format in 1..=current {
        let mut old = run();
        old.load(checkpoint(format)).unwrap();
        assert_eq!(old.steps(), HALF);
        finish(&mut old);
        // Kernels may add in another order one day; what is lost would be seen long before that.
        let found = host_weights(&old.model()).concat();
        let largest = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(largest < 1e-4 && found.len() == expected.len(), "format {format}: weights are {largest} apart");
    }
}

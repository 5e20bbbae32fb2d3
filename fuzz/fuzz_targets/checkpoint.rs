//! A checkpoint whose files are anything, and whose manifest vouches for them, is loaded or refused.

#![no_main]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use orbit_core::{AdamW, Decay, Fit, MicroBatch, Schedule};
use orbit_fuzz::{Folder, files};
use orbit_models::{Decoder, DecoderConfig};
use sha2::{Digest, Sha256};

const FILES: [&str; 4] = ["hooks.json", "optimizer.safetensors", "slots.safetensors", "weights.safetensors"];

type Run = Fit<Decoder, fn(u64) -> orbit_core::Result<Option<Vec<MicroBatch>>>>;

fn run() -> Run {
    let config = DecoderConfig {
        vocab_size: 4,
        hidden_size: 2,
        intermediate_size: 2,
        num_hidden_layers: 1,
        num_attention_heads: 1,
        num_key_value_heads: 1,
        head_dim: 2,
        tie_word_embeddings: true,
        ..DecoderConfig::default()
    };
    let device = orbit_core::device("flex").expect("a device of every build");
    let schedule = Schedule { learning_rate: 1e-3, warmup: 0, decay: Decay::Constant, total: 8 };
    let none: fn(u64) -> orbit_core::Result<Option<Vec<MicroBatch>>> = |_| Ok(None);
    let model = Decoder::random(config, 1, &device.autodiff());
    Fit::new(model, Vec::new(), none, AdamW::default(), schedule).expect("a run without hooks")
}

/// A run, and a checkpoint of it.
struct Made {
    run: Run,
    whole: BTreeMap<&'static str, Vec<u8>>,
    origin: String,
    guard: serde_json::Value,
}

thread_local! {
    static MADE: RefCell<Made> = {
        let (run, folder) = (run(), Folder::default());
        let saved = folder.path().join("step-0");
        run.save(&saved).expect("a new checkpoint");
        let read = |name| (name, std::fs::read(saved.join(name)).expect("a file of a checkpoint"));
        let whole = FILES.into_iter().map(read).collect();
        let origin = run.origin_digest();
        let manifest = std::fs::read(saved.join("manifest.json")).expect("a manifest");
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
        RefCell::new(Made { run, whole, origin, guard: manifest["guard"].clone() })
    };
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes the manifest that `orbit-core` would have written for these files: of format 2 with what the guard has seen, or of format 1.
fn vouch(dir: &Path, step: u64, origin: &str, names: &[String], guard: Option<serde_json::Value>) {
    #[derive(serde::Serialize)]
    struct Record {
        bytes: u64,
        sha256: String,
    }
    let record = |name: &String| {
        let bytes = FILES.contains(&name.as_str()).then(|| std::fs::read(dir.join(name)).unwrap_or_default());
        let bytes = bytes.unwrap_or_default();
        (name.clone(), Record { bytes: bytes.len() as u64, sha256: hex(&bytes) })
    };
    let files: BTreeMap<String, Record> = names.iter().map(record).collect();
    let format = if guard.is_some() { 2 } else { 1 };
    let old = (format, step, false, origin, &files);
    let digested = guard.as_ref().map_or_else(|| serde_json::to_vec(&old), |guard| serde_json::to_vec(&(&old, guard)));
    let mut manifest = serde_json::json!({
        "format": format, "step": step, "finished": false, "origin": origin, "files": files,
        "sha256": hex(&digested.expect("JSON")),
    });
    if let Some(guard) = guard {
        manifest["guard"] = guard;
    }
    std::fs::write(dir.join("manifest.json"), manifest.to_string()).expect("a file in a folder for temporary files");
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, [name, _])) = files(bytes) else { return };
    let folder = Folder::default();
    MADE.with_borrow_mut(|made| {
        made.whole.iter().for_each(|(name, bytes)| drop(folder.file(name, bytes)));
        let step = if choice & 64 == 0 { 3 } else { u64::MAX };
        let guard = (choice & 32 != 0).then(|| serde_json::from_slice(name).unwrap_or_else(|_| made.guard.clone()));
        match choice & 7 {
            // A manifest of any kind.
            7 => drop(folder.file("manifest.json", &bytes[1..])),
            // One that vouches for a file of any name.
            6 => {
                let other = String::from_utf8_lossy(name).into_owned();
                let names: Vec<String> = FILES[..3].iter().map(|name| (*name).to_owned()).chain([other]).collect();
                vouch(folder.path(), step, &made.origin, &names, guard);
            }
            // A guard that has seen anything; then a file of any contents.
            5 => vouch(folder.path(), step, &made.origin, &FILES.map(str::to_owned), guard),
            at => {
                folder.file(FILES[usize::from(at & 3)], &bytes[1..]);
                vouch(folder.path(), step, &made.origin, &FILES.map(str::to_owned), guard);
            }
        }
        if made.run.load(folder.path()).is_ok() {
            drop(made.run.step());
            made.run = run();
        }
    });
});

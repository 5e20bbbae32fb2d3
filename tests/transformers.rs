//! What orbit writes, transformers loads unchanged.
//!
//! Needs a Python with torch and transformers: `ORBIT_PYTHON`, or else `python3`. Skips without.

use std::path::Path;
use std::process::Command;

use orbit_core::{Input, Model, device};
use orbit_data::Vocabulary;
use orbit_data::chat::ChatTemplate;
use orbit_models::weights::Dtype;
use orbit_models::{Extension, load, save};

use crate::program::ROOT;

/// Prints the logits of the last token, and the tokens of the text.
const SCRIPT: &str = r#"
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
directory, text = sys.argv[1:]
model, report = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
assert not report["missing_keys"] and not report["unexpected_keys"], report
tokens = AutoTokenizer.from_pretrained(directory)(text)["input_ids"]
logits = model(torch.tensor([tokens])).logits[0, -1]
print(" ".join(map(str, tokens)))
print(" ".join(f"{x:.6f}" for x in logits.tolist()))
"#;

#[test]
fn transformers_loads_a_model_with_new_tokens() {
    let python = std::env::var("ORBIT_PYTHON").unwrap_or_else(|_| "python3".into());
    let ready = Command::new(&python).args(["-c", "import torch, transformers"]).output();
    if !ready.is_ok_and(|ready| ready.status.success()) {
        eprintln!("skipped: no Python with torch and transformers");
        return;
    }
    let source = Path::new(ROOT).join("orbit-cli/assets/tiny-lm");
    let dir = tempfile::tempdir().unwrap();
    let base = load(&source, &device("flex").unwrap()).unwrap();
    let vocabulary = Vocabulary::read(&source, base.base_vocabulary() as u32, &[4, 4]).unwrap();
    let model = base.with_new_tokens(vocabulary.new_tokens(), 3);
    save(&model, dir.path(), Dtype::F32, &Extension::default()).unwrap();
    vocabulary.save(dir.path()).unwrap();
    ChatTemplate::read(&source).unwrap().save(dir.path()).unwrap();

    let text = "<|im_start|>user\nThe men<start_of_sid><sid_0_1><sid_1_3><end_of_sid><|im_end|>";
    let output = Command::new(python).args(["-c", SCRIPT]).arg(dir.path()).arg(text).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = String::from_utf8(output.stdout).unwrap();
    let (theirs, logits) = output.trim().split_once('\n').unwrap();

    let tokens = vocabulary.encode(text).unwrap();
    assert_eq!(theirs, tokens.iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
    let width = tokens.len();
    let hidden = model.hidden(&Input::rows(tokens, 1, width));
    let [_, _, d] = hidden.dims();
    let ours = model.logits(hidden.narrow(1, width - 1, 1).reshape([1, d]));
    let ours: Vec<f32> = ours.into_data().try_into_vec().unwrap();
    let theirs: Vec<f32> = logits.split(' ').map(|x| x.parse().unwrap()).collect();
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() <= 1e-4), "{ours:?} and {theirs:?}");
}

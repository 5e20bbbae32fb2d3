//! What orbit writes, transformers loads unchanged.
//!
//! Needs a Python with torch and transformers: `ORBIT_PYTHON`, or else `python3`. Skips without.

use std::path::Path;
use std::process::Command;

use orbit_core::{Input, Model, device};
use orbit_data::Vocabulary;
use orbit_data::chat::ChatTemplate;
use orbit_data::tokenizer::Reader;
use orbit_models::weights::Dtype;
use orbit_models::{Decoder, EncoderDecoder, Extension, load, save};

use crate::bloom::bloom;
use crate::encoder_decoder::{answer_logits, t5};
use crate::program::ROOT;
use crate::tiny::{flex, largest_difference, micro_batch, values};

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

/// The Python to run, if it has these modules.
pub(crate) fn python(modules: &str) -> Option<String> {
    let python = std::env::var("ORBIT_PYTHON").unwrap_or_else(|_| "python3".into());
    let ready = Command::new(&python).args(["-c", &format!("import {modules}")]).output();
    if !ready.is_ok_and(|ready| ready.status.success()) {
        eprintln!("skipped: no Python with {modules}");
        return None;
    }
    Some(python)
}

/// What a script prints.
pub(crate) fn run(python: &str, script: &str, arguments: &[&std::ffi::OsStr]) -> String {
    let output = Command::new(python).args(["-c", script]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn transformers_loads_a_model_with_new_tokens() {
    let Some(python) = python("torch, transformers") else { return };
    let source = Path::new(ROOT).join("orbit-cli/assets/tiny-lm");
    let dir = tempfile::tempdir().unwrap();
    let base = load(&source, &device("flex").unwrap()).unwrap();
    let vocabulary = Vocabulary::read(&source, Reader::Decoder, &[4, 4]).unwrap();
    let model = base.with_new_tokens(vocabulary.new_tokens(), 3);
    save(&model, dir.path(), Dtype::F32, &Extension::default()).unwrap();
    vocabulary.text().save(dir.path()).unwrap();
    ChatTemplate::read(&source).unwrap().save(dir.path()).unwrap();

    let text = "<|im_start|>user\nThe men<start_of_sid><sid_0_1><sid_1_3><end_of_sid><|im_end|>";
    let output = run(&python, SCRIPT, &[dir.path().as_ref(), text.as_ref()]);
    let (theirs, logits) = output.trim().split_once('\n').unwrap();

    let tokens = vocabulary.text().rendered(text).unwrap();
    assert_eq!(theirs, tokens.iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
    let ours = last_logits(&model, &tokens);
    let theirs: Vec<f32> = logits.split(' ').map(|x| x.parse().unwrap()).collect();
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() <= 1e-4), "{ours:?} and {theirs:?}");
}

/// For each directory prints the logits of the last of some tokens, and what greedy decoding writes after them.
const DECODER: &str = r#"
import sys, torch
from transformers import AutoModelForCausalLM
for directory, tokens in zip(*[iter(sys.argv[1:])] * 2):
    model, report = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    tokens = torch.tensor([[int(x) for x in tokens.split()]])
    print(" ".join(f"{x:.6f}" for x in model.eval()(tokens).logits[0, -1].tolist()))
    written = model.generate(tokens, max_new_tokens=6, do_sample=False, eos_token_id=None)[0]
    print(" ".join(map(str, written.tolist())))
"#;

#[test]
fn transformers_loads_a_bloom() {
    let Some(python) = python("torch, transformers") else { return };
    let root = tempfile::tempdir().unwrap();
    let text = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let (mut arguments, mut cases) = (Vec::new(), Vec::new());
    for new in [0, 4] {
        let model = bloom(&flex());
        let model = if new > 0 { model.with_new_tokens(new, 3) } else { model };
        let dir = root.path().join(new.to_string());
        std::fs::create_dir(&dir).unwrap();
        save(&model, &dir, Dtype::F32, &Extension::default()).unwrap();
        let tokens = vec![5, model.vocabulary() as u32 - 1, 9, 33, 11, 17, 2];
        arguments.extend([dir.into_os_string(), text(&tokens).into()]);
        cases.push((model, tokens));
    }
    let arguments: Vec<&std::ffi::OsStr> = arguments.iter().map(|argument| argument.as_os_str()).collect();
    let output = run(&python, DECODER, &arguments);
    let lines: Vec<&str> = output.trim().lines().collect();
    assert_eq!(lines.len(), 2 * cases.len());
    for ((model, tokens), lines) in cases.into_iter().zip(lines.chunks(2)) {
        let theirs: Vec<f32> = lines[0].split(' ').map(|x| x.parse().unwrap()).collect();
        let new = model.new_token_count();
        let difference = largest_difference(&last_logits(&model, &tokens), &theirs);
        assert!(difference <= 1e-4, "with {new} new tokens: logits differ by {difference}");
        let mut written = tokens;
        for _ in 0..6 {
            written.push(likeliest(&last_logits(&model, &written)));
        }
        assert_eq!(text(&written), lines[1], "with {new} new tokens");
    }
}

fn last_logits(model: &Decoder, tokens: &[u32]) -> Vec<f32> {
    let width = tokens.len();
    let hidden = model.hidden(&Input::rows(tokens.to_vec(), 1, width));
    let [_, _, d] = hidden.dims();
    values(model.logits(hidden.narrow(1, width - 1, 1).reshape([1, d])))
}

fn likeliest(scores: &[f32]) -> u32 {
    (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap() as u32
}

/// For each directory prints the teacher-forced logits of an answer to a prompt, and what greedy decoding writes after it.
const SEQ2SEQ: &str = r#"
import sys, torch
from transformers import AutoModelForSeq2SeqLM
for directory, prompt, answer in zip(*[iter(sys.argv[1:])] * 3):
    model, report = AutoModelForSeq2SeqLM.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    prompt, answer = (torch.tensor([[int(x) for x in ids.split()]]) for ids in (prompt, answer))
    logits = model.eval()(input_ids=prompt, labels=answer).logits[0]
    print(" ".join(f"{x:.6f}" for x in logits.flatten().tolist()))
    written = model.generate(prompt, max_new_tokens=6, do_sample=False)[0]
    print(" ".join(map(str, written.tolist())))
"#;

#[test]
fn transformers_loads_encoder_decoders() {
    let Some(python) = python("torch, transformers") else { return };
    let root = tempfile::tempdir().unwrap();
    let text = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let (mut arguments, mut cases) = (Vec::new(), Vec::new());
    for (name, new) in [("tiny-t5", 0), ("tiny-t5", 4), ("tiny-mt5", 0), ("tiny-mt5", 4), ("tiny-flan-t5", 0)] {
        let model = t5(name, &flex());
        let model = if new > 0 { model.with_new_tokens(new, 3) } else { model };
        let dir = root.path().join(format!("{name}-{new}"));
        std::fs::create_dir(&dir).unwrap();
        model.save(&dir, Dtype::F32, &Extension::default()).unwrap();
        let last = model.vocabulary() as u32 - 1;
        let (prompt, answer) = (vec![5, last, 9, 33, 2, 17, 1], vec![last, 8, last - 1, 60, 1]);
        arguments.extend([dir.into_os_string(), text(&prompt).into(), text(&answer).into()]);
        cases.push((name, model, prompt, answer));
    }
    let arguments: Vec<&std::ffi::OsStr> = arguments.iter().map(|argument| argument.as_os_str()).collect();
    let output = run(&python, SEQ2SEQ, &arguments);
    let lines: Vec<&str> = output.trim().lines().collect();
    assert_eq!(lines.len(), 2 * cases.len());
    for ((name, model, prompt, answer), lines) in cases.iter().zip(lines.chunks(2)) {
        let theirs: Vec<f32> = lines[0].split(' ').map(|x| x.parse().unwrap()).collect();
        let batch = micro_batch(&[([&prompt[..], answer].concat(), prompt.len())]);
        let difference = largest_difference(&values(answer_logits(model, &batch).0), &theirs);
        let new = model.new_token_count();
        assert!(difference <= 1e-4, "{name} with {new} new tokens: logits differ by {difference}");
        assert_eq!(text(&greedy(model, prompt, 6)), lines[1], "{name} with {new} new tokens");
    }
}

/// The start token and up to `count` tokens, each the likeliest after those before.
fn greedy(model: &EncoderDecoder, prompt: &[u32], count: usize) -> Vec<u32> {
    let mut written = vec![model.config().decoder_start_token_id];
    let mut row = prompt.to_vec();
    // The token to be guessed is in the row already, and a decoder does not look ahead.
    while written.len() <= count && written.last() != model.config().eos_token_ids.first() {
        row.push(0);
        let logits = values(answer_logits(model, &micro_batch(&[(row.clone(), prompt.len())])).0);
        let best = likeliest(&logits[logits.len() - model.vocabulary()..]);
        row.pop();
        row.push(best);
        written.push(best);
    }
    written
}

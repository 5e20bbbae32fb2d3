//! Low-rank adapters against PEFT: what they compute, what they learn, and what is on the disk.
//! `testdata/models/make_tiny_lora.py` made the files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use orbit_core::kernel::cross_entropy;
use orbit_core::{AdamW, Fit, Input, MicroBatch, Model, host_weights, parameters, pick};
use orbit_models::lora::{Adapter, AdapterOrigin, LoraConfig};
use orbit_models::weights::{Array, Dtype, Weights};
use orbit_models::{Extension, LanguageModel};
use serde_json::{Value, json};

use crate::encoder_decoder;
use crate::golden::folder;
use crate::tiny::{constant, finish, flex, largest_difference, micro_batch, noise, values};
use crate::transformers::{python, run};

pub(crate) const BASES: [&str; 2] = ["tiny-llama", "tiny-t5"];

pub(crate) fn base(name: &str, device: &Device) -> LanguageModel {
    LanguageModel::load(folder(name), device).unwrap()
}

/// What peft made of a base model.
struct Golden {
    dir: PathBuf,
    batch: MicroBatch,
    /// Rows over the vocabulary, for every token that is guessed.
    logits: Vec<f32>,
    file: BTreeMap<String, Array>,
}

fn golden(base: &str) -> Golden {
    let dir = folder(&format!("{base}-lora"));
    let file = Weights::read_file(dir.join("golden.safetensors")).unwrap().tensors;
    let batch = batch(base);
    let [_, width, vocabulary] = file["logits"].shape[..] else { panic!("logits have three dimensions") };
    let guessed = batch.lengths.iter().zip(&batch.answers).map(|(length, answer)| length - answer);
    let rows = file["logits"].data.chunks(width * vocabulary).zip(guessed);
    let logits = rows.flat_map(|(row, guessed)| row[..guessed * vocabulary].to_vec()).collect();
    Golden { dir, batch, logits, file }
}

/// The rows that the base model's golden file has.
fn batch(base: &str) -> MicroBatch {
    if base == "tiny-t5" {
        return encoder_decoder::golden(base).batch();
    }
    let ids = &Weights::read_file(folder(base).join("golden.safetensors")).unwrap().tensors["input_ids"];
    let rows = ids.data.chunks(ids.shape[1]).map(|row| (row.iter().map(|&id| id as u32).collect(), 1));
    micro_batch(&rows.collect::<Vec<_>>())
}

/// The scores where answers are guessed.
pub(crate) fn logits(model: &impl Model, batch: &MicroBatch) -> Vec<f32> {
    logits_of(model, &Input::from(batch), batch)
}

pub(crate) fn logits_of(model: &impl Model, input: &Input, batch: &MicroBatch) -> Vec<f32> {
    let hidden = model.hidden(input);
    let [rows, width, d] = hidden.dims();
    values(model.logits(pick(hidden.reshape([rows * width, d]), &batch.answer_positions().0)))
}

/// An adapter whose B is not zero.
pub(crate) fn drawn(model: &LanguageModel, config: &LoraConfig, seed: u32) -> Adapter {
    let mut adapter = model.fresh_adapter(config, u64::from(seed)).unwrap();
    for (layer, [_, b]) in (0..).zip(adapter.factors.values_mut()) {
        b.data = noise(b.data.len(), seed + layer).into_iter().map(|x| 0.2 * x).collect();
    }
    adapter
}

#[test]
fn adapters_of_peft_compute_what_they_do_in_peft() {
    for name in BASES {
        let golden = golden(name);
        for device in [flex(), flex().autodiff()] {
            let plain = base(name, &device);
            let (adapter, origin) = Adapter::load(&golden.dir).unwrap();
            assert_eq!((adapter.config.rank, adapter.config.scale(), origin), (3, 2.0, None));
            let attached = plain.clone().with_adapter(&adapter).unwrap();
            let difference = largest_difference(&logits(&attached, &golden.batch), &golden.logits);
            assert!(difference <= 1e-4, "{name}: logits differ by {difference}");
            assert_eq!(attached.base_digest(), plain.base_digest());

            let hidden = attached.hidden(&Input::from(&golden.batch));
            let [rows, width, d] = hidden.dims();
            let (positions, targets) = golden.batch.answer_positions();
            let scores = attached.logits(pick(hidden.reshape([rows * width, d]), &positions));
            let loss = values(cross_entropy(scores, &targets, 1.0 / targets.len() as f32))[0];
            assert!((loss - golden.file["loss"].data[0]).abs() <= 1e-5, "{name}: loss {loss}");

            let merged = plain.clone().merge(&adapter, 1.0).unwrap();
            let difference = largest_difference(&logits(&merged, &golden.batch), &golden.logits);
            assert!(difference <= 1e-4, "{name}: merged, logits differ by {difference}");
            assert_ne!(merged.base_digest(), plain.base_digest());
            let again = merged.merge(&adapter, -1.0).unwrap();
            let difference = largest_difference(&host_weights(&again).concat(), &host_weights(&plain).concat());
            assert!(difference <= 1e-6, "{name}: taken out again, weights differ by {difference}");
        }
    }
}

#[test]
fn three_steps_are_those_of_torch_and_peft() {
    for name in BASES {
        let golden = golden(name);
        let (adapter, _) = Adapter::load(&golden.dir).unwrap();
        let plain = base(name, &flex());
        let model = plain.clone().with_adapter(&adapter).unwrap();
        let batch = golden.batch.clone();
        let same = move |_: u64| Ok(Some(vec![batch.clone()]));
        let mut fit = Fit::new(model, Vec::new(), same, AdamW::default(), constant(1e-2, 3)).unwrap();
        for (report, expected) in finish(&mut fit).iter().zip(&golden.file["losses"].data) {
            let difference = (report.loss - f64::from(*expected)).abs();
            // After two updates by Adam, which divides by the root of small numbers, a little more than a step's rounding.
            assert!(difference <= 2e-5, "{name}: the loss of step {} differs by {difference}", report.step);
        }
        let trained = Adapter::of(&fit.model(), &adapter.config);
        assert_eq!(trained.factors.len(), adapter.factors.len());
        for (layer, factors) in &trained.factors {
            for (factor, letter) in factors.iter().zip(["A", "B"]) {
                let expected = &golden.file[&format!("trained.base_model.model.{layer}.lora_{letter}.weight")];
                assert_eq!(factor.shape, expected.shape);
                let difference = largest_difference(&factor.data, &expected.data);
                assert!(difference <= 1e-4, "{name}: {letter} of {layer} differs by {difference}");
            }
        }
        assert_eq!(fit.model().base_digest(), plain.base_digest(), "{name}: the base has changed");
    }
}

#[test]
fn what_is_saved_is_what_is_loaded() {
    let model = base("tiny-llama", &flex());
    let config = LoraConfig { rank: 2, alpha: 5.0, dropout: 0.25, targets: Vec::new() };
    let adapter = drawn(&model, &config, 3);
    assert_eq!(adapter.config.targets, ["q_proj", "v_proj"]);
    let dir = tempfile::tempdir().unwrap();
    let origin = AdapterOrigin { base: model.base_digest(), task: Some("birds".into()) };
    adapter.save(dir.path(), model.task_type(), "some/base", &origin).unwrap();
    assert_eq!(Adapter::load(dir.path()).unwrap(), (adapter.clone(), Some(origin)));
    assert_eq!(model.read_adapter(dir.path()).unwrap(), adapter);

    // An adapter that peft was told to put on one layer alone has more targets than layers.
    let half = copy("tiny-llama-lora");
    edit(half.path(), &|config| config["layers_to_transform"] = json!([1]));
    drop_factors(half.path(), &|name| name.contains("layers.0."));
    let (adapter, _) = Adapter::load(half.path()).unwrap();
    assert_eq!(adapter.config.targets.len(), 4);
    adapter.save(dir.path(), model.task_type(), "some/base", &AdapterOrigin::default()).unwrap();
    let config: Value = serde_json::from_slice(&fs::read(dir.path().join("adapter_config.json")).unwrap()).unwrap();
    assert!(config["target_modules"].as_array().unwrap().contains(&json!("model.layers.1.mlp.down_proj")), "{config}");
}

/// Prints the logits of every case, one line each: a base, an adapter, and the tokens of a prompt and an answer.
const SCRIPT: &str = r#"
import sys, torch, warnings
from peft import PeftConfig, PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM
for base, adapter, prompt, answer in zip(*[iter(sys.argv[1:])] * 4):
    seq2seq = PeftConfig.from_pretrained(adapter).task_type == "SEQ_2_SEQ_LM"
    net = (AutoModelForSeq2SeqLM if seq2seq else AutoModelForCausalLM).from_pretrained(base, dtype=torch.float32)
    net = PeftModel.from_pretrained(net, adapter).eval()
    there = set(load_file(adapter + "/adapter_model.safetensors"))
    assert set(get_peft_model_state_dict(net)) == there, "peft has other factors than the file"
    prompt, answer = ([int(x) for x in ids.split()] for ids in (prompt, answer))
    if seq2seq:
        logits = net(input_ids=torch.tensor([prompt]), labels=torch.tensor([answer])).logits[0]
    else:
        logits = net(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    print(" ".join(f"{x:.6f}" for x in logits.flatten().tolist()))
"#;

#[test]
fn peft_loads_what_orbit_saves() {
    let Some(python) = python("torch, transformers, peft") else { return };
    let root = tempfile::tempdir().unwrap();
    let text = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let cases = [
        ("tiny-llama", vec![]),
        ("tiny-llama", vec!["model.layers.1.mlp.*".to_owned(), "k_proj".into()]),
        ("tiny-t5", vec![]),
        ("tiny-t5", vec!["decoder.block.?.layer.1.EncDecAttention.[vk]".to_owned(), "wo".into()]),
    ];
    let (mut arguments, mut expected) = (Vec::new(), Vec::new());
    for (index, (name, targets)) in cases.into_iter().enumerate() {
        let model = base(name, &flex());
        let adapter = drawn(&model, &LoraConfig { rank: 2, alpha: 3.0, dropout: 0.1, targets }, index as u32);
        let dir = root.path().join(index.to_string());
        fs::create_dir(&dir).unwrap();
        let path = folder(name);
        adapter.save(&dir, model.task_type(), &path.to_string_lossy(), &AdapterOrigin::default()).unwrap();
        let (prompt, answer) = (vec![5u32, 9, 33, 2, 17, 1], vec![4u32, 8, 60, 1]);
        arguments.extend([path.into_os_string(), dir.into(), text(&prompt).into(), text(&answer).into()]);
        let row = micro_batch(&[([&prompt[..], &answer].concat(), prompt.len())]);
        let plain = logits(&model, &row);
        expected.push((name, logits(&model.with_adapter(&adapter).unwrap(), &row), plain));
    }
    let arguments: Vec<&std::ffi::OsStr> = arguments.iter().map(|argument| argument.as_os_str()).collect();
    let output = run(&python, SCRIPT, &arguments);
    let lines: Vec<&str> = output.trim().lines().collect();
    assert_eq!(lines.len(), expected.len());
    for ((name, ours, plain), line) in expected.into_iter().zip(lines) {
        let theirs: Vec<f32> = line.split(' ').map(|x| x.parse().unwrap()).collect();
        let difference = largest_difference(&ours, &theirs);
        assert!(difference <= 1e-4, "{name}: logits differ by {difference}");
        assert!(largest_difference(&ours, &plain) > 0.1, "{name}: the adapter does nothing");
    }
}

/// A copy of an adapter's files.
fn copy(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        fs::copy(folder(name).join(file), dir.path().join(file)).unwrap();
    }
    dir
}

fn edit(dir: &Path, change: &dyn Fn(&mut Value)) {
    let path = dir.join("adapter_config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    fs::write(path, config.to_string()).unwrap();
}

fn change_factors(dir: &Path, change: &dyn Fn(&mut BTreeMap<String, Array>)) {
    let path = dir.join("adapter_model.safetensors");
    let mut weights = Weights::read_file(&path).unwrap();
    change(&mut weights.tensors);
    weights.write_file(&path, Dtype::F32).unwrap();
}

fn drop_factors(dir: &Path, which: &dyn Fn(&str) -> bool) {
    change_factors(dir, &|tensors| tensors.retain(|name, _| !which(name)));
}

#[test]
fn what_orbit_does_not_compute_is_named() {
    let changes: [(&str, Value); 16] = [
        ("peft_type", json!("IA3")),
        ("bias", json!("lora_only")),
        ("use_dora", json!(true)),
        ("use_rslora", json!(true)),
        ("fan_in_fan_out", json!(true)),
        ("rank_pattern", json!({"q_proj": 5})),
        ("alpha_pattern", json!({"q_proj": 5})),
        ("modules_to_save", json!(["lm_head"])),
        ("lora_bias", json!(true)),
        ("layer_replication", json!([[0, 2], [1, 2]])),
        ("alora_invocation_tokens", json!([3, 4])),
        ("trainable_token_indices", json!([1])),
        ("init_lora_weights", json!("pissa_niter_4")),
        ("init_lora_weights", json!("olora")),
        ("r", json!(0)),
        ("lora_dropout", json!(1.0)),
    ];
    for (key, value) in changes {
        let dir = copy("tiny-llama-lora");
        edit(dir.path(), &|config| config[key] = value.clone());
        let error = Adapter::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains(key) && error.contains("adapter_config.json"), "{key} = {value}: {error}");
    }
    let dir = copy("tiny-llama-lora");
    edit(dir.path(), &|config| config["init_lora_weights"] = json!("gaussian"));
    Adapter::load(dir.path()).unwrap();
    edit(dir.path(), &|config| drop(config.as_object_mut().unwrap().remove("r")));
    let error = Adapter::load(dir.path()).unwrap_err().to_string();
    assert!(error.contains("missing field `r`"), "{error}");
    let error = Adapter::load(dir.path().join("nowhere")).unwrap_err().to_string();
    assert!(error.contains("nowhere"), "{error}");
}

#[test]
fn adapters_that_do_not_fit_are_named() {
    let model = base("tiny-llama", &flex());
    let refused = |dir: &Path, words: &[&str]| {
        let error = model.read_adapter(dir).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{words:?} are not in: {error}");
    };
    refused(&folder("tiny-t5-lora"), &["decoder.block.0", "another model"]);

    let dir = copy("tiny-llama-lora");
    drop_factors(dir.path(), &|name| name.ends_with("layers.1.self_attn.v_proj.lora_B.weight"));
    refused(dir.path(), &["model.layers.1.self_attn.v_proj", "only one of its two factors"]);
    drop_factors(dir.path(), &|_| true);
    refused(dir.path(), &["no factor"]);

    let dir = copy("tiny-llama-lora");
    let narrow = |tensors: &mut BTreeMap<String, Array>| {
        let name =
            tensors.keys().find(|name| name.ends_with("layers.0.self_attn.q_proj.lora_A.weight")).unwrap().clone();
        tensors.insert(name, Array { shape: vec![3, 31], data: vec![0.0; 93] });
    };
    change_factors(dir.path(), &narrow);
    refused(dir.path(), &["model.layers.0.self_attn.q_proj", "[3, 31]", "[32, 32]"]);

    let dir = copy("tiny-llama-lora");
    edit(dir.path(), &|config| config["r"] = json!(4));
    refused(dir.path(), &["lora_A.weight", "not rank 4"]);

    let dir = copy("tiny-llama-lora");
    let more = |tensors: &mut BTreeMap<String, Array>| {
        tensors.insert("base_model.model.lm_head.weight".into(), Array { shape: vec![1], data: vec![0.0] });
    };
    change_factors(dir.path(), &more);
    refused(dir.path(), &["lm_head", "not a factor"]);

    let dir = copy("tiny-llama-lora");
    let written = r#"{"base": "0123456789abcdef0123"}"#;
    fs::write(dir.path().join("orbit.json"), written).unwrap();
    refused(dir.path(), &["0123456789ab", &model.base_digest()[..12], "another model"]);
    fs::write(dir.path().join("orbit.json"), format!(r#"{{"base": "{}"}}"#, model.base_digest())).unwrap();
    let adapter = model.read_adapter(dir.path()).unwrap();

    let adapted = model.clone().with_adapter(&adapter).unwrap();
    for error in [
        adapted.clone().with_adapter(&adapter).unwrap_err(),
        adapted.clone().merge(&adapter, 1.0).unwrap_err(),
        adapted.clone().with_bank(std::slice::from_ref(&adapter)).unwrap_err(),
        adapted.save(dir.path(), Dtype::F32, &Extension::default()).unwrap_err(),
    ] {
        assert!(error.to_string().contains("merge"), "{error}");
    }
}

#[test]
fn options_of_fresh_adapters_are_checked() {
    let model = base("tiny-t5", &flex());
    let message = |config: LoraConfig| model.fresh_adapter(&config, 1).unwrap_err().to_string();
    let good = LoraConfig::default();
    assert!(message(LoraConfig { rank: 0, ..good.clone() }).contains("lora.rank must be at least 1"));
    assert!(message(LoraConfig { dropout: 1.0, ..good.clone() }).contains("lora.dropout must be in [0, 1), got 1"));
    assert!(message(LoraConfig { alpha: f64::NAN, ..good.clone() }).contains("lora.alpha"));
    let targets = |target: &str| LoraConfig { targets: vec!["q".into(), target.into()], ..good.clone() };
    assert!(message(targets("q_proj")).contains(r#""q_proj" names no layer of this model; one is called "#));
    assert!(message(targets("shared")).contains(r#""shared" names no layer"#), "a table of tokens is not a layer");
    assert!(message(targets("[q")).contains("lora.targets"));
    let adapter = model.fresh_adapter(&targets("wi"), 1).unwrap();
    let expected = parameters(&model).into_iter().filter(|param| {
        let name = &param.name;
        name.ends_with(".q.weight") || name.ends_with(".wi.weight")
    });
    assert_eq!(adapter.factors.len(), expected.count());
    for [a, b] in adapter.factors.values() {
        let bound = (a.shape[1] as f32).sqrt().recip();
        let spread = a.data.iter().fold(0.0f32, |worst, x| worst.max(x.abs()));
        assert!(spread <= bound && spread > 0.8 * bound, "A is within ±1/√in");
        assert!(b.data.iter().all(|&x| x == 0.0));
    }
    assert_eq!(adapter, model.fresh_adapter(&targets("wi"), 1).unwrap());
    assert_ne!(adapter, model.fresh_adapter(&targets("wi"), 2).unwrap());
}

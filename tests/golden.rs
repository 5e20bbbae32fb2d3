//! Models against the reference implementation, `transformers`. `make_tiny_llama.py` and `make_tiny_bloom.py` in
//! `testdata/models` made the files.

use std::path::PathBuf;

use burn::tensor::Tensor;
use orbit_core::kernel::cross_entropy;
use orbit_core::{Input, Model, device};
use orbit_models::weights::{Dtype, Weights};
use orbit_models::{Decoder, Extension, load, save};

pub(crate) fn folder(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/models")).join(name)
}

struct Golden {
    tokens: Vec<u32>,
    logits: Vec<f32>,
    loss: f32,
}

const ROWS: usize = 2;
const WIDTH: usize = 24;

fn golden(name: &str) -> Golden {
    let mut file = Weights::read_file(folder(name).join("golden.safetensors")).unwrap().tensors;
    let mut take = |name: &str| file.remove(name).unwrap().data;
    Golden {
        tokens: take("input_ids").into_iter().map(|id| id as u32).collect(),
        logits: take("logits"),
        loss: take("loss")[0],
    }
}

fn logits(model: &Decoder, tokens: &[u32]) -> Tensor<2> {
    let hidden = model.hidden(&Input::rows(tokens.to_vec(), ROWS, WIDTH));
    let [rows, width, d] = hidden.dims();
    model.logits(hidden.reshape([rows * width, d]))
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn check(name: &str, device: &burn::tensor::Device) {
    let model = load(folder(name), device).unwrap();
    let golden = golden(name);
    let logits = logits(&model, &golden.tokens);
    let found: Vec<f32> = logits.clone().into_data().try_into_vec().unwrap();
    let difference = largest_difference(&found, &golden.logits);
    assert!(difference <= 1e-4, "{name}: logits differ by {difference}");

    let rows: Vec<usize> = (0..ROWS * WIDTH).filter(|at| at % WIDTH != WIDTH - 1).collect();
    let targets: Vec<u32> = rows.iter().map(|at| golden.tokens[at + 1]).collect();
    let picked = Tensor::cat(rows.iter().map(|&at| logits.clone().narrow(0, at, 1)).collect(), 0);
    let loss = cross_entropy(picked, &targets, 1.0 / targets.len() as f32).into_scalar::<f32>();
    assert!((loss - golden.loss).abs() <= 1e-5, "{name}: loss {loss}, not {}", golden.loss);
}

#[test]
fn logits_are_those_of_transformers() {
    for name in ["tiny-llama", "tiny-llama-untied", "tiny-llama-sharded", "tiny-bloom"] {
        check(name, &device("flex").unwrap());
        check(name, &device("flex").unwrap().autodiff());
    }
}

#[test]
fn a_saved_model_is_the_same_model() {
    let device = device("flex").unwrap();
    for (name, new) in [("tiny-llama", 5), ("tiny-bloom", 0), ("tiny-bloom", 5)] {
        let dir = tempfile::tempdir().unwrap();
        let tokens = golden(name).tokens;
        let mut model = load(folder(name), &device).unwrap();
        if new > 0 {
            model = model.with_new_tokens(new, 7);
        }
        save(&model, dir.path(), Dtype::F32, &Extension::default()).unwrap();
        let again = load(dir.path(), &device).unwrap();
        assert_eq!(again.config(), model.config());
        assert_eq!(again.new_token_count(), new);
        let data = |model: &Decoder| logits(model, &tokens).into_data();
        assert_eq!(data(&model), data(&again), "{name}");
    }
}

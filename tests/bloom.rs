//! BLOOM: its positions, its names, and its training step. What it has in common with a Llama is tested with that.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use orbit_core::hook::{Phases, Vector};
use orbit_core::kernel::{Alibi, Mask};
use orbit_core::{AdamW, Fit, Input, Model, host_weights, parameters};
use orbit_models::generate::Incremental;
use orbit_models::lora::LoraConfig;
use orbit_models::weights::{Array, Dtype, Weights};
use orbit_models::{Cache, Decoder, DecoderConfig, Error, Extension, Family, LanguageModel, load, save};

use crate::golden::folder;
use crate::tiny::{Language, VOCABULARY, relative_difference};
use crate::tiny::{constant, contents, finish, flex, largest_difference, log_softmax, micro_batch, scripted, values};

pub(crate) fn bloom(device: &Device) -> Decoder {
    load(folder("tiny-bloom"), device).unwrap()
}

/// What transformers made of the checkpoint.
fn golden() -> BTreeMap<String, Array> {
    Weights::read_file(folder("tiny-bloom").join("golden.safetensors")).unwrap().tensors
}

#[test]
fn slopes_are_those_of_transformers() {
    let expected = &golden()["slopes"];
    for (heads, expected) in (1..).zip(expected.data.chunks(expected.shape[1])) {
        let difference = relative_difference(&Alibi::slopes(heads), &expected[..heads]);
        assert!(difference <= 1e-6, "{heads} heads: {difference}");
    }
    assert!(Alibi::slopes(0).is_empty());
}

fn golden_rows() -> Vec<Vec<u32>> {
    let ids = &golden()["input_ids"];
    ids.data.chunks(ids.shape[1]).map(|row| row.iter().map(|&id| id as u32).collect()).collect()
}

/// The loss and the gradient of one step of `Fit` on the golden rows.
#[test]
fn a_step_has_the_loss_and_the_gradients_of_transformers() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let watching = scripted("watching", Phases::GRADIENTS, move |phase, _, space| {
        if phase == Phases::GRADIENTS {
            sender.send(contents(space, Vector::Gradients)).unwrap();
        }
        Ok(())
    });
    let batch = micro_batch(&golden_rows().into_iter().map(|row| (row, 1)).collect::<Vec<_>>());
    let batches = move |_| Ok(Some(vec![batch.clone()]));
    let model = bloom(&flex().autodiff());
    let mut fit = Fit::new(model, vec![watching], batches, AdamW::default(), constant(1e-6, 1)).unwrap();
    let (loss, golden) = (fit.step().unwrap().unwrap().loss, golden());
    let expected = f64::from(golden["loss"].data[0]);
    assert!((loss - expected).abs() <= 1e-5, "loss {loss}, not {expected}");
    let gradients = receiver.recv().unwrap();
    assert_eq!(gradients.len(), 29);
    for (name, found) in gradients {
        let difference = relative_difference(&found, &golden[&format!("gradient.{name}")].data);
        assert!(difference <= 1e-4, "the gradient of {name} differs by {difference}");
    }
}

/// Tokens of a text one at a time, or several, after others of which keys and values are kept.
#[test]
fn decoding_step_by_step_is_the_full_pass() {
    let (model, rows) = (bloom(&flex()), golden_rows());
    let width = rows[0].len();
    let expected = values(model.hidden(&Input::rows(rows.concat(), 2, width)).reshape([-1]));
    let d = model.config().hidden_size;
    let mut cache = Cache::default();
    let mut found = vec![Vec::new(); 2];
    let mut past = 0;
    for count in [7, 1, 1, 5, 1, 9] {
        let tokens = rows.iter().flat_map(|row| row[past..past + count].to_vec()).collect();
        let mut input = Input::rows(tokens, 2, count);
        input.positions.iter_mut().for_each(|position| *position += past as u32);
        input.mask = Mask::Causal { past };
        let hidden = values(model.hidden_after(&input, &mut cache).reshape([-1]));
        found.iter_mut().zip(hidden.chunks(count * d)).for_each(|(found, hidden)| found.extend(hidden));
        past += count;
    }
    assert_eq!(past, width);
    let difference = largest_difference(&found.concat(), &expected);
    assert!(difference <= 1e-5, "step by step the states differ by {difference}");
}

/// Two endings of one beginning side by side, each at its own positions and out of the other's sight.
#[test]
fn branches_that_share_a_row_are_as_two_rows() {
    let model = bloom(&flex());
    let (shared, ends) = (vec![5u32, 9, 60, 33], [vec![7u32, 8, 9], vec![40, 41]]);
    let tokens = [&shared[..], &ends[0], &ends[1]].concat();
    let mut input =
        Input::rows(tokens, 1, 9).with_mask(|_, token, key| key <= token && (token < 7 || !(4..7).contains(&key)));
    input.positions = vec![0, 1, 2, 3, 4, 5, 6, 4, 5];
    let hidden = model.hidden(&input);
    for (end, first) in ends.iter().zip([4, 7]) {
        let alone = [&shared[..], end].concat();
        let expected = model.hidden(&Input::rows(alone.clone(), 1, alone.len())).narrow(1, 4, end.len());
        let found = hidden.clone().narrow(1, first, end.len());
        assert!(largest_difference(&values(found), &values(expected)) <= 1e-5, "{end:?}");
    }
}

/// Only distances count.
#[test]
fn positions_may_begin_anywhere() {
    let (model, row) = (bloom(&flex()), golden_rows().remove(0));
    let at = |first: u32| {
        let mut input = Input::rows(row.clone(), 1, row.len());
        input.positions.iter_mut().for_each(|position| *position += first);
        values(model.hidden(&input))
    };
    assert_eq!(at(0), at(1_000_000));
}

fn read(dir: &Path) -> BTreeMap<String, Array> {
    Weights::read(dir).unwrap().tensors
}

/// The checkpoint with a change, as far as it loads.
fn changed(change: impl FnOnce(&mut BTreeMap<String, Array>)) -> Result<Decoder, Error> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(folder("tiny-bloom").join("config.json"), dir.path().join("config.json")).unwrap();
    let mut weights = Weights::read(folder("tiny-bloom")).unwrap();
    change(&mut weights.tensors);
    weights.write(dir.path(), Dtype::F32, None).unwrap();
    load(dir.path(), &flex())
}

#[test]
fn names_may_have_their_prefix_or_not() {
    let (model, dir) = (bloom(&flex()), tempfile::tempdir().unwrap());
    assert!(matches!(LanguageModel::load(folder("tiny-bloom"), &flex()), Ok(LanguageModel::Decoder(_))));
    save(&model, dir.path(), Dtype::F32, &Extension::default()).unwrap();
    let published = read(&folder("tiny-bloom"));
    let prefixed: BTreeMap<_, _> =
        published.iter().map(|(name, array)| (format!("transformer.{name}"), array.clone())).collect();
    assert!(published.contains_key("h.0.input_layernorm.bias"));
    assert_eq!(read(dir.path()), prefixed);
    let both = changed(|tensors| {
        let table = tensors["word_embeddings.weight"].clone();
        tensors.insert("lm_head.weight".into(), table);
    });
    assert_eq!(host_weights(&both.unwrap()), host_weights(&model), "a head beside names without prefix");
}

#[test]
fn tensors_that_do_not_fit_are_listed() {
    let error = changed(|tensors| {
        tensors.remove("h.1.self_attention.dense.bias");
        tensors.insert("h.2.ln.bias".into(), Array { shape: vec![1], data: vec![0.0] });
        tensors.get_mut("ln_f.weight").unwrap().shape = vec![4, 6];
    });
    match error.unwrap_err() {
        Error::Weights { missing, unused, misshapen, .. } => {
            assert_eq!(missing, ["transformer.h.1.self_attention.dense.bias"]);
            assert_eq!(unused, ["transformer.h.2.ln.bias"]);
            assert_eq!(misshapen[0].name, "transformer.ln_f.weight");
        }
        other => panic!("{other}"),
    }
}

fn small() -> Decoder {
    let config = DecoderConfig {
        family: Family::Bloom,
        vocab_size: VOCABULARY as usize,
        hidden_size: 20,
        intermediate_size: 80,
        num_hidden_layers: 2,
        num_attention_heads: 5,
        num_key_value_heads: 5,
        head_dim: 4,
        tie_word_embeddings: true,
        initializer_range: 0.3,
        ..DecoderConfig::default()
    };
    Decoder::random(config, 7, &flex().autodiff())
}

#[test]
fn fresh_weights_have_norms_at_one_and_biases_at_zero() {
    let model = small();
    let params = parameters(&model);
    assert_eq!(
        params.iter().map(|param| param.shape.iter().product::<usize>()).sum::<usize>(),
        model.config().parameter_count()
    );
    for (param, entries) in params.iter().zip(host_weights(&model)) {
        let expected = match (param.name.ends_with(".bias"), param.shape.len()) {
            (true, _) => 0.0,
            (false, 1) => 1.0,
            _ => continue,
        };
        assert!(entries.iter().all(|&x| x == expected), "{}", param.name);
    }
}

#[test]
fn training_learns_the_language() {
    let mut fit = Fit::new(small(), Vec::new(), Language { micro: 4 }, AdamW::default(), constant(1e-2, 60)).unwrap();
    let losses: Vec<f64> = finish(&mut fit).iter().map(|report| report.loss).collect();
    assert!(losses[0] > 2.0 && losses[59] < 0.3, "from {} to {}", losses[0], losses[59]);
    // The language's own continuation: 5 x + 3.
    let next = &log_softmax(&fit.model(), &[2, 13, 4])[2];
    assert!(next[7].exp() > 0.5, "{next:?}");
}

/// Queries, keys and values are one layer, and so is what an adapter is for.
#[test]
fn an_adapter_is_for_the_joined_layer() {
    let model = LanguageModel::from(bloom(&flex()));
    let adapter = model.fresh_adapter(&LoraConfig::default(), 1).unwrap();
    let layers: Vec<&str> = adapter.factors.keys().map(String::as_str).collect();
    assert_eq!(
        layers,
        ["transformer.h.0.self_attention.query_key_value", "transformer.h.1.self_attention.query_key_value"]
    );
    assert_eq!(adapter.factors[layers[0]][1].shape, [72, 8]);
}

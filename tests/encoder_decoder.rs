//! T5 and mT5 against the reference implementation, `transformers`. `testdata/models/make_tiny_t5.py` made the files.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use orbit_core::hook::Phases;
use orbit_core::kernel::{Mask, cross_entropy};
use orbit_core::score::{Choices, choices};
use orbit_core::{AdamW, Fit, Input, MicroBatch, Model, host_weights, parameters, pick};
use orbit_models::generate::{Incremental, beam_search};
use orbit_models::t5::{Cache, FeedForwardProj, ModelType};
use orbit_models::weights::{Array, Dtype, Weights};
use orbit_models::{EncoderDecoder, Error, Extension, T5Config};

use crate::decoding::trie;
use crate::golden::folder;
use crate::tiny::{constant, contents, finish, flex, largest_difference, micro_batch, scripted, values};

const MODELS: [&str; 3] = ["tiny-t5", "tiny-mt5", "tiny-flan-t5"];

pub(crate) fn t5(name: &str, device: &Device) -> EncoderDecoder {
    EncoderDecoder::load(folder(name), device).unwrap()
}

/// What transformers made of a checkpoint.
pub(crate) struct Golden {
    pub(crate) prompts: Vec<Vec<u32>>,
    pub(crate) answers: Vec<Vec<u32>>,
    /// Rows over the vocabulary, for every token of every answer.
    pub(crate) logits: Vec<f32>,
    pub(crate) loss: f32,
}

pub(crate) fn golden(name: &str) -> Golden {
    let file = Weights::read_file(folder(name).join("golden.safetensors")).unwrap().tensors;
    let rows = |ids: &str, lengths: &str| -> Vec<Vec<u32>> {
        let width = file[ids].shape[1];
        let rows = file[ids].data.chunks(width).zip(&file[lengths].data);
        rows.map(|(row, &length)| row[..length as usize].iter().map(|&id| id as u32).collect()).collect()
    };
    let (prompts, answers) = (rows("input_ids", "prompt_lengths"), rows("labels", "answer_lengths"));
    let [_, width, vocabulary] = file["logits"].shape[..] else { panic!("logits have three dimensions") };
    let padded = file["logits"].data.chunks(width * vocabulary).zip(&answers);
    let logits = padded.flat_map(|(row, answer)| row[..answer.len() * vocabulary].to_vec()).collect();
    Golden { prompts, answers, logits, loss: file["loss"].data[0] }
}

impl Golden {
    /// Prompt and answer in one row each, as training has them.
    pub(crate) fn batch(&self) -> MicroBatch {
        let rows = self.prompts.iter().zip(&self.answers);
        micro_batch(&rows.map(|(prompt, answer)| ([&prompt[..], answer].concat(), prompt.len())).collect::<Vec<_>>())
    }
}

/// The scores of every answer token, and these tokens.
pub(crate) fn answer_logits(model: &EncoderDecoder, batch: &MicroBatch) -> (Tensor<2>, Vec<u32>) {
    let hidden = model.hidden(&Input::from(batch));
    let [rows, width, d] = hidden.dims();
    let (positions, targets) = batch.answer_positions();
    (model.logits(pick(hidden.reshape([rows * width, d]), &positions)), targets)
}

#[test]
fn logits_and_loss_are_those_of_transformers() {
    for name in MODELS {
        let golden = golden(name);
        for device in [flex(), flex().autodiff()] {
            let (logits, targets) = answer_logits(&t5(name, &device), &golden.batch());
            let difference = largest_difference(&values(logits.clone()), &golden.logits);
            assert!(difference <= 1e-4, "{name}: logits differ by {difference}");
            let loss = values(cross_entropy(logits, &targets, 1.0 / targets.len() as f32))[0];
            assert!((loss - golden.loss).abs() <= 1e-5, "{name}: loss {loss}, not {}", golden.loss);
        }
    }
}

/// One token of the answer at a time, of both rows, whose prompts differ in length.
#[test]
fn decoding_step_by_step_is_the_full_pass() {
    for name in MODELS {
        let (model, golden) = (t5(name, &flex()), golden(name));
        let expected = values(answer_logits(&model, &golden.batch()).0);
        let vocabulary = model.vocabulary();
        let mut cache = Cache::default();
        let mut found: Vec<Vec<f32>> = vec![Vec::new(); golden.prompts.len()];
        let widest = golden.prompts.iter().map(Vec::len).max().unwrap();
        for step in 0..golden.answers[0].len() {
            let hidden = model.hidden_after(&next(&golden, step, widest), &mut cache);
            let [_, width, d] = hidden.dims();
            for (row, found) in found.iter_mut().enumerate() {
                let at = if step == 0 { golden.prompts[row].len() - 1 } else { width - 1 };
                let state = hidden.clone().narrow(0, row, 1).narrow(1, at, 1).reshape([1, d]);
                if step < golden.answers[row].len() {
                    found.extend(values(model.logits(state)));
                }
            }
        }
        assert_eq!(found[1].len(), golden.answers[1].len() * vocabulary);
        let difference = largest_difference(&found.concat(), &expected);
        assert!(difference <= 1e-5, "{name}: step by step the logits differ by {difference}");
    }
}

/// The prompts, or the token of each answer that follows `step` − 1 others.
fn next(golden: &Golden, step: usize, widest: usize) -> Input {
    let rows = golden.prompts.len();
    if step == 0 {
        let padded =
            golden.prompts.iter().flat_map(|p| p.iter().copied().chain([9; 99]).take(widest).collect::<Vec<_>>());
        return Input::rows(padded.collect(), rows, widest).with_answers(golden.prompts.iter().map(Vec::len).collect());
    }
    let tokens = golden.answers.iter().map(|answer| answer.get(step - 1).copied().unwrap_or(0)).collect();
    let positions = golden.prompts.iter().map(|prompt| (prompt.len() + step - 1) as u32).collect();
    // As with a decoder, a mask is what keeps the padding behind a shorter prompt out of sight.
    let sees = |prompt: &Vec<u32>| (0..widest + step).map(|at| at < prompt.len() || at >= widest).collect::<Vec<_>>();
    let seen = golden.prompts.iter().flat_map(sees);
    let mask = Mask::Additive(seen.map(|seen| if seen { 0.0 } else { f32::NEG_INFINITY }).collect());
    Input { positions, mask, ..Input::rows(tokens, rows, 1).with_answers(vec![0; rows]) }
}

/// Padding and the other rows of a batch do not reach a row.
#[test]
fn rows_do_not_see_each_other() {
    let (model, golden) = (t5("tiny-mt5", &flex()), golden("tiny-mt5"));
    let whole = golden.batch();
    let together = values(answer_logits(&model, &whole).0);
    let mut alone = Vec::new();
    for row in 0..whole.rows {
        let tokens = whole.tokens[row * whole.width..][..whole.lengths[row]].to_vec();
        alone.extend(values(answer_logits(&model, &micro_batch(&[(tokens, whole.answers[row])])).0));
    }
    assert!(largest_difference(&alone, &together) <= 1e-5);
}

#[test]
fn a_prompt_has_no_state_of_its_own() {
    let (model, golden) = (t5("tiny-t5", &flex()), golden("tiny-t5"));
    let hidden = model.hidden(&Input::from(&golden.batch()));
    let prompt = values(hidden.narrow(0, 1, 1).narrow(1, 0, golden.prompts[1].len() - 1));
    assert!(prompt.iter().all(|&x| x == 0.0));
}

fn bytes(dir: &Path) -> Weights {
    Weights::read(dir).unwrap()
}

#[test]
fn a_saved_model_is_the_same_model() {
    for name in MODELS {
        let dir = tempfile::tempdir().unwrap();
        let model = t5(name, &flex());
        model.save(dir.path(), Dtype::F32, &Extension::default()).unwrap();
        let again = EncoderDecoder::load(dir.path(), &flex()).unwrap();
        assert_eq!(again.config(), model.config());
        assert_eq!(host_weights(&again), host_weights(&model));
        let mut original = bytes(&folder(name)).tensors;
        original.retain(|name, _| !name.contains("embed_tokens") && !name.contains("EncDecAttention.relative"));
        assert_eq!(bytes(dir.path()).tensors, original, "{name}");
    }
}

#[test]
fn new_tokens_are_saved_and_split_off_again() {
    for name in ["tiny-t5", "tiny-mt5"] {
        let dir = tempfile::tempdir().unwrap();
        let model = t5(name, &flex()).with_new_tokens(5, 7);
        model.save(dir.path(), Dtype::F32, &Extension::default()).unwrap();
        let again = EncoderDecoder::load(dir.path(), &flex()).unwrap();
        assert_eq!((again.new_token_count(), again.base_vocabulary()), (5, 64));
        assert_eq!(host_weights(&again), host_weights(&model));
        let batch = micro_batch(&[(vec![3, 66, 9, 68, 65], 2)]);
        let data = |model: &EncoderDecoder| values(answer_logits(model, &batch).0);
        assert_eq!(data(&again), data(&model));
        assert_eq!(data(&model).len(), 3 * 69);
    }
}

/// The checkpoint of tiny-t5 with a change, as far as it loads.
fn changed(change: impl FnOnce(&mut Weights)) -> Result<EncoderDecoder, Error> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(folder("tiny-t5").join("config.json"), dir.path().join("config.json")).unwrap();
    let mut weights = bytes(&folder("tiny-t5"));
    change(&mut weights);
    weights.write(dir.path(), Dtype::F32, None).unwrap();
    EncoderDecoder::load(dir.path(), &flex())
}

#[test]
fn tensors_that_do_not_fit_are_listed() {
    let (query, table) = (
        "encoder.block.1.layer.0.SelfAttention.q.weight",
        "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
    );
    let error = changed(|weights| {
        weights.tensors.remove(query);
        weights.tensors.insert("encoder.block.7.q.weight".into(), Array { shape: vec![1], data: vec![0.0] });
        weights.tensors.get_mut(table).unwrap().shape = vec![3, 8];
    });
    match error.unwrap_err() {
        Error::Weights { missing, unused, misshapen, .. } => {
            assert_eq!(
                (&missing[..], &unused[..]),
                (&[query.to_owned()][..], &["encoder.block.7.q.weight".to_owned()][..])
            );
            assert_eq!((misshapen[0].name.as_str(), &misshapen[0].expected[..]), (table, &[8, 3][..]));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn the_embedding_may_have_any_of_its_names() {
    let logits = |model: &EncoderDecoder| values(answer_logits(model, &golden("tiny-t5").batch()).0);
    let expected = logits(&t5("tiny-t5", &flex()));
    let renamed = changed(|weights| {
        let table = weights.tensors.remove("shared.weight").unwrap();
        weights.tensors.insert("decoder.embed_tokens.weight".into(), table.clone());
        weights.tensors.insert("lm_head.weight".into(), table);
    });
    let renamed = renamed.unwrap();
    assert!(renamed.config().tie_word_embeddings);
    assert_eq!(logits(&renamed), expected);
    let torn = changed(|weights| {
        let mut other = weights.tensors["shared.weight"].clone();
        other.data[0] += 1.0;
        weights.tensors.insert("encoder.embed_tokens.weight".into(), other);
    });
    assert!(torn.unwrap_err().to_string().contains("encoder.embed_tokens.weight: differs from shared.weight"));
}

fn small(feed_forward_proj: FeedForwardProj, tied: bool) -> T5Config {
    T5Config {
        model_type: ModelType::T5,
        vocab_size: 12,
        d_model: 24,
        d_kv: 8,
        d_ff: 48,
        num_layers: 2,
        num_decoder_layers: 2,
        num_heads: 4,
        feed_forward_proj,
        tie_word_embeddings: tied,
        scale_decoder_outputs: tied,
        ..T5Config::default()
    }
}

#[test]
fn fresh_weights_are_those_of_t5() {
    let config = T5Config {
        d_model: 64,
        num_heads: 8,
        d_kv: 16,
        d_ff: 256,
        initializer_factor: 0.5,
        ..small(FeedForwardProj::GatedGelu, false)
    };
    let model = EncoderDecoder::random(config.clone(), 3, &flex());
    let again = host_weights(&EncoderDecoder::random(config, 3, &flex()));
    let weights = host_weights(&model);
    assert_eq!(weights, again);
    for (param, entries) in parameters(&model).iter().zip(&weights) {
        let deviation = (entries.iter().map(|x| f64::from(x * x)).sum::<f64>() / entries.len() as f64).sqrt();
        let variance: f64 = match param.name.rsplit('.').nth(1).unwrap() {
            "layer_norm" | "final_layer_norm" | "shared" | "lm_head" => 1.0,
            "q" => 1.0 / (64.0 * 16.0),
            "o" => 1.0 / 128.0,
            "wo" => 1.0 / 256.0,
            _ => 1.0 / 64.0,
        };
        let expected = 0.5 * variance.sqrt();
        assert!((deviation / expected - 1.0).abs() < 0.3, "{}: {deviation}, not {expected}", param.name);
    }
}

/// Copying two to five tokens of ten: the prompt, an end, the same again, an end.
fn copies(step: u64) -> Vec<(Vec<u32>, usize)> {
    let row = |row: u64| {
        let seed = 97 * step + 13 * row;
        let length = 2 + (seed / 7 % 4) as usize;
        let text: Vec<u32> =
            (0..length as u64).map(|i| 2 + ((seed * seed + 31 * i * (seed % 11 + 1)) % 10) as u32).collect();
        ([&text[..], &[1], &text, &[1]].concat(), length + 1)
    };
    (0..16).map(row).collect()
}

/// `Fit` trains an encoder-decoder as it is, in both forms.
#[test]
fn training_learns_to_copy() {
    for (form, tied) in [(FeedForwardProj::Relu, true), (FeedForwardProj::GatedGelu, false)] {
        let model = EncoderDecoder::random(small(form, tied), 5, &flex().autodiff());
        let batches = |step: u64| Ok(Some(copies(step).chunks(8).map(micro_batch).collect()));
        let mut fit = Fit::new(model, Vec::new(), batches, AdamW::default(), constant(3e-3, 300)).unwrap();
        let losses: Vec<f64> = finish(&mut fit).iter().map(|report| report.loss).collect();
        let last = losses[290..].iter().sum::<f64>() / 10.0;
        assert!(losses[0] > 2.0 && last < 0.5, "{form:?}: from {} to {last}", losses[0]);
    }
}

/// The loss and the gradient of one step of `Fit` on the golden batch, which moves nothing.
fn step(name: &str, hook: bool) -> (f64, Vec<(String, Vec<f32>)>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let watching = scripted("watching", Phases::GRADIENTS, move |phase, _, space| {
        if phase == Phases::GRADIENTS {
            sender.send(contents(space, orbit_core::hook::Vector::Gradients)).unwrap();
        }
        Ok(())
    });
    let hooks = if hook { vec![watching] } else { Vec::new() };
    let batch = golden(name).batch();
    let batches = move |_| Ok(Some(vec![batch.clone()]));
    let mut fit = Fit::new(t5(name, &flex().autodiff()), hooks, batches, AdamW::default(), constant(1e-6, 1)).unwrap();
    let report = fit.step().unwrap().unwrap();
    (report.loss, receiver.try_recv().unwrap_or_default())
}

#[test]
fn the_loss_of_a_step_is_that_of_transformers() {
    for name in MODELS {
        let (loss, _) = step(name, false);
        let expected = f64::from(golden(name).loss);
        assert!((loss - expected).abs() <= 1e-5, "{name}: {loss}, not {expected}");
    }
}

/// The golden loss with entry `at` of parameter `name` moved by `by`.
fn moved(model: &str, name: &str, at: usize, by: f32) -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let original = t5(model, &flex());
    original.save(dir.path(), Dtype::F32, &Extension::default()).unwrap();
    let mut weights = bytes(dir.path());
    weights.tensors.get_mut(name).unwrap().data[at] += by;
    weights.write(dir.path(), Dtype::F32, None).unwrap();
    let model = EncoderDecoder::load(dir.path(), &flex()).unwrap();
    let (logits, targets) = answer_logits(&model, &golden_batch_of(&model));
    f64::from(values(cross_entropy(logits, &targets, 1.0 / targets.len() as f32))[0])
}

fn golden_batch_of(model: &EncoderDecoder) -> MicroBatch {
    let name = if model.config().model_type == ModelType::Mt5 { "tiny-mt5" } else { "tiny-t5" };
    golden(name).batch()
}

/// In every parameter the largest entry of the gradient is the difference quotient of the loss.
#[test]
fn gradients_are_difference_quotients() {
    for name in ["tiny-t5", "tiny-mt5"] {
        for (parameter, gradient) in step(name, true).1 {
            let largest = (0..gradient.len()).max_by(|&a, &b| gradient[a].abs().total_cmp(&gradient[b].abs())).unwrap();
            let (found, by) = (f64::from(gradient[largest]), 1.0 / 128.0);
            let ends = [by, -by].map(|by| moved(name, &parameter, largest, by));
            let expected = (ends[0] - ends[1]) / f64::from(2.0 * by);
            let bound = 1e-3 + 0.02 * expected.abs();
            assert!((found - expected).abs() < bound, "{name} {parameter}[{largest}]: {found}, not {expected}");
        }
    }
}

/// Beams decode step by step in a tree, `choices` scores whole answers side by side in one row.
#[test]
fn beams_and_scores_agree() {
    let sequences: Vec<Vec<u32>> = (0..24).map(|i| vec![20 + i / 8, 30 + i % 8, 64 + i % 3]).collect();
    let prompts = vec![vec![5, 9, 64, 3, 11, 40, 1], vec![7, 1], vec![66; 12]];
    for name in MODELS {
        let model = t5(name, &flex()).with_new_tokens(3, 2);
        let found = beam_search(&model, &prompts, &trie(&sequences), sequences.len()).unwrap();
        let items: Vec<Choices> = (prompts.iter())
            .map(|prompt| Choices { context: prompt.clone(), continuations: sequences.clone(), adapter: None })
            .collect();
        let expected = choices(&model, &items, 4096, &mut |_| {}).unwrap();
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.len(), sequences.len());
            for ranked in found {
                let expected = expected[ranked.item as usize];
                assert!((ranked.log_probability - expected).abs() < 1e-4, "{name}: {ranked:?}, not {expected}");
            }
        }
        let alone = choices(&model, &items[..1], 4096, &mut |_| {}).unwrap();
        let row = micro_batch(&[([&prompts[0][..], &sequences[4]].concat(), prompts[0].len())]);
        let (logits, targets) = answer_logits(&model, &row);
        let loss = f64::from(values(cross_entropy(logits, &targets, 1.0))[0]);
        assert!((alone[0][4] + loss).abs() < 1e-4, "{name}: {} and {loss}", alone[0][4]);
    }
}

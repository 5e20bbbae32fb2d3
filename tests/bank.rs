//! Several adapters on one model, and answers written token by token.

use orbit_core::kernel::Mask;
use orbit_core::{Input, MicroBatch, Model};
use orbit_models::LanguageModel;
use orbit_models::generate::{Answering, Incremental, answers};
use orbit_models::lora::{Adapter, LoraConfig};

use crate::golden::folder;
use crate::lora::{BASES, base, drawn, logits, logits_of};
use crate::tiny::{flex, largest_difference, micro_batch, values};

/// PEFT's golden adapter, one of other layers and rank, and one of a single layer.
fn adapters(name: &str, model: &LanguageModel) -> Vec<Adapter> {
    let t5 = name == "tiny-t5";
    let config = |rank, target: &str| LoraConfig { rank, alpha: 9.0, dropout: 0.0, targets: vec![target.into()] };
    let one = if t5 { "decoder.block.1.layer.1.EncDecAttention.v" } else { "model.layers.1.self_attn.k_proj" };
    vec![
        Adapter::load(folder(&format!("{name}-lora"))).unwrap().0,
        drawn(model, &config(1, if t5 { "k" } else { "o_proj" }), 7),
        drawn(model, &config(5, one), 8),
    ]
}

/// The base and the model of every adapter, each a model of its own; the base is last.
fn separate(model: &LanguageModel, adapters: &[Adapter], merged: bool) -> Vec<LanguageModel> {
    let with = |adapter: &Adapter| {
        if merged { model.clone().merge(adapter, 1.0) } else { model.clone().with_adapter(adapter) }.unwrap()
    };
    adapters.iter().map(with).chain([model.clone()]).collect()
}

const CHOSEN: [Option<usize>; 7] = [Some(0), None, Some(2), Some(2), Some(1), None, Some(0)];

/// A prompt and an answer a row, of different lengths.
fn rows() -> Vec<(Vec<u32>, usize)> {
    let row = |at: usize| {
        let tokens = (0..6 + at * 3 % 5).map(|i| 3 + (17 * i + 29 * at) as u32 % 55).collect::<Vec<_>>();
        (tokens, 2 + at % 3)
    };
    (0..CHOSEN.len()).map(row).collect()
}

fn part(all: &[f32], batch: &MicroBatch, row: usize) -> Vec<f32> {
    let guessed = |row: usize| batch.lengths[row] - batch.answers[row];
    let vocabulary = all.len() / batch.answer_tokens();
    let from = (0..row).map(guessed).sum::<usize>() * vocabulary;
    all[from..][..guessed(row) * vocabulary].to_vec()
}

#[test]
fn every_row_goes_through_its_own_adapter() {
    for name in BASES {
        let model = base(name, &flex());
        let adapters = adapters(name, &model);
        let bank = model.clone().with_bank(&adapters).unwrap();
        assert_eq!(bank.adapters(), 3);
        assert_eq!(bank.base_digest(), model.base_digest());
        let batch = micro_batch(&rows());
        let input = Input { adapters: CHOSEN.to_vec(), ..Input::from(&batch) };
        let together = logits_of(&bank, &input, &batch);
        for merged in [false, true] {
            let models = separate(&model, &adapters, merged);
            for (row, chosen) in CHOSEN.iter().enumerate() {
                let alone = logits(&models[chosen.unwrap_or(3)], &micro_batch(&rows()[row..=row]));
                let difference = largest_difference(&part(&together, &batch, row), &alone);
                let bound = if merged { 1e-4 } else { 2e-5 };
                assert!(difference <= bound, "{name}, row {row}, {chosen:?}, merged: {merged}: {difference}");
            }
        }
        let plain = logits(&model, &batch);
        assert_eq!(logits(&bank, &batch), plain, "{name}: rows that choose nothing go through the base");
        assert!(largest_difference(&together, &plain) > 0.1);
    }
}

/// What is most likely after the prompt and what was written, from a full pass each time.
fn naive(model: &LanguageModel, prompt: &[u32], ends: &[u32], longest: usize) -> Vec<u32> {
    let mut written = Vec::new();
    while written.len() < longest {
        // The token to be guessed is in the row already: a model does not look ahead.
        let row = [prompt, &written, &[0]].concat();
        let logits = logits(model, &micro_batch(&[(row, prompt.len())]));
        let scores = &logits[logits.len() - model.vocabulary()..];
        let best = scores.iter().enumerate().fold(0, |best, (at, &x)| if x > scores[best] { at } else { best }) as u32;
        if ends.contains(&best) {
            break;
        }
        written.push(best);
    }
    written
}

fn prompts() -> Vec<Vec<u32>> {
    rows().into_iter().map(|(tokens, _)| tokens).collect()
}

fn write(model: &LanguageModel, prompts: &[Vec<u32>], adapters: &[Option<usize>], how: Answering<'_>) -> Vec<Vec<u32>> {
    let mut done = 0;
    let written = answers(model, prompts, adapters, how, &mut |rows| done += rows).unwrap();
    assert_eq!(done, prompts.len());
    written
}

#[test]
fn answers_are_those_of_full_passes_in_any_batch() {
    let ends: Vec<u32> = (0..12).collect();
    for name in BASES {
        let model = base(name, &flex());
        let adapters = adapters(name, &model);
        let bank = model.clone().with_bank(&adapters).unwrap();
        let models = separate(&model, &adapters, false);
        let expected: Vec<Vec<u32>> = (prompts().iter().zip(CHOSEN))
            .map(|(prompt, chosen)| naive(&models[chosen.unwrap_or(3)], prompt, &ends, 9))
            .collect();
        let lengths: Vec<usize> = expected.iter().map(Vec::len).collect();
        assert!(lengths.contains(&9) && lengths.iter().any(|&length| length < 9), "{lengths:?}");
        for batch in [1, 2, 3, 99] {
            let how = Answering { ends: &ends, longest: 9, batch, draw: None };
            assert_eq!(write(&bank, &prompts(), &CHOSEN, how), expected, "{name}, {batch} at a time");
            for (which, model) in models.iter().enumerate() {
                let own = CHOSEN.iter().map(|chosen| chosen.unwrap_or(3) == which);
                let (prompts, expected): (Vec<_>, Vec<_>) =
                    prompts().into_iter().zip(&expected).zip(own).filter(|(_, own)| *own).map(|(pair, _)| pair).unzip();
                let found = write(model, &prompts, &[], how);
                assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{name}, model {which}, {batch} at a time");
            }
        }
        let none = Answering { ends: &ends, longest: 0, batch: 4, draw: None };
        assert_eq!(write(&model, &prompts(), &[], none), vec![Vec::<u32>::new(); CHOSEN.len()]);
    }
}

/// One token at a time behind a cache, every row through its own adapter.
#[test]
fn a_bank_decodes_step_by_step_as_in_one_pass() {
    for name in BASES {
        let model = base(name, &flex());
        let bank = model.clone().with_bank(&adapters(name, &model)).unwrap();
        let (prompt, answer) = (5, 4);
        let row = |at: usize| (0..prompt + answer).map(|i| 3 + (13 * i + 31 * at) as u32 % 55).collect::<Vec<u32>>();
        let rows: Vec<Vec<u32>> = (0..CHOSEN.len()).map(row).collect();
        let batch = micro_batch(&rows.iter().map(|row| (row.clone(), prompt)).collect::<Vec<_>>());
        let expected = logits_of(&bank, &Input { adapters: CHOSEN.to_vec(), ..Input::from(&batch) }, &batch);

        let mut cache = Default::default();
        let mut found: Vec<Vec<f32>> = vec![Vec::new(); rows.len()];
        for step in 0..answer {
            let width = if step == 0 { prompt } else { 1 };
            let tokens =
                rows.iter().flat_map(|row| row[if step == 0 { 0 } else { prompt + step - 1 }..][..width].to_vec());
            let input = Input { adapters: CHOSEN.to_vec(), ..Input::rows(tokens.collect(), rows.len(), width) };
            let input = if step == 0 {
                input.with_answers(vec![prompt; rows.len()])
            } else {
                let at = (prompt + step - 1) as u32;
                let mask = Mask::Causal { past: at as usize };
                Input { positions: vec![at; rows.len()], mask, answers: vec![0; rows.len()], ..input }
            };
            let hidden = bank.hidden_after(&input, &mut cache);
            let [_, _, d] = hidden.dims();
            let last = hidden.narrow(1, width - 1, 1).reshape([rows.len(), d]);
            let scores = values(bank.logits(last));
            let rows = scores.chunks(bank.vocabulary());
            found.iter_mut().zip(rows).for_each(|(found, row)| found.extend(row));
        }
        let difference = largest_difference(&found.concat(), &expected);
        assert!(difference <= 2e-5, "{name}: step by step the logits differ by {difference}");
    }
}

#[test]
fn what_cannot_be_chosen_is_an_error() {
    let model = base("tiny-llama", &flex());
    let bank = model.clone().with_bank(&adapters("tiny-llama", &model)).unwrap();
    let how = Answering { ends: &[2], longest: 2, batch: 4, draw: None };
    let message = |model: &LanguageModel, prompts: &[Vec<u32>], chosen: &[Option<usize>]| {
        answers(model, prompts, chosen, how, &mut |_| {}).unwrap_err().to_string()
    };
    let two = vec![vec![5], vec![6]];
    assert_eq!(message(&bank, &two, &[None, Some(3)]), "adapter 3 is asked for, and the model has 3 to choose from");
    assert!(message(&model, &two, &[None, Some(0)]).contains("the model has 0"));
    assert_eq!(message(&bank, &two, &[None]), "1 adapters for 2 prompts");
    assert_eq!(message(&bank, &[vec![5], vec![]], &[]), "prompt 1 is empty");
    assert!(message(&bank, &[vec![96]], &[]).contains("token 96"));
}

#[test]
fn drawn_answers_are_the_same_in_any_batch_and_differ_by_seed_and_place() {
    for name in BASES {
        let model = base(name, &flex());
        let draw = |batch, seed| {
            let how = Answering { ends: &[1], longest: 8, batch, draw: Some(seed) };
            write(&model, &vec![vec![5, 9, 30]; 12], &[], how)
        };
        let expected = draw(12, 4);
        for batch in [1, 5] {
            assert_eq!(draw(batch, 4), expected, "{name}, {batch} at a time");
        }
        assert_ne!(draw(12, 5), expected, "{name}: another seed");
        assert!(expected.windows(2).all(|pair| pair[0] != pair[1]), "{name}: {expected:?}");
    }
}

/// Pearson's test over the first tokens and over the second ones after each likely first.
#[test]
fn tokens_are_drawn_as_often_as_the_model_says() {
    const DRAWS: usize = 6000;
    let model = base("tiny-t5", &flex());
    let prompt = vec![5, 9, 30];
    let how = Answering { ends: &[], longest: 2, batch: 500, draw: Some(11) };
    let written = write(&model, &vec![prompt.clone(); DRAWS], &[], how);
    let probabilities = |before: &[u32]| -> Vec<f64> {
        let row = [&prompt[..], before, &[0]].concat();
        let logits = logits(&model, &micro_batch(&[(row, prompt.len())]));
        let scores = &logits[logits.len() - model.vocabulary()..];
        let total: f64 = scores.iter().map(|&x| f64::from(x).exp()).sum();
        scores.iter().map(|&x| f64::from(x).exp() / total).collect()
    };
    let fits = |drawn: &[u32], probabilities: &[f64], what: &str| {
        let count = |token: usize| drawn.iter().filter(|&&drawn| drawn as usize == token).count() as f64;
        let (mut rest, mut statistic, mut cells) = ([0.0; 2], 0.0, 0);
        for (token, probability) in probabilities.iter().enumerate() {
            let expected = probability * drawn.len() as f64;
            if expected < 5.0 {
                rest = [rest[0] + count(token), rest[1] + expected];
            } else {
                statistic += (count(token) - expected).powi(2) / expected;
                cells += 1;
            }
        }
        statistic += (rest[0] - rest[1]).powi(2) / rest[1].max(1.0);
        // The statistic has mean and half its variance at the cells less one: this is four deviations above.
        let bound = f64::from(cells) + 4.0 * (2.0 * f64::from(cells)).sqrt();
        assert!(cells > 4 && statistic < bound, "{what}: {statistic} over {cells} cells");
    };
    let first: Vec<u32> = written.iter().map(|tokens| tokens[0]).collect();
    let expected = probabilities(&[]);
    fits(&first, &expected, "the first token");
    let likely = (0..expected.len()).max_by(|&a, &b| expected[a].total_cmp(&expected[b])).unwrap() as u32;
    let second: Vec<u32> = written.iter().filter(|tokens| tokens[0] == likely).map(|tokens| tokens[1]).collect();
    fits(&second, &probabilities(&[likely]), "the token after the likeliest");
}

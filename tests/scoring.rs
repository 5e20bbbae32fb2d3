//! Log-likelihoods of continuations and perplexities, against one plain forward pass a text.

use orbit_core::score::{Choices, choices, windows};
use proptest::prelude::*;

use crate::tiny::{flex, llama, log_softmax};

/// The log-probability of a continuation from a pass over it alone.
fn alone(model: &orbit_models::Decoder, context: &[u32], continuation: &[u32]) -> f64 {
    let text = [context, continuation].concat();
    let scores = log_softmax(model, &text);
    (context.len()..text.len()).map(|at| scores[at - 1][text[at] as usize]).sum()
}

fn items() -> impl Strategy<Value = Vec<Choices>> {
    let text = |lengths| prop::collection::vec(0..96u32, lengths);
    let item = (text(1..20), prop::collection::vec(text(1..7), 0..5));
    let item = item.prop_map(|(context, continuations)| Choices { context, continuations, adapter: None });
    prop::collection::vec(item, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn choices_are_scored_as_if_each_stood_alone(items in items()) {
        let model = llama(&flex());
        for batch_tokens in [1, 64, 4096] {
            let mut done = 0;
            let scores = choices(&model, &items, batch_tokens, &mut |items| done += items).unwrap();
            prop_assert_eq!((done, scores.len()), (items.len(), items.len()));
            for (item, scores) in items.iter().zip(scores) {
                prop_assert_eq!(scores.len(), item.continuations.len());
                for (continuation, found) in item.continuations.iter().zip(scores) {
                    let expected = alone(&model, &item.context, continuation);
                    // Log-probabilities of several tokens: some tens of nats, in single precision.
                    prop_assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{found}, not {expected}");
                }
            }
        }
    }

    #[test]
    fn windows_cover_a_text_once(tokens in prop::collection::vec(0..96u32, 0..70), window in 1..40usize) {
        let model = llama(&flex());
        let mut calls = 0;
        let found = windows(&model, &tokens, window, &mut |count| calls += count).unwrap();
        let expected: Vec<(f64, usize)> = tokens
            .chunks(window.max(2))
            .filter(|chunk| chunk.len() > 1)
            .map(|chunk| (-alone(&model, &chunk[..1], &chunk[1..]), chunk.len() - 1))
            .collect();
        prop_assert_eq!((calls, found.len()), (expected.len(), expected.len()));
        for ((sum, count), (expected_sum, expected_count)) in found.into_iter().zip(expected) {
            prop_assert_eq!(count, expected_count);
            prop_assert!((sum - expected_sum).abs() <= 1e-5 * expected_sum, "{sum}, not {expected_sum}");
        }
    }
}

#[test]
fn new_tokens_are_scored_too() {
    let model = llama(&flex()).with_new_tokens(4, 2);
    let item = Choices { context: vec![1, 97], continuations: vec![vec![99, 98], vec![5]], adapter: None };
    let scores = choices(&model, std::slice::from_ref(&item), 64, &mut |_| {}).unwrap();
    for (continuation, found) in item.continuations.iter().zip(&scores[0]) {
        assert!((found - alone(&model, &item.context, continuation)).abs() < 1e-4);
    }
}

#[test]
fn nothing_to_go_by_is_an_error() {
    let model = llama(&flex());
    let good = Choices { context: vec![1], continuations: vec![vec![2]], adapter: None };
    let no_context = Choices { context: Vec::new(), ..good.clone() };
    let no_choice = Choices { continuations: vec![vec![2], Vec::new()], ..good.clone() };
    for bad in [no_context, no_choice] {
        let error = choices(&model, &[good.clone(), bad], 64, &mut |_| {}).unwrap_err();
        assert_eq!(error.to_string(), "item 1 has an empty context or an empty choice");
    }
    assert!(choices(&model, &[], 64, &mut |_| {}).unwrap().is_empty());
}

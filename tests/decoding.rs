//! Beam search against the score of every item there is.

use std::collections::BTreeSet;

use orbit_core::score::{Choices, choices};
use orbit_data::Trie;
use orbit_models::Decoder;
use orbit_models::generate::{Ranked, beam_search};
use proptest::prelude::*;

use crate::bloom::bloom;
use crate::tiny::{flex, llama};

pub(crate) fn trie(sequences: &[Vec<u32>]) -> Trie {
    Trie::new(sequences.iter().map(Vec::as_slice)).unwrap()
}

const NEW: usize = 8;

/// tiny-llama and tiny-bloom with [`NEW`] tokens after their 96.
fn models() -> [Decoder; 2] {
    [llama(&flex()), bloom(&flex())].map(|model| model.with_new_tokens(NEW, 11))
}

fn model() -> Decoder {
    let [llama, _] = models();
    llama
}

/// Every item with its score, best first.
fn exhaustive(model: &Decoder, prompt: &[u32], sequences: &[Vec<u32>]) -> Vec<Ranked> {
    let item = Choices { context: prompt.to_vec(), continuations: sequences.to_vec(), adapter: None };
    let scores = choices(model, &[item], 4096, &mut |_| {}).unwrap().remove(0);
    let mut ranked: Vec<Ranked> =
        (0..).zip(scores).map(|(item, log_probability)| Ranked { item, log_probability }).collect();
    ranked.sort_by(|a, b| b.log_probability.total_cmp(&a.log_probability));
    ranked
}

/// Scores of the same items in the same order, up to rounding.
fn same(found: &[Ranked], expected: &[Ranked]) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len());
    for (place, (a, b)) in found.iter().zip(expected).enumerate() {
        prop_assert!((a.log_probability - b.log_probability).abs() < 1e-4, "place {}: {:?}, not {:?}", place, a, b);
        // Two items of nearly one score may change places.
        let tie = expected.iter().find(|e| e.item == a.item).map(|e| (e.log_probability - b.log_probability).abs());
        prop_assert!(tie.is_some_and(|gap| gap < 1e-4), "place {}: {:?}, not {:?}", place, a, b);
    }
    Ok(())
}

/// Different sequences of which none begins another, over tokens old and new.
fn sequences() -> impl Strategy<Value = Vec<Vec<u32>>> {
    let token = || prop::sample::select(vec![4u32, 50, 95, 96, 97, 100, 103]);
    prop::collection::btree_set(prop::collection::vec(token(), 1..5), 1..30).prop_map(|set| {
        let begins = |short: &Vec<u32>| set.iter().any(|long| long != short && long.starts_with(short));
        set.iter().filter(|sequence| !begins(sequence)).rev().cloned().collect()
    })
}

fn prompts() -> impl Strategy<Value = Vec<Vec<u32>>> {
    prop::collection::vec(prop::collection::vec(0..96 + NEW as u32, 1..12), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn with_enough_beams_it_is_exhaustive(sequences in sequences(), prompts in prompts()) {
        for model in models() {
            let found = beam_search(&model, &prompts, &trie(&sequences), sequences.len()).unwrap();
            for (prompt, found) in prompts.iter().zip(&found) {
                same(found, &exhaustive(&model, prompt, &sequences))?;
            }
        }
    }

    #[test]
    fn with_few_beams_it_gives_valid_items_with_their_scores(
        sequences in sequences(), prompts in prompts(), beams in 1..6usize,
    ) {
        let (model, valid) = (model(), trie(&sequences));
        for (prompt, found) in prompts.iter().zip(beam_search(&model, &prompts, &valid, beams).unwrap()) {
            prop_assert!(!found.is_empty() && found.len() <= beams);
            prop_assert!(found.is_sorted_by(|a, b| a.log_probability >= b.log_probability));
            let items: BTreeSet<u32> = found.iter().map(|ranked| ranked.item).collect();
            prop_assert_eq!(items.len(), found.len(), "an item twice");
            let all = exhaustive(&model, prompt, &sequences);
            for ranked in found {
                let expected = all.iter().find(|expected| expected.item == ranked.item).unwrap();
                prop_assert!((ranked.log_probability - expected.log_probability).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn the_other_prompts_of_a_batch_do_not_matter(sequences in sequences(), prompts in prompts(), beams in 1..40usize) {
        let valid = trie(&sequences);
        for model in models() {
            let together = beam_search(&model, &prompts, &valid, beams).unwrap();
            for (prompt, together) in prompts.iter().zip(together) {
                let alone = beam_search(&model, std::slice::from_ref(prompt), &valid, beams).unwrap().remove(0);
                prop_assert_eq!(alone.len(), together.len());
                for (a, b) in alone.iter().zip(together) {
                    prop_assert!((a.log_probability - b.log_probability).abs() < 1e-4, "{:?} alone, {:?}", a, b);
                }
            }
        }
    }
}

/// A greedy first step can be wrong: more beams find what fewer miss, and never anything worse.
#[test]
fn more_beams_are_no_worse() {
    let model = model();
    let sequences: Vec<Vec<u32>> = (0..64).map(|i| vec![96 + i / 16, 96 + i / 4 % 4, 100 + i % 4]).collect();
    let (valid, prompts) = (trie(&sequences), vec![vec![1, 40, 41], vec![7; 9]]);
    for (row, prompt) in prompts.iter().enumerate() {
        let best = |beams| beam_search(&model, &prompts, &valid, beams).unwrap()[row][0].log_probability;
        let scores = [1, 4, 16, 64].map(best);
        assert!(scores[3] >= scores.into_iter().fold(f64::NEG_INFINITY, f64::max) - 1e-4, "{scores:?}");
        let expected = exhaustive(&model, prompt, &sequences)[0].log_probability;
        assert!((scores[3] - expected).abs() < 1e-4);
    }
}

#[test]
fn nothing_in_gives_nothing_out() {
    let valid = trie(&[vec![96, 97]]);
    assert!(beam_search(&model(), &[], &valid, 5).unwrap().is_empty());
    assert!(beam_search(&model(), &[vec![]], &valid, 5).is_err(), "an empty prompt");
    assert!(beam_search(&model(), &[vec![1_000_000]], &valid, 5).is_err(), "a token that is not there");
    let only = beam_search(&model(), &[vec![3]], &valid, 5).unwrap();
    assert_eq!((only[0].len(), only[0][0].item), (1, 0));
}

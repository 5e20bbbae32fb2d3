#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::Example;

/// Example `i` has the given length and consists of the token `i`.
fn examples(lengths: &[usize]) -> Vec<Example> {
    lengths.iter().enumerate().map(|(i, &length)| Example { tokens: vec![i as u32; length], answer: 1 }).collect()
}

fn rows(step: &[Batch]) -> Vec<u32> {
    step.iter().flat_map(|batch| (0..batch.rows).map(|row| batch.tokens[row * batch.width])).collect()
}

proptest! {
    #[test]
    fn any_step_equals_iteration(
        lengths in prop::collection::vec(2usize..30, 4..400),
        batch in 1usize..5,
        micro_batch in 1usize..5,
        from in 0u64..500,
        seed in any::<u64>(),
    ) {
        let loader = Loader::new(examples(&lengths), batch, micro_batch, seed).unwrap();
        for (step, batches) in (from..).zip(loader.batches(from)).take(150) {
            prop_assert_eq!(loader.batch_at(step), batches);
        }
    }

    #[test]
    fn an_epoch_has_every_example_once(
        lengths in prop::collection::vec(2usize..30, 7..700),
        batch in 1usize..8,
        epoch in 0u64..1000,
        seed in any::<u64>(),
    ) {
        let loader = Loader::new(examples(&lengths), batch, 3, seed).unwrap();
        let steps = loader.steps_per_epoch();
        let mut seen = BTreeMap::<u32, usize>::new();
        for step in loader.batches(epoch * steps).take(steps as usize) {
            for row in rows(&step) {
                *seen.entry(row).or_default() += 1;
            }
        }
        prop_assert!(seen.values().all(|&count| count == 1));
        prop_assert_eq!(seen.len(), lengths.len() - lengths.len() % batch);
    }

    #[test]
    fn bucketing_saves_padding(lengths in prop::collection::vec(10usize..100, 600..1200), seed in any::<u64>()) {
        let loader = Loader::new(examples(&lengths), 8, 8, seed).unwrap();
        let steps = loader.steps_per_epoch() as usize;
        let share = |batches: Vec<Batch>| {
            let real: usize = batches.iter().flat_map(|batch| &batch.lengths).sum();
            1.0 - real as f64 / batches.iter().map(|batch| batch.tokens.len()).sum::<usize>() as f64
        };
        let bucketed = share(loader.batches(0).take(steps).flatten().collect());
        let unbucketed = share(examples(&lengths).chunks_exact(8).map(|rows| Batch::new(rows, 0)).collect());
        prop_assert!(bucketed < 0.25 * unbucketed, "{} {}", bucketed, unbucketed);
    }
}

#[test]
fn epochs_and_seeds_differ() {
    let first = |seed, epoch| {
        let loader = Loader::new(examples(&[2; 300]), 10, 10, seed).unwrap();
        rows(&loader.batch_at(epoch * loader.steps_per_epoch()))
    };
    assert_eq!(first(1, 0), first(1, 0));
    assert_ne!(first(1, 0), first(1, 1));
    assert_ne!(first(1, 0), first(2, 0));
}

/// A change of this order would silently change every published run.
#[test]
fn the_order_is_pinned() {
    let loader = Loader::new(examples(&[3, 9, 4, 8, 5, 7, 6, 2, 3, 4, 5, 6]), 3, 3, 42).unwrap();
    let order: Vec<Vec<u32>> = loader.batches(0).take(8).map(|step| rows(&step)).collect();
    expect_test::expect![
        "[[5, 3, 1], [7, 0, 8], [4, 11, 6], [9, 2, 10], [7, 0, 8], [4, 6, 11], [9, 2, 10], [5, 3, 1]]"
    ]
    .assert_eq(&format!("{order:?}"));
}

#[test]
fn a_small_source_has_other_batches_in_every_epoch() {
    let loader = Loader::new(examples(&[3; 40]), 4, 4, 0).unwrap();
    let sets = |epoch: u64| {
        let steps = loader.batches(epoch * 10).take(10);
        let sorted = steps.map(|step| {
            let mut rows = rows(&step);
            rows.sort_unstable();
            rows
        });
        sorted.collect::<std::collections::BTreeSet<_>>()
    };
    assert!(sets(0).is_disjoint(&sets(1)));
}

#[test]
fn batches_are_not_in_order_of_length() {
    let lengths: Vec<usize> = (2..642).collect();
    let loader = Loader::new(examples(&lengths), 10, 10, 0).unwrap();
    let widths: Vec<usize> = loader.batches(0).take(64).map(|step| step[0].width).collect();
    let rising = widths.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!((20..44).contains(&rising), "{rising} of 63");
}

#[test]
fn padding_is_what_was_asked_for() {
    let loader = Loader::new(examples(&[1, 3]), 2, 2, 0).unwrap().with_pad(77);
    assert_eq!(loader.batch_at(0)[0].tokens, [0, 77, 77, 1, 1, 1]);
}

#[test]
fn sizes_that_cannot_work_are_errors() {
    assert!(Loader::new(examples(&[2; 3]), 0, 1, 0).is_err());
    assert!(Loader::new(examples(&[2; 3]), 1, 0, 0).is_err());
    let message = Loader::new(examples(&[2; 3]), 4, 1, 0).unwrap_err().to_string();
    assert!(message.contains("3 examples do not fill one batch of 4"), "{message}");
}

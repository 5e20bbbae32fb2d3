//! The users of a generated catalogue.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::kind_of;
use super::titles::KINDS;
use crate::User;

/// How a user goes on from an item, as shares of all steps; the rest is any item at all.
const TO_SUCCESSOR: f64 = 0.5;
const WITHIN_INTEREST: f64 = 0.25;
const TO_OTHER_INTEREST: f64 = 0.15;

/// The shortest and longest history.
const LENGTHS: std::ops::RangeInclusive<usize> = 5..=12;

/// `count` users over items `0..items`, of which there is at least one.
///
/// Each has one or two interests, which are kinds of items, and every item has one successor of its own kind that half
/// of all steps go to.
pub(super) fn users(count: usize, items: usize, rng: &mut ChaCha8Rng) -> Vec<User> {
    let shelves = shelves(items, rng);
    let mut successor = vec![0; items];
    for shelf in &shelves {
        for (at, &item) in shelf.iter().enumerate() {
            successor[item as usize] = shelf[(at + 1) % shelf.len()];
        }
    }
    let mut user = |number: usize| User { id: format!("u{number}"), history: history(&shelves, &successor, rng) };
    (1..=count).map(&mut user).collect()
}

/// The items of each kind that has any, shuffled.
fn shelves(items: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<u32>> {
    let mut shelves = vec![Vec::new(); KINDS.len().min(items)];
    (0..items).for_each(|item| shelves[kind_of(item)].push(item as u32));
    shelves.iter_mut().for_each(|shelf| shelf.shuffle(rng));
    shelves
}

fn history(shelves: &[Vec<u32>], successor: &[u32], rng: &mut ChaCha8Rng) -> Vec<u32> {
    let mut interests = [0; 2].map(|_| rng.random_range(0..shelves.len()));
    let mut item = any(&shelves[interests[0]], rng);
    let mut history = vec![item];
    let length = rng.random_range(LENGTHS);
    while history.len() < length {
        let step: f64 = rng.random();
        item = if step < TO_SUCCESSOR {
            successor[item as usize]
        } else if step < TO_SUCCESSOR + WITHIN_INTEREST {
            any(&shelves[interests[0]], rng)
        } else if step < TO_SUCCESSOR + WITHIN_INTEREST + TO_OTHER_INTEREST {
            interests.reverse();
            any(&shelves[interests[0]], rng)
        } else {
            rng.random_range(0..successor.len() as u32)
        };
        history.push(item);
    }
    history
}

fn any(shelf: &[u32], rng: &mut ChaCha8Rng) -> u32 {
    shelf[rng.random_range(0..shelf.len())]
}

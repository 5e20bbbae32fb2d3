//! Recommenders that learn nothing but counts; a model that does not beat them has learned nothing either.
//!
//! Our choice: nothing is excluded. Items that a user has met may be recommended again, as they may by the model.

use std::collections::HashMap;

use crate::Split;

/// Recommends to everybody what most users met in training.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Popularity {
    /// Every item, commonest first, the lower index on a tie.
    order: Vec<u32>,
}

impl Popularity {
    /// Counts the items of all training histories.
    pub fn fit(split: &Split<'_>) -> Self {
        let mut counts = vec![0_usize; split.items()];
        for &item in split.users().iter().flat_map(|user| user.train()) {
            counts[item as usize] += 1;
        }
        let mut order: Vec<u32> = (0..).take(counts.len()).collect();
        order.sort_by_key(|&item| std::cmp::Reverse(counts[item as usize]));
        Self { order }
    }

    /// The `k` commonest items, best first, whatever the history.
    pub fn rank(&self, _history: &[u32], k: usize) -> Vec<u32> {
        self.order.iter().copied().take(k).collect()
    }
}

/// Recommends what most often came right after the last item in training: a first-order Markov chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transitions {
    /// What followed each item, commonest first, the more popular on a tie.
    successors: HashMap<u32, Vec<u32>>,
    popularity: Popularity,
}

impl Transitions {
    /// Counts pairs of neighbours in all training histories.
    pub fn fit(split: &Split<'_>) -> Self {
        let popularity = Popularity::fit(split);
        let mut place = vec![0_usize; popularity.order.len()];
        popularity.order.iter().enumerate().for_each(|(at, &item)| place[item as usize] = at);

        let mut counts: HashMap<u32, HashMap<u32, usize>> = HashMap::new();
        for pair in split.users().iter().flat_map(|user| user.train().windows(2)) {
            *counts.entry(pair[0]).or_default().entry(pair[1]).or_default() += 1;
        }
        let sort = |next: HashMap<u32, usize>| {
            let mut next: Vec<_> = next.into_iter().collect();
            next.sort_by_key(|&(item, count)| (std::cmp::Reverse(count), place[item as usize]));
            next.into_iter().map(|(item, _)| item).collect()
        };
        Self { successors: counts.into_iter().map(|(item, next)| (item, sort(next))).collect(), popularity }
    }

    /// The `k` commonest successors of the last item, best first, filled up with the most popular other items.
    pub fn rank(&self, history: &[u32], k: usize) -> Vec<u32> {
        let successors = history.last().and_then(|last| self.successors.get(last)).map_or(&[][..], Vec::as_slice);
        let others = self.popularity.order.iter().filter(|item| !successors.contains(item));
        successors.iter().chain(others).copied().take(k).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Corpus, Item, User};

    /// The last two items of each history are held out.
    fn corpus(histories: &[&[u32]]) -> Corpus {
        let users = histories.iter().map(|history| User { id: String::new(), history: history.to_vec() });
        Corpus { items: vec![Item::default(); 6], users: users.collect() }
    }

    #[test]
    fn popularity_counts_training_items_and_breaks_ties_by_index() {
        let corpus = corpus(&[&[4, 4, 2, 5, 5], &[1, 4, 5, 5], &[5]]);
        let popularity = Popularity::fit(&Split::leave_one_out(&corpus));
        assert_eq!(popularity.rank(&[0], 9), [4, 1, 2, 5, 0, 3]);
        assert_eq!(popularity.rank(&[], 2), [4, 1]);
    }

    #[test]
    fn transitions_rank_successors_then_popular_items_each_once() {
        let corpus = corpus(&[&[0, 3, 0, 3, 0, 2, 5, 5], &[2, 2, 2, 0, 1, 5, 5]]);
        let transitions = Transitions::fit(&Split::leave_one_out(&corpus));
        // 0 is followed by 3 twice, by 2 and by 1 once; 2 is more popular than 1.
        assert_eq!(transitions.rank(&[4, 0], 9), [3, 2, 1, 0, 4, 5]);
        assert_eq!(transitions.rank(&[5], 3), transitions.popularity.rank(&[5], 3));
        assert_eq!(transitions.rank(&[], 3), transitions.popularity.rank(&[], 3));
    }
}

//! The leave-one-out split of sequential recommendation.

use crate::{Corpus, User};

/// Users need at least this many interactions to be held out: one to train on, one to validate, one to test.
const HELD_OUT_FROM: usize = 3;

/// Every user's history in three parts: the last item is the test target, the one before it the validation target, and
/// the rest is for training (the protocol of SASRec, arXiv 1808.09781, and of TIGER, arXiv 2305.05065).
///
/// ```
/// use orbit_data::{Corpus, Item, Split, User};
/// let items = (0..4).map(|i| Item { id: i.to_string(), ..Item::default() }).collect();
/// let corpus = Corpus { items, users: vec![User { id: "u".into(), history: vec![3, 1, 0, 2] }] };
/// let split = Split::leave_one_out(&corpus);
/// let user = split.users()[0];
/// assert_eq!(user.train(), [3, 1]);
/// assert_eq!(user.validation(), Some((&[3, 1][..], 0)));
/// assert_eq!(user.test(), Some((&[3, 1, 0][..], 2)));
/// ```
#[derive(Debug, Clone)]
pub struct Split<'a> {
    items: usize,
    users: Vec<UserSplit<'a>>,
}

/// One user's part of a [`Split`].
#[derive(Debug, Clone, Copy)]
pub struct UserSplit<'a> {
    id: &'a str,
    history: &'a [u32],
}

impl<'a> Split<'a> {
    /// Splits `corpus`. Users with fewer than three interactions go to training whole.
    pub fn leave_one_out(corpus: &'a Corpus) -> Self {
        let part = |user: &'a User| UserSplit { id: &user.id, history: &user.history };
        Self { items: corpus.items.len(), users: corpus.users.iter().map(part).collect() }
    }

    /// How many items the corpus has.
    pub fn items(&self) -> usize {
        self.items
    }

    /// The users, in corpus order.
    pub fn users(&self) -> &[UserSplit<'a>] {
        &self.users
    }

    /// How many users have nothing held out, because their history is too short.
    pub fn training_only(&self) -> usize {
        self.users.iter().filter(|user| !user.held_out()).count()
    }
}

impl<'a> UserSplit<'a> {
    /// The user's id.
    pub fn id(self) -> &'a str {
        self.id
    }

    /// The items to train on, oldest first.
    pub fn train(self) -> &'a [u32] {
        let held_out = if self.held_out() { 2 } else { 0 };
        &self.history[..self.history.len() - held_out]
    }

    /// What comes before the validation target, and the target; none for a short history.
    pub fn validation(self) -> Option<(&'a [u32], u32)> {
        self.target(2)
    }

    /// What comes before the test target (the validation target is part of it), and the target.
    pub fn test(self) -> Option<(&'a [u32], u32)> {
        self.target(1)
    }

    fn held_out(self) -> bool {
        self.history.len() >= HELD_OUT_FROM
    }

    fn target(self, from_end: usize) -> Option<(&'a [u32], u32)> {
        let at = self.history.len().checked_sub(from_end).filter(|_| self.held_out())?;
        Some((&self.history[..at], self.history[at]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus(histories: &[&[u32]]) -> Corpus {
        let users = histories.iter().map(|history| User { id: String::new(), history: history.to_vec() });
        Corpus { items: vec![crate::Item::default(); 9], users: users.collect() }
    }

    #[test]
    fn short_histories_are_for_training_and_counted() {
        let corpus = corpus(&[&[], &[1], &[1, 2], &[1, 2, 3]]);
        let split = Split::leave_one_out(&corpus);
        assert_eq!(split.training_only(), 3);
        assert_eq!(split.users().iter().map(|user| user.train().len()).collect::<Vec<_>>(), [0, 1, 2, 1]);
        assert!(split.users()[..3].iter().all(|user| user.validation().is_none() && user.test().is_none()));
    }

    #[test]
    fn a_target_is_never_in_its_own_history_nor_in_training() {
        let corpus = corpus(&[&[4, 5, 6, 7, 8]]);
        let user = Split::leave_one_out(&corpus).users()[0];
        assert_eq!(user.train(), [4, 5, 6]);
        assert_eq!(user.validation(), Some((&[4, 5, 6][..], 7)));
        assert_eq!(user.test(), Some((&[4, 5, 6, 7][..], 8)));
    }
}

//! The splits of sequential recommendation: leave one out, and by time.

use crate::{Corpus, Error, Result, User};

/// Users need at least this many interactions to be held out: one to train on, one to validate, one to test.
const HELD_OUT_FROM: usize = 3;

/// Every user's history in three parts.
///
/// Left out one by one, the last item is the test target, the one before it the validation target, and the rest is for
/// training (the protocol of SASRec, arXiv 1808.09781, and of TIGER, arXiv 2305.05065). [`Split::temporal`] splits at the
/// same times for all users.
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
    /// How much of the history is for training.
    train: usize,
    /// Where the targets are.
    validation: Option<usize>,
    test: Option<usize>,
}

impl<'a> Split<'a> {
    /// Splits `corpus`. Users with fewer than three interactions go to training whole.
    pub fn leave_one_out(corpus: &'a Corpus) -> Self {
        Self { items: corpus.items.len(), users: corpus.users.iter().map(UserSplit::leave_one_out).collect() }
    }

    /// Splits `corpus` at two moments that are the same for all users, so that nothing trains that is later than a target
    /// (Meng et al., arXiv 2007.13237, say what the leave-one-out split does to results).
    ///
    /// The moments are quantiles of the `times` of all interactions, which has those of each user's history in rising
    /// order. What is before the first is for training. The validation target is the user's first item from there on, if
    /// it is before the second moment, and the test target the first from the second moment on. A target that nothing comes
    /// before is none.
    ///
    /// ```
    /// use orbit_data::{Corpus, Item, Split, User};
    /// let items = (0..4).map(|i| Item { id: i.to_string(), ..Item::default() }).collect();
    /// let corpus = Corpus { items, users: vec![User { id: "u".into(), history: vec![3, 1, 0, 2] }] };
    /// let split = Split::temporal(&corpus, &[vec![10.0, 20.0, 30.0, 40.0]], [0.5, 0.75])?;
    /// let user = split.users()[0];
    /// assert_eq!(user.train(), [3, 1]);
    /// assert_eq!(user.validation(), Some((&[3, 1][..], 0)));
    /// assert_eq!(user.test(), Some((&[3, 1, 0][..], 2)));
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Quantiles that are not rising from 0 to 1, times that are not those of the histories, or none.
    pub fn temporal(corpus: &'a Corpus, times: &[Vec<f64>], cuts: [f64; 2]) -> Result<Self> {
        if !(0.0 <= cuts[0] && cuts[0] <= cuts[1] && cuts[1] <= 1.0) {
            let [first, second] = cuts;
            return Err(Error::Invalid(format!("quantiles {first} and {second} must be rising and from 0 to 1")));
        }
        let fits = |(user, times): (&User, &Vec<f64>)| user.history.len() == times.len() && times.is_sorted();
        if corpus.users.len() != times.len() || !corpus.users.iter().zip(times).all(fits) {
            return Err(Error::Invalid("every user needs a time for each item, in rising order".to_owned()));
        }
        let cuts = quantiles(times, cuts).ok_or_else(|| Error::Invalid("no interactions to split".to_owned()))?;
        let users = corpus.users.iter().zip(times).map(|(user, times)| UserSplit::temporal(user, times, cuts));
        Ok(Self { items: corpus.items.len(), users: users.collect() })
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
        self.users.iter().filter(|user| user.validation.is_none() && user.test.is_none()).count()
    }
}

/// The times before which these shares of all interactions lie, but for ties; none without interactions.
pub(crate) fn quantiles(times: &[Vec<f64>], shares: [f64; 2]) -> Option<[f64; 2]> {
    let mut all: Vec<f64> = times.iter().flatten().copied().collect();
    all.sort_unstable_by(f64::total_cmp);
    let last = all.len().checked_sub(1)?;
    Some(shares.map(|share| all[((share * all.len() as f64) as usize).min(last)]))
}

impl<'a> UserSplit<'a> {
    fn leave_one_out(user: &'a User) -> Self {
        let length = user.history.len();
        let target = |from_end| (length >= HELD_OUT_FROM).then(|| length - from_end);
        let (validation, test) = (target(2), target(1));
        Self { id: &user.id, history: &user.history, train: validation.unwrap_or(length), validation, test }
    }

    fn temporal(user: &'a User, times: &[f64], cuts: [f64; 2]) -> Self {
        let [first, second] = cuts.map(|cut| times.partition_point(|&time| time < cut));
        let target = |from: usize, to: usize| (0 < from && from < to).then_some(from);
        let (validation, test) = (target(first, second), target(second, times.len()));
        Self { id: &user.id, history: &user.history, train: first, validation, test }
    }

    /// The user's id.
    pub fn id(self) -> &'a str {
        self.id
    }

    /// The items to train on, oldest first.
    pub fn train(self) -> &'a [u32] {
        &self.history[..self.train]
    }

    /// What comes before the validation target, and the target; none if the user has none.
    pub fn validation(self) -> Option<(&'a [u32], u32)> {
        self.before(self.validation)
    }

    /// What comes before the test target (the validation target is part of it), and the target; none if the user has none.
    pub fn test(self) -> Option<(&'a [u32], u32)> {
        self.before(self.test)
    }

    fn before(self, target: Option<usize>) -> Option<(&'a [u32], u32)> {
        target.map(|at| (&self.history[..at], self.history[at]))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
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

    /// Ten interactions; the sixth in time is at 6 and the ninth at 9.
    #[test]
    fn nothing_trains_that_is_later_than_a_target() {
        let corpus = corpus(&[&[0, 1, 2], &[3, 4, 5], &[6, 7], &[8, 0]]);
        let times = [vec![0.0, 6.0, 9.0], vec![1.0, 7.0, 8.0], vec![2.0, 3.0], vec![4.0, 5.0]];
        let split = Split::temporal(&corpus, &times, [0.6, 0.9]).unwrap();
        let users = split.users();
        assert_eq!(users[0].train(), [0]);
        assert_eq!((users[0].validation(), users[0].test()), (Some((&[0][..], 1)), Some((&[0, 1][..], 2))));
        assert_eq!((users[1].validation(), users[1].test()), (Some((&[3][..], 4)), None));
        assert_eq!((users[2].train(), users[3].train()), (&[6, 7][..], &[8, 0][..]));
        assert_eq!(split.training_only(), 2);
    }

    #[test]
    fn a_user_who_comes_late_has_no_target_without_a_history() {
        let corpus = corpus(&[&[0, 1, 2], &[3, 4]]);
        let times = [vec![0.0, 1.0, 2.0], vec![8.0, 9.0]];
        let user = Split::temporal(&corpus, &times, [0.6, 0.8]).unwrap().users()[1];
        assert_eq!((user.train(), user.validation()), (&[][..], None));
        assert_eq!(user.test(), Some((&[3][..], 4)));
    }

    #[test]
    fn a_temporal_split_says_what_it_cannot_split() {
        let corpus = corpus(&[&[0, 1]]);
        let why = |times: &[Vec<f64>], cuts| Split::temporal(&corpus, times, cuts).unwrap_err().to_string();
        assert!(why(&[vec![0.0, 1.0]], [0.9, 0.8]).contains("must be rising"));
        assert!(why(&[vec![0.0, 1.0]], [f64::NAN, 0.8]).contains("must be rising"));
        assert!(why(&[vec![1.0, 0.0]], [0.8, 0.9]).contains("in rising order"));
        assert!(why(&[vec![0.0]], [0.8, 0.9]).contains("every user needs a time"));
        let empty = Corpus::default();
        assert!(Split::temporal(&empty, &[], [0.8, 0.9]).unwrap_err().to_string().contains("no interactions"));
    }
}

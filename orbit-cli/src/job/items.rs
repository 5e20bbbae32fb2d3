//! Items, and users who met them.

use anyhow::Result;
use orbit_data::baseline::{Popularity, Transitions};
use orbit_data::chat::ChatTemplate;
use orbit_data::example::{Direction, NextItem, NextItems, Pairs};
use orbit_data::retrieval::Ranks;
use orbit_data::split::UserSplit;
use orbit_data::{Corpus, Split, Vocabulary};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{Asked, CUTOFF, Kinds, SEED, Subject, some};
use crate::catalogue::Catalogue;
use crate::config::{HeldOut, Retrieval, RunFile};
use crate::report::{self, Baselines};
use crate::retrieval::scores;

/// The next item of a history, left out one by one.
pub(super) struct Items {
    corpus: Corpus,
    form: NextItem,
    vocabulary: Vocabulary,
    max_history: usize,
}

impl Items {
    pub(super) fn new(
        corpus: Corpus,
        max_history: usize,
        (chat, vocabulary, codes): (&ChatTemplate, &Vocabulary, &[Vec<u16>]),
    ) -> Result<Self> {
        let form = NextItem::new(chat, vocabulary, codes, max_history)?;
        Ok(Self { corpus, form, vocabulary: vocabulary.clone(), max_history })
    }

    /// Items with their titles, of those that have one.
    fn titles(&self, direction: Direction, longest: usize) -> Result<Pairs> {
        let titled = (0..).zip(&self.corpus.items).filter(|(_, item)| !item.title.trim().is_empty());
        let pairs = titled.map(|(index, item)| (item.title.as_str(), index));
        Ok(Pairs::new(self.form.form().clone(), self.vocabulary.text(), direction, pairs, longest)?)
    }
}

impl Subject for Items {
    fn digest(&self) -> String {
        self.corpus.digest()
    }

    fn kinds(&self, run: &RunFile) -> Result<Kinds> {
        let split = Split::leave_one_out(&self.corpus);
        let histories = split.users().iter().map(|user| (user.id(), user.train()));
        let mut kinds: Kinds = vec![(Box::new(NextItems::new(self.form.clone(), histories)?), 1.0)];
        let examples = &run.examples;
        for (direction, weight) in
            [(Direction::TextToId, examples.title_to_id), (Direction::IdToText, examples.id_to_title)]
        {
            if weight > 0.0 {
                kinds.push((Box::new(self.titles(direction, examples.text_tokens)?), weight));
            }
        }
        Ok(kinds)
    }

    fn asked(&self, count: usize) -> Result<Vec<Asked>> {
        let split = Split::leave_one_out(&self.corpus);
        let asked = users(&split, count, HeldOut::Test).into_iter().map(|user| {
            let User { id, history, target } = user;
            let prompt = self.form.prompt(Some(id), history)?;
            Ok(Asked { prompt, right: vec![target], seen: history.to_vec() })
        });
        some(asked.collect::<Result<_>>()?, "no user has the three items that leaving one out takes")
    }

    fn baselines(&self, how: &Retrieval) -> Baselines {
        let split = Split::leave_one_out(&self.corpus);
        counts(&split, &users(&split, how.users, HeldOut::Test), how.exclude_seen)
    }

    fn catalogue(&self) -> Catalogue {
        let items = self.corpus.items.iter().map(|item| (item.id.as_str(), item.title.as_str()));
        Catalogue::of(items, self.max_history)
    }
}

/// A user's history, and the item that came next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User<'a> {
    pub(crate) id: &'a str,
    pub(crate) history: &'a [u32],
    pub(crate) target: u32,
}

/// A fixed choice of users.
pub(crate) fn users<'a>(split: &Split<'a>, count: usize, on: HeldOut) -> Vec<User<'a>> {
    let held_out = |user: &UserSplit<'a>| {
        let (history, target) = match on {
            HeldOut::Test => user.test(),
            HeldOut::Validation => user.validation(),
        }?;
        Some(User { id: user.id(), history, target })
    };
    let mut users: Vec<User<'_>> = split.users().iter().filter_map(held_out).collect();
    users.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED));
    users.truncate(count);
    users
}

/// What counting alone comes to on some users, with what they have met among the recommendations or not.
pub(crate) fn counts(split: &Split<'_>, users: &[User<'_>], exclude_seen: bool) -> Baselines {
    let (popularity, transitions) = (Popularity::fit(split), Transitions::fit(split));
    let measure = |rank: &dyn Fn(&[u32], usize) -> Vec<u32>| {
        let mut ranks = Ranks::default();
        for User { history, target, .. } in users {
            let seen: &[u32] = if exclude_seen { history } else { &[] };
            let mut ranked = rank(history, CUTOFF + seen.len());
            ranked.retain(|item| !seen.contains(item));
            ranked.truncate(CUTOFF);
            ranks.push(&ranked, *target);
        }
        scores(&ranks)
    };
    Baselines::from([
        (report::POPULARITY.to_owned(), measure(&|history, k| popularity.rank(history, k))),
        (report::TRANSITIONS.to_owned(), measure(&|history, k| transitions.rank(history, k))),
    ])
}

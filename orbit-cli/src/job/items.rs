//! Items, and users who met them.

use std::collections::HashSet;

use anyhow::Result;
use orbit_data::baseline::{Popularity, Transitions};
use orbit_data::chat::ChatTemplate;
use orbit_data::example::{Direction, ExampleSource, NextItem, NextItems, Pairs};
use orbit_data::retrieval::Ranks;
use orbit_data::split::UserSplit;
use orbit_data::{Corpus, Split, Vocabulary};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{Asked, CUTOFF, Kinds, SEED, Subject, some};
use crate::catalogue::Catalogue;
use crate::config::{Examples, HeldOut, Retrieval, RunFile};
use crate::report::{self, Baselines};
use crate::retrieval::scores;

/// The next item of a history, left out one by one.
pub(super) struct Items {
    corpus: Corpus,
    form: NextItem,
    vocabulary: Vocabulary,
    max_history: usize,
    /// Tokens of a title, at most.
    text_tokens: usize,
}

impl Items {
    pub(super) fn new(
        corpus: Corpus,
        &Examples { max_history, text_tokens, .. }: &Examples,
        (chat, vocabulary, codes): (&ChatTemplate, &Vocabulary, &[Vec<u16>]),
    ) -> Result<Self> {
        let form = NextItem::new(chat, vocabulary, codes, max_history)?;
        Ok(Self { corpus, form, vocabulary: vocabulary.clone(), max_history, text_tokens })
    }

    /// Items with their titles, of those that have one.
    fn titles(&self, direction: Direction) -> Result<Pairs> {
        let titled = (0..).zip(&self.corpus.items).filter(|(_, item)| !item.title.trim().is_empty());
        let pairs = titled.map(|(index, item)| (item.title.as_str(), index));
        Ok(Pairs::new(self.form.form().clone(), self.vocabulary.text(), direction, pairs, self.text_tokens)?)
    }

    /// The kinds of examples that have titles in them, and their weights.
    fn titled(&self, run: &RunFile) -> Result<Vec<(Direction, Pairs, f64)>> {
        let directions =
            [(Direction::TextToId, run.examples.title_to_id), (Direction::IdToText, run.examples.id_to_title)];
        let weighed = directions.into_iter().filter(|(_, weight)| *weight > 0.0);
        weighed.map(|(direction, weight)| Ok((direction, self.titles(direction)?, weight))).collect()
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
        for (_, titles, weight) in self.titled(run)? {
            kinds.push((Box::new(titles), weight));
        }
        Ok(kinds)
    }

    fn asked(&self, count: usize) -> Result<Vec<Asked>> {
        let split = Split::leave_one_out(&self.corpus);
        let asked = users(&split, count, HeldOut::Test).into_iter().map(|user| {
            let User { id, history, target } = user;
            let prompt = self.form.prompt(Some(id), history)?;
            let answer = self.form.form().width();
            Ok(Asked { prompt, right: vec![target], seen: history.to_vec(), answer })
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

    fn notes(&self, run: &RunFile) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        if self.max_history < run.examples.max_history {
            let wanted = run.examples.max_history;
            let kept = self.max_history;
            notes
                .push(format!("histories keep their last {kept} items, not {wanted}: the model has no more positions"));
        }
        for (direction, titles, _) in self.titled(run)? {
            let open = match direction {
                Direction::TextToId => "",
                Direction::IdToText => "; as answers they are not closed",
            };
            let (cut, all) = (titles.cut_texts(), titles.len());
            if cut > 0 {
                notes.push(format!("{cut} of {all} titles were cut to {} tokens{open}", self.text_tokens));
            }
        }
        if let Some(how) = &run.evaluate.retrieval {
            let split = Split::leave_one_out(&self.corpus);
            notes.extend(unreachable(&split, &users(&split, how.users, HeldOut::Test), how.exclude_seen));
        }
        Ok(notes)
    }
}

/// Of which targets it is certain that they are not found: a sentence each for those that are excluded and those that no training
/// history has.
pub(crate) fn unreachable(split: &Split<'_>, users: &[User<'_>], exclude_seen: bool) -> Vec<String> {
    let all = users.len();
    let mut notes = Vec::new();
    let met = users.iter().filter(|user| user.history.contains(&user.target)).count();
    if exclude_seen && met > 0 {
        notes.push(format!(
            "{met} of {all} targets were met before by their users, and exclude_seen leaves them out: they cannot be found"
        ));
    }
    let trained: HashSet<u32> = split.users().iter().flat_map(|user| user.train()).copied().collect();
    let new = users.iter().filter(|user| !trained.contains(&user.target)).count();
    if new > 0 {
        notes.push(format!("{new} of {all} targets are in no training history: nothing shows what they follow"));
    }
    notes
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

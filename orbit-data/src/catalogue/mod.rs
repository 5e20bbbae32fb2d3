//! A generated catalogue: readable items, embeddings that mean something, users who follow their interests.
//!
//! It lets everything run within a minute and without any data, on a corpus that can be learned: what a user meets next
//! depends on what they met last, far more than on what is popular.

mod titles;
mod users;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Corpus, ItemEmbeddings};

/// Length of the embeddings.
const DIM: usize = 32;
/// How far kinds spread around their category, and items around their kind; categories spread with 1.
const KIND_SPREAD: f32 = 0.6;
const ITEM_SPREAD: f32 = 0.3;

/// Sizes of a generated catalogue. The same values give the same catalogue.
///
/// ```
/// use orbit_data::catalogue::Catalogue;
/// let (corpus, embeddings) = Catalogue::default().generate();
/// assert_eq!((corpus.items.len(), corpus.users.len(), embeddings.len()), (300, 1500, 300));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Catalogue {
    /// How many items.
    pub items: usize,
    /// How many users; there are none without items.
    pub users: usize,
    /// Seeds everything.
    pub seed: u64,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self { items: 300, users: 1500, seed: 0 }
    }
}

impl Catalogue {
    /// Makes the corpus and an embedding for each of its items.
    pub fn generate(&self) -> (Corpus, ItemEmbeddings) {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let items = titles::items(self.items, &mut rng);
        let embeddings = embeddings(self.items, &mut rng);
        let users = if self.items == 0 { Vec::new() } else { users::users(self.users, self.items, &mut rng) };
        (Corpus { items, users }, embeddings)
    }
}

/// The kind of an item, an index into [`titles::KINDS`]: items take turns, so kinds differ by at most one in size.
fn kind_of(item: usize) -> usize {
    item % titles::KINDS.len()
}

/// A Gaussian for each item around one for its kind around one for its category.
fn embeddings(items: usize, rng: &mut ChaCha8Rng) -> ItemEmbeddings {
    let categories = titles::KINDS.len().div_ceil(titles::KINDS_PER_CATEGORY);
    let centers: Vec<_> = (0..categories).map(|_| gaussian(rng)).collect();
    let kinds: Vec<_> = (0..titles::KINDS.len())
        .map(|kind| around(&centers[kind / titles::KINDS_PER_CATEGORY], KIND_SPREAD, rng))
        .collect();
    let rows = (0..items).flat_map(|item| around(&kinds[kind_of(item)], ITEM_SPREAD, rng)).collect();
    ItemEmbeddings::from_nonzero(DIM, rows)
}

fn around(center: &[f32; DIM], spread: f32, rng: &mut ChaCha8Rng) -> [f32; DIM] {
    let noise = gaussian(rng);
    std::array::from_fn(|d| center[d] + spread * noise[d])
}

/// Standard normal values by Box and Muller's transform.
fn gaussian(rng: &mut ChaCha8Rng) -> [f32; DIM] {
    std::array::from_fn(|_| {
        let (radius, angle) = (1.0 - rng.random::<f64>(), rng.random::<f64>());
        ((-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()) as f32
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::baseline::{Popularity, Transitions};
    use crate::retrieval::Ranks;
    use crate::semantic_id::ResidualKMeans;
    use crate::{SemanticIds, Split};

    fn recall_at_10(split: &Split<'_>, rank: impl Fn(&[u32]) -> Vec<u32>) -> f64 {
        let mut ranks = Ranks::default();
        for (history, target) in split.users().iter().filter_map(|user| user.test()) {
            ranks.push(&rank(history), target);
        }
        ranks.recall(10)
    }

    #[test]
    fn the_same_seed_gives_the_same_catalogue() {
        let catalogue = Catalogue { users: 20, ..Catalogue::default() };
        assert_eq!(catalogue.generate(), catalogue.generate());
        assert_ne!(catalogue.generate().0.digest(), Catalogue { seed: 1, ..catalogue }.generate().0.digest());
    }

    #[test]
    fn what_comes_next_depends_on_what_came_last() {
        for seed in 0..3 {
            let (corpus, _) = Catalogue { seed, ..Catalogue::default() }.generate();
            let split = Split::leave_one_out(&corpus);
            let (popularity, transitions) = (Popularity::fit(&split), Transitions::fit(&split));
            let popular = recall_at_10(&split, |history| popularity.rank(history, 10));
            let successors = recall_at_10(&split, |history| transitions.rank(history, 10));
            assert!((0.4..0.7).contains(&successors) && popular < successors / 3.0, "{popular} {successors}");
        }
    }

    #[test]
    fn histories_are_long_enough_and_name_items_that_exist() {
        let (corpus, _) = Catalogue::default().generate();
        assert_eq!(Split::leave_one_out(&corpus).training_only(), 0);
        assert!(corpus.users.iter().all(|user| (5..=12).contains(&user.history.len())));
        assert!(corpus.users.iter().flat_map(|user| &user.history).all(|&item| (item as usize) < corpus.items.len()));
    }

    #[test]
    fn titles_and_ids_differ_even_beyond_the_word_lists() {
        let (corpus, _) = Catalogue { items: 20_000, users: 0, seed: 0 }.generate();
        let titles: HashSet<_> = corpus.items.iter().map(|item| &item.title).collect();
        let ids: HashSet<_> = corpus.items.iter().map(|item| &item.id).collect();
        assert_eq!((titles.len(), ids.len()), (20_000, 20_000));
    }

    #[test]
    fn items_of_a_kind_share_leading_codes() {
        let (corpus, embeddings) = Catalogue::default().generate();
        let method = ResidualKMeans { levels: 3, codes: 16, ..ResidualKMeans::default() };
        let ids = SemanticIds::assign(&embeddings, &method).unwrap();
        let first: HashSet<_> =
            (0..).zip(&corpus.items).map(|(i, item)| (&item.fields["kind"], ids.codes(i)[0])).collect();
        assert!(first.len() < 3 * titles::KINDS.len(), "{} pairs of kind and first code", first.len());
    }

    #[test]
    fn an_empty_catalogue_is_empty() {
        let (corpus, embeddings) = Catalogue { items: 0, users: 5, seed: 0 }.generate();
        assert!(corpus.items.is_empty() && corpus.users.is_empty() && embeddings.is_empty());
    }
}

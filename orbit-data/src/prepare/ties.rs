//! Interactions of one user at the same time.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::ids::Ids;
use super::table::Interaction;

/// Shuffles every run of rows that share user and time. What comes of a user's rows depends on the seed and on them
/// alone, not on their order in the file nor on other users. Rows are ordered by user and time.
pub(super) fn shuffle(rows: &mut [Interaction], users: &Ids, items: &Ids, seed: u64) {
    for of_user in rows.chunk_by_mut(|a, b| a.user == b.user) {
        let mut random = None;
        for tied in of_user.chunk_by_mut(|a, b| a.time == b.time).filter(|tied| tied.len() > 1) {
            tied.sort_by(|a, b| items.id(a.item).cmp(items.id(b.item)));
            let user = tied[0].user;
            tied.shuffle(random.get_or_insert_with(|| rng(seed, users.id(user))));
        }
    }
}

fn rng(seed: u64, user: &str) -> ChaCha8Rng {
    let key = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(user).finalize();
    ChaCha8Rng::from_seed(key.into())
}

/// How many interactions share user and time with another.
pub(super) fn count(rows: &[Interaction]) -> u64 {
    let runs = rows.chunk_by(|a, b| (a.user, a.time) == (b.user, b.time));
    runs.map(|run| if run.len() > 1 { run.len() as u64 } else { 0 }).sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn ids(prefix: &str, count: u32) -> Ids {
        let mut ids = Ids::default();
        (0..count).for_each(|i| assert_eq!(ids.intern(&format!("{prefix}{i}")).unwrap(), i));
        ids
    }

    fn rows(user: u32, items: impl Iterator<Item = u32>, time: u32) -> Vec<Interaction> {
        items.map(|item| Interaction { user, item, time: time.into() }).collect()
    }

    fn items(rows: &[Interaction]) -> Vec<u32> {
        rows.iter().map(|row| row.item).collect()
    }

    #[test]
    fn the_order_depends_on_seed_and_user_alone() {
        let (users, names) = (ids("u", 2), ids("i", 8));
        let shuffled = |mut rows: Vec<Interaction>, seed| {
            shuffle(&mut rows, &users, &names, seed);
            items(&rows)
        };
        let order = shuffled(rows(0, 0..8, 5), 1);
        assert_eq!(shuffled(rows(0, (0..8).rev(), 5), 1), order);
        assert_eq!(shuffled([rows(0, 0..8, 5), rows(1, 0..8, 5)].concat(), 1)[..8], order);
        assert_ne!(shuffled(rows(1, 0..8, 5), 1), order);
        assert_ne!(shuffled(rows(0, 0..8, 5), 2), order);
        let mut sorted = order.clone();
        sorted.sort();
        assert_eq!(sorted, (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn rows_at_times_of_their_own_stay() {
        let (users, names) = (ids("u", 1), ids("i", 6));
        let mut all = [rows(0, 4..5, 1), rows(0, 0..3, 2), rows(0, 5..6, 3)].concat();
        assert_eq!(count(&all), 3);
        shuffle(&mut all, &users, &names, 0);
        assert_eq!((all[0].item, all[4].item), (4, 5));
    }

    #[test]
    fn every_order_is_as_likely() {
        let mut users = Ids::default();
        let names = ids("i", 3);
        let mut seen = std::collections::BTreeMap::<_, u32>::new();
        for user in 0..6000 {
            users.intern(&user.to_string()).unwrap();
            let mut rows = rows(user, 0..3, 0);
            shuffle(&mut rows, &users, &names, 9);
            *seen.entry(items(&rows)).or_default() += 1;
        }
        assert_eq!(seen.len(), 6);
        assert!(seen.values().all(|count| (850..1150).contains(count)), "{seen:?}");
    }
}

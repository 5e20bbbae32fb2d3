//! Ids by number: each is held once, in one long string.

use std::hash::{BuildHasher, RandomState};

/// A slot of the table that is free.
const FREE: u32 = u32::MAX;

/// Strings numbered from 0 in the order in which they came: their bytes, where each ends, and a table of open addresses
/// that is at most half full. A string costs its bytes and 16 to 24 more.
#[derive(Default)]
pub(super) struct Ids {
    text: String,
    ends: Vec<usize>,
    slots: Vec<u32>,
    hasher: RandomState,
}

impl Ids {
    /// The number of `id`, a new one if it is new.
    pub(super) fn intern(&mut self, id: &str) -> Result<u32, String> {
        if self.slots.len() < 2 * (self.ends.len() + 1) {
            self.grow();
        }
        let slot = self.slot(id);
        if self.slots[slot] == FREE {
            let number = u32::try_from(self.ends.len()).ok().filter(|&number| number != FREE);
            self.slots[slot] = number.ok_or("more than 2^32 - 1 different ids")?;
            self.text.push_str(id);
            self.ends.push(self.text.len());
        }
        Ok(self.slots[slot])
    }

    /// The number of `id`, if it is there.
    pub(super) fn number(&self, id: &str) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        Some(self.slots[self.slot(id)]).filter(|&number| number != FREE)
    }

    /// The string of this number, which must have been given out.
    pub(super) fn id(&self, number: u32) -> &str {
        let at = number as usize;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[at]]
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The slot that holds `id`, or the free one where it belongs.
    fn slot(&self, id: &str) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = self.hasher.hash_one(id) as usize & mask;
        while self.slots[slot] != FREE && self.id(self.slots[slot]) != id {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        self.slots = vec![FREE; (2 * self.slots.len()).max(16)];
        for number in 0..self.ends.len() as u32 {
            let slot = self.slot(self.id(number));
            self.slots[slot] = number;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_first_time() {
        let mut ids = Ids::default();
        assert_eq!(ids.number("a"), None);
        for round in 0..2 {
            for i in 0..1000 {
                assert_eq!(ids.intern(&format!("id {i}")).unwrap(), i, "round {round}");
            }
        }
        assert_eq!(ids.len(), 1000);
        assert_eq!((ids.id(0), ids.id(999)), ("id 0", "id 999"));
        assert_eq!((ids.number("id 7"), ids.number("id 1000")), (Some(7), None));
    }
}

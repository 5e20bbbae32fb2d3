//! Chance that is a function of a key.

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) struct Random(u64);

impl Random {
    /// The sequence named by `key`.
    pub(crate) fn new(key: [u64; 2]) -> Self {
        let mut first = Self(key[0]);
        Self(first.next() ^ key[1])
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Puts a list into a random order (Fisher and Yates). The bias of a remainder of 64 bits is far below what a list can show.
    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let at = self.next() % (last as u64 + 1);
            list.swap(last, at as usize);
        }
    }
}

//! Random codes: the control that tells what semantic IDs owe to their meaning.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::codebooks::check_size;
use crate::Result;

/// Settings of random IDs: each code of each item is drawn evenly, whatever the embeddings say, as in the comparison of
/// TIGER (arXiv 2305.05065). Items that draw the same codes are treated like any that collide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RandomCodes {
    /// How many levels, from 1.
    pub levels: usize,
    /// How many codes a level has, 1 to 65,536.
    pub codes: usize,
    /// Seeds the draw.
    pub seed: u64,
}

impl Default for RandomCodes {
    fn default() -> Self {
        Self { levels: 3, codes: 256, seed: 0 }
    }
}

impl RandomCodes {
    pub(super) fn draw(&self, items: usize) -> Result<Vec<Vec<u16>>> {
        check_size(self.levels, self.codes)?;
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut id = || (0..self.levels).map(|_| rng.random_range(0..self.codes) as u16).collect();
        Ok((0..items).map(|_| id()).collect())
    }
}

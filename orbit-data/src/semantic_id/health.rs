//! How well a codebook is used.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Below this share of used codes a level is said to be wasted.
const LOW_USAGE: f64 = 0.5;
/// Below this perplexity, as a share of the codes in reach, a level is said to be lopsided.
const LOW_PERPLEXITY: f64 = 0.25;
/// Above this share of items with a shared prefix the added level carries too much.
const HIGH_COLLISIONS: f64 = 0.3;

/// Codebook health of semantic IDs, measured on what the quantiser made, without the level added against collisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// One entry a level.
    pub levels: Vec<LevelHealth>,
    /// Share of the items whose prefix some other item has too.
    pub collision_rate: f64,
    /// How many different prefixes there are.
    pub unique_prefixes: usize,
    /// How many items share the commonest prefix: 1 when no two items collide.
    pub largest_group: usize,
}

/// The use of one level's codes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LevelHealth {
    /// How many codes the level has.
    pub codes: usize,
    /// How many of them some item has.
    pub used: usize,
    /// `used / codes`.
    pub usage: f64,
    /// Entropy of the codes over items, in nats; at most `ln(codes)`.
    pub entropy: f64,
    /// `exp(entropy)`: the number of codes in even use that would have this entropy.
    pub perplexity: f64,
}

impl Health {
    pub(super) fn of(codes_per_level: &[usize], prefixes: &[Vec<u16>]) -> Self {
        let mut groups: HashMap<&[u16], usize> = HashMap::new();
        for prefix in prefixes {
            *groups.entry(prefix).or_default() += 1;
        }
        let colliding: usize = groups.values().filter(|&&size| size > 1).sum();
        let level = |(level, &codes): (usize, &usize)| {
            let mut counts = vec![0; codes];
            prefixes.iter().for_each(|prefix| counts[usize::from(prefix[level])] += 1);
            LevelHealth::of(&counts)
        };
        Self {
            levels: codes_per_level.iter().enumerate().map(level).collect(),
            collision_rate: colliding as f64 / prefixes.len() as f64,
            unique_prefixes: groups.len(),
            largest_group: groups.values().copied().max().unwrap_or(0),
        }
    }

    /// What is wrong with the codebooks and what to do about it, a sentence each; empty when all is well.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (index, level) in self.levels.iter().enumerate() {
            if level.usage < LOW_USAGE {
                warnings.push(format!(
                    "level {index} uses {} of {} codes: use fewer codes, or check that the embeddings differ",
                    level.used, level.codes
                ));
            } else if level.perplexity < LOW_PERPLEXITY * level.codes as f64 {
                warnings.push(format!(
                    "level {index} is lopsided, as if it had {:.0} of {} codes: use more iterations, or normalise the residuals",
                    level.perplexity, level.codes
                ));
            }
        }
        if self.collision_rate > HIGH_COLLISIONS {
            warnings.push(format!(
                "{:.0}% of the items share their codes with another (up to {} items together): use more codes or levels, \
                 or embed more than titles",
                100.0 * self.collision_rate,
                self.largest_group
            ));
        }
        warnings
    }
}

impl LevelHealth {
    fn of(counts: &[usize]) -> Self {
        let total = counts.iter().sum::<usize>() as f64;
        let used = counts.iter().filter(|&&count| count > 0).count();
        let shares = counts.iter().filter(|&&count| count > 0).map(|&count| count as f64 / total);
        let entropy = shares.fold(0.0, |sum, share| sum - share * share.ln());
        let usage = used as f64 / counts.len() as f64;
        Self { codes: counts.len(), used, usage, entropy, perplexity: entropy.exp() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_level_has_the_entropy_of_its_codes() {
        let health = LevelHealth::of(&[5; 8]);
        assert!((health.entropy - 8_f64.ln()).abs() < 1e-12 && (health.perplexity - 8.0).abs() < 1e-9, "{health:?}");
        assert_eq!((health.used, health.usage), (8, 1.0));
    }

    #[test]
    fn collisions_are_counted_in_items() {
        let prefixes = [[0, 0], [0, 1], [0, 0], [1, 1], [0, 0]].map(|prefix| prefix.to_vec());
        let health = Health::of(&[2, 2], &prefixes);
        assert_eq!((health.collision_rate, health.unique_prefixes, health.largest_group), (0.6, 3, 3));
    }

    #[test]
    fn each_fault_has_its_warning() {
        let even: Vec<_> = (0..16).map(|item| vec![item]).collect();
        assert!(Health::of(&[16], &even).warnings().is_empty());

        let few = Health::of(&[40], &even).warnings();
        assert!(few.len() == 1 && few[0].contains("16 of 40 codes"), "{few:?}");

        let mut lopsided = even.clone();
        lopsided.extend(vec![vec![0]; 984]);
        let warnings = Health::of(&[16], &lopsided).warnings();
        assert!(warnings.len() == 2 && warnings[0].contains("lopsided"), "{warnings:?}");
        assert!(warnings[1].contains("98% of the items"), "{warnings:?}");
    }
}

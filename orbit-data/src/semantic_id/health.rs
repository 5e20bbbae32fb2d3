//! How well a codebook is used.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::kmeans::mean;

/// Below this share of used codes a level is said to be wasted.
const LOW_USAGE: f64 = 0.5;
/// Below this perplexity, as a share of the codes in reach, a level is said to be lopsided.
const LOW_PERPLEXITY: f64 = 0.25;
/// Above this share of items with a shared prefix the added level carries too much.
const HIGH_COLLISIONS: f64 = 0.3;
/// Below this perplexity, as a share of the codes in reach, a level has collapsed.
const COLLAPSED_PERPLEXITY: f64 = 0.05;
/// Above this share of items with a shared prefix the IDs say next to nothing.
const COLLAPSED_COLLISIONS: f64 = 0.9;
/// Unit vectors closer to their mean than this have cosines above 0.9999: in half precision they differ by rounding.
const NO_SPREAD: f64 = 0.01;

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
    /// How many items [`Collisions::Sinkhorn`](super::Collisions::Sinkhorn) gave another last code; the collisions above
    /// are those that were left.
    #[serde(default)]
    pub moved: usize,
    /// Root mean square distance of the embeddings, as the first level or a network's encoder saw them, from their mean;
    /// absent where IDs did not come from embeddings.
    #[serde(default)]
    pub spread: Option<f64>,
}

/// What codebook health comes to. As JSON, `"sound"`, `{"warning": ["..."]}` or `{"collapsed": ["..."]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The codes are used well.
    Sound,
    /// The IDs will do, but could be better: what is wrong and what to do, a sentence each.
    Warning(Vec<String>),
    /// The IDs do not tell items apart by what they are; do not train on them. First why they collapsed and what to do,
    /// then further warnings.
    Collapsed(Vec<String>),
}

impl Verdict {
    /// Whether a model should not be trained on these IDs.
    pub fn is_collapsed(&self) -> bool {
        matches!(self, Self::Collapsed(_))
    }

    /// What is wrong and what to do, a sentence each; empty when all is well.
    pub fn advice(&self) -> &[String] {
        match self {
            Self::Sound => &[],
            Self::Warning(advice) | Self::Collapsed(advice) => advice,
        }
    }
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
            moved: 0,
            spread: None,
        }
    }

    /// Whether the codebooks are sound, and what to do if not.
    ///
    /// They have collapsed when the embeddings nearly agree (cosines above 0.9999), when the first level, or any level
    /// while more than 30% of the items collide, works like fewer than 5% of its codes, or when more than 90% of the items
    /// share their codes with another though most combinations are free. Warnings are those of [`Health::warnings`].
    ///
    /// ```
    /// use orbit_data::{ItemEmbeddings, SemanticIds};
    /// use orbit_data::semantic_id::ResidualKMeans;
    ///
    /// let alike = ItemEmbeddings::new(2, [1.0, 1.0].repeat(50))?;
    /// let ids = SemanticIds::assign(&alike, &ResidualKMeans::default())?;
    /// assert!(ids.health().verdict().is_collapsed());
    /// assert!(ids.health().verdict().advice()[0].contains("nearly the same"));
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    pub fn verdict(&self) -> Verdict {
        let (mut faults, warnings) = (self.faults(), self.warnings());
        if !faults.is_empty() {
            faults.extend(warnings);
            return Verdict::Collapsed(faults);
        }
        if warnings.is_empty() { Verdict::Sound } else { Verdict::Warning(warnings) }
    }

    /// Why the codebooks have collapsed, a sentence each; empty when they have not.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(spread) = self.spread.filter(|&spread| spread < NO_SPREAD) {
            faults.push(format!(
                "the embeddings of all items are nearly the same (they lie {spread:.1e} around their mean): set \
                 `standardize`, or embed texts that tell items apart"
            ));
        }
        for (index, level) in self.levels.iter().enumerate() {
            if (index == 0 || self.collision_rate > HIGH_COLLISIONS) && self.is_collapsed(level) {
                faults.push(format!(
                    "level {index} has collapsed: {} codes work like {:.1}; set `standardize`, check that the embeddings \
                     differ, or reset dead codes if a network learned them",
                    level.codes, level.perplexity
                ));
            }
        }
        // Where most combinations are taken there were too few to begin with, which is a warning.
        let combinations = self.levels.iter().map(|level| level.codes as f64).product::<f64>();
        if self.collision_rate > COLLAPSED_COLLISIONS && 2.0 * (self.unique_prefixes as f64) < combinations {
            faults.push(format!(
                "{:.0}% of the items share their codes with another: use more codes or levels, or embed more than titles",
                100.0 * self.collision_rate
            ));
        }
        faults
    }

    fn is_collapsed(&self, level: &LevelHealth) -> bool {
        let reach = level.codes.min(self.unique_prefixes);
        let is_alone = self.unique_prefixes == 1 && self.largest_group == 1;
        level.codes > 1 && !is_alone && (level.used == 1 || level.perplexity < COLLAPSED_PERPLEXITY * reach as f64)
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

/// The root mean square distance of the rows from their mean.
pub(super) fn spread(rows: &[f32], dim: usize) -> f64 {
    let mean = mean(rows, dim);
    let distance = |row: &[f32]| row.iter().zip(&mean).map(|(x, m)| f64::from(x - m).powi(2)).sum::<f64>();
    let count = (rows.len() / dim).max(1) as f64;
    (rows.chunks_exact(dim).map(distance).sum::<f64>() / count).sqrt()
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

    #[test]
    fn verdicts_tell_collapse_from_blemish() {
        let even: Vec<_> = (0..16).map(|item| vec![item, 0]).collect();
        // The first level tells all items apart; that the second says nothing then is waste, not collapse.
        let wasted = Health::of(&[16, 16], &even);
        assert!(matches!(wasted.verdict(), Verdict::Warning(_)), "{:?}", wasted.verdict());
        assert_eq!(Health::of(&[16], &even.iter().map(|id| vec![id[0]]).collect::<Vec<_>>()).verdict(), Verdict::Sound);

        let one_code: Vec<_> = (0..16).map(|item| vec![0, item]).collect();
        let collapsed = Health::of(&[16, 16], &one_code).verdict();
        assert!(collapsed.is_collapsed() && collapsed.advice()[0].contains("level 0 has collapsed"), "{collapsed:?}");

        // 392 of 400 on code 0 of 256, the others on codes of their own.
        let crowd: Vec<_> = (0..400).map(|item| vec![if item < 392 { 0 } else { item - 391 }]).collect();
        let crowded = Health::of(&[256], &crowd).verdict();
        assert!(crowded.advice().iter().any(|line| line.starts_with("98% of the items")), "{crowded:?}");
        assert!(!Health::of(&[16], &[vec![3]]).verdict().is_collapsed());
        let all_alike = Health::of(&[16, 16], &vec![vec![3, 4]; 9]).verdict();
        assert!(all_alike.advice()[0].contains("level 0 has collapsed: 16 codes work like 1.0"), "{all_alike:?}");
    }

    #[test]
    fn a_verdict_is_plain_json() {
        let json = |verdict| serde_json::to_string(&verdict).unwrap_or_default();
        assert_eq!(json(Verdict::Sound), "\"sound\"");
        assert_eq!(json(Verdict::Collapsed(vec!["why".into()])), r#"{"collapsed":["why"]}"#);
    }

    #[test]
    fn spread_is_the_distance_from_the_mean() {
        assert!((spread(&[1.0, 2.0, 1.0, 8.0], 2) - 3.0).abs() < 1e-12);
    }
}

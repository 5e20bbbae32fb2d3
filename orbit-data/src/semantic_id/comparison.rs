//! Ways to make semantic IDs side by side.

use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::SemanticIds;
use super::kmeans::mean;
use crate::permutation::{NEIGHBOURS, Permutation};
use crate::{Error, ItemEmbeddings, Result};

/// Neighbours of an item that are looked at.
const NEAREST: usize = 10;
/// Items whose neighbours are looked for, at most.
const SAMPLE: usize = 2000;

/// A table with a row for each way to make IDs. Its text form is aligned columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// In the order given.
    pub rows: Vec<ComparisonRow>,
}

/// What IDs are like, measured in the same way whatever made them, without the level added against collisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRow {
    /// The name given.
    pub name: String,
    /// How many codes each level has, the added level included.
    pub codes_per_level: Vec<usize>,
    /// Share of used codes, by level.
    pub usage: Vec<f64>,
    /// Entropy in nats, by level.
    pub entropy: Vec<f64>,
    /// Share of the items whose codes some other item has too.
    pub collision_rate: f64,
    /// How many items share the commonest codes.
    pub largest_group: usize,
    /// Share of the variance of the embeddings that the codes do not explain: of each level the mean of what was left of
    /// its items is taken off, so that IDs which did not come from centroids are measured too. 1 says nothing, 0 says all.
    pub reconstruction_error: Option<f64>,
    /// Share of an item's 10 nearest neighbours by cosine that have its first code, the mean over at most 2,000 items.
    pub neighbours: Option<f64>,
}

/// Compares IDs of the same items. Without embeddings, what is measured on them stays empty.
///
/// Neighbours cost `2 * 2,000 * items * dim` floating-point operations, once for all.
///
/// ```
/// use orbit_data::catalogue::Catalogue;
/// use orbit_data::semantic_id::{Method, RandomCodes, Recipe, ResidualKMeans, compare};
///
/// let (_, embeddings) = Catalogue { items: 200, users: 1, ..Catalogue::default() }.generate();
/// let method = Method::ResidualKMeans(ResidualKMeans { codes: 16, ..ResidualKMeans::default() });
/// let kmeans = Recipe { method, ..Recipe::default() }.assign(&embeddings)?;
/// let method = Method::Random(RandomCodes { codes: 16, ..RandomCodes::default() });
/// let random = Recipe { method, ..Recipe::default() }.assign(&embeddings)?;
///
/// let table = compare(&[("k-means", &kmeans), ("random", &random)], Some(&embeddings))?;
/// assert!(table.rows[0].neighbours > table.rows[1].neighbours);
/// assert!(table.rows[0].reconstruction_error < table.rows[1].reconstruction_error);
/// assert!(table.to_string().starts_with("method"));
/// # Ok::<(), orbit_data::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Invalid`] for IDs of another number of items than the first or than the embeddings.
pub fn compare(ids: &[(&str, &SemanticIds)], embeddings: Option<&ItemEmbeddings>) -> Result<Comparison> {
    let items = embeddings.map(ItemEmbeddings::len).or(ids.first().map(|(_, ids)| ids.len())).unwrap_or(0);
    if let Some((name, other)) = ids.iter().find(|(_, ids)| ids.len() != items) {
        let reason =
            format!("{name} has IDs of {} items, but there are {items}; compare IDs of one catalogue", other.len());
        return Err(Error::Invalid(reason));
    }
    let neighbours = embeddings.map(neighbours);
    let row = |&(name, ids): &(&str, &SemanticIds)| ComparisonRow {
        name: name.to_owned(),
        codes_per_level: ids.codes_per_level().to_vec(),
        usage: ids.health().levels.iter().map(|level| level.usage).collect(),
        entropy: ids.health().levels.iter().map(|level| level.entropy).collect(),
        collision_rate: ids.health().collision_rate,
        largest_group: ids.health().largest_group,
        reconstruction_error: embeddings.map(|embeddings| unexplained(ids, embeddings)),
        neighbours: neighbours.as_ref().map(|neighbours| shared_first_code(ids, neighbours)),
    };
    Ok(Comparison { rows: ids.iter().map(row).collect() })
}

/// An item and those nearest to it.
type Neighbours = (u32, Vec<u32>);

/// The nearest neighbours of a sample of the items, which is the same for any number of threads.
fn neighbours(embeddings: &ItemEmbeddings) -> Vec<Neighbours> {
    let items = embeddings.len();
    let order = Permutation::new(items as u64, [0, 0, NEIGHBOURS]);
    (0..items.min(SAMPLE)).into_par_iter().map(|index| nearest(embeddings, order.at(index as u64) as usize)).collect()
}

fn nearest(embeddings: &ItemEmbeddings, item: usize) -> Neighbours {
    let mut others: Vec<(f32, u32)> = (0..)
        .zip(embeddings.rows().chunks_exact(embeddings.dim()))
        .filter(|&(other, _)| other as usize != item)
        .map(|(other, row)| (cosine(embeddings.row(item), row), other))
        .collect();
    let order = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if others.len() > NEAREST {
        others.select_nth_unstable_by(NEAREST - 1, order);
        others.truncate(NEAREST);
    }
    (item as u32, others.into_iter().map(|(_, other)| other).collect())
}

/// The dot product of unit vectors, in eight running sums so that the compiler may use vector instructions.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        sums.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum += a * b);
    }
    sums.iter().sum()
}

fn shared_first_code(ids: &SemanticIds, neighbours: &[Neighbours]) -> f64 {
    let pairs = || neighbours.iter().flat_map(|(item, near)| near.iter().map(move |other| (*item, *other)));
    let shared = pairs().filter(|&(item, other)| ids.codes(item)[0] == ids.codes(other)[0]).count();
    shared as f64 / pairs().count().max(1) as f64
}

/// The share of variance left when each level in turn has the mean of each code's items taken off.
fn unexplained(ids: &SemanticIds, embeddings: &ItemEmbeddings) -> f64 {
    let dim = embeddings.dim();
    let center = mean(embeddings.rows(), dim);
    let mut left: Vec<f64> =
        embeddings.rows().iter().zip(center.iter().cycle()).map(|(x, m)| f64::from(*x) - f64::from(*m)).collect();
    let before = sum_of_squares(&left);
    for (level, &codes) in ids.codes_per_level()[..ids.health().levels.len()].iter().enumerate() {
        take_off_means(&mut left, dim, codes, |item| usize::from(ids.codes(item as u32)[level]));
    }
    if before > 0.0 { sum_of_squares(&left) / before } else { 0.0 }
}

fn take_off_means(rows: &mut [f64], dim: usize, codes: usize, code: impl Fn(usize) -> usize) {
    let (mut sums, mut counts) = (vec![0.0; codes * dim], vec![0_usize; codes]);
    for (item, row) in rows.chunks_exact(dim).enumerate() {
        counts[code(item)] += 1;
        sums[code(item) * dim..][..dim].iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    for (item, row) in rows.chunks_exact_mut(dim).enumerate() {
        let count = counts[code(item)] as f64;
        row.iter_mut().zip(&sums[code(item) * dim..]).for_each(|(x, sum)| *x -= sum / count);
    }
}

fn sum_of_squares(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum()
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["method", "codes", "usage %", "entropy", "collide %", "most", "error", "neighbours %"];
        let body = self.rows.iter().map(ComparisonRow::cells);
        let rows: Vec<[String; 8]> = std::iter::once(head.map(str::to_owned)).chain(body).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 8] = std::array::from_fn(width);
        for row in &rows {
            let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

impl ComparisonRow {
    fn cells(&self) -> [String; 8] {
        let join = |values: &[f64], scale: f64, digits: usize| {
            values.iter().map(|x| format!("{:.digits$}", scale * x)).collect::<Vec<_>>().join("/")
        };
        let or_dash = |value: Option<f64>, scale: f64, digits: usize| {
            value.map_or_else(|| "-".to_owned(), |x| format!("{:.digits$}", scale * x))
        };
        [
            self.name.clone(),
            self.codes_per_level.iter().map(usize::to_string).collect::<Vec<_>>().join("x"),
            join(&self.usage, 100.0, 0),
            join(&self.entropy, 1.0, 2),
            format!("{:.1}", 100.0 * self.collision_rate),
            self.largest_group.to_string(),
            or_dash(self.reconstruction_error, 1.0, 3),
            or_dash(self.neighbours, 100.0, 1),
        ]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use expect_test::expect;

    use super::*;

    fn ids(codes: &[u16]) -> SemanticIds {
        SemanticIds::from_prefixes(vec![2], codes.iter().map(|&code| vec![code]).collect()).unwrap()
    }

    #[test]
    fn measures_match_a_hand_count() {
        // Two pairs of opposite directions. By pair nothing is left but each item's offset from its pair's mean.
        let embeddings = ItemEmbeddings::new(2, vec![1.0, 0.0, 0.6, 0.8, -1.0, 0.0, -0.6, -0.8]).unwrap();
        let (pairs, mixed) = (ids(&[0, 0, 1, 1]), ids(&[0, 1, 0, 1]));
        let table = compare(&[("pairs", &pairs), ("mixed", &mixed)], Some(&embeddings)).unwrap();
        // A pair's mean is (0.8, 0.4), 0.2 (squared) from both; all items lie 1 from the mean of all, 0.
        assert!((table.rows[0].reconstruction_error.unwrap() - 0.2).abs() < 1e-6);
        assert!((table.rows[1].reconstruction_error.unwrap() - 1.0).abs() < 1e-6);
        // All three others are neighbours; one of them shares the first code.
        assert_eq!(table.rows[0].neighbours, Some(1.0 / 3.0));
        expect![[r#"
            method  codes  usage %  entropy  collide %  most  error  neighbours %
            pairs   2x2    100      0.69     100.0      2     0.200  33.3
            mixed   2x2    100      0.69     100.0      2     1.000  33.3
        "#]]
        .assert_eq(&table.to_string());
    }

    #[test]
    fn only_the_ten_nearest_count() {
        let rows = (0..30).flat_map(|i| [(0.1 * i as f32).cos(), (0.1 * i as f32).sin()]).collect();
        let (item, near) = nearest(&ItemEmbeddings::new(2, rows).unwrap(), 0);
        let mut near = near;
        near.sort_unstable();
        assert_eq!((item, near), (0, (1..=10).collect()));
    }

    #[test]
    fn other_items_cannot_be_compared() {
        let error = compare(&[("a", &ids(&[0, 1])), ("b", &ids(&[0, 1, 1]))], None).unwrap_err().to_string();
        assert_eq!(error, "b has IDs of 3 items, but there are 2; compare IDs of one catalogue");
        let table = compare(&[("a", &ids(&[0, 1]))], None).unwrap();
        assert_eq!((table.rows[0].neighbours, table.rows[0].reconstruction_error), (None, None));
    }
}

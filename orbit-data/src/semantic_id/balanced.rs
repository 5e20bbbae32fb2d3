//! Balanced residual k-means: no code of a level is used by more items than its fair share.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::codebooks::{Codebooks, Shape};
use super::kmeans::{Clusters, KMeans, distances, squared_distance, update};
use crate::{ItemEmbeddings, Result};

/// Settings of residual k-means in which a code is used by at most `ceil(items / codes)` items.
///
/// A level starts from plain k-means. Then rounds follow in which each item goes to a centroid that has room, and each
/// centroid to the mean of its items; the round of least squared error counts. Who goes where is a transportation
/// problem, solved by largest regret first (Reinfeld and Vogel, *Mathematical Programming*, 1958): next is the item that
/// would lose most if its nearest centroid with room filled up. That is not the optimum, which is what balanced k-means
/// by the Hungarian method finds (Malinen and Fränti, *Balanced K-Means for Clustering*, 2014) at cubic cost; a round
/// costs about as much as one of plain k-means, and memory for `items * codes` distances.
///
/// Items that come later ([`SemanticIds::assign_new`](super::SemanticIds::assign_new)) go to the nearest centroid,
/// whether it has its share or not.
///
/// ```
/// use orbit_data::catalogue::Catalogue;
/// use orbit_data::semantic_id::{BalancedKMeans, Method, Recipe};
///
/// let (_, embeddings) = Catalogue { items: 60, users: 1, ..Catalogue::default() }.generate();
/// let method = Method::BalancedKMeans(BalancedKMeans { codes: 8, ..BalancedKMeans::default() });
/// let ids = Recipe { method, ..Recipe::default() }.assign(&embeddings)?;
/// let most = (0..8).map(|code| ids.iter().filter(|id| id[0] == code).count()).max();
/// assert_eq!(most, Some(60_usize.div_ceil(8)));
/// # Ok::<(), orbit_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BalancedKMeans {
    /// How many levels, from 1.
    pub levels: usize,
    /// How many codes a level has, 1 to 65,536.
    pub codes: usize,
    /// At most this many rounds a level, of the start and of the balanced rounds each.
    pub iterations: usize,
    /// Seeds the choice of the first centroids.
    pub seed: u64,
    /// Whether what a level leaves over is scaled to length one before the next level codes it.
    pub normalize_residuals: bool,
}

impl Default for BalancedKMeans {
    fn default() -> Self {
        Self { levels: 3, codes: 256, iterations: 10, seed: 0, normalize_residuals: true }
    }
}

impl BalancedKMeans {
    /// The codebooks, and `levels` codes for each item.
    pub(super) fn quantise(
        &self,
        embeddings: &ItemEmbeddings,
        standardize: bool,
    ) -> Result<(Codebooks, Vec<Vec<u16>>)> {
        let Self { levels, codes, iterations, normalize_residuals, .. } = *self;
        Codebooks::train(embeddings, Shape { levels, codes, normalize_residuals, standardize }, |level, residuals| {
            let seed = self.seed.wrapping_add(level as u64);
            fit(&KMeans { codes, iterations, seed }, residuals, embeddings.dim())
        })
    }
}

/// Clusters of at most `ceil(points / codes)` points.
fn fit(settings: &KMeans, points: &[f32], dim: usize) -> Clusters {
    let mut centroids = settings.fit(points, dim).centroids;
    if centroids.is_empty() {
        return Clusters { centroids, assignment: Vec::new() };
    }
    // Where points are alike there are fewer centroids than codes, which could not hold all of them.
    let found = centroids.clone();
    centroids.extend(found.iter().cycle().take(settings.codes * dim - found.len()));

    let most = (points.len() / dim).div_ceil(settings.codes);
    let mut assignment = Vec::new();
    let (mut best, mut least) = (None, f64::INFINITY);
    for _ in 0..settings.iterations.max(1) {
        let next = fill(&distances(points, &centroids, dim), settings.codes, most);
        if next == assignment {
            break;
        }
        assignment = next;
        update(&mut centroids, points, dim, &assignment);
        let error = error(points, &centroids, dim, &assignment);
        if best.is_none() || error < least {
            (best, least) = (Some(Clusters { centroids: centroids.clone(), assignment: assignment.clone() }), error);
        }
    }
    best.unwrap_or(Clusters { centroids, assignment })
}

/// The sum of squared distances of points from their centroids.
fn error(points: &[f32], centroids: &[f32], dim: usize, assignment: &[u16]) -> f64 {
    let centroid = |&code: &u16| &centroids[usize::from(code) * dim..][..dim];
    let rows = points.chunks_exact(dim).zip(assignment);
    rows.map(|(point, code)| f64::from(squared_distance(point, centroid(code)))).sum()
}

/// A point that waits for a place, and what it would lose if its best code filled up.
#[derive(PartialEq)]
struct Waiting {
    regret: f32,
    point: usize,
}

impl Eq for Waiting {}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.regret.total_cmp(&other.regret).then(other.point.cmp(&self.point))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The two nearest codes with room.
#[derive(Clone, Copy)]
struct Choice {
    best: usize,
    second: Option<usize>,
    regret: f32,
}

impl Choice {
    fn of(distances: &[f32], room: &[usize]) -> Self {
        let mut nearest: [Option<(f32, usize)>; 2] = [None; 2];
        for (code, &distance) in distances.iter().enumerate().filter(|&(code, _)| room[code] > 0) {
            if nearest[0].is_none_or(|(least, _)| distance < least) {
                nearest = [Some((distance, code)), nearest[0]];
            } else if nearest[1].is_none_or(|(least, _)| distance < least) {
                nearest[1] = Some((distance, code));
            }
        }
        let (least, best) = nearest[0].unwrap_or_default();
        let regret = nearest[1].map_or(f32::INFINITY, |(next, _)| next - least);
        Self { best, second: nearest[1].map(|(_, code)| code), regret }
    }
}

/// Gives each point (a row of `distances`, a column a code) a code that at most `most` points get, largest regret first.
/// `codes * most` must be at least the number of points.
fn fill(distances: &[f32], codes: usize, most: usize) -> Vec<u16> {
    let row = |point: usize| &distances[point * codes..][..codes];
    let mut room = vec![most; codes];
    let mut choices: Vec<Choice> = distances.chunks_exact(codes).map(|row| Choice::of(row, &room)).collect();
    let mut queue: BinaryHeap<Waiting> =
        choices.iter().zip(0..).map(|(choice, point)| Waiting { regret: choice.regret, point }).collect();
    let mut assignment: Vec<Option<u16>> = vec![None; choices.len()];
    while let Some(Waiting { regret, point }) = queue.pop() {
        // An entry from before a code of this point's choice filled up, or of a point that has its place.
        if assignment[point].is_some() || regret.total_cmp(&choices[point].regret).is_ne() {
            continue;
        }
        let code = choices[point].best;
        assignment[point] = Some(code as u16);
        room[code] -= 1;
        if room[code] > 0 {
            continue;
        }
        for other in (0..choices.len()).filter(|&other| assignment[other].is_none()) {
            if choices[other].best == code || choices[other].second == Some(code) {
                choices[other] = Choice::of(row(other), &room);
                queue.push(Waiting { regret: choices[other].regret, point: other });
            }
        }
    }
    assignment.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whoever_would_lose_most_goes_first() {
        // Both want code 0, which has one place: the second would lose 8, the first only 1.
        assert_eq!(fill(&[1.0, 2.0, 2.0, 10.0], 2, 1), [1, 0]);
        // Code 0 is full after the second point; the others must share 1 and 2, and the last would lose 6.
        assert_eq!(fill(&[0.0, 1.0, 2.0, 0.0, 50.0, 60.0, 0.0, 1.0, 7.0], 3, 1), [2, 0, 1]);
    }

    #[test]
    fn a_crowd_is_shared_out_evenly() {
        let points: Vec<f32> = (0..12).map(|i| if i < 10 { 0.01 * i as f32 } else { 5.0 }).collect();
        let clusters = fit(&KMeans { codes: 3, iterations: 10, seed: 0 }, &points, 1);
        let count = |code| clusters.assignment.iter().filter(|&&c| c == code).count();
        assert_eq!([0, 1, 2].map(count), [4; 3]);
        assert_eq!(clusters.assignment[10], clusters.assignment[11]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_code_has_more_than_its_share(
            points in prop::collection::vec(-3_i8..=3, 1..80), codes in 1_usize..12, iterations in 0_usize..4,
        ) {
            let points: Vec<f32> = points.into_iter().map(f32::from).collect();
            let clusters = fit(&KMeans { codes, iterations, seed: 1 }, &points, 1);
            prop_assert_eq!(clusters.assignment.len(), points.len());
            let mut counts = vec![0; codes];
            clusters.assignment.iter().for_each(|&code| counts[usize::from(code)] += 1);
            prop_assert!(counts.iter().all(|&count| count <= points.len().div_ceil(codes)), "{:?}", counts);
        }
    }
}

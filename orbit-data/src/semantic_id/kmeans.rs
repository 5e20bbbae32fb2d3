//! k-means: k-means++ start, Lloyd's rounds, farthest points for empty clusters.
//!
//! A round costs `2 * points * codes * dim` floating-point operations, nearly all of them in [`nearest`], which is
//! parallel over points. Sums over points run in point order on one thread, so results do not depend on threads.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Points that share one pass over a tile of centroids.
const POINTS: usize = 4;
/// Centroids in a tile: with [`POINTS`], as many running sums as fit into registers.
const TILE: usize = 8;

/// Settings of one clustering.
#[derive(Debug, Clone, Copy)]
pub struct KMeans {
    /// How many clusters, 1 to 65,536.
    pub codes: usize,
    /// At most this many of Lloyd's rounds.
    pub iterations: usize,
    /// Seeds the choice of the first centroids.
    pub seed: u64,
}

/// Clusters and who is in them.
#[derive(Debug, Clone)]
pub struct Clusters {
    /// Row-major; fewer than codes were asked for where there are fewer different points.
    pub centroids: Vec<f32>,
    /// The centroid of each point.
    pub assignment: Vec<u16>,
}

impl KMeans {
    /// Clusters `points` (row-major, `dim` > 0 values a row). Fewer different points than codes leave codes unused.
    pub fn fit(&self, points: &[f32], dim: usize) -> Clusters {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut centroids = plus_plus(points, dim, self.codes, &mut rng);
        let mut assignment = nearest(points, &centroids, dim);
        for _ in 0..self.iterations {
            let empty = update(&mut centroids, points, dim, &assignment);
            reseed(&mut centroids, points, dim, &assignment, &empty);
            let next = nearest(points, &centroids, dim);
            if next == assignment {
                break;
            }
            assignment = next;
        }
        Clusters { centroids, assignment }
    }
}

/// k-means++ (Arthur and Vassilvitskii, 2007): each next centroid is a point drawn with probability proportional to the
/// squared distance from the centroids before it. Stops early when every point is a centroid.
fn plus_plus(points: &[f32], dim: usize, codes: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let count = points.len() / dim;
    let mut centroids = Vec::with_capacity(codes * dim);
    if count == 0 {
        return centroids;
    }
    let mut distances = vec![f32::INFINITY; count];
    let mut chosen = rng.random_range(0..count);
    loop {
        let centroid = &points[chosen * dim..][..dim];
        centroids.extend_from_slice(centroid);
        if centroids.len() == codes * dim {
            return centroids;
        }
        distances.par_iter_mut().zip(points.par_chunks_exact(dim)).for_each(|(distance, point)| {
            *distance = distance.min(squared_distance(point, centroid));
        });
        match draw(&distances, rng) {
            Some(next) => chosen = next,
            None => return centroids,
        }
    }
}

/// An index drawn with probability proportional to its weight; none when all weights are zero.
fn draw(weights: &[f32], rng: &mut ChaCha8Rng) -> Option<usize> {
    let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    let mut left = rng.random::<f64>() * total;
    let positive = || weights.iter().enumerate().filter(|&(_, &weight)| weight > 0.0);
    let drawn = positive().find(|&(_, &weight)| {
        left -= f64::from(weight);
        left < 0.0
    });
    // Rounding can leave a crumb of `left` behind the last weight.
    drawn.or_else(|| positive().next_back()).map(|(index, _)| index)
}

/// Moves each centroid to the mean of its points, and answers which have none.
pub(super) fn update(centroids: &mut [f32], points: &[f32], dim: usize, assignment: &[u16]) -> Vec<usize> {
    let mut sums = vec![0_f64; centroids.len()];
    let mut counts = vec![0_usize; centroids.len() / dim];
    for (point, &code) in points.chunks_exact(dim).zip(assignment) {
        counts[usize::from(code)] += 1;
        let sum = &mut sums[usize::from(code) * dim..][..dim];
        sum.iter_mut().zip(point).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    for ((centroid, sum), &count) in centroids.chunks_exact_mut(dim).zip(sums.chunks_exact(dim)).zip(&counts) {
        if count > 0 {
            centroid.iter_mut().zip(sum).for_each(|(c, sum)| *c = (sum / count as f64) as f32);
        }
    }
    (0..counts.len()).filter(|&code| counts[code] == 0).collect()
}

/// Puts each empty centroid on a point, farthest from its own centroid first.
fn reseed(centroids: &mut [f32], points: &[f32], dim: usize, assignment: &[u16], empty: &[usize]) {
    if empty.is_empty() {
        return;
    }
    let mut farthest: Vec<(f32, usize)> = points
        .chunks_exact(dim)
        .zip(assignment)
        .map(|(point, &code)| squared_distance(point, &centroids[usize::from(code) * dim..][..dim]))
        .zip(0..)
        .filter(|&(distance, _)| distance > 0.0)
        .collect();
    farthest.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    for (&code, (_, point)) in empty.iter().zip(farthest) {
        centroids[code * dim..][..dim].copy_from_slice(&points[point * dim..][..dim]);
    }
}

/// The squared distance, in [`TILE`] running sums so that the compiler may use vector instructions.
pub(super) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; TILE];
    for (a, b) in a.chunks(TILE).zip(b.chunks(TILE)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += (a - b) * (a - b);
        }
    }
    sums.iter().sum()
}

/// The nearest centroid of each point (both row-major, `dim` > 0 values a row), the lower index on a tie: the one of largest `x . c - |c|^2 / 2`, with both seen
/// from the mean of the centroids. Seen from 0, points that lie close together far away would differ by less than the
/// rounding of these products.
pub fn nearest(points: &[f32], centroids: &[f32], dim: usize) -> Vec<u16> {
    let tiles = Tiles::new(centroids, dim);
    let nearest = |block: &[f32]| tiles.nearest(&tiles.seen_from_center(block));
    points.par_chunks(POINTS * dim).flat_map_iter(nearest).collect()
}

/// Squared distances, a row a point and a column a centroid.
pub(super) fn distances(points: &[f32], centroids: &[f32], dim: usize) -> Vec<f32> {
    let tiles = Tiles::new(centroids, dim);
    let distances = |block: &[f32]| tiles.distances(&tiles.seen_from_center(block));
    points.par_chunks(POINTS * dim).flat_map_iter(distances).collect()
}

/// The mean of the rows, summed in f64.
pub(super) fn mean(rows: &[f32], dim: usize) -> Vec<f32> {
    let mut sums = vec![0_f64; dim];
    for row in rows.chunks_exact(dim) {
        sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    let count = (rows.len() / dim).max(1) as f64;
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}

/// Centroids laid out for the inner loop: tiles of [`TILE`] centroids, within a tile dimension by dimension.
struct Tiles {
    dim: usize,
    /// The mean of the centroids, which is taken off centroids and points alike.
    center: Vec<f32>,
    values: Vec<[f32; TILE]>,
    /// Half the squared length of each centroid; infinite for the filling of the last tile, which is thus never nearest.
    half_squares: Vec<[f32; TILE]>,
}

impl Tiles {
    fn new(centroids: &[f32], dim: usize) -> Self {
        let tiles = (centroids.len() / dim).div_ceil(TILE);
        let center = mean(centroids, dim);
        let mut values = vec![[0.0; TILE]; tiles * dim];
        let mut half_squares = vec![[f32::INFINITY; TILE]; tiles];
        for (index, centroid) in centroids.chunks_exact(dim).enumerate() {
            let (tile, lane) = (index / TILE, index % TILE);
            let centroid: Vec<f32> = centroid.iter().zip(&center).map(|(c, center)| c - center).collect();
            half_squares[tile][lane] = centroid.iter().map(|c| c * c).sum::<f32>() / 2.0;
            values[tile * dim..][..dim].iter_mut().zip(centroid).for_each(|(row, c)| row[lane] = c);
        }
        Self { dim, center, values, half_squares }
    }

    fn seen_from_center(&self, block: &[f32]) -> Vec<f32> {
        block.iter().zip(self.center.iter().cycle()).map(|(x, center)| x - center).collect()
    }

    /// The points of a block; a short last block repeats its first point, and the extra answers are to be dropped.
    fn points<'a>(&self, block: &'a [f32]) -> [&'a [f32]; POINTS] {
        let start = |p| if p * self.dim < block.len() { p * self.dim } else { 0 };
        std::array::from_fn(|p| &block[start(p)..][..self.dim])
    }

    /// The squared distances of up to [`POINTS`] points from all centroids.
    fn distances(&self, block: &[f32]) -> Vec<f32> {
        let points = self.points(block);
        let squares = points.map(|point| point.iter().map(|x| x * x).sum::<f32>());
        let width = self.half_squares.iter().flatten().filter(|half| half.is_finite()).count();
        let mut rows = vec![0.0; block.len() / self.dim * width];
        for (tile, (values, halves)) in self.values.chunks_exact(self.dim).zip(&self.half_squares).enumerate() {
            let dots = dot_products(points, values);
            for (row, (dots, square)) in rows.chunks_exact_mut(width).zip(dots.iter().zip(squares)) {
                for ((distance, dot), half) in row[tile * TILE..].iter_mut().zip(dots).zip(halves) {
                    *distance = (square - 2.0 * (dot - half)).max(0.0);
                }
            }
        }
        rows
    }

    /// The nearest centroids of up to [`POINTS`] points.
    fn nearest(&self, block: &[f32]) -> impl Iterator<Item = u16> + use<> {
        let count = block.len() / self.dim;
        let points = self.points(block);
        let mut best = [(f32::NEG_INFINITY, 0_usize); POINTS];
        for (tile, (values, half_squares)) in self.values.chunks_exact(self.dim).zip(&self.half_squares).enumerate() {
            let dots = dot_products(points, values);
            for (best, dots) in best.iter_mut().zip(dots) {
                for lane in 0..TILE {
                    let score = dots[lane] - half_squares[lane];
                    if score > best.0 {
                        *best = (score, tile * TILE + lane);
                    }
                }
            }
        }
        best.into_iter().take(count).map(|(_, code)| code as u16)
    }
}

/// The dot products of [`POINTS`] points with a tile of centroids.
#[inline]
fn dot_products(points: [&[f32]; POINTS], tile: &[[f32; TILE]]) -> [[f32; TILE]; POINTS] {
    let [a, b, c, d] = points;
    let mut sums = [[0.0; TILE]; POINTS];
    for ((((row, a), b), c), d) in tile.iter().zip(a).zip(b).zip(c).zip(d) {
        for (sums, x) in sums.iter_mut().zip([a, b, c, d]) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += x * value;
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(count: usize, seed: u64) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    #[test]
    fn nearest_agrees_with_a_plain_search() {
        // Neither 31 points nor 13 centroids fill their last block.
        let (dim, points, centroids) = (5, random(31 * 5, 1), random(13 * 5, 2));
        let plain = points.chunks_exact(dim).map(|point| {
            let distances: Vec<f32> = centroids.chunks_exact(dim).map(|c| squared_distance(point, c)).collect();
            (0_u16..).zip(distances).min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(code, _)| code)
        });
        assert_eq!(nearest(&points, &centroids, dim), plain.collect::<Vec<_>>());
    }

    #[test]
    fn points_close_together_far_away_are_told_apart() {
        // Seen from 0, products of these points round to multiples of 0.06; they lie 0.02 apart.
        let points: Vec<f32> = (0..64).flat_map(|i| [700.0 + 0.02 * (i % 8) as f32, 700.0]).collect();
        let assignment = nearest(&points, &points[..16], 2);
        assert!(assignment.iter().enumerate().all(|(i, &code)| usize::from(code) == i % 8), "{assignment:?}");
    }

    #[test]
    fn distances_are_a_row_a_point() {
        // Neither 5 points nor 11 centroids fill their last block.
        let (dim, points, centroids) = (3, random(5 * 3, 3), random(11 * 3, 4));
        let plain = points
            .chunks_exact(dim)
            .flat_map(|point| centroids.chunks_exact(dim).map(move |centroid| squared_distance(point, centroid)));
        let found = distances(&points, &centroids, dim);
        assert!(found.len() == 55 && found.iter().zip(plain).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?}");
    }

    #[test]
    fn rounds_never_raise_the_error() {
        let (dim, points) = (4, random(400 * 4, 5));
        let error = |iterations| -> f32 {
            let clusters = KMeans { codes: 16, iterations, seed: 9 }.fit(&points, dim);
            let rows = points.chunks_exact(dim).zip(&clusters.assignment);
            rows.map(|(point, &code)| squared_distance(point, &clusters.centroids[usize::from(code) * dim..][..dim]))
                .sum()
        };
        let errors = [0, 1, 2, 5, 25].map(error);
        assert!(errors.is_sorted_by(|a, b| a >= b) && errors[4] < 0.95 * errors[0], "{errors:?}");
    }

    #[test]
    fn empty_clusters_move_to_the_farthest_points() {
        let points = [0.0, 0.1, 0.2, 9.0, 5.0];
        let mut centroids = [0.1, -50.0, -60.0];
        reseed(&mut centroids, &points, 1, &[0; 5], &[1, 2]);
        assert_eq!(centroids, [0.1, 9.0, 5.0]);
    }

    #[test]
    fn points_that_are_all_alike_take_one_code() {
        let clusters = KMeans { codes: 4, iterations: 3, seed: 0 }.fit(&[2.0; 12], 2);
        assert_eq!((clusters.assignment, clusters.centroids), (vec![0; 6], vec![2.0; 2]));
    }
}

//! Relative positions, and what they add to the scores of attention.
//!
//! Shapes: B rows, or 1 where all rows are alike, H heads, T queries, S keys.

use burn::tensor::{Int, Tensor, TensorData};

/// Which side of a token the tokens it sees may be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Before it and behind it: half of the buckets for each.
    Both,
    /// Before it.
    Back,
}

/// The rows of a table of relative positions (Raffel et al. 2019, arXiv 1910.10683, section 2.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct Buckets {
    pub(super) direction: Direction,
    /// Rows of the table, `relative_attention_num_buckets`.
    pub(super) count: usize,
    /// `relative_attention_max_distance`.
    pub(super) max_distance: usize,
}

impl Buckets {
    /// The bucket of a key `distance` tokens behind its query, or before it where that is negative.
    ///
    /// Of n buckets for a side, the first n/2 are a distance each; distance δ beyond them is in bucket
    /// n/2 + ⌊n/2 · ln(δ / (n/2)) / ln(max_distance / (n/2))⌋, the last one from `max_distance` on.
    pub(super) fn of(&self, distance: i64) -> usize {
        let (side, base) = match self.direction {
            Direction::Both if distance > 0 => (self.count / 2, self.count / 2),
            Direction::Both => (self.count / 2, 0),
            Direction::Back => (self.count, 0),
        };
        let seen = if self.direction == Direction::Back { (-distance).max(0) } else { distance.abs() } as usize;
        let exact = side / 2;
        if seen < exact {
            return base + seen;
        }
        // In single precision, as transformers computes it: the edges of buckets are where rounding decides.
        let share = (seen as f32 / exact as f32).ln() / (self.max_distance as f64 / exact as f64).ln() as f32;
        base + (exact + (share * (side - exact) as f32) as usize).min(side - 1)
    }

    /// What relative positions add to the scores, `[B, H, T, S]`: entry (h, t, s) is `table` at the bucket of key s as
    /// seen from query t, column h. There is a list of positions a row.
    pub(super) fn bias(&self, table: Tensor<2>, queries: &[Vec<i64>], keys: &[Vec<i64>]) -> Tensor<4> {
        let distances = |(queries, keys): (&Vec<i64>, &Vec<i64>)| {
            let from = |query: &i64| keys.iter().map(|key| key - query).collect::<Vec<_>>();
            queries.iter().flat_map(from).collect::<Vec<i64>>()
        };
        let (t, s) = (queries.first().map_or(0, Vec::len), keys.first().map_or(0, Vec::len));
        let rows = if alike(queries, keys) { queries.len().min(1) } else { queries.len() };
        let ids: Vec<i32> =
            queries.iter().zip(keys).take(rows).flat_map(distances).map(|distance| self.of(distance) as i32).collect();
        let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [rows * t * s]), &table.device());
        let [_, heads] = table.dims();
        let bias_bhts = table.select(0, ids).reshape([rows, t, s, heads]).permute([0, 3, 1, 2]);
        // Laid out in this order here, once, and not by every block that it is lent to.
        bias_bhts.reshape([rows * heads * t * s]).reshape([rows, heads, t, s])
    }
}

/// Whether all rows have the same distances.
fn alike(queries: &[Vec<i64>], keys: &[Vec<i64>]) -> bool {
    let shifted = |row: usize| {
        let first = keys[row].first().copied().unwrap_or(0);
        queries[row].iter().chain(&keys[row]).map(move |position| position - first)
    };
    (1..queries.len()).all(|row| shifted(row).eq(shifted(0)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::weights::Weights;

    /// transformers' own answers for distances −300 to 300.
    #[test]
    fn buckets_are_those_of_transformers() {
        for (name, count, max_distance) in [("tiny-t5", 8, 20), ("tiny-mt5", 32, 128)] {
            let file = format!("{}/../testdata/models/{name}/golden.safetensors", env!("CARGO_MANIFEST_DIR"));
            let expected = &Weights::read_file(file).unwrap().tensors["buckets"];
            assert_eq!(expected.shape, [2, 601]);
            for (direction, expected) in [Direction::Both, Direction::Back].into_iter().zip(expected.data.chunks(601)) {
                let buckets = Buckets { direction, count, max_distance };
                for (distance, &expected) in (-300..).zip(expected) {
                    let found = buckets.of(distance);
                    assert_eq!(found, expected as usize, "{name} {direction:?}: distance {distance}");
                }
            }
        }
    }

    #[test]
    fn rows_that_are_alike_are_computed_once() {
        let device = orbit_core::device("flex").unwrap();
        let table = Tensor::<2>::from_data(TensorData::new((0..8).map(|x| x as f32).collect(), [4, 2]), &device);
        let buckets = Buckets { direction: Direction::Back, count: 4, max_distance: 8 };
        let bias = |rows: &[Vec<i64>]| buckets.bias(table.clone(), rows, rows);
        let shared = bias(&[vec![0, 1], vec![5, 6]]);
        assert_eq!(shared.dims(), [1, 2, 2, 2]);
        let entries: Vec<f32> = shared.into_data().try_into_vec().unwrap();
        assert_eq!(entries, [0.0, 0.0, 2.0, 0.0, 1.0, 1.0, 3.0, 1.0]);
        assert_eq!(bias(&[vec![0, 1], vec![5, 7]]).dims(), [2, 2, 2, 2]);
    }
}

//! Products of matrices, cut into tiles.
//!
//! flex zeroes the result of a product and copies it once before it computes, on one core. Of a large product that is a fifth
//! of the time or more; of a tile it happens in the cache of the core that computes the tile.

use burn::backend::{Flex, ops::FloatTensorOps};
use rayon::prelude::*;

use super::flex::{Flat, entries, extents, flat};

/// Rows of the result that one task computes. Fixed, so that no bit depends on the number of threads.
const ROWS_A_TASK: usize = 256;

/// Entries of a tile: a quarter of a megabyte.
const ENTRIES_A_TILE: usize = 1 << 16;

/// a b, `[m, n]`, for `[m, k]` and `[k, n]` of any strides.
pub(super) fn product(a: &Flat, b: &Flat) -> Flat {
    let ([m, _], [_, n]) = (extents(a), extents(b));
    if m <= ROWS_A_TASK && m * n <= ENTRIES_A_TILE {
        return Flex::float_matmul(a.clone(), b.clone());
    }
    let mut out = zeros(m * n);
    out.par_chunks_mut((ROWS_A_TASK * n).max(1)).enumerate().for_each(|(task, out)| {
        let rows = out.len() / n;
        let a = a.narrow(0, task * ROWS_A_TASK, rows);
        let columns_a_tile = ENTRIES_A_TILE / rows;
        for start in (0..n).step_by(columns_a_tile) {
            let columns = columns_a_tile.min(n - start);
            let tile = Flex::float_matmul(a.clone(), b.narrow(1, start, columns));
            for (out, tile) in out.chunks_exact_mut(n).zip(entries(&tile).chunks_exact(columns)) {
                out[start..start + columns].copy_from_slice(tile);
            }
        }
    });
    flat(out, [m, n])
}

/// A buffer of zeros, filled by all threads.
pub(super) fn zeros(length: usize) -> Vec<f32> {
    const BLOCK: usize = 64;
    let blocks: Vec<[f32; BLOCK]> = (0..length.div_ceil(BLOCK)).into_par_iter().map(|_| [0.0; BLOCK]).collect();
    let mut buffer = blocks.into_flattened();
    buffer.truncate(length);
    buffer
}

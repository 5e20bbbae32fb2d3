//! Blocks of 32 entries with one scale d (`_0`: `w = d q`), or with a scale and an offset m (`_1`: `w = d q + m`).

use super::{half, nibbles};

/// ggml's `block_q4_0`: d, then 32 quants of 4 bits; 8 is zero.
pub(super) fn q4_0(block: &[u8; 18], out: &mut [f32; 32]) {
    let d = half(block, 0);
    nibbles(&block[2..], out, |_, q| d * signed(q, 8));
}

/// ggml's `block_q4_1`: d, m, then 32 quants of 4 bits.
pub(super) fn q4_1(block: &[u8; 20], out: &mut [f32; 32]) {
    let (d, m) = (half(block, 0), half(block, 2));
    nibbles(&block[4..], out, |_, q| d * f32::from(q) + m);
}

/// ggml's `block_q5_0`: d, the fifth bits of 32 quants, their lower four bits; 16 is zero.
pub(super) fn q5_0(block: &[u8; 22], out: &mut [f32; 32]) {
    let d = half(block, 0);
    let high = u32::from_le_bytes([block[2], block[3], block[4], block[5]]);
    nibbles(&block[6..], out, |i, q| d * signed(q | fifth(high, i), 16));
}

/// ggml's `block_q5_1`: d, m, the fifth bits of 32 quants, their lower four bits.
pub(super) fn q5_1(block: &[u8; 24], out: &mut [f32; 32]) {
    let (d, m) = (half(block, 0), half(block, 2));
    let high = u32::from_le_bytes([block[4], block[5], block[6], block[7]]);
    nibbles(&block[8..], out, |i, q| d * f32::from(q | fifth(high, i)) + m);
}

/// ggml's `block_q8_0`: d, then 32 signed bytes.
pub(super) fn q8_0(block: &[u8; 34], out: &mut [f32; 32]) {
    let d = half(block, 0);
    for (out, q) in out.iter_mut().zip(&block[2..]) {
        *out = d * f32::from(q.cast_signed());
    }
}

/// A quant that stands for `q - zero`.
fn signed(q: u8, zero: i8) -> f32 {
    f32::from(q.cast_signed() - zero)
}

/// The fifth bit of entry `i`, at its place above the lower four.
fn fifth(high: u32, i: usize) -> u8 {
    ((high >> i & 1) << 4) as u8
}

//! Blocks of 256 entries in groups of 16 or 32. A group has a scale of its own, a small integer times the block's d.
//! `w = d s q`, or `w = d s q - dmin m` where groups have a minimum m as well.

use super::half;

/// ggml's `block_q2_K`: a byte for each of 16 groups (scale below, minimum above), quants of 2 bits, d, dmin.
pub(super) fn q2_k(block: &[u8; 84], out: &mut [f32; 256]) {
    let (d, dmin) = (half(block, 80), half(block, 82));
    for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let scale = d * f32::from(block[group] & 15);
        let min = dmin * f32::from(block[group] >> 4);
        for (out, q) in out.iter_mut().zip(two_bits(&block[16..80], group)) {
            *out = scale * f32::from(q) - min;
        }
    }
}

/// ggml's `block_q3_K`: the third bits of the quants, their lower two bits, scales of 6 bits for 16 groups, d.
pub(super) fn q3_k(block: &[u8; 110], out: &mut [f32; 256]) {
    let (third_bits, scales) = (&block[..32], &block[96..108]);
    let d = half(block, 108);
    for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let scale = d * f32::from(q3_k_scale(scales, group));
        let third_bits = &third_bits[group % 2 * 16..][..16];
        for ((out, q), third) in out.iter_mut().zip(two_bits(&block[32..96], group)).zip(third_bits) {
            // A third bit of one adds nothing; zero takes 4 away.
            let missing = (!third >> (group / 2) & 1) << 2;
            *out = scale * f32::from(q.cast_signed() - missing.cast_signed());
        }
    }
}

/// The scale of a group, from -32 to 31. Its lower four bits are half of one of the first 8 bytes, its upper two bits a
/// quarter of one of the last 4.
fn q3_k_scale(scales: &[u8], group: usize) -> i8 {
    let low = scales[group % 8] >> (group / 8 * 4) & 15;
    let high = scales[8 + group % 4] >> (group / 4 * 2) & 3;
    (low | high << 4).cast_signed() - 32
}

/// The two-bit quants of a group of 16. Half a block is 32 bytes; a byte has one quant of each of its four runs of 32.
fn two_bits(bytes: &[u8], group: usize) -> impl Iterator<Item = u8> {
    let shift = group / 2 % 4 * 2;
    bytes[group / 8 * 32 + group % 2 * 16..][..16].iter().map(move |byte| byte >> shift & 3)
}

/// ggml's `block_q4_K`: d, dmin, scales and minima of 6 bits for 8 groups, quants of 4 bits.
pub(super) fn q4_k(block: &[u8; 144], out: &mut [f32; 256]) {
    for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, min) = scale_and_min(block, group);
        for (out, q) in out.iter_mut().zip(four_bits(&block[16..], group)) {
            *out = scale * f32::from(q) - min;
        }
    }
}

/// ggml's `block_q5_K`: as `block_q4_K`, with the fifth bits of the quants before their lower four. Bit g of byte i
/// belongs to entry i of group g.
pub(super) fn q5_k(block: &[u8; 176], out: &mut [f32; 256]) {
    for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, min) = scale_and_min(block, group);
        for ((out, q), fifth) in out.iter_mut().zip(four_bits(&block[48..], group)).zip(&block[16..48]) {
            *out = scale * f32::from(q | (fifth >> group & 1) << 4) - min;
        }
    }
}

/// The scale and the minimum of one of 8 groups, times d and dmin, from the first 16 bytes of a Q4_K or Q5_K block.
///
/// The 12 bytes behind d and dmin have the scales of groups 0 to 3 and then their minima in their lower six bits.
/// Groups 4 to 7 have four bits each in the last four bytes, and their upper two bits above the six of groups 0 to 3.
fn scale_and_min(block: &[u8], group: usize) -> (f32, f32) {
    let packed = &block[4..16];
    let (scale, min) = match group.checked_sub(4) {
        None => (packed[group] & 63, packed[group + 4] & 63),
        Some(i) => (packed[i + 8] & 15 | packed[i] >> 6 << 4, packed[i + 8] >> 4 | packed[i + 4] >> 6 << 4),
    };
    (half(block, 0) * f32::from(scale), half(block, 2) * f32::from(min))
}

/// The four-bit quants of a group of 32. A byte holds one quant of each of two groups.
fn four_bits(bytes: &[u8], group: usize) -> impl Iterator<Item = u8> {
    let shift = group % 2 * 4;
    bytes[group / 2 * 32..][..32].iter().map(move |byte| byte >> shift & 15)
}

/// ggml's `block_q6_K`: the lower four bits of the quants, their upper two, a signed byte as the scale of each of 16
/// groups, d; 32 is zero.
///
/// Half a block is 64 bytes of lower and 32 of upper bits. It has four runs of 32 entries: runs 0 and 1 are the lower
/// halves of the 64 bytes, runs 2 and 3 the upper ones.
pub(super) fn q6_k(block: &[u8; 210], out: &mut [f32; 256]) {
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let d = half(block, 208);
    for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let (half, run, at) = (group / 8, group / 2 % 4, group % 2 * 16);
        let scale = d * f32::from(scales[group].cast_signed());
        let low = &low[half * 64 + run % 2 * 32 + at..][..16];
        let high = &high[half * 32 + at..][..16];
        for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
            let q = low >> (run / 2 * 4) & 15 | (high >> (run * 2) & 3) << 4;
            *out = scale * f32::from(q.cast_signed() - 32);
        }
    }
}

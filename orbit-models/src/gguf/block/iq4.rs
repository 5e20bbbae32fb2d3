//! Quants of 4 bits that are places in a table of values, closer together around zero.

use super::{half, nibbles};

/// ggml's `kvalues_iq4nl`.
const VALUES: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// ggml's `block_iq4_nl`: d, then 32 places in the table.
pub(super) fn iq4_nl(block: &[u8; 18], out: &mut [f32; 32]) {
    let d = half(block, 0);
    nibbles(&block[2..], out, |_, q| d * value(q));
}

/// ggml's `block_iq4_xs`: d, scales of 6 bits for 8 groups of 32 (the upper two bits of all, then the lower four), then
/// 256 places in the table.
pub(super) fn iq4_xs(block: &[u8; 136], out: &mut [f32; 256]) {
    let d = half(block, 0);
    let high = u16::from_le_bytes([block[2], block[3]]);
    let (quants, _) = block[8..].as_chunks::<16>();
    for (group, (out, quants)) in out.as_chunks_mut::<32>().0.iter_mut().zip(quants).enumerate() {
        let low = block[4 + group / 2] >> (group % 2 * 4) & 15;
        let scale = low | ((high >> (group * 2) & 3) << 4) as u8;
        let scale = d * f32::from(scale.cast_signed() - 32);
        nibbles(quants, out, |_, q| scale * value(q));
    }
}

fn value(q: u8) -> f32 {
    f32::from(VALUES[usize::from(q)])
}

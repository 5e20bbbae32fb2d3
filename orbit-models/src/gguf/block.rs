//! The types of tensor data: how many bytes a block of entries takes, and what its entries are.
//! Layouts: `ggml-common.h` and `ggml-quants.c` of <https://github.com/ggml-org/ggml>.

use half::{bf16, f16};
use rayon::prelude::*;

/// The readable types of tensor data. In the legacy quantisations a block is 32 entries with one scale (`_0`: `w = d
/// q`) or a scale and a minimum (`_1`: `w = d q + m`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockType {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
}

use BlockType::{Bf16, F16, F32, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};

const ALL: [BlockType; 8] = [F32, F16, Bf16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0];

impl BlockType {
    pub(super) fn from_id(id: u32) -> Option<Self> {
        ALL.into_iter().find(|kind| kind.id() == id)
    }

    /// Its number in the file.
    const fn id(self) -> u32 {
        match self {
            F32 => 0,
            F16 => 1,
            Q4_0 => 2,
            Q4_1 => 3,
            Q5_0 => 6,
            Q5_1 => 7,
            Q8_0 => 8,
            Bf16 => 30,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            F32 => "F32",
            F16 => "F16",
            Bf16 => "BF16",
            Q4_0 => "Q4_0",
            Q4_1 => "Q4_1",
            Q5_0 => "Q5_0",
            Q5_1 => "Q5_1",
            Q8_0 => "Q8_0",
        }
    }

    /// The names of all types, for messages.
    pub(super) fn names() -> String {
        ALL.map(Self::name).join(", ")
    }

    /// Entries in a block.
    pub(super) const fn entries(self) -> usize {
        match self {
            F32 | F16 | Bf16 => 1,
            Q4_0 | Q4_1 | Q5_0 | Q5_1 | Q8_0 => 32,
        }
    }

    /// Bytes of a block.
    const fn bytes(self) -> usize {
        match self {
            F32 => 4,
            F16 | Bf16 => 2,
            Q4_0 => 2 + 16,
            Q4_1 => 2 + 2 + 16,
            Q5_0 => 2 + 4 + 16,
            Q5_1 => 2 + 2 + 4 + 16,
            Q8_0 => 2 + 32,
        }
    }

    /// Bytes of `entries` entries; nothing where they do not divide into blocks or the number is too large.
    pub(super) fn bytes_of(self, entries: u64) -> Option<u64> {
        let per_block = self.entries() as u64;
        if entries.is_multiple_of(per_block) { (entries / per_block).checked_mul(self.bytes() as u64) } else { None }
    }

    /// The entries of whole blocks, in parallel.
    pub(super) fn dequantize(self, data: &[u8]) -> Vec<f32> {
        let mut out = vec![0.0; data.len() / self.bytes() * self.entries()];
        // Blocks are a few dozen bytes; rayon gets runs of them.
        const RUN: usize = 1024;
        out.par_chunks_mut(RUN * self.entries()).zip(data.par_chunks(RUN * self.bytes())).for_each(|(out, data)| {
            for (out, block) in out.chunks_exact_mut(self.entries()).zip(data.chunks_exact(self.bytes())) {
                self.dequantize_block(block, out);
            }
        });
        out
    }

    fn dequantize_block(self, block: &[u8], out: &mut [f32]) {
        let half = |at: usize| f16::from_le_bytes([block[at], block[at + 1]]).to_f32();
        match self {
            F32 => out[0] = f32::from_le_bytes([block[0], block[1], block[2], block[3]]),
            F16 => out[0] = half(0),
            Bf16 => out[0] = bf16::from_le_bytes([block[0], block[1]]).to_f32(),
            Q4_0 => affine(out, nibbles(&block[2..]), half(0), -8.0 * half(0)),
            Q4_1 => affine(out, nibbles(&block[4..]), half(0), half(2)),
            Q5_0 => affine(out, five_bits(&block[2..6], &block[6..]), half(0), -16.0 * half(0)),
            Q5_1 => affine(out, five_bits(&block[4..8], &block[8..]), half(0), half(2)),
            Q8_0 => affine(out, block[2..].iter().map(|q| q.cast_signed().into()), half(0), 0.0),
        }
    }
}

/// `w = d q + m`, rounded after the product and after the sum, as the reference does.
fn affine(out: &mut [f32], quants: impl Iterator<Item = f32>, d: f32, m: f32) {
    for (out, q) in out.iter_mut().zip(quants) {
        *out = d * q + m;
    }
}

/// The low halves of all bytes, then the high halves.
fn nibbles(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.iter().map(|b| b & 15).chain(bytes.iter().map(|b| b >> 4)).map(f32::from)
}

/// Nibbles with a fifth bit each: bit i of `high` belongs to entry i.
fn five_bits(high: &[u8], low: &[u8]) -> impl Iterator<Item = f32> {
    nibbles(low).enumerate().map(|(i, q)| if high[i / 8] >> (i % 8) & 1 == 1 { q + 16.0 } else { q })
}

//! The types of tensor data: how many bytes a block of entries takes, and what its entries are.
//!
//! Numbers and names are those of `enum ggml_type` in `ggml.h`, layouts those of the structs in `ggml-common.h`, both
//! of <https://github.com/ggml-org/ggml>. Values are computed in `f32`, in the order of `dequantize_row_*` in
//! `ggml-quants.c` and of `gguf.quants.dequantize` in Python. No result differs by a bit.

mod iq4;
mod k_quants;
mod legacy;

use half::f16;
use rayon::prelude::*;

/// The types that are read. The discriminant is the number in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "the names of ggml")]
pub(super) enum BlockType {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q2_K = 10,
    Q3_K = 11,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    IQ4_NL = 20,
    IQ4_XS = 23,
    F64 = 28,
    BF16 = 30,
}

use BlockType::{BF16, F16, F32, F64, IQ4_NL, IQ4_XS, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};

const ALL: [BlockType; 16] =
    [F32, F16, BF16, F64, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS];

/// The names of all types by number, with those that ggml has removed.
const NAMES: [&str; 42] = [
    "F32",
    "F16",
    "Q4_0",
    "Q4_1",
    "Q4_2",
    "Q4_3",
    "Q5_0",
    "Q5_1",
    "Q8_0",
    "Q8_1",
    "Q2_K",
    "Q3_K",
    "Q4_K",
    "Q5_K",
    "Q6_K",
    "Q8_K",
    "IQ2_XXS",
    "IQ2_XS",
    "IQ3_XXS",
    "IQ1_S",
    "IQ4_NL",
    "IQ3_S",
    "IQ2_S",
    "IQ4_XS",
    "I8",
    "I16",
    "I32",
    "I64",
    "F64",
    "IQ1_M",
    "BF16",
    "Q4_0_4_4",
    "Q4_0_4_8",
    "Q4_0_8_8",
    "TQ1_0",
    "TQ2_0",
    "IQ4_NL_4_4",
    "IQ4_NL_4_8",
    "IQ4_NL_8_8",
    "MXFP4",
    "NVFP4",
    "Q1_0",
];

impl BlockType {
    /// The type with number `id`.
    ///
    /// # Errors
    ///
    /// It is not read. The text goes on from "tensor x ".
    pub(super) fn from_id(id: u32) -> Result<Self, String> {
        if let Some(kind) = ALL.into_iter().find(|kind| *kind as u32 == id) {
            return Ok(kind);
        }
        let read = ALL.map(Self::name).join(", ");
        let fault = match NAMES.get(id as usize) {
            Some(name) => format!("is of type {name}, which is not read"),
            None => format!("is of type {id}, which this version does not know"),
        };
        Err(format!("{fault}; read are {read}: quantise as Q4_K_M, or give the original weights"))
    }

    pub(super) const fn name(self) -> &'static str {
        NAMES[self as usize]
    }

    /// Entries in a block.
    pub(super) const fn entries(self) -> u64 {
        match self {
            F32 | F16 | BF16 | F64 => 1,
            Q4_0 | Q4_1 | Q5_0 | Q5_1 | Q8_0 | IQ4_NL => 32,
            Q2_K | Q3_K | Q4_K | Q5_K | Q6_K | IQ4_XS => 256,
        }
    }

    /// Bytes of a block.
    const fn bytes(self) -> u64 {
        match self {
            F16 | BF16 => 2,
            F32 => 4,
            F64 => 8,
            Q4_0 | IQ4_NL => 2 + 16,
            Q4_1 => 2 + 2 + 16,
            Q5_0 => 2 + 4 + 16,
            Q5_1 => 2 + 2 + 4 + 16,
            Q8_0 => 2 + 32,
            Q2_K => 16 + 64 + 2 + 2,
            Q3_K => 32 + 64 + 12 + 2,
            Q4_K => 2 + 2 + 12 + 128,
            Q5_K => 2 + 2 + 12 + 32 + 128,
            Q6_K => 128 + 64 + 16 + 2,
            IQ4_XS => 2 + 2 + 4 + 128,
        }
    }

    /// Bytes of `entries` entries in whole blocks; nothing where the number is too large.
    pub(super) fn bytes_of(self, entries: u64) -> Option<u64> {
        (entries / self.entries()).checked_mul(self.bytes())
    }

    /// The entries of whole blocks, in parallel.
    pub(super) fn dequantize(self, data: &[u8]) -> Vec<f32> {
        match self {
            F32 => decode(data, |bytes, out: &mut [f32; 1]| *out = [f32::from_le_bytes(*bytes)]),
            F16 => decode(data, |bytes, out: &mut [f32; 1]| *out = [f16::from_le_bytes(*bytes).to_f32()]),
            BF16 => decode(data, |bytes: &[u8; 2], out: &mut [f32; 1]| *out = [bf16(*bytes)]),
            F64 => decode(data, |bytes, out: &mut [f32; 1]| *out = [f64::from_le_bytes(*bytes) as f32]),
            Q4_0 => decode(data, legacy::q4_0),
            Q4_1 => decode(data, legacy::q4_1),
            Q5_0 => decode(data, legacy::q5_0),
            Q5_1 => decode(data, legacy::q5_1),
            Q8_0 => decode(data, legacy::q8_0),
            Q2_K => decode(data, k_quants::q2_k),
            Q3_K => decode(data, k_quants::q3_k),
            Q4_K => decode(data, k_quants::q4_k),
            Q5_K => decode(data, k_quants::q5_k),
            Q6_K => decode(data, k_quants::q6_k),
            IQ4_NL => decode(data, iq4::iq4_nl),
            IQ4_XS => decode(data, iq4::iq4_xs),
        }
    }
}

/// Decodes blocks of `BYTES` bytes to `ENTRIES` entries each.
fn decode<const BYTES: usize, const ENTRIES: usize>(
    data: &[u8],
    block: impl Fn(&[u8; BYTES], &mut [f32; ENTRIES]) + Sync,
) -> Vec<f32> {
    // A block is at most 256 entries: rayon gets runs of them.
    const RUN: usize = 512;
    let blocks = data.as_chunks::<BYTES>().0;
    let mut out = vec![0.0; blocks.len() * ENTRIES];
    let entries = out.as_chunks_mut::<ENTRIES>().0;
    entries.par_chunks_mut(RUN).zip(blocks.par_chunks(RUN)).for_each(|(entries, blocks)| {
        entries.iter_mut().zip(blocks).for_each(|(out, bytes)| block(bytes, out));
    });
    out
}

/// The upper half of an `f32`.
fn bf16(bytes: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
}

/// The half-precision number at byte `at` of a block.
fn half(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Two entries a byte: the lower halves of all bytes, then the upper halves. `value` takes an entry's place and its
/// four bits.
fn nibbles(bytes: &[u8], out: &mut [f32], value: impl Fn(usize, u8) -> f32) {
    let (low, high) = out.split_at_mut(bytes.len());
    for (i, (byte, (low, high))) in bytes.iter().zip(low.iter_mut().zip(high)).enumerate() {
        *low = value(i, byte & 15);
        *high = value(i + bytes.len(), byte >> 4);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

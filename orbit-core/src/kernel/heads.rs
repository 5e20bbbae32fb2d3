use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};

/// The angles of rotary position embedding (Su et al., arXiv 2104.09864) for every token of a batch, in the rotate-half form
/// of the Llama family: entry i of a head turns with entry i + k/2 by the angle position · base^(−2i/k).
#[derive(Clone, Debug)]
pub struct Rope {
    /// cos and sin, `[rows · width, k/2]`.
    cos: Arc<[f32]>,
    sin: Arc<[f32]>,
}

impl Rope {
    /// The angles for tokens at `positions` (row-major, `rows · width`), heads of size `head` and frequency base `base`.
    pub fn new(positions: &[u32], head: usize, base: f64) -> Self {
        let half = head / 2;
        let frequencies: Vec<f64> = (0..half).map(|i| base.powf(-2.0 * i as f64 / head as f64)).collect();
        let angles = || positions.iter().flat_map(|&p| frequencies.iter().map(move |f| f64::from(p) * f));
        Self { cos: angles().map(|a| a.cos() as f32).collect(), sin: angles().map(|a| a.sin() as f32).collect() }
    }
}

/// `[rows, width, heads · k]` → `[rows, heads, width, k]`, each head's vector turned by `rope` if one is given.
pub fn split_heads(x: Tensor<3>, heads: usize, rope: Option<&Rope>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if let Some(x) = super::flex::primitive(&x) {
        return super::flex::apply(fused::SplitHeads { heads, rope: rope.cloned(), part: 0, parts: 1 }, [x]);
    }
    let [rows, width, d] = x.dims();
    let (k, half) = (d / heads, d / heads / 2);
    let device = x.device();
    let x = x.reshape([rows, width, heads, k]).swap_dims(1, 2);
    let Some(rope) = rope else { return x };
    let table =
        |values: &[f32]| Tensor::<4>::from_data(TensorData::new(values.to_vec(), [rows, 1, width, half]), &device);
    let (cos, sin) = (table(&rope.cos), table(&rope.sin));
    let (low, high) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
    let turned_low = low.clone() * cos.clone() - high.clone() * sin.clone();
    Tensor::cat(vec![turned_low, high * cos + low * sin], 3)
}

/// One of the `parts` that lie side by side in every head: `[rows, width, heads · parts · k]` → `[rows, heads, width, k]`.
pub fn split_part(x: Tensor<3>, heads: usize, part: usize, parts: usize) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if let Some(x) = super::flex::primitive(&x) {
        return super::flex::apply(fused::SplitHeads { heads, rope: None, part, parts }, [x]);
    }
    let [rows, width, d] = x.dims();
    let k = d / heads / parts;
    let x = x.reshape([rows, width, heads, parts, k]).narrow(3, part, 1);
    x.reshape([rows, width, heads, k]).swap_dims(1, 2)
}

#[cfg(feature = "flex")]
mod fused {
    use rayon::prelude::*;

    use super::Rope;
    use crate::kernel::flex::{Flat, FlexOp, entries, extents, flat};
    use crate::kernel::lanes::vectorised;
    use crate::kernel::product::zeros;

    #[derive(Clone, Debug)]
    pub(super) struct SplitHeads {
        pub(super) heads: usize,
        pub(super) rope: Option<Rope>,
        /// Which of the parts of every head.
        pub(super) part: usize,
        pub(super) parts: usize,
    }

    impl FlexOp<1> for SplitHeads {
        /// `[rows, width, heads · parts · k]`.
        type Saved = [usize; 3];

        fn forward(&self, [x]: [Flat; 1]) -> (Flat, Self::Saved) {
            let [rows, width, d] = extents(&x);
            let (heads, k) = (self.heads, d / self.heads / self.parts);
            let mut out = zeros(rows * width * heads * k);
            let x = entries(&x);
            out.par_chunks_mut((width * k).max(1)).enumerate().for_each(|(task, out)| {
                let (row, head) = (task / heads, task % heads);
                vectorised!({
                    for (t, out) in out.chunks_exact_mut(k).enumerate() {
                        let token = row * width + t;
                        self.turn(token, 1.0, &x[token * d + self.column(head, k)..][..k], out);
                    }
                });
            });
            (flat(out, [rows, heads, width, k]), [rows, width, d])
        }

        fn backward(&self, [rows, width, d]: Self::Saved, gradient: Flat, _: [bool; 1]) -> [Option<Flat>; 1] {
            let (heads, k) = (self.heads, d / self.heads / self.parts);
            let mut dx = zeros(rows * width * d);
            let g = entries(&gradient);
            dx.par_chunks_mut(d.max(1)).enumerate().for_each(|(token, dx)| {
                let (row, t) = (token / width, token % width);
                vectorised!({
                    for head in 0..heads {
                        let dx = &mut dx[self.column(head, k)..][..k];
                        self.turn(token, -1.0, &g[((row * heads + head) * width + t) * k..][..k], dx);
                    }
                });
            });
            [Some(flat(dx, [rows, width, d]))]
        }
    }

    impl SplitHeads {
        /// Where a head's part begins within a token's vector.
        #[inline(always)]
        fn column(&self, head: usize, k: usize) -> usize {
            (head * self.parts + self.part) * k
        }

        /// Turns one head's vector by its token's angles, or back with `direction` −1.
        #[inline(always)]
        fn turn(&self, token: usize, direction: f32, x: &[f32], out: &mut [f32]) {
            let Some(rope) = &self.rope else {
                out.copy_from_slice(x);
                return;
            };
            let half = x.len() / 2;
            let (cos, sin) = (&rope.cos[token * half..][..half], &rope.sin[token * half..][..half]);
            let (low, high) = x.split_at(half);
            let (out_low, out_high) = out.split_at_mut(half);
            for i in 0..half {
                out_low[i] = low[i] * cos[i] - direction * high[i] * sin[i];
                out_high[i] = high[i] * cos[i] + direction * low[i] * sin[i];
            }
        }
    }
}

use burn::tensor::Tensor;

/// y = z + s · (x Aᵀ) Bᵀ: what a low-rank update adds to a linear layer's output (LoRA, arXiv 2106.09685). The product B A,
/// which has the weight's size, is never formed, neither here nor in the gradient.
///
/// `z` is `[n, out]`, `x` is `[n, in]`, `a` is `[rank, in]`, `b` is `[out, rank]`.
pub fn low_rank(z: Tensor<2>, x: Tensor<2>, a: Tensor<2>, b: Tensor<2>, scale: f32) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if let (Some(z), Some(x), Some(a), Some(b)) =
        (super::flex::primitive(&z), super::flex::primitive(&x), super::flex::primitive(&a), super::flex::primitive(&b))
    {
        return super::flex::apply(fused::LowRank { scale }, [z, x, a, b]);
    }
    z + x.matmul(a.transpose()).mul_scalar(scale).matmul(b.transpose())
}

#[cfg(feature = "flex")]
mod fused {
    use rayon::prelude::*;

    use crate::kernel::flex::{Flat, FlexOp, entries};
    use crate::kernel::lanes::vectorised;
    use crate::kernel::product::product;

    #[derive(Clone, Debug)]
    pub(super) struct LowRank {
        pub(super) scale: f32,
    }

    /// Entries that one task adds or scales.
    const ENTRIES_A_TASK: usize = 1 << 14;

    impl FlexOp<4> for LowRank {
        /// x, a, b, and h = s · x Aᵀ, `[n, rank]`.
        type Saved = [Flat; 4];

        fn forward(&self, [z, x, a, b]: [Flat; 4]) -> (Flat, Self::Saved) {
            let h = scaled(product(&x, &a.transpose(0, 1)), self.scale);
            let mut y = product(&h, &b.transpose(0, 1));
            add(y.storage_mut(), entries(&z));
            (y, [x, a, b, h])
        }

        /// dz = g, dx = s · (g B) A, dA = s · (g B)ᵀ x, dB = gᵀ h.
        fn backward(&self, [x, a, b, h]: Self::Saved, gradient: Flat, wanted: [bool; 4]) -> [Option<Flat>; 4] {
            let dh = scaled(product(&gradient, &b), self.scale);
            // The first layers of a model have inputs that nothing trained has touched.
            let dx = wanted[1].then(|| product(&dh, &a));
            let da = product(&dh.transpose(0, 1), &x);
            let db = product(&gradient.transpose(0, 1), &h);
            [Some(gradient), dx, Some(da), Some(db)]
        }
    }

    fn scaled(mut x: Flat, by: f32) -> Flat {
        x.storage_mut::<f32>().iter_mut().for_each(|x| *x *= by);
        x
    }

    fn add(sum: &mut [f32], part: &[f32]) {
        sum.par_chunks_mut(ENTRIES_A_TASK).zip(part.par_chunks(ENTRIES_A_TASK)).for_each(|(sum, part)| {
            vectorised!({
                for (sum, part) in sum.iter_mut().zip(part) {
                    *sum += part;
                }
            });
        });
    }
}

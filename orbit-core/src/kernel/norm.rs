use burn::tensor::Tensor;

/// Root-mean-square normalisation (Zhang and Sennrich, arXiv 1910.07467): x · weight / √(mean(x²) + ε) over the last axis.
///
/// `x` is `[.., d]`, `weight` is `[d]`.
pub fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f32) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if let (Some(x), Some(weight)) = (super::flex::primitive(&x), super::flex::primitive(&weight)) {
        return super::flex::apply(fused::RmsNorm { epsilon }, [x, weight]);
    }
    let mean_square = x.clone().square().mean_dim(D - 1);
    x * (mean_square + epsilon).sqrt().recip() * weight.unsqueeze()
}

#[cfg(feature = "flex")]
mod fused {
    use rayon::prelude::*;

    use crate::kernel::flex::{Flat, FlexOp, entries, flat};
    use crate::kernel::lanes::{sum, sum2, vectorised};

    #[derive(Clone, Debug)]
    pub(super) struct RmsNorm {
        pub(super) epsilon: f32,
    }

    /// Rows whose share of the weight's gradient is summed by one task. Fixed, so that the sum has one order.
    const ROWS_A_TASK: usize = 64;

    impl FlexOp<2> for RmsNorm {
        type Saved = (Flat, Flat);

        fn forward(&self, [x, weight]: [Flat; 2]) -> (Flat, Self::Saved) {
            let mut out = vec![0f32; entries(&x).len()];
            let (w, d) = (entries(&weight), entries(&weight).len());
            out.par_chunks_mut(d * ROWS_A_TASK).zip(entries(&x).par_chunks(d * ROWS_A_TASK)).for_each(|(out, x)| {
                vectorised!({
                    for (out, x) in out.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
                        let inverse = inverse_rms(x, self.epsilon);
                        for ((out, x), w) in out.iter_mut().zip(x).zip(w) {
                            *out = x * inverse * w;
                        }
                    }
                });
            });
            (flat(out, x.layout().shape().clone()), (x, weight))
        }

        fn backward(&self, (x, weight): Self::Saved, gradient: Flat) -> [Flat; 2] {
            let (w, d) = (entries(&weight), entries(&weight).len());
            let mut dx = vec![0f32; entries(&x).len()];
            let shares: Vec<Vec<f32>> = dx
                .par_chunks_mut(d * ROWS_A_TASK)
                .zip(entries(&x).par_chunks(d * ROWS_A_TASK))
                .zip(entries(&gradient).par_chunks(d * ROWS_A_TASK))
                .map(|((dx, x), g)| vectorised!(self.backward_rows(dx, x, g, w)))
                .collect();
            let mut dw = vec![0f32; d];
            for share in shares {
                for (dw, share) in dw.iter_mut().zip(share) {
                    *dw += share;
                }
            }
            [flat(dx, x.layout().shape().clone()), flat(dw, [d])]
        }
    }

    impl RmsNorm {
        /// Fills dx and gives these rows' share of dw. With r = 1/rms: dx = r (g∘w − x r² mean(g∘w∘x)), dw = Σ g∘x r.
        #[inline(always)]
        fn backward_rows(&self, dx: &mut [f32], x: &[f32], g: &[f32], w: &[f32]) -> Vec<f32> {
            let d = w.len();
            let mut dw = vec![0f32; d];
            for ((dx, x), g) in dx.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(g.chunks_exact(d)) {
                let inverse = inverse_rms(x, self.epsilon);
                for i in 0..d {
                    dx[i] = g[i] * w[i];
                    dw[i] += g[i] * x[i] * inverse;
                }
                let pull = inverse * inverse * sum2(dx, x, |gw, x| gw * x) / d as f32;
                for (dx, x) in dx.iter_mut().zip(x) {
                    *dx = inverse * (*dx - x * pull);
                }
            }
            dw
        }
    }

    #[inline(always)]
    fn inverse_rms(x: &[f32], epsilon: f32) -> f32 {
        (sum(x, |x| x * x) / x.len() as f32 + epsilon).sqrt().recip()
    }
}

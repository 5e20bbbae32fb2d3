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
    use crate::kernel::product::zeros;

    #[derive(Clone, Debug)]
    pub(super) struct RmsNorm {
        pub(super) epsilon: f32,
    }

    /// Rows whose share of the weight's gradient is summed by one task. Fixed, so that the sum has one order.
    const ROWS_A_TASK: usize = 64;

    impl FlexOp<2> for RmsNorm {
        type Saved = (Flat, Flat);

        fn forward(&self, [x, weight]: [Flat; 2]) -> (Flat, Self::Saved) {
            let mut out = zeros(entries(&x).len());
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

        /// The gradient of x takes the place of that of the output.
        fn backward(&self, (x, weight): Self::Saved, mut gradient: Flat, _: [bool; 2]) -> [Option<Flat>; 2] {
            let (w, d) = (entries(&weight), entries(&weight).len());
            let shares: Vec<Vec<f32>> = gradient
                .storage_mut::<f32>()
                .par_chunks_mut(d * ROWS_A_TASK)
                .zip(entries(&x).par_chunks(d * ROWS_A_TASK))
                .map(|(g, x)| vectorised!(self.backward_rows(g, x, w)))
                .collect();
            let mut dw = vec![0f32; d];
            for share in shares {
                for (dw, share) in dw.iter_mut().zip(share) {
                    *dw += share;
                }
            }
            [Some(gradient), Some(flat(dw, [d]))]
        }
    }

    impl RmsNorm {
        /// Turns g into dx and gives these rows' share of dw. With r = 1/rms: dx = r (g∘w − x r² mean(g∘w∘x)),
        /// dw = Σ g∘x r.
        #[inline(always)]
        fn backward_rows(&self, g: &mut [f32], x: &[f32], w: &[f32]) -> Vec<f32> {
            let d = w.len();
            let mut dw = vec![0f32; d];
            for (g, x) in g.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
                let inverse = inverse_rms(x, self.epsilon);
                for i in 0..d {
                    dw[i] += g[i] * x[i] * inverse;
                    g[i] *= w[i];
                }
                let pull = inverse * inverse * sum2(g, x, |gw, x| gw * x) / d as f32;
                for (g, x) in g.iter_mut().zip(x) {
                    *g = inverse * (*g - x * pull);
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

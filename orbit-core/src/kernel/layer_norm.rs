use burn::tensor::Tensor;

/// Layer normalisation (Ba et al., arXiv 1607.06450): (x − mean(x)) / √(var(x) + ε) · weight + bias over the last axis.
///
/// `x` is `[.., d]`, `weight` and `bias` are `[d]`.
pub fn layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>, epsilon: f32) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if let (Some(x), Some(weight), Some(bias)) =
        (super::flex::primitive(&x), super::flex::primitive(&weight), super::flex::primitive(&bias))
    {
        return super::flex::apply(fused::LayerNorm { epsilon }, [x, weight, bias]);
    }
    let centred = x.clone() - x.mean_dim(D - 1);
    let variance = centred.clone().square().mean_dim(D - 1);
    centred * (variance + epsilon).sqrt().recip() * weight.unsqueeze() + bias.unsqueeze()
}

#[cfg(feature = "flex")]
mod fused {
    use rayon::prelude::*;

    use crate::kernel::flex::{Flat, FlexOp, entries, flat};
    use crate::kernel::lanes::{sum, sum2, vectorised};
    use crate::kernel::product::zeros;

    #[derive(Clone, Debug)]
    pub(super) struct LayerNorm {
        pub(super) epsilon: f32,
    }

    /// Rows whose share of the parameters' gradients is summed by one task. Fixed, so that the sum has one order.
    const ROWS_A_TASK: usize = 64;

    impl FlexOp<3> for LayerNorm {
        type Saved = (Flat, Flat);

        fn forward(&self, [x, weight, bias]: [Flat; 3]) -> (Flat, Self::Saved) {
            let mut out = zeros(entries(&x).len());
            let (w, b, d) = (entries(&weight), entries(&bias), entries(&weight).len());
            out.par_chunks_mut(d * ROWS_A_TASK).zip(entries(&x).par_chunks(d * ROWS_A_TASK)).for_each(|(out, x)| {
                vectorised!({
                    for (out, x) in out.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
                        let (mean, inverse) = self.moments(x);
                        for (((out, x), w), b) in out.iter_mut().zip(x).zip(w).zip(b) {
                            *out = (x - mean) * inverse * w + b;
                        }
                    }
                });
            });
            (flat(out, x.layout().shape().clone()), (x, weight))
        }

        /// The gradient of x takes the place of that of the output.
        fn backward(&self, (x, weight): Self::Saved, mut gradient: Flat, _: [bool; 3]) -> [Option<Flat>; 3] {
            let (w, d) = (entries(&weight), entries(&weight).len());
            let shares: Vec<[Vec<f32>; 2]> = gradient
                .storage_mut::<f32>()
                .par_chunks_mut(d * ROWS_A_TASK)
                .zip(entries(&x).par_chunks(d * ROWS_A_TASK))
                .map(|(g, x)| vectorised!(self.backward_rows(g, x, w)))
                .collect();
            let mut sums = [vec![0f32; d], vec![0f32; d]];
            for share in shares {
                for (sum, share) in sums.iter_mut().flatten().zip(share.iter().flatten()) {
                    *sum += share;
                }
            }
            let [dw, db] = sums.map(|sum| flat(sum, [d]));
            [gradient, dw, db].map(Some)
        }
    }

    impl LayerNorm {
        /// Turns g into dx and gives these rows' shares of dw and db. With n = (x − mean) r and r = 1/√(var + ε):
        /// dx = r (g∘w − mean(g∘w) − n mean(g∘w∘n)), dw = Σ g∘n, db = Σ g.
        #[inline(always)]
        fn backward_rows(&self, g: &mut [f32], x: &[f32], w: &[f32]) -> [Vec<f32>; 2] {
            let d = w.len();
            let [mut dw, mut db] = [vec![0f32; d], vec![0f32; d]];
            for (g, x) in g.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
                let (mean, inverse) = self.moments(x);
                for i in 0..d {
                    dw[i] += g[i] * (x[i] - mean) * inverse;
                    db[i] += g[i];
                    g[i] *= w[i];
                }
                let shift = sum(g, |gw| gw) / d as f32;
                let pull = inverse * inverse * sum2(g, x, |gw, x| gw * (x - mean)) / d as f32;
                for (g, x) in g.iter_mut().zip(x) {
                    *g = inverse * (*g - shift - (x - mean) * pull);
                }
            }
            [dw, db]
        }

        /// mean(x), and 1/√(var(x) + ε).
        #[inline(always)]
        fn moments(&self, x: &[f32]) -> (f32, f32) {
            let mean = sum(x, |x| x) / x.len() as f32;
            let variance = sum(x, |x| (x - mean) * (x - mean)) / x.len() as f32;
            (mean, (variance + self.epsilon).sqrt().recip())
        }
    }
}

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData, activation};

/// Which keys a query may look at.
#[derive(Clone, Debug)]
pub enum Mask {
    /// Query t sees keys 0 to `past` + t.
    Causal {
        /// Keys that stand before the first query.
        past: usize,
    },
    /// What is added to the scores, `[rows, width, keys]`: 0 to look, −∞ not to.
    Additive(Arc<[f32]>),
}

/// Grouped-query attention (Ainslie et al., arXiv 2305.13245): softmax(q kᵀ / √k + mask) v, heads joined.
///
/// `q` is `[rows, heads, width, k]`; `keys` and `values` are `[rows, groups, keys, k]`, where `groups` divides `heads` and
/// head h belongs to group h / (heads / groups). The result is `[rows, width, heads · k]`.
pub fn attend(q: Tensor<4>, keys: Tensor<4>, values: Tensor<4>, mask: &Mask) -> Tensor<3> {
    #[cfg(feature = "flex")]
    if let (Some(q), Some(keys), Some(values)) =
        (super::flex::primitive(&q), super::flex::primitive(&keys), super::flex::primitive(&values))
    {
        return super::flex::apply(fused::Attend { mask: mask.clone() }, [q, keys, values]);
    }
    let ([rows, heads, width, k], [_, groups, seen, _]) = (q.dims(), keys.dims());
    let shared = heads / groups;
    let mask: Tensor<5> =
        Tensor::<3>::from_data(mask.additive(rows, width, seen), &q.device()).reshape([rows, 1, 1, width, seen]);
    let q = q.reshape([rows, groups, shared * width, k]);
    let scores = q.matmul(keys.swap_dims(2, 3)).mul_scalar((k as f32).sqrt().recip());
    let scores = scores.reshape([rows, groups, shared, width, seen]) + mask;
    let weights = activation::softmax(scores, 4).reshape([rows, groups, shared * width, seen]);
    weights.matmul(values).reshape([rows, heads, width, k]).swap_dims(1, 2).reshape([rows, width, heads * k])
}

impl Mask {
    fn additive(&self, rows: usize, width: usize, seen: usize) -> TensorData {
        let values = match self {
            Self::Additive(values) => values.to_vec(),
            Self::Causal { past } => (0..rows * width * seen)
                .map(|i| if i % seen > past + (i / seen) % width { f32::NEG_INFINITY } else { 0.0 })
                .collect(),
        };
        TensorData::new(values, [rows, width, seen])
    }
}

#[cfg(feature = "flex")]
mod fused {
    use burn::backend::{Flex, ops::FloatTensorOps};
    use rayon::prelude::*;

    use super::Mask;
    use crate::kernel::flex::{Flat, FlexOp, entries, extents, flat};
    use crate::kernel::lanes::{exponentiate, sum2, vectorised};

    #[derive(Clone, Debug)]
    pub(super) struct Attend {
        pub(super) mask: Mask,
    }

    /// Extents of one call. A batch is a row's group: its `shared · width` queries look at the same keys.
    #[derive(Clone, Copy, Debug)]
    pub(super) struct Extents {
        rows: usize,
        heads: usize,
        groups: usize,
        width: usize,
        seen: usize,
        k: usize,
    }

    impl Extents {
        fn of(q: &Flat, keys: &Flat) -> Self {
            let ([rows, heads, width, k], [_, groups, seen, _]) = (extents(q), extents(keys));
            Self { rows, heads, groups, width, seen, k }
        }

        fn queries(&self) -> [usize; 3] {
            [self.rows * self.groups, self.heads / self.groups * self.width, self.k]
        }

        fn keys(&self) -> [usize; 3] {
            [self.rows * self.groups, self.seen, self.k]
        }

        fn scale(&self) -> f32 {
            (self.k as f32).sqrt().recip()
        }
    }

    impl FlexOp<3> for Attend {
        type Saved = (Extents, [Flat; 4]);

        fn forward(&self, [q, keys, values]: [Flat; 3]) -> (Flat, Self::Saved) {
            let e = Extents::of(&q, &keys);
            let (q, keys, values) =
                (q.reshape(e.queries().into()), keys.reshape(e.keys().into()), values.reshape(e.keys().into()));
            let mut weights = Flex::float_matmul(q.clone(), keys.transpose(1, 2));
            self.softmax(weights.storage_mut(), &e);
            let out = Flex::float_matmul(weights.clone(), values.clone());
            (join_heads(&out, &e), (e, [q, keys, values, weights]))
        }

        fn backward(&self, (e, [q, keys, values, weights]): Self::Saved, gradient: Flat) -> [Flat; 3] {
            let gradient = split_heads(&gradient, &e);
            let d_values = Flex::float_matmul(weights.transpose(1, 2), gradient.clone());
            let mut d_scores = Flex::float_matmul(gradient, values.transpose(1, 2));
            softmax_backward(d_scores.storage_mut(), entries(&weights), &e);
            let d_q = Flex::float_matmul(d_scores.clone(), keys);
            let d_keys = Flex::float_matmul(d_scores.transpose(1, 2), q);
            let wide = [e.rows, e.groups, e.seen, e.k];
            [
                d_q.reshape([e.rows, e.heads, e.width, e.k].into()),
                d_keys.reshape(wide.into()),
                d_values.reshape(wide.into()),
            ]
        }
    }

    impl Attend {
        /// Turns scores into weights in place; keys out of sight get exactly 0.
        fn softmax(&self, scores: &mut [f32], e: &Extents) {
            let a_head = (e.width * e.seen).max(1);
            scores.par_chunks_mut(a_head).enumerate().for_each(|(task, scores)| {
                let row = task / e.heads;
                vectorised!({
                    for (t, scores) in scores.chunks_exact_mut(e.seen).enumerate() {
                        let seen = self.mask_row(row, t, scores, e);
                        let (scores, unseen) = scores.split_at_mut(seen);
                        let (_, total) = exponentiate(scores, e.scale());
                        scores.iter_mut().for_each(|w| *w /= total);
                        unseen.fill(0.0);
                    }
                });
            });
        }

        /// Applies the mask to a query's scores and gives how many keys, from the first, it may look at.
        #[inline(always)]
        fn mask_row(&self, row: usize, t: usize, scores: &mut [f32], e: &Extents) -> usize {
            match &self.mask {
                Mask::Causal { past } => (past + t + 1).min(e.seen),
                Mask::Additive(mask) => {
                    for (score, mask) in scores.iter_mut().zip(&mask[(row * e.width + t) * e.seen..]) {
                        *score += mask;
                    }
                    e.seen
                }
            }
        }
    }

    /// dS = W ∘ (dW − Σ dW ∘ W) / √k, over d_weights in place.
    fn softmax_backward(d_weights: &mut [f32], weights: &[f32], e: &Extents) {
        let a_head = (e.width * e.seen).max(1);
        d_weights.par_chunks_mut(a_head).zip(weights.par_chunks(a_head)).for_each(|(d_weights, weights)| {
            vectorised!({
                for (d, w) in d_weights.chunks_exact_mut(e.seen).zip(weights.chunks_exact(e.seen)) {
                    let mean = sum2(d, w, |d, w| d * w);
                    for (d, w) in d.iter_mut().zip(w) {
                        *d = w * (*d - mean) * e.scale();
                    }
                }
            });
        });
    }

    /// `[rows · groups, shared · width, k]` → `[rows, width, heads · k]`.
    fn join_heads(x: &Flat, e: &Extents) -> Flat {
        let mut out = vec![0f32; e.rows * e.width * e.heads * e.k];
        let x = entries(x);
        out.par_chunks_mut((e.heads * e.k).max(1)).enumerate().for_each(|(token, out)| {
            let (row, t) = (token / e.width, token % e.width);
            for (head, out) in out.chunks_exact_mut(e.k).enumerate() {
                out.copy_from_slice(&x[((row * e.heads + head) * e.width + t) * e.k..][..e.k]);
            }
        });
        flat(out, [e.rows, e.width, e.heads * e.k])
    }

    /// The inverse of [`join_heads`].
    fn split_heads(x: &Flat, e: &Extents) -> Flat {
        let mut out = vec![0f32; e.rows * e.width * e.heads * e.k];
        let x = entries(x);
        out.par_chunks_mut((e.width * e.k).max(1)).enumerate().for_each(|(task, out)| {
            let (row, head) = (task / e.heads, task % e.heads);
            for (t, out) in out.chunks_exact_mut(e.k).enumerate() {
                out.copy_from_slice(&x[((row * e.width + t) * e.heads + head) * e.k..][..e.k]);
            }
        });
        flat(out, e.queries())
    }
}

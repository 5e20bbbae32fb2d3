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
    use crate::kernel::product::zeros;

    #[derive(Clone, Debug)]
    pub(super) struct Attend {
        pub(super) mask: Mask,
    }

    /// Queries of a head that are worked on at once: few, so that their scores stay in the cache, and a causal block computes
    /// little of what it cannot see.
    const QUERIES_A_BLOCK: usize = 64;

    /// Extents of one call.
    #[derive(Clone, Copy, Debug)]
    pub(super) struct Extents {
        rows: usize,
        heads: usize,
        groups: usize,
        width: usize,
        seen: usize,
        k: usize,
    }

    /// Neighbouring queries of a row, and how many keys, from the first, their last one may look at.
    #[derive(Clone, Copy, Debug)]
    struct Block {
        row: usize,
        first: usize,
        queries: usize,
        keys: usize,
    }

    impl FlexOp<3> for Attend {
        /// The inputs, and the weights: of every row, of its blocks, of every head.
        type Saved = (Extents, [Flat; 3], Vec<Vec<Flat>>);

        fn forward(&self, [q, keys, values]: [Flat; 3]) -> (Flat, Self::Saved) {
            let e = Extents::of(&q, &keys);
            let joined = e.heads * e.k;
            let mut out = zeros(e.rows * e.width * joined);
            let blocks: Vec<&mut [f32]> = out
                .chunks_mut((e.width * joined).max(1))
                .flat_map(|row| row.chunks_mut(QUERIES_A_BLOCK * joined))
                .collect();
            let weights = blocks
                .into_par_iter()
                .enumerate()
                .map(|(task, out)| {
                    let block = self.block(task, &e);
                    (0..e.heads)
                        .map(|head| {
                            let mut weights =
                                product(e.queries(&q, &block, head), e.keys(&keys, &block, head).transpose(0, 1));
                            self.softmax(weights.storage_mut(), &block, &e);
                            let mixed = product(weights.clone(), e.keys(&values, &block, head));
                            for (out, mixed) in out.chunks_exact_mut(joined).zip(entries(&mixed).chunks_exact(e.k)) {
                                out[head * e.k..][..e.k].copy_from_slice(mixed);
                            }
                            weights
                        })
                        .collect()
                })
                .collect();
            (flat(out, [e.rows, e.width, joined]), (e, [q, keys, values], weights))
        }

        fn backward(
            &self,
            (e, [q, keys, values], weights): Self::Saved,
            gradient: Flat,
            _: [bool; 3],
        ) -> [Option<Flat>; 3] {
            let (queries_a_group, keys_a_group) = (e.heads / e.groups * e.width * e.k, e.seen * e.k);
            let groups = e.rows * e.groups;
            let [mut d_q, mut d_keys, mut d_values] =
                [groups * queries_a_group, groups * keys_a_group, groups * keys_a_group].map(zeros);
            d_q.par_chunks_mut(queries_a_group.max(1))
                .zip(d_keys.par_chunks_mut(keys_a_group.max(1)))
                .zip(d_values.par_chunks_mut(keys_a_group.max(1)))
                .enumerate()
                .for_each(|(group, ((d_q, d_keys), d_values))| {
                    for (index, d_q) in d_q.chunks_mut(e.width * e.k).enumerate() {
                        let head = group % e.groups * (e.heads / e.groups) + index;
                        for (index, d_q) in d_q.chunks_mut(QUERIES_A_BLOCK * e.k).enumerate() {
                            let task = group / e.groups * e.blocks() + index;
                            let block = self.block(task, &e);
                            let weights = &weights[task][head];
                            let gradient = e.part_of_joined(&gradient, &block, head);
                            add(d_values, &product(weights.transpose(0, 1), gradient.clone()));
                            let mut d_scores = product(gradient, e.keys(&values, &block, head).transpose(0, 1));
                            softmax_backward(d_scores.storage_mut(), entries(weights), &block, &e);
                            d_q.copy_from_slice(entries(&product(d_scores.clone(), e.keys(&keys, &block, head))));
                            add(d_keys, &product(d_scores.transpose(0, 1), e.queries(&q, &block, head)));
                        }
                    }
                });
            let wide = [e.rows, e.groups, e.seen, e.k];
            [flat(d_q, [e.rows, e.heads, e.width, e.k]), flat(d_keys, wide), flat(d_values, wide)].map(Some)
        }
    }

    impl Attend {
        fn block(&self, task: usize, e: &Extents) -> Block {
            let (row, first) = (task / e.blocks(), task % e.blocks() * QUERIES_A_BLOCK);
            let queries = QUERIES_A_BLOCK.min(e.width - first);
            let keys = match self.mask {
                Mask::Causal { past } => (past + first + queries).min(e.seen),
                Mask::Additive(_) => e.seen,
            };
            Block { row, first, queries, keys }
        }

        /// Turns scores into weights in place; keys out of sight get exactly 0.
        fn softmax(&self, scores: &mut [f32], block: &Block, e: &Extents) {
            vectorised!({
                for (t, scores) in (block.first..).zip(scores.chunks_exact_mut(block.keys)) {
                    let seen = self.mask_row(block.row, t, scores, e);
                    let (scores, unseen) = scores.split_at_mut(seen);
                    let (_, total) = exponentiate(scores, e.scale());
                    scores.iter_mut().for_each(|w| *w /= total);
                    unseen.fill(0.0);
                }
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

    impl Extents {
        fn of(q: &Flat, keys: &Flat) -> Self {
            let ([rows, heads, width, k], [_, groups, seen, _]) = (extents(q), extents(keys));
            Self { rows, heads, groups, width, seen, k }
        }

        fn scale(&self) -> f32 {
            (self.k as f32).sqrt().recip()
        }

        /// Blocks a row.
        fn blocks(&self) -> usize {
            self.width.div_ceil(QUERIES_A_BLOCK)
        }

        /// A head's part of `[rows, heads, width, k]` in a block, `[queries, k]`.
        fn queries(&self, q: &Flat, block: &Block, head: usize) -> Flat {
            let start = (block.row * self.heads + head) * self.width + block.first;
            q.reshape([self.rows * self.heads * self.width, self.k].into()).narrow(0, start, block.queries)
        }

        /// What a head of a block may look at of `[rows, groups, seen, k]`, `[keys, k]`.
        fn keys(&self, keys: &Flat, block: &Block, head: usize) -> Flat {
            let group = block.row * self.groups + head / (self.heads / self.groups);
            keys.reshape([self.rows * self.groups * self.seen, self.k].into()).narrow(0, group * self.seen, block.keys)
        }

        /// A head's part of `[rows, width, heads · k]` in a block, `[queries, k]`.
        fn part_of_joined(&self, x: &Flat, block: &Block, head: usize) -> Flat {
            x.reshape([self.rows * self.width, self.heads * self.k].into())
                .narrow(0, block.row * self.width + block.first, block.queries)
                .narrow(1, head * self.k, self.k)
        }
    }

    fn product(a: Flat, b: Flat) -> Flat {
        Flex::float_matmul(a, b)
    }

    /// sum += part, over the entries that `part` has.
    fn add(sum: &mut [f32], part: &Flat) {
        vectorised!({
            for (sum, part) in sum.iter_mut().zip(entries(part)) {
                *sum += part;
            }
        });
    }

    /// dS = W ∘ (dW − Σ dW ∘ W) / √k, over d_weights in place.
    fn softmax_backward(d_weights: &mut [f32], weights: &[f32], block: &Block, e: &Extents) {
        vectorised!({
            for (d, w) in d_weights.chunks_exact_mut(block.keys).zip(weights.chunks_exact(block.keys)) {
                let mean = sum2(d, w, |d, w| d * w);
                for (d, w) in d.iter_mut().zip(w) {
                    *d = w * (*d - mean) * e.scale();
                }
            }
        });
    }
}

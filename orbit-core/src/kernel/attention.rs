use std::sync::Arc;

use burn::tensor::{Tensor, TensorData, activation};

use super::Alibi;

/// Queries of a head that the fused kernel works on at once: few, so that their scores stay in the cache, and a causal block
/// computes little of what it cannot see.
pub const QUERIES_A_BLOCK: usize = 64;

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

/// How queries score keys: scale · q kᵀ + bias.
#[derive(Clone, Debug)]
pub struct Scores {
    /// What the products are multiplied by, 1/√k in most models.
    pub scale: f32,
    /// What is added.
    pub bias: Bias,
}

/// What is added to the scores of attention, besides the mask.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one a stack, which its blocks borrow")]
pub enum Bias {
    /// Nothing.
    None,
    /// What the distance of query and key says, and a slope a head.
    Alibi(Alibi),
    /// A tensor, which has a gradient: `[rows, heads, width, keys]`, or `[1, heads, width, keys]` for all rows.
    Learned(Tensor<4>),
}

/// Grouped-query attention (Ainslie et al., arXiv 2305.13245): softmax(q kᵀ / √k + mask) v, heads joined.
///
/// `q` is `[rows, heads, width, k]`; `keys` and `values` are `[rows, groups, keys, k]`, where `groups` divides `heads` and
/// head h belongs to group h / (heads / groups). The result is `[rows, width, heads · k]`.
pub fn attend(q: Tensor<4>, keys: Tensor<4>, values: Tensor<4>, mask: &Mask) -> Tensor<3> {
    let [_, _, _, k] = q.dims();
    attend_scored(q, keys, values, mask, &Scores { scale: (k as f32).sqrt().recip(), bias: Bias::None })
}

/// As [`attend`], with scores of another kind: softmax(scale · q kᵀ + bias + mask) v.
pub fn attend_scored(q: Tensor<4>, keys: Tensor<4>, values: Tensor<4>, mask: &Mask, scores: &Scores) -> Tensor<3> {
    #[cfg(feature = "flex")]
    if let (Some(q), Some(keys), Some(values)) =
        (super::flex::primitive(&q), super::flex::primitive(&keys), super::flex::primitive(&values))
    {
        let operation = |alibi| fused::Attend { mask: mask.clone(), scale: scores.scale, alibi };
        match &scores.bias {
            Bias::None => return super::flex::apply(operation(None), [q, keys, values]),
            Bias::Alibi(alibi) => return super::flex::apply(operation(Some(alibi.clone())), [q, keys, values]),
            Bias::Learned(bias) => {
                if let Some(bias) = super::flex::primitive(bias) {
                    return super::flex::apply(fused::Biased(operation(None)), [q, keys, values, bias]);
                }
            }
        }
    }
    let ([rows, heads, width, k], [_, groups, seen, _]) = (q.dims(), keys.dims());
    let shared = heads / groups;
    let device = q.device();
    let q = q.reshape([rows, groups, shared * width, k]);
    let products = q.matmul(keys.swap_dims(2, 3)).mul_scalar(scores.scale);
    let products = products.reshape([rows, heads, width, seen]);
    let biased = match &scores.bias {
        Bias::None => products,
        Bias::Alibi(alibi) => products + alibi.table(rows, &device),
        Bias::Learned(bias) => products + bias.clone(),
    };
    let mask = Tensor::<3>::from_data(mask.additive(rows, width, seen), &device).reshape([rows, 1, width, seen]);
    let weights = activation::softmax(biased + mask, 3).reshape([rows, groups, shared * width, seen]);
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

    use super::{Alibi, Mask, QUERIES_A_BLOCK};
    use crate::kernel::flex::{Flat, FlexOp, entries, extents, flat};
    use crate::kernel::lanes::{exponentiate, sum2, vectorised};
    use crate::kernel::product::zeros;

    #[derive(Clone, Debug)]
    pub(super) struct Attend {
        pub(super) mask: Mask,
        pub(super) scale: f32,
        pub(super) alibi: Option<Alibi>,
    }

    /// The same with a learned bias, the fourth input.
    #[derive(Clone, Debug)]
    pub(super) struct Biased(pub(super) Attend);

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

    /// The inputs, and the weights: of every row, of its blocks, of every head.
    type Saved = (Extents, [Flat; 3], Vec<Vec<Flat>>);

    impl FlexOp<3> for Attend {
        type Saved = Saved;

        fn forward(&self, inputs: [Flat; 3]) -> (Flat, Saved) {
            self.attend(inputs, None)
        }

        fn backward(&self, saved: Saved, gradient: Flat, _: [bool; 3]) -> [Option<Flat>; 3] {
            self.attend_backward(saved, gradient, None).map(Some)
        }
    }

    impl FlexOp<4> for Biased {
        /// And the rows of the bias.
        type Saved = (Saved, usize);

        fn forward(&self, [q, keys, values, bias]: [Flat; 4]) -> (Flat, Self::Saved) {
            let [rows, _, _, _] = extents(&bias);
            let (out, saved) = self.0.attend([q, keys, values], Some(entries(&bias)));
            (out, (saved, rows))
        }

        /// The gradient of the bias is that of the scores.
        fn backward(&self, (saved, rows): Self::Saved, gradient: Flat, wanted: [bool; 4]) -> [Option<Flat>; 4] {
            let e = saved.0;
            if !wanted[3] {
                let [d_q, d_keys, d_values] = self.0.attend_backward(saved, gradient, None).map(Some);
                return [d_q, d_keys, d_values, None];
            }
            let mut d_bias = zeros(e.rows * e.heads * e.width * e.seen);
            let [d_q, d_keys, d_values] = self.0.attend_backward(saved, gradient, Some(&mut d_bias));
            if rows < e.rows {
                d_bias = summed(d_bias, e.rows);
            }
            [d_q, d_keys, d_values, flat(d_bias, [rows, e.heads, e.width, e.seen])].map(Some)
        }
    }

    impl Attend {
        fn attend(&self, [q, keys, values]: [Flat; 3], bias: Option<&[f32]>) -> (Flat, Saved) {
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
                            self.softmax(weights.storage_mut(), bias, &block, head, &e);
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

        /// Puts the gradient of the scores into `d_scores`, `[rows, heads, width, keys]`, if there is one.
        fn attend_backward(
            &self,
            (e, [q, keys, values], weights): Saved,
            gradient: Flat,
            d_scores: Option<&mut [f32]>,
        ) -> [Flat; 3] {
            let (queries_a_group, keys_a_group) = (e.heads / e.groups * e.width * e.k, e.seen * e.k);
            let groups = e.rows * e.groups;
            let [mut d_q, mut d_keys, mut d_values] =
                [groups * queries_a_group, groups * keys_a_group, groups * keys_a_group].map(zeros);
            let scores_a_group = e.heads / e.groups * e.width * e.seen;
            let kept: Vec<Option<&mut [f32]>> = match d_scores {
                Some(d_scores) => d_scores.chunks_mut(scores_a_group.max(1)).map(Some).collect(),
                None => (0..groups).map(|_| None).collect(),
            };
            d_q.par_chunks_mut(queries_a_group.max(1))
                .zip(d_keys.par_chunks_mut(keys_a_group.max(1)))
                .zip(d_values.par_chunks_mut(keys_a_group.max(1)))
                .zip(kept)
                .enumerate()
                .for_each(|(group, (((d_q, d_keys), d_values), mut kept))| {
                    for (shared, d_q) in d_q.chunks_mut(e.width * e.k).enumerate() {
                        let head = group % e.groups * (e.heads / e.groups) + shared;
                        for (index, d_q) in d_q.chunks_mut(QUERIES_A_BLOCK * e.k).enumerate() {
                            let task = group / e.groups * e.blocks() + index;
                            let block = self.block(task, &e);
                            let weights = &weights[task][head];
                            let gradient = e.part_of_joined(&gradient, &block, head);
                            add(d_values, entries(&product(weights.transpose(0, 1), gradient.clone())));
                            let mut d_scores = product(gradient, e.keys(&values, &block, head).transpose(0, 1));
                            let scale = if kept.is_some() { 1.0 } else { self.scale };
                            softmax_backward(d_scores.storage_mut(), entries(weights), &block, scale);
                            if let Some(kept) = &mut kept {
                                let first = (shared * e.width + block.first) * e.seen;
                                let rows = entries(&d_scores).chunks_exact(block.keys);
                                for (kept, d_scores) in kept[first..].chunks_exact_mut(e.seen).zip(rows) {
                                    kept[..block.keys].copy_from_slice(d_scores);
                                }
                                scale_by(d_scores.storage_mut(), self.scale);
                            }
                            d_q.copy_from_slice(entries(&product(d_scores.clone(), e.keys(&keys, &block, head))));
                            add(d_keys, entries(&product(d_scores.transpose(0, 1), e.queries(&q, &block, head))));
                        }
                    }
                });
            let wide = [e.rows, e.groups, e.seen, e.k];
            [flat(d_q, [e.rows, e.heads, e.width, e.k]), flat(d_keys, wide), flat(d_values, wide)]
        }

        fn block(&self, task: usize, e: &Extents) -> Block {
            let (row, first) = (task / e.blocks(), task % e.blocks() * QUERIES_A_BLOCK);
            let queries = QUERIES_A_BLOCK.min(e.width - first);
            let keys = match self.mask {
                Mask::Causal { past } => (past + first + queries).min(e.seen),
                Mask::Additive(_) => e.seen,
            };
            Block { row, first, queries, keys }
        }

        /// Turns products into weights in place; keys out of sight get exactly 0.
        fn softmax(&self, products: &mut [f32], bias: Option<&[f32]>, block: &Block, head: usize, e: &Extents) {
            vectorised!({
                for (t, scores) in (block.first..).zip(products.chunks_exact_mut(block.keys)) {
                    let seen = self.mask_row(block.row, t, scores, e);
                    let (scores, unseen) = scores.split_at_mut(seen);
                    let scale = self.bias_row(scores, bias, [block.row, head, t], e);
                    let (_, total) = exponentiate(scores, scale);
                    scores.iter_mut().for_each(|w| *w /= total);
                    unseen.fill(0.0);
                }
            });
        }

        /// Adds the bias to a query's products, and gives what they are still to be multiplied by.
        #[inline(always)]
        fn bias_row(&self, scores: &mut [f32], bias: Option<&[f32]>, at: [usize; 3], e: &Extents) -> f32 {
            let [row, head, t] = at;
            match (&self.alibi, bias) {
                (None, None) => return self.scale,
                (Some(alibi), _) => alibi.add_to(scores, self.scale, head, row * e.width + t, row * e.seen),
                (None, Some(bias)) => {
                    // One for all rows, or one a row.
                    let first = ((row * e.heads + head) * e.width + t) * e.seen % bias.len();
                    for (score, bias) in scores.iter_mut().zip(&bias[first..]) {
                        *score = *score * self.scale + bias;
                    }
                }
            }
            1.0
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
    fn add(sum: &mut [f32], part: &[f32]) {
        vectorised!({
            for (sum, part) in sum.iter_mut().zip(part) {
                *sum += part;
            }
        });
    }

    fn scale_by(x: &mut [f32], scale: f32) {
        if scale != 1.0 {
            vectorised!(x.iter_mut().for_each(|x| *x *= scale));
        }
    }

    /// The sum of the rows that are the equal parts of `x`.
    fn summed(mut x: Vec<f32>, rows: usize) -> Vec<f32> {
        const ENTRIES_A_TASK: usize = 1 << 14;
        let length = x.len() / rows;
        let (sum, rest) = x.split_at_mut(length);
        for row in rest.chunks(length.max(1)) {
            sum.par_chunks_mut(ENTRIES_A_TASK).zip(row.par_chunks(ENTRIES_A_TASK)).for_each(|(sum, row)| add(sum, row));
        }
        x.truncate(length);
        x
    }

    /// scale · dS = scale · W ∘ (dW − Σ dW ∘ W), over d_weights in place.
    fn softmax_backward(d_weights: &mut [f32], weights: &[f32], block: &Block, scale: f32) {
        vectorised!({
            for (d, w) in d_weights.chunks_exact_mut(block.keys).zip(weights.chunks_exact(block.keys)) {
                let mean = sum2(d, w, |d, w| d * w);
                for (d, w) in d.iter_mut().zip(w) {
                    *d = w * (*d - mean) * scale;
                }
            }
        });
    }
}

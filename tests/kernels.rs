//! Each fused operation against plain operations of burn: outputs and the gradient of every input.

use std::sync::Arc;

use burn::tensor::{Int, Tensor, TensorData, activation};
use orbit_core::kernel::{
    Alibi, Bias, Mask, Rope, Scores, add_bias, attend, attend_scored, cross_entropy, dropout, dynamic_cross_entropy,
    geglu, gelu, kl_divergence, layer_norm, linear, log_likelihood, low_rank, pick, relu, rms_norm, split_heads,
    split_part, swiglu,
};
use proptest::prelude::*;

use crate::tiny::{flex, largest_difference, noise, relative_difference, tensor, values};

/// An operation on flat tensors, which it gives their shapes itself.
type Operation<'a> = &'a dyn Fn(&[Tensor<1>]) -> Tensor<1>;

/// The output, and the gradients of the inputs for a fixed gradient of the output.
fn forward_backward(operation: Operation<'_>, inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let device = flex().autodiff();
    let leaves: Vec<Tensor<1>> = inputs.iter().map(|entries| tensor(entries, &device).require_grad()).collect();
    let output = operation(&leaves);
    let probe = tensor(&noise(output.dims()[0], 99), &device);
    let mut grads = (output.clone() * probe).sum().backward();
    let gradients = leaves.iter().map(|leaf| values(leaf.grad_remove(&mut grads).unwrap()));
    std::iter::once(values(output.inner())).chain(gradients).collect()
}

/// Inputs of the given lengths.
fn drawn<const N: usize>(lengths: [usize; N], seed: u32) -> Vec<Vec<f32>> {
    lengths.into_iter().zip(seed..).map(|(length, seed)| noise(length, seed)).collect()
}

/// Agreement to 1e-5 of the largest entry. Where everything cancels, to 1e-5 of `size`, which the terms have.
fn agree(fused: Operation<'_>, composed: Operation<'_>, inputs: &[Vec<f32>], size: f32) -> Result<(), TestCaseError> {
    let (found, expected) = (forward_backward(fused, inputs), forward_backward(composed, inputs));
    for (which, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let difference = largest_difference(found, expected);
        let bound = 1e-5 * expected.iter().fold(size, |largest, x| largest.max(x.abs()));
        prop_assert!(difference <= bound, "result {which} differs by {difference}, more than {bound}");
    }
    Ok(())
}

fn plain_rope(x: Tensor<4>, positions: &[u32], base: f64) -> Tensor<4> {
    let [rows, _, width, k] = x.dims();
    let half = k / 2;
    let angle = |i: usize| f64::from(positions[i / half]) * base.powf(-2.0 * (i % half) as f64 / k as f64);
    let table = |f: fn(f64) -> f64| {
        let entries: Vec<f32> = (0..rows * width * half).map(|i| f(angle(i)) as f32).collect();
        Tensor::<4>::from_data(TensorData::new(entries, [rows, 1, width, half]), &x.device())
    };
    let (cos, sin) = (table(f64::cos), table(f64::sin));
    let (low, high) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
    let turned = low.clone() * cos.clone() - high.clone() * sin.clone();
    Tensor::cat(vec![turned, low * sin + high * cos], 3)
}

/// Extents of one attention call.
#[derive(Clone, Copy, Debug)]
struct Heads {
    rows: usize,
    groups: usize,
    shared: usize,
    width: usize,
    past: usize,
    k: usize,
}

impl Heads {
    fn seen(&self) -> usize {
        self.past + self.width
    }
    fn inputs(&self, seed: u32) -> Vec<Vec<f32>> {
        let keys = self.rows * self.groups * self.seen() * self.k;
        drawn([self.rows * self.groups * self.shared * self.width * self.k, keys, keys], seed)
    }
    fn shaped(&self, inputs: &[Tensor<1>]) -> [Tensor<4>; 3] {
        let (queries, keys) = ([self.rows, self.groups * self.shared, self.width, self.k], self.key_shape());
        let [q, k, v, ..] = inputs else { unreachable!() };
        [q.clone().reshape(queries), k.clone().reshape(keys), v.clone().reshape(keys)]
    }
    fn key_shape(&self) -> [usize; 4] {
        [self.rows, self.groups, self.seen(), self.k]
    }
    fn fused(&self, inputs: &[Tensor<1>], mask: &Mask) -> Tensor<1> {
        let [q, k, v] = self.shaped(inputs);
        attend(q, k, v, mask).reshape([-1])
    }
    fn scored(&self, inputs: &[Tensor<1>], mask: &Mask, scores: Scores) -> Tensor<1> {
        let [q, k, v] = self.shaped(inputs);
        attend_scored(q, k, v, mask, &scores).reshape([-1])
    }
    /// All keys up to a token, or some of them all over the row.
    fn sees(&self, causal: bool, seed: usize, row: usize, token: usize, key: usize) -> bool {
        if causal {
            return key <= self.past + token;
        }
        key == token || (seed + row + 3 * token + 5 * key).is_multiple_of(3)
    }
    fn mask(&self, causal: bool, visible: &dyn Fn(usize, usize, usize) -> bool) -> Mask {
        if causal {
            return Mask::Causal { past: self.past };
        }
        Mask::Additive(Arc::from(additive(self.rows, self.width, self.seen(), visible)))
    }
    fn score_shape(&self) -> [usize; 4] {
        [self.rows, self.groups * self.shared, self.width, self.seen()]
    }
    fn composed(&self, inputs: &[Tensor<1>], visible: &dyn Fn(usize, usize, usize) -> bool) -> Tensor<1> {
        self.composed_scored(inputs, visible, (self.k as f32).sqrt().recip(), None)
    }
    /// With keys and values repeated for every head, as in the first implementations.
    fn composed_scored(
        &self,
        inputs: &[Tensor<1>],
        visible: &dyn Fn(usize, usize, usize) -> bool,
        scale: f32,
        bias: Option<Tensor<4>>,
    ) -> Tensor<1> {
        let Self { rows, groups, shared, width, k, .. } = *self;
        let [q, keys, v] = self.shaped(inputs);
        let (seen, heads) = (self.seen(), groups * shared);
        let repeated =
            |x: Tensor<4>| x.reshape([rows, groups, 1, seen, k]).repeat_dim(2, shared).reshape([rows, heads, seen, k]);
        let mask = additive(rows, width, seen, visible);
        let mask = Tensor::<4>::from_data(TensorData::new(mask, [rows, 1, width, seen]), &q.device());
        let scores = q.matmul(repeated(keys).swap_dims(2, 3)).mul_scalar(scale) + mask;
        let scores = match bias {
            Some(bias) => scores + bias,
            None => scores,
        };
        activation::softmax(scores, 3).matmul(repeated(v)).swap_dims(1, 2).reshape([-1])
    }
}

fn additive(rows: usize, width: usize, seen: usize, visible: &dyn Fn(usize, usize, usize) -> bool) -> Vec<f32> {
    let entry = |i: usize| if visible(i / seen / width, i / seen % width, i % seen) { 0.0 } else { f32::NEG_INFINITY };
    (0..rows * width * seen).map(entry).collect()
}

/// Sizes below 20, and now and then one that takes several tasks.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1..20usize, 1 => 60..600usize]
}

fn heads() -> impl Strategy<Value = Heads> {
    let width = prop_oneof![4 => 1..20usize, 1 => 60..200usize];
    (1..4usize, 1..4usize, 1..4usize, width, 0..20usize, 1..19usize)
        .prop_map(|(rows, groups, shared, width, past, k)| Heads { rows, groups, shared, width, past, k })
}

fn gathered(logits: Tensor<2>, targets: &[u32]) -> Tensor<1> {
    let index: Vec<i32> = targets.iter().map(|&target| target as i32).collect();
    let index = Tensor::<2, Int>::from_data(TensorData::new(index, [targets.len(), 1]), &logits.device());
    activation::log_softmax(logits, 1).gather(1, index).reshape([-1])
}

/// A target for each row of logits.
fn targets(rows: usize, vocabulary: usize) -> Vec<u32> {
    (0..rows).map(|row| (7 * row % vocabulary) as u32).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// The gradient of a row is what two terms as large as 1 / rms leave of each other.
    #[test]
    fn rms_norm_is_its_formula(rows in 1..150usize, d in 1..40usize, seed in 0..1000u32) {
        let epsilon = 1e-5;
        let fused = |x: &[Tensor<1>]| rms_norm(x[0].clone().reshape([rows, d]), x[1].clone(), epsilon).reshape([-1]);
        let composed = |x: &[Tensor<1>]| {
            let (x, weight) = (x[0].clone().reshape([rows, d]), x[1].clone().reshape([1, d]));
            let rms: Tensor<2> = (x.clone().square().mean_dim(1) + epsilon).sqrt();
            (x / rms * weight).reshape([-1])
        };
        agree(&fused, &composed, &drawn([rows * d, d], seed), 10.0)?;
    }

    #[test]
    fn linear_is_a_product(rows in size(), input in 1..70usize, out in size(), seed in 0..1000u32) {
        let (x_shape, weight_shape) = ([rows, input], [out, input]);
        let fused = |x: &[Tensor<1>]| linear(x[0].clone().reshape(x_shape), x[1].clone().reshape(weight_shape)).reshape([-1]);
        let composed = |x: &[Tensor<1>]| {
            let (x, weight) = (x[0].clone().reshape(x_shape), x[1].clone().reshape(weight_shape));
            x.matmul(weight.transpose()).reshape([-1])
        };
        agree(&fused, &composed, &drawn([rows * input, out * input], seed), 10.0)?;
    }

    /// Rows are picked often, once, and never.
    #[test]
    fn pick_selects(rows in 1..20usize, d in 1..20usize, index in prop::collection::vec(0..20u32, 1..60), seed in 0..1000u32) {
        let index: Vec<u32> = index.into_iter().map(|row| row % rows as u32).collect();
        let fused = |x: &[Tensor<1>]| pick(x[0].clone().reshape([rows, d]), &index).reshape([-1]);
        let composed = |x: &[Tensor<1>]| {
            let ids: Vec<i32> = index.iter().map(|&row| row as i32).collect();
            let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [index.len()]), &x[0].device());
            x[0].clone().reshape([rows, d]).select(0, ids).reshape([-1])
        };
        agree(&fused, &composed, &drawn([rows * d], seed), 1.0)?;
    }

    #[test]
    fn swiglu_is_its_formula(length in 1..70usize, scale in prop::sample::select(vec![0.1f32, 1.0, 20.0]), seed in 0..1000u32) {
        let shape = [1, length, 1];
        let fused = |x: &[Tensor<1>]| swiglu(x[0].clone().reshape(shape), x[1].clone().reshape(shape)).reshape([-1]);
        let composed = |x: &[Tensor<1>]| activation::sigmoid(x[0].clone()) * x[0].clone() * x[1].clone();
        let mut inputs = drawn([length; 2], seed);
        inputs[0].iter_mut().for_each(|gate| *gate *= scale);
        agree(&fused, &composed, &inputs, 1.0)?;
    }

    #[test]
    fn activations_are_their_formulas(length in 1..70usize, scale in prop::sample::select(vec![0.1f32, 1.0, 20.0]), seed in 0..1000u32) {
        let plain_gelu = |x: Tensor<1>| {
            let inner = (x.clone() + x.clone().powi_scalar(3) * 0.044_715) * (2.0 / std::f32::consts::PI).sqrt();
            x * 0.5 * (inner.tanh() + 1.0)
        };
        let mut inputs = drawn([length; 2], seed);
        inputs[0].iter_mut().for_each(|gate| *gate *= scale);
        let fused = |x: &[Tensor<1>]| geglu(x[0].clone(), x[1].clone());
        let composed = |x: &[Tensor<1>]| plain_gelu(x[0].clone()) * x[1].clone();
        agree(&fused, &composed, &inputs, 1.0)?;
        inputs.truncate(1);
        agree(&|x: &[Tensor<1>]| gelu(x[0].clone()), &|x: &[Tensor<1>]| plain_gelu(x[0].clone()), &inputs, 1.0)?;
        agree(&|x: &[Tensor<1>]| relu(x[0].clone()), &|x: &[Tensor<1>]| activation::relu(x[0].clone()), &inputs, 1.0)?;
    }

    /// As in [`rms_norm_is_its_formula`]. A row of few entries may have next to no variance, and then rounding decides.
    #[test]
    fn layer_norm_is_its_formula(rows in 1..150usize, d in 8..40usize, seed in 0..1000u32) {
        let epsilon = 1e-5;
        let fused = |x: &[Tensor<1>]| {
            layer_norm(x[0].clone().reshape([rows, d]), x[1].clone(), x[2].clone(), epsilon).reshape([-1])
        };
        let composed = |x: &[Tensor<1>]| {
            let [weight, bias] = [1, 2].map(|i| x[i].clone().reshape([1, d]));
            let x = x[0].clone().reshape([rows, d]);
            let mean = x.clone().mean_dim(1);
            let centred: Tensor<2> = x - mean;
            let deviation = (centred.clone().square().mean_dim(1) + epsilon).sqrt();
            (centred / deviation * weight + bias).reshape([-1])
        };
        agree(&fused, &composed, &drawn([rows * d, d, d], seed), 10.0)?;
    }

    #[test]
    fn add_bias_adds_a_row(rows in size(), width in 1..70usize, seed in 0..1000u32) {
        let fused = |x: &[Tensor<1>]| add_bias(x[0].clone().reshape([rows, width]), x[1].clone()).reshape([-1]);
        let composed = |x: &[Tensor<1>]| {
            (x[0].clone().reshape([rows, width]) + x[1].clone().reshape([1, width])).reshape([-1])
        };
        agree(&fused, &composed, &drawn([rows * width, width], seed), 10.0)?;
    }

    #[test]
    fn split_part_takes_one_part_of_each_head(
        rows in 1..4usize, width in 1..9usize, heads in 1..4usize, parts in 1..4usize, k in 1..9usize, seed in 0..1000u32,
    ) {
        let joined = [rows, width, heads * parts * k];
        for part in 0..parts {
            let fused = |x: &[Tensor<1>]| split_part(x[0].clone().reshape(joined), heads, part, parts).reshape([-1]);
            let composed = |x: &[Tensor<1>]| {
                let x = x[0].clone().reshape([rows, width, heads, parts, k]).narrow(3, part, 1);
                x.reshape([rows, width, heads, k]).swap_dims(1, 2).reshape([-1])
            };
            agree(&fused, &composed, &drawn([rows * width * heads * parts * k], seed), 1.0)?;
        }
    }

    #[test]
    fn split_heads_turns_each_head(
        rows in 1..4usize, width in 1..9usize, heads in 1..4usize, half in 1..10usize, turned: bool, seed in 0..1000u32,
    ) {
        let (k, base) = (2 * half, 5000.0);
        let positions: Vec<u32> = (0..rows * width).map(|i| (i as u32 * 37 + seed) % 900).collect();
        let rope = turned.then(|| Rope::new(&positions, k, base));
        let joined = [rows, width, heads * k];
        let fused = |x: &[Tensor<1>]| split_heads(x[0].clone().reshape(joined), heads, rope.as_ref()).reshape([-1]);
        let composed = |x: &[Tensor<1>]| {
            let x = x[0].clone().reshape([rows, width, heads, k]).swap_dims(1, 2);
            if turned { plain_rope(x, &positions, base) } else { x }.reshape([-1])
        };
        agree(&fused, &composed, &drawn([rows * width * heads * k], seed), 1.0)?;
    }

    #[test]
    fn attend_looks_back_only(heads in heads(), seed in 0..1000u32) {
        let fused = |x: &[Tensor<1>]| heads.fused(x, &Mask::Causal { past: heads.past });
        let composed = |x: &[Tensor<1>]| heads.composed(x, &|_, token, key| key <= heads.past + token);
        agree(&fused, &composed, &heads.inputs(seed), 1.0)?;
    }

    #[test]
    fn attend_looks_where_the_mask_says(heads in heads(), seed in 0..1000usize) {
        let visible = |row: usize, token: usize, key: usize| {
            key == token || (seed + 5 * row + 3 * token + 11 * key) % 7 < 3
        };
        let mask = Mask::Additive(Arc::from(additive(heads.rows, heads.width, heads.seen(), &visible)));
        let fused = |x: &[Tensor<1>]| heads.fused(x, &mask);
        let composed = |x: &[Tensor<1>]| heads.composed(x, &visible);
        agree(&fused, &composed, &heads.inputs(seed as u32), 1.0)?;
    }

    /// Positions in any order, a scale of its own, and either mask. Scores are large where the scale is, and round as such.
    #[test]
    fn attend_adds_what_distances_say(heads in heads(), causal: bool, scale in 0.1f32..1.5, seed in 0..1000usize) {
        let [rows, count, width, seen] = heads.score_shape();
        let at = |many: usize, by: usize| (0..rows * many).map(|i| ((i * by + seed) % 40) as u32).collect::<Vec<_>>();
        let (queries, keys) = (at(width, 7), at(seen, 11));
        let alibi = Alibi::new(count, &queries, &keys);
        let slopes = Alibi::slopes(count);
        let bias: Vec<f32> = (0..rows * count * width * seen)
            .map(|i| {
                let (row, head, t, s) = (i / seen / width / count, i / seen / width % count, i / seen % width, i % seen);
                slopes[head] * (keys[row * seen + s] as f32 - queries[row * width + t] as f32)
            })
            .collect();
        let visible = |row: usize, token: usize, key: usize| heads.sees(causal, seed, row, token, key);
        let mask = heads.mask(causal, &visible);
        let fused = |x: &[Tensor<1>]| heads.scored(x, &mask, Scores { scale, bias: Bias::Alibi(alibi.clone()) });
        let composed = |x: &[Tensor<1>]| {
            let bias = tensor(&bias, &x[0].device()).reshape(heads.score_shape());
            heads.composed_scored(x, &visible, scale, Some(bias))
        };
        agree(&fused, &composed, &heads.inputs(seed as u32), 10.0)?;
    }

    /// A bias a row or one for all, with a gradient of its own.
    #[test]
    fn attend_adds_what_is_learned(
        heads in heads(), alike: bool, causal: bool, scale in prop::sample::select(vec![1.0f32, 0.4]), seed in 0..1000usize,
    ) {
        let [rows, count, width, seen] = heads.score_shape();
        let shape = [if alike { 1 } else { rows }, count, width, seen];
        let visible = |row: usize, token: usize, key: usize| heads.sees(causal, seed, row, token, key);
        let mask = heads.mask(causal, &visible);
        let fused = |x: &[Tensor<1>]| {
            heads.scored(x, &mask, Scores { scale, bias: Bias::Learned(x[3].clone().reshape(shape)) })
        };
        let composed =
            |x: &[Tensor<1>]| heads.composed_scored(x, &visible, scale, Some(x[3].clone().reshape(shape)));
        let mut inputs = heads.inputs(seed as u32);
        inputs.push(noise(shape.iter().product(), 77));
        agree(&fused, &composed, &inputs, 10.0)?;
        // A bias that is a constant.
        let constant = inputs.pop().unwrap();
        let bias = |x: &Tensor<1>| tensor(&constant, &x.device()).reshape(shape);
        let fused = |x: &[Tensor<1>]| heads.scored(x, &mask, Scores { scale, bias: Bias::Learned(bias(&x[0])) });
        let composed = |x: &[Tensor<1>]| heads.composed_scored(x, &visible, scale, Some(bias(&x[0])));
        agree(&fused, &composed, &inputs, 10.0)?;
    }

    #[test]
    fn cross_entropy_is_its_formula(rows in 1..40usize, vocabulary in 1..70usize, scale in 0.01f32..2.0, seed in 0..1000u32) {
        let targets = targets(rows, vocabulary);
        let shape = [rows, vocabulary];
        let fused = |x: &[Tensor<1>]| cross_entropy(x[0].clone().reshape(shape), &targets, scale);
        let composed = |x: &[Tensor<1>]| gathered(x[0].clone().reshape(shape), &targets).sum().mul_scalar(-scale);
        let inputs = drawn([rows * vocabulary], seed);
        agree(&fused, &composed, &inputs, scale)?;
        let logits = tensor(&inputs[0], &flex()).reshape(shape);
        for (row, likelihood) in values(log_likelihood(logits.clone(), &targets)).into_iter().enumerate() {
            let loss = values(cross_entropy(logits.clone().narrow(0, row, 1), &targets[row..=row], 1.0))[0];
            prop_assert!((likelihood + loss).abs() <= 1e-5, "row {row}: {likelihood} and {loss}");
        }
    }

    /// The probability that weighs a row has no gradient of its own.
    #[test]
    fn dynamic_cross_entropy_is_its_formula(
        rows in 1..40usize, vocabulary in 1..70usize, scale in 0.01f32..2.0, seed in 0..1000u32,
    ) {
        let targets = targets(rows, vocabulary);
        let shape = [rows, vocabulary];
        let fused = |x: &[Tensor<1>]| dynamic_cross_entropy(x[0].clone().reshape(shape), &targets, scale);
        let composed = |x: &[Tensor<1>]| {
            let terms = gathered(x[0].clone().reshape(shape), &targets);
            (terms.clone() * terms.detach().exp()).sum().mul_scalar(-scale)
        };
        agree(&fused, &composed, &drawn([rows * vocabulary], seed), scale)?;
    }

    /// Also with one row in the middle, and with outputs that several tasks add to.
    #[test]
    fn low_rank_is_its_formula(
        rows in size(), input in 1..70usize, out in 1..70usize, rank in 1..9usize, scale in -3.0f32..3.0, seed in 0..1000u32,
    ) {
        let shapes = [[rows, out], [rows, input], [rank, input], [out, rank]];
        let shaped = |x: &[Tensor<1>]| -> [Tensor<2>; 4] {
            std::array::from_fn(|which| x[which].clone().reshape(shapes[which]))
        };
        let fused = |x: &[Tensor<1>]| {
            let [z, x, a, b] = shaped(x);
            low_rank(z, x, a, b, scale).reshape([-1])
        };
        let composed = |x: &[Tensor<1>]| {
            let [z, x, a, b] = shaped(x);
            (z + x.matmul(a.transpose()).matmul(b.transpose()).mul_scalar(scale)).reshape([-1])
        };
        agree(&fused, &composed, &drawn(shapes.map(|[m, n]| m * n), seed), 100.0)?;
    }

    /// Whichever inputs are constants, the others have the gradients that they have when none is.
    #[test]
    fn constants_do_not_change_the_gradients_of_others(
        rows in 1..70usize, input in 1..30usize, out in 1..30usize, rank in 1..4usize, tracked in 1..64u32, seed in 0..1000u32,
    ) {
        let shapes = [[rows, input], [out, input], [rank, input], [out, rank], [rows, input], [out, input]];
        let inputs = drawn(shapes.map(|[m, n]| m * n), seed);
        let gradients = |tracked: u32| {
            let device = flex().autodiff();
            let leaves: Vec<Tensor<2>> = (inputs.iter().zip(shapes).enumerate())
                .map(|(which, (entries, shape))| {
                    let leaf = tensor(entries, &device).reshape(shape);
                    if tracked >> which & 1 == 1 { leaf.require_grad() } else { leaf }
                })
                .collect();
            let [x, weight, a, b, other, table] = std::array::from_fn(|which| leaves[which].clone());
            let y = low_rank(linear(x.clone(), weight), x, a, b, 0.5) + linear(other, table);
            let probe = tensor(&noise(rows * out, 99), &device).reshape([rows, out]);
            let mut grads = (y * probe).sum().backward();
            let gradients = leaves.into_iter().enumerate();
            gradients.map(|(which, leaf)| (which, leaf.grad_remove(&mut grads).map(values))).collect::<Vec<_>>()
        };
        for ((which, found), (_, expected)) in gradients(tracked).into_iter().zip(gradients(63)) {
            prop_assert_eq!(found.is_some(), tracked >> which & 1 == 1);
            prop_assert!(found.is_none() || found == expected, "the gradient of input {} differs", which);
        }
    }

    /// Logits reach ±6, and a gradient is what terms six times as large leave of each other.
    #[test]
    fn kl_divergence_is_its_formula(rows in 1..40usize, vocabulary in size(), temperature in 0.5..3f32, seed in 0..1000u32) {
        let logits = |x: &Tensor<1>| x.clone().reshape([rows, vocabulary]).mul_scalar(3.0);
        let fused = |x: &[Tensor<1>]| kl_divergence(logits(&x[0]), logits(&x[1]), temperature);
        let composed = |x: &[Tensor<1>]| {
            let [p, q] = [0, 1].map(|at| activation::log_softmax(logits(&x[at]).div_scalar(temperature), 1));
            (p.clone().exp() * (p - q)).sum()
        };
        agree(&fused, &composed, &drawn([rows * vocabulary, rows * vocabulary], seed), 100.0)?;
    }

    /// Softmax is read off the gradient of cross-entropy; the reference is in double precision.
    #[test]
    fn softmax_is_accurate_over_a_wide_range(row in prop::collection::vec(-110f32..90.0, 1..50)) {
        softmax_is_accurate(&row)?;
    }
}

fn softmax_is_accurate(row: &[f32]) -> Result<(), TestCaseError> {
    let logits = tensor(row, &flex().autodiff()).require_grad();
    let loss = cross_entropy(logits.clone().reshape([1, row.len()]), &[0], 1.0);
    let found = values(logits.grad(&loss.backward()).unwrap());
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = row.iter().map(|x| f64::from(x - largest).exp()).sum();
    for (index, (&x, found)) in row.iter().zip(found).enumerate() {
        let expected = f64::from(x - largest).exp() / total;
        let found = f64::from(found) + f64::from(u8::from(index == 0));
        let bound = if index == 0 { 4e-7 } else { 1e-6 * expected + 2e-38 };
        prop_assert!((found - expected).abs() <= bound, "softmax of {x} under {largest} is {found}, not {expected}");
    }
    Ok(())
}

#[test]
fn softmax_is_accurate_at_the_ends() {
    for row in [
        &[0.0, -87.5, -200.0, -87.0, -86.9, 0.0, -1e30][..],
        &[80.0, 0.0, -7.4, 79.9, -120.0],
        &[f32::NEG_INFINITY, 3.0, f32::MIN],
        &[3e38, -3e38],
    ] {
        softmax_is_accurate(row).unwrap();
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    let row = |entries: &[f32]| tensor(entries, &flex()).reshape([1, entries.len()]);
    for entries in [[f32::NAN, 1.0, 2.0], [1.0, 2.0, f32::NAN], [f32::NAN; 3], [1.0, f32::INFINITY, 2.0]] {
        assert!(values(cross_entropy(row(&entries), &[1], 1.0))[0].is_nan(), "cross-entropy of {entries:?}");
        for (p, q) in [(entries, [0.0; 3]), ([0.0; 3], entries)] {
            assert!(values(kl_divergence(row(&p), row(&q), 1.0))[0].is_nan(), "the divergence of {p:?} from {q:?}");
        }
        assert!(values(log_likelihood(row(&entries), &[1]))[0].is_nan(), "log-likelihood of {entries:?}");
    }
    let heads = Heads { rows: 1, groups: 1, shared: 1, width: 3, past: 0, k: 2 };
    for which in 0..3 {
        let mut inputs = heads.inputs(1);
        inputs[which][0] = f32::NAN;
        let inputs: Vec<Tensor<1>> = inputs.iter().map(|entries| tensor(entries, &flex())).collect();
        let output = values(heads.fused(&inputs, &Mask::Causal { past: 0 }));
        assert!(output[0].is_nan(), "input {which}: {output:?}");
    }
}

/// An independent check: the derivative of the definition itself.
#[test]
fn the_gradients_of_attention_are_difference_quotients() {
    let heads = Heads { rows: 2, groups: 2, shared: 2, width: 5, past: 2, k: 3 };
    let operation = |x: &[Tensor<1>]| heads.fused(x, &Mask::Causal { past: heads.past });
    let inputs = heads.inputs(5);
    let found = forward_backward(&operation, &inputs);
    let value = |inputs: &[Vec<f32>]| -> f64 {
        let inputs: Vec<Tensor<1>> = inputs.iter().map(|entries| tensor(entries, &flex())).collect();
        let output = values(operation(&inputs));
        output.iter().zip(noise(output.len(), 99)).map(|(x, probe)| f64::from(*x) * f64::from(probe)).sum()
    };
    let step = 1.0 / 64.0;
    for (which, input) in inputs.iter().enumerate() {
        let moved = |entry: usize, by: f32| {
            let mut inputs = inputs.clone();
            inputs[which][entry] += by;
            value(&inputs)
        };
        let quotient = |entry| ((moved(entry, step) - moved(entry, -step)) / (2.0 * f64::from(step))) as f32;
        let expected: Vec<f32> = (0..input.len()).map(quotient).collect();
        let difference = relative_difference(&found[which + 1], &expected);
        assert!(difference < 2e-3, "input {which} differs by {difference}");
    }
}

/// Sizes that take several tasks and tiles each.
#[test]
fn products_have_the_same_bits_on_any_number_of_threads() {
    let heads = Heads { rows: 2, groups: 2, shared: 2, width: 150, past: 3, k: 16 };
    let attention = |x: &[Tensor<1>]| heads.fused(x, &Mask::Causal { past: heads.past });
    let layer =
        |x: &[Tensor<1>]| linear(x[0].clone().reshape([700, 96]), x[1].clone().reshape([600, 96])).reshape([-1]);
    let bits = || {
        let both =
            [forward_backward(&attention, &heads.inputs(1)), forward_backward(&layer, &drawn([700 * 96, 600 * 96], 2))];
        both.concat().concat().into_iter().map(f32::to_bits).collect::<Vec<u32>>()
    };
    let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(bits);
    let expected = on(1);
    for threads in [2, 3, 5] {
        assert!(expected == on(threads), "on {threads} threads");
    }
}

#[test]
fn layout_and_tracking_of_inputs_do_not_matter() {
    let device = flex().autodiff();
    let table = tensor(&noise(15, 3), &device).reshape([3, 5]);
    let up = tensor(&noise(15, 4), &device).reshape([5, 3]).require_grad();
    let across = swiglu(table.clone().transpose(), up.clone());
    let copied = Tensor::<2>::from_data(table.transpose().into_data(), &device);
    let straight = swiglu(copied, up.clone());
    assert_eq!(values(across.clone().inner()), values(straight.inner()));
    assert!(up.grad(&across.sum().backward()).is_some(), "one tracked input is enough");
    assert!(values(swiglu(tensor(&[1.0], &device), tensor(&[2.0], &device)))[0] > 1.4, "so is none");
}

#[test]
fn dropout_has_one_mask_and_the_gradient_of_it() {
    let (n, d, share, seed) = (130, 7, 0.3, 0xfeed_beef_u64);
    let on =
        |device: &burn::tensor::Device| values(dropout(tensor(&vec![1.0; n * d], device).reshape([n, d]), share, seed));
    let mask = on(&flex());
    assert!(mask == on(&flex().autodiff()), "with and without autodiff");
    let kept = 1.0 / 0.7;
    assert!(mask.iter().all(|&x| x == 0.0 || (x - kept).abs() < 1e-6));
    let dropped = mask.iter().filter(|&&x| x == 0.0).count() as f64;
    assert!((dropped / mask.len() as f64 - share).abs() < 0.06, "{dropped} of {} are dropped", mask.len());
    // Nothing of one row is in the next.
    let alike =
        |by: usize| mask.iter().zip(&mask[by..]).filter(|(a, b)| a == b).count() as f64 / (mask.len() - by) as f64;
    assert!((1..9).all(|by| (alike(by) - 0.58).abs() < 0.07), "{:?}", (1..9).map(alike).collect::<Vec<_>>());

    let results =
        forward_backward(&|x| dropout(x[0].clone().reshape([n, d]), share, seed).reshape([-1]), &drawn([n * d], 5));
    let (x, probe) = (noise(n * d, 5), noise(n * d, 99));
    let by_mask = |entries: &[f32]| entries.iter().zip(&mask).map(|(x, by)| x * by).collect::<Vec<f32>>();
    assert_eq!(results, [by_mask(&x), by_mask(&probe)]);

    let nothing = dropout(tensor(&x, &flex()).reshape([n, d]), 0.0, seed);
    assert_eq!(values(nothing), x, "a share of 0 changes nothing");
    #[cfg(feature = "ndarray")]
    assert!(mask == on(&orbit_core::device("ndarray").unwrap()), "on the other backend");
}

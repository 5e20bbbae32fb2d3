use burn::tensor::{Int, Tensor, TensorData, activation};

/// Σ over rows of −log softmax(logits) at the target, times `scale`. One entry.
///
/// `logits` is `[rows, vocabulary]`; there is a target a row, each below the vocabulary's size. The sum over micro-batches
/// with `scale` = 1 / all rows is the mean over the batch.
pub fn cross_entropy(logits: Tensor<2>, targets: &[u32], scale: f32) -> Tensor<1> {
    weighted(logits, targets, scale, false)
}

/// As [`cross_entropy`], with each row's term times the probability of its target, which is taken as a constant: the loss of
/// dynamic fine-tuning (DFT, arXiv 2508.05629), which takes less notice of what the model finds unlikely.
pub fn dynamic_cross_entropy(logits: Tensor<2>, targets: &[u32], scale: f32) -> Tensor<1> {
    weighted(logits, targets, scale, true)
}

fn weighted(logits: Tensor<2>, targets: &[u32], scale: f32, by_probability: bool) -> Tensor<1> {
    #[cfg(feature = "flex")]
    if let Some(primitive) = super::flex::primitive(&logits) {
        drop(logits); // so that the gradient can take their place, if nobody else holds them
        let targets = targets.into();
        return super::flex::apply(fused::CrossEntropy { targets, scale, by_probability }, [primitive]);
    }
    let terms = gathered(logits, targets);
    let terms = if by_probability { terms.clone() * terms.detach().exp() } else { terms };
    terms.sum().mul_scalar(-scale)
}

/// log softmax(logits) at the target of every row, `[rows]`, without gradient.
pub fn log_likelihood(logits: Tensor<2>, targets: &[u32]) -> Tensor<1> {
    let logits = if logits.device().is_autodiff() { logits.inner() } else { logits };
    #[cfg(feature = "flex")]
    if let Some(super::flex::Primitive::Plain(logits)) = super::flex::primitive(&logits) {
        return fused::log_likelihood(&logits.to_contiguous(), targets);
    }
    gathered(logits, targets)
}

fn gathered(logits: Tensor<2>, targets: &[u32]) -> Tensor<1> {
    let rows = targets.len();
    let index: Vec<i32> = targets.iter().map(|&target| target as i32).collect();
    let index = Tensor::<2, Int>::from_data(TensorData::new(index, [rows, 1]), &logits.device());
    activation::log_softmax(logits, 1).gather(1, index).reshape([rows])
}

#[cfg(feature = "flex")]
mod fused {
    use std::sync::Arc;

    use burn::backend::Flex;
    use burn::tensor::Tensor;
    use rayon::prelude::*;

    use crate::kernel::flex::{Flat, FlexOp, entries, extents, flat};
    use crate::kernel::lanes::{exp, exponentiate, max, sum, vectorised};

    #[derive(Clone, Debug)]
    pub(super) struct CrossEntropy {
        pub(super) targets: Arc<[u32]>,
        pub(super) scale: f32,
        pub(super) by_probability: bool,
    }

    impl FlexOp<1> for CrossEntropy {
        /// The gradient itself, scale · (softmax − one-hot): it costs one pass here, where the exponentials are at hand, and no
        /// memory if it can take the place of the logits.
        type Saved = Flat;

        fn forward(&self, [mut gradient]: [Flat; 1]) -> (Flat, Flat) {
            let [_, vocabulary] = extents(&gradient);
            let losses: Vec<f64> = gradient
                .storage_mut::<f32>()
                .par_chunks_mut(vocabulary)
                .zip(self.targets.par_iter())
                .map(|(row, &target)| vectorised!(self.row(row, target as usize)))
                .collect();
            let loss = losses.iter().sum::<f64>() * f64::from(self.scale);
            (flat(vec![loss as f32], [1]), gradient)
        }

        fn backward(&self, mut saved: Flat, gradient: Flat, _: [bool; 1]) -> [Option<Flat>; 1] {
            let by = entries(&gradient)[0];
            if by != 1.0 {
                saved.storage_mut::<f32>().par_iter_mut().for_each(|g| *g *= by);
            }
            [Some(saved)]
        }
    }

    impl CrossEntropy {
        #[inline(always)]
        fn row(&self, row: &mut [f32], target: usize) -> f64 {
            let aimed = row[target];
            let (largest, total) = exponentiate(row, 1.0);
            let weight = if self.by_probability { row[target] / total } else { 1.0 };
            let by = self.scale * weight / total;
            for x in row.iter_mut() {
                *x *= by;
            }
            row[target] -= self.scale * weight;
            f64::from((total.ln() + largest - aimed) * weight)
        }
    }

    pub(super) fn log_likelihood(logits: &Flat, targets: &[u32]) -> Tensor<1> {
        let [_, vocabulary] = extents(logits);
        let values: Vec<f32> = entries(logits)
            .par_chunks(vocabulary)
            .zip(targets.par_iter())
            .map(|(row, &target)| {
                vectorised!({
                    let largest = max(row);
                    row[target as usize] - largest - sum(row, |x| exp(x - largest)).ln()
                })
            })
            .collect();
        Tensor::from_primitive::<Flex>(flat(values, [targets.len()]))
    }
}

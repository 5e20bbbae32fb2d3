use burn::tensor::{Tensor, activation};

/// The gate of a gated feed-forward layer (Shazeer, arXiv 2002.05202): silu(gate) ∘ up, with silu(x) = x / (1 + e⁻ˣ).
///
/// Both tensors are of one shape, and so is the result.
pub fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if let (Some(gate), Some(up)) = (super::flex::primitive(&gate), super::flex::primitive(&up)) {
        return super::flex::apply(fused::Gated(fused::Silu), [gate, up]);
    }
    activation::silu(gate) * up
}

/// The same with another gate: [`gelu`]`(gate)` ∘ up.
pub fn geglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if let (Some(gate), Some(up)) = (super::flex::primitive(&gate), super::flex::primitive(&up)) {
        return super::flex::apply(fused::Gated(fused::Gelu), [gate, up]);
    }
    gelu(gate) * up
}

/// The tanh form of GELU (Hendrycks and Gimpel, arXiv 1606.08415), which transformers calls `gelu_new` and BLOOM uses:
/// x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³))).
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if let Some(x) = super::flex::primitive(&x) {
        return super::flex::apply(fused::Plain(fused::Gelu), [x]);
    }
    let slope = (2.0 / std::f32::consts::PI).sqrt();
    let inner = (x.clone().square() * 0.044_715 + 1.0) * x.clone() * slope;
    (inner.tanh() + 1.0) * x * 0.5
}

/// max(x, 0).
pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if let Some(x) = super::flex::primitive(&x) {
        return super::flex::apply(fused::Plain(fused::Relu), [x]);
    }
    activation::relu(x)
}

#[cfg(feature = "flex")]
mod fused {
    use std::fmt::Debug;

    use rayon::prelude::*;

    use crate::kernel::flex::{Flat, FlexOp, entries, flat};
    use crate::kernel::lanes::{exp, vectorised};
    use crate::kernel::product::zeros;

    /// A function of one number.
    pub(super) trait Activation: Copy + Send + Sync + Debug + 'static {
        /// Its value, and its derivative.
        fn at(x: f32) -> (f32, f32);
    }

    #[derive(Clone, Copy, Debug)]
    pub(super) struct Silu;

    #[derive(Clone, Copy, Debug)]
    pub(super) struct Gelu;

    #[derive(Clone, Copy, Debug)]
    pub(super) struct Relu;

    impl Activation for Silu {
        #[inline(always)]
        fn at(x: f32) -> (f32, f32) {
            let s = sigmoid(x);
            (x * s, s * (1.0 + x * (1.0 - s)))
        }
    }

    impl Activation for Gelu {
        /// (1 + tanh(u)) / 2 is the sigmoid of 2 u.
        #[inline(always)]
        fn at(x: f32) -> (f32, f32) {
            // 2 √(2/π).
            const SLOPE: f32 = 1.595_769;
            const CUBE: f32 = 0.044_715;
            let s = sigmoid(SLOPE * x * (1.0 + CUBE * x * x));
            (x * s, s + x * s * (1.0 - s) * SLOPE * (1.0 + 3.0 * CUBE * x * x))
        }
    }

    impl Activation for Relu {
        /// NaN stays NaN, which `max` would lose.
        #[inline(always)]
        fn at(x: f32) -> (f32, f32) {
            if x <= 0.0 { (0.0, 0.0) } else { (x, 1.0) }
        }
    }

    #[inline(always)]
    fn sigmoid(x: f32) -> f32 {
        1.0 / (1.0 + exp((-x).min(87.0)))
    }

    /// f(gate) ∘ up.
    #[derive(Clone, Debug)]
    pub(super) struct Gated<A>(pub(super) A);

    /// f(x).
    #[derive(Clone, Debug)]
    pub(super) struct Plain<A>(pub(super) A);

    const ENTRIES_A_TASK: usize = 1 << 14;

    impl<A: Activation> FlexOp<2> for Gated<A> {
        type Saved = (Flat, Flat);

        fn forward(&self, [gate, up]: [Flat; 2]) -> (Flat, Self::Saved) {
            let mut out = zeros(entries(&gate).len());
            out.par_chunks_mut(ENTRIES_A_TASK)
                .zip(entries(&gate).par_chunks(ENTRIES_A_TASK))
                .zip(entries(&up).par_chunks(ENTRIES_A_TASK))
                .for_each(|((out, gate), up)| {
                    vectorised!({
                        for ((out, &gate), up) in out.iter_mut().zip(gate).zip(up) {
                            *out = A::at(gate).0 * up;
                        }
                    });
                });
            (flat(out, gate.layout().shape().clone()), (gate, up))
        }

        /// The gradients take the place of the inputs, if nobody else holds them.
        fn backward(&self, (mut gate, mut up): Self::Saved, gradient: Flat, _: [bool; 2]) -> [Option<Flat>; 2] {
            gate.storage_mut::<f32>()
                .par_chunks_mut(ENTRIES_A_TASK)
                .zip(up.storage_mut::<f32>().par_chunks_mut(ENTRIES_A_TASK))
                .zip(entries(&gradient).par_chunks(ENTRIES_A_TASK))
                .for_each(|((gate, up), g)| {
                    vectorised!({
                        for ((gate, up), g) in gate.iter_mut().zip(up).zip(g) {
                            let (value, slope) = A::at(*gate);
                            *gate = g * *up * slope;
                            *up = g * value;
                        }
                    });
                });
            [Some(gate), Some(up)]
        }
    }

    impl<A: Activation> FlexOp<1> for Plain<A> {
        type Saved = Flat;

        fn forward(&self, [x]: [Flat; 1]) -> (Flat, Flat) {
            let mut out = zeros(entries(&x).len());
            out.par_chunks_mut(ENTRIES_A_TASK).zip(entries(&x).par_chunks(ENTRIES_A_TASK)).for_each(|(out, x)| {
                vectorised!({
                    for (out, &x) in out.iter_mut().zip(x) {
                        *out = A::at(x).0;
                    }
                });
            });
            (flat(out, x.layout().shape().clone()), x)
        }

        /// The gradient of x takes the place of that of the output.
        fn backward(&self, x: Flat, mut gradient: Flat, _: [bool; 1]) -> [Option<Flat>; 1] {
            let g: &mut [f32] = gradient.storage_mut();
            g.par_chunks_mut(ENTRIES_A_TASK).zip(entries(&x).par_chunks(ENTRIES_A_TASK)).for_each(|(g, x)| {
                vectorised!({
                    for (g, &x) in g.iter_mut().zip(x) {
                        *g *= A::at(x).1;
                    }
                });
            });
            [Some(gradient)]
        }
    }
}

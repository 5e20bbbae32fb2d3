use burn::tensor::{Tensor, activation};

/// The gate of a gated feed-forward layer (Shazeer, arXiv 2002.05202): silu(gate) ∘ up, with silu(x) = x / (1 + e⁻ˣ).
///
/// Both tensors are of one shape, and so is the result.
pub fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if let (Some(gate), Some(up)) = (super::flex::primitive(&gate), super::flex::primitive(&up)) {
        return super::flex::apply(fused::SwiGlu, [gate, up]);
    }
    activation::silu(gate) * up
}

#[cfg(feature = "flex")]
mod fused {
    use rayon::prelude::*;

    use crate::kernel::flex::{Flat, FlexOp, entries, flat};
    use crate::kernel::lanes::{exp, vectorised};
    use crate::kernel::product::zeros;

    #[derive(Clone, Debug)]
    pub(super) struct SwiGlu;

    const ENTRIES_A_TASK: usize = 1 << 14;

    impl FlexOp<2> for SwiGlu {
        type Saved = (Flat, Flat);

        fn forward(&self, [gate, up]: [Flat; 2]) -> (Flat, Self::Saved) {
            let mut out = zeros(entries(&gate).len());
            out.par_chunks_mut(ENTRIES_A_TASK)
                .zip(entries(&gate).par_chunks(ENTRIES_A_TASK))
                .zip(entries(&up).par_chunks(ENTRIES_A_TASK))
                .for_each(|((out, gate), up)| {
                    vectorised!({
                        for ((out, &gate), up) in out.iter_mut().zip(gate).zip(up) {
                            *out = gate * sigmoid(gate) * up;
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
                            let s = sigmoid(*gate);
                            let d_gate = g * *up * s * (1.0 + *gate * (1.0 - s));
                            *up = g * *gate * s;
                            *gate = d_gate;
                        }
                    });
                });
            [Some(gate), Some(up)]
        }
    }

    #[inline(always)]
    fn sigmoid(x: f32) -> f32 {
        1.0 / (1.0 + exp((-x).min(87.0)))
    }
}

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

    #[derive(Clone, Debug)]
    pub(super) struct SwiGlu;

    const ENTRIES_A_TASK: usize = 1 << 14;

    impl FlexOp<2> for SwiGlu {
        type Saved = (Flat, Flat);

        fn forward(&self, [gate, up]: [Flat; 2]) -> (Flat, Self::Saved) {
            let mut out = vec![0f32; entries(&gate).len()];
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

        fn backward(&self, (gate, up): Self::Saved, gradient: Flat) -> [Flat; 2] {
            let shape = gate.layout().shape().clone();
            let mut d_gate = vec![0f32; entries(&gate).len()];
            let mut d_up = vec![0f32; d_gate.len()];
            d_gate
                .par_chunks_mut(ENTRIES_A_TASK)
                .zip(d_up.par_chunks_mut(ENTRIES_A_TASK))
                .zip(entries(&gate).par_chunks(ENTRIES_A_TASK))
                .zip(entries(&up).par_chunks(ENTRIES_A_TASK))
                .zip(entries(&gradient).par_chunks(ENTRIES_A_TASK))
                .for_each(|((((d_gate, d_up), gate), up), g)| {
                    vectorised!({
                        for i in 0..gate.len() {
                            let s = sigmoid(gate[i]);
                            d_gate[i] = g[i] * up[i] * s * (1.0 + gate[i] * (1.0 - s));
                            d_up[i] = g[i] * gate[i] * s;
                        }
                    });
                });
            [flat(d_gate, shape.clone()), flat(d_up, shape)]
        }
    }

    #[inline(always)]
    fn sigmoid(x: f32) -> f32 {
        1.0 / (1.0 + exp((-x).min(87.0)))
    }
}
